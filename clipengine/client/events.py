"""What happens, as it happens: the server-sent events of `GET /v1/events`, typed, over connections that may break.

`Feed` is what both clients share: what is asked for, what a piece of the stream holds, and what is done when it breaks.
A stream that broke is opened again after the last event that was received, so that none that has an id is missed.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from clipengine.client.errors import ApiError, NotClipengine, ServerUnreachable
from clipengine.client.exchange import Request
from clipengine.client.models import ClipData, Object, RecordingData
from clipengine.client.transport import AsyncTransport, Transport

C = TypeVar("C", bound=ClipData)
R = TypeVar("R", bound=RecordingData)

_PAUSES = (0.2, 0.6, 1.8, 5.0)  # seconds before each further connection; the last one for all that follow
_SILENCE = 45  # seconds without a byte after which a stream is dead: the server sends something every 15
_PASSING = {429, 500, 502, 503, 504}  # answers of a server, or of a proxy before it, that is about to be well again


@dataclass(frozen=True)
class Event(Generic[C, R]):
    """`event` is `clip.ready` or another name of the webhooks, or tells of what goes on: `clip.updated`,

    `recording.updated`, `clip.deleted`. `clip` or `recording` is what it is about, as it was then; `data` is the same
    as the API wrote it. `last_event_id` is where to go on after this event, None before the first that has one.
    `event_id` is the id that a webhook of the same event has.
    """

    event: str
    data: Object
    clip: C | None = None
    recording: R | None = None
    last_event_id: str | None = None
    event_id: str | None = None
    timestamp: str | None = None


class Feed(Generic[C, R]):
    """One caller's events over as many connections as it takes."""

    def __init__(
        self,
        clip: Callable[[Object], C],
        recording: Callable[[Object], R],
        *,
        clip_id: str | None,
        recording_id: str | None,
        last_event_id: str | None,
        patience: float | None,
    ) -> None:
        self._clip = clip
        self._recording = recording
        self._params = {"clip_id": clip_id, "recording_id": recording_id}
        self._last = last_event_id
        self._patience = patience
        self._heard = time.monotonic()
        self._failures = 0
        self._rest = b""

    def request(self) -> Request:
        """What opens the next connection."""
        self._rest = b""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._last is not None:
            headers["Last-Event-ID"] = self._last
        params = {name: value for name, value in self._params.items() if value is not None}
        return Request("GET", "/v1/events", params=params, headers=headers, longer=_SILENCE)

    def take(self, piece: bytes) -> Iterator[Event[C, R]]:
        """The events that are whole with this piece of the stream."""
        self._heard, self._failures = time.monotonic(), 0
        *blocks, self._rest = (self._rest + piece.replace(b"\r", b"")).split(b"\n\n")
        for block in blocks:
            event = self._event(block.decode())
            if event is not None:
                yield event

    def pause(self, error: ApiError | ServerUnreachable | None) -> float:
        """Seconds before the next connection. Raises the error where no connection would help, or patience is over."""
        if error is not None:
            passing = error.passing if isinstance(error, ServerUnreachable) else error.status in _PASSING
            over = self._patience is not None and time.monotonic() - self._heard >= self._patience
            if over or not passing:
                raise error
        self._failures += 1
        return _PAUSES[min(self._failures, len(_PAUSES)) - 1]

    def _event(self, block: str) -> Event[C, R] | None:
        """The event of one block; None for a comment, and for an id alone, which says where to go on."""
        lines = []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if name == "id":
                self._last = value.strip()
            elif name == "data":
                lines.append(value.removeprefix(" "))
        if not lines:
            return None
        try:
            told = json.loads("\n".join(lines))
            kind, data = str(told["event"]), dict(told["data"])
        except (ValueError, KeyError, TypeError):
            raise NotClipengine("what answers there is not clipengine") from None
        whole = "status" in data  # of what was deleted there is only the id
        return Event(
            kind,
            data,
            self._clip(data) if whole and kind.startswith("clip.") else None,
            self._recording(data) if whole and kind.startswith("recording.") else None,
            self._last,
            told.get("id"),
            told.get("timestamp"),
        )


def follow(transport: Transport, feed: Feed[C, R]) -> Iterator[Event[C, R]]:
    """Without end; raises what `Feed.pause` does not bear with."""
    while True:
        broken: ApiError | ServerUnreachable | None = None
        try:
            with transport.stream(feed.request()) as pieces:
                for piece in pieces:
                    yield from feed.take(piece)
        except (ApiError, ServerUnreachable) as error:
            broken = error
        time.sleep(feed.pause(broken))


async def afollow(transport: AsyncTransport, feed: Feed[C, R]) -> AsyncIterator[Event[C, R]]:
    """Without end; raises what `Feed.pause` does not bear with."""
    while True:
        broken: ApiError | ServerUnreachable | None = None
        try:
            async with transport.stream(feed.request()) as pieces:
                async for piece in pieces:
                    for event in feed.take(piece):
                        yield event
        except (ApiError, ServerUnreachable) as error:
            broken = error
        await transport.sleep(feed.pause(broken))
