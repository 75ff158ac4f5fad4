"""Server-sent events of `GET /v1/events`, with automatic reconnection.

`EventStream` is the part that both clients share, without I/O. It reconnects after the last event received, so no event
that has an id is missed.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from clipengine.client.errors import ApiError, NotClipengine, ServerUnreachable
from clipengine.client.exchange import TEMPORARY_STATUSES, Request, retry_delay
from clipengine.client.models import ClipData, Object, RecordingData
from clipengine.client.transport import AsyncTransport, Transport

C = TypeVar("C", bound=ClipData)
R = TypeVar("R", bound=RecordingData)

_IDLE_TIMEOUT = 45  # seconds; the server sends at least a comment every 15 s


@dataclass(frozen=True)
class Event(Generic[C, R]):
    """An event: a webhook event such as `clip.ready`, or `clip.updated`, `recording.updated` or `clip.deleted`.

    `clip` or `recording` is the subject at that time; `data` is its JSON object. Pass `last_event_id` to resume after
    this event; it is None until an event has an id. `event_id` is the id of the webhook of the same event.
    """

    event: str
    data: Object
    clip: C | None = None
    recording: R | None = None
    last_event_id: str | None = None
    event_id: str | None = None
    timestamp: str | None = None


class EventStream(Generic[C, R]):
    """Parser and reconnection state of one caller's events."""

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
        self._last_id = last_event_id
        self._patience = patience
        self._last_received = time.monotonic()
        self._failures = 0
        self._buffer = b""

    def request(self) -> Request:
        """Return the request for the next connection."""
        self._buffer = b""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        params = {name: value for name, value in self._params.items() if value is not None}
        return Request("GET", "/v1/events", params=params, headers=headers, extra_time=_IDLE_TIMEOUT)

    def feed(self, data: bytes) -> Iterator[Event[C, R]]:
        """Yield the events that `data` completes."""
        self._last_received, self._failures = time.monotonic(), 0
        *blocks, self._buffer = (self._buffer + data.replace(b"\r", b"")).split(b"\n\n")
        for block in blocks:
            event = self._parse(block.decode())
            if event is not None:
                yield event

    def retry_delay(self, error: ApiError | ServerUnreachable | None) -> float:
        """Return the seconds before the next connection. Raises the error if it is permanent or lasts too long."""
        if error is not None:
            retryable = error.retryable if isinstance(error, ServerUnreachable) else error.status in TEMPORARY_STATUSES
            expired = self._patience is not None and time.monotonic() - self._last_received >= self._patience
            if expired or not retryable:
                raise error
        self._failures += 1
        return retry_delay(self._failures)

    def _parse(self, block: str) -> Event[C, R] | None:
        """Parse one block. Return None for a comment, or for an id without data, which only sets the position."""
        lines = []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if name == "id":
                self._last_id = value.strip()
            elif name == "data":
                lines.append(value.removeprefix(" "))
        if not lines:
            return None
        try:
            message = json.loads("\n".join(lines))
            kind, data = str(message["event"]), dict(message["data"])
        except (ValueError, KeyError, TypeError):
            raise NotClipengine("the response is not from clipengine") from None
        complete = "status" in data  # a deleted object has only its id
        return Event(
            kind,
            data,
            self._clip(data) if complete and kind.startswith("clip.") else None,
            self._recording(data) if complete and kind.startswith("recording.") else None,
            self._last_id,
            message.get("id"),
            message.get("timestamp"),
        )


def follow(transport: Transport, stream: EventStream[C, R]) -> Generator[Event[C, R]]:
    """Yield events without end. Raises the errors of `EventStream.retry_delay`."""
    while True:
        failure: ApiError | ServerUnreachable | None = None
        try:
            with transport.stream(stream.request()) as chunks:
                for chunk in chunks:
                    yield from stream.feed(chunk)
        except (ApiError, ServerUnreachable) as error:
            failure = error
        time.sleep(stream.retry_delay(failure))


async def afollow(transport: AsyncTransport, stream: EventStream[C, R]) -> AsyncIterator[Event[C, R]]:
    """Yield events without end. Raises the errors of `EventStream.retry_delay`."""
    while True:
        failure: ApiError | ServerUnreachable | None = None
        try:
            async with transport.stream(stream.request()) as chunks:
                async for chunk in chunks:
                    for event in stream.feed(chunk):
                        yield event
        except (ApiError, ServerUnreachable) as error:
            failure = error
        await transport.sleep(stream.retry_delay(failure))
