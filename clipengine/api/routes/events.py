"""`GET /v1/events`: state changes as server-sent events.

Terminal states come from the ledger's events with their number as the event id, so that a client that reconnects with
Last-Event-ID gets each exactly once; a stream begins with the number after which it continues. Progress
(`clip.updated`, `recording.updated`, `transcript.updated`, `clip.deleted`) is the current state, without an id and at
most four times a second per clip.

One reader serves all streams, so a thousand clients cost the ledger as much as one:

    events in the ledger --+                 +--> Stream.pending --> Feed.follow --> client
                           +--> Feed._read --+
    changed rows ----------+                 +--> Stream.pending --> Feed.follow --> client

A client with a Last-Event-ID first gets the older events, which `Feed.follow` reads from the ledger.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clipengine.api.http.access import may_receive
from clipengine.api.http.change_broadcast import ChangeBroadcast
from clipengine.api.http.open_streams import open_stream
from clipengine.api.http.operation import Answer, Call, Operation
from clipengine.api.http.ports import Engine
from clipengine.api.http.requests.fields import NoBody
from clipengine.api.http.requests.webhooks import StreamEvents
from clipengine.api.http.rights import RIGHTS_SECONDS
from clipengine.api.http.send_timeout import with_send_timeout
from clipengine.api.http.validation import invalid_header
from clipengine.errors import Busy, ClipNotFound, RecordingNotFound, TranscriptNotFound, located
from clipengine.ledger.people.principals import Principal
from clipengine.ledger.webhooks.events import Event, origin_of
from clipengine.objects.clip import ClipObject
from clipengine.objects.event import EventObject
from clipengine.objects.recording import RecordingObject
from clipengine.objects.transcript import TranscriptionObject

MAX_STREAMS = 1000
BATCH_SECONDS = 0.25  # between two reads of the ledger
PROGRESS_SECONDS = 0.5  # between two reads of the progress of clips that other engines cut
SEND_SECONDS = 10  # a client that reads nothing for this long is disconnected
_BACKLOG = 500  # messages that a client has not received yet
_STREAMED = {"clip", "recording", "transcription", "edited_clip", "edited_recording"}  # kinds of changes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    event: str
    data: dict[str, Any]
    clip_id: str | None = None
    recording_id: str | None = None
    seq: int | None = None

    @cached_property
    def wire(self) -> bytes:
        """Return the bytes for the wire, encoded once for all streams."""
        text = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        number = None if self.seq is None else str(self.seq)
        return ServerSentEvent(text, event=self.event, id=number, sep="\n").encode()


@dataclass(eq=False)
class Stream:
    """Stream of one client: of all objects, of a clip, or of a recording.

    `pending` is bounded: a client that does not keep up is disconnected, and can resume with Last-Event-ID.
    """

    caller: Principal
    clip_id: str | None
    recording_id: str | None
    begun: int = 0  # number of the last event before the stream joined the feed
    pending: deque[Message] = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    def wants(self, message: Message) -> bool:
        if not may_receive(self.caller, message.event):
            return False
        return self.clip_id in (None, message.clip_id) and self.recording_id in (None, message.recording_id)

    def offer(self, message: Message) -> None:
        if len(self.pending) >= _BACKLOG:
            self.close()
        elif self.wants(message):
            self.pending.append(message)
            self.ready.set()

    def pop_after(self, seq: int) -> Message | None:
        """Return the next message and remove it. Skip events up to `seq`. Return None if none is left."""
        while self.pending:
            message = self.pending.popleft()
            if message.seq is None or message.seq > seq:
                return message
        return None

    def close(self) -> None:
        self.closed = True
        self.ready.set()


# The feed ends the streams after a whole event when the server stops. sse-starlette would cancel them at once.
AppStatus.enable_automatic_graceful_drain = False


class _Answer(EventSourceResponse):
    """The events of a stream.

    The stream joins the feed before the headers are sent, so that a client that has received them misses no event. A
    client that reads nothing for SEND_SECONDS is disconnected. Raises RateLimited if its key has too many streams.
    """

    def __init__(self, feed: Feed, stream: Stream, last_seq: int | None) -> None:
        super().__init__(feed.follow(stream, last_seq), ping=15, sep="\n")
        self._joined = feed.joined(stream)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with open_stream(scope, "event streams"):
            async with self._joined:
                try:
                    await super().__call__(scope, receive, with_send_timeout(scope, send, SEND_SECONDS))
                except ExceptionGroup as group:  # a ping and an event may time out together
                    if group.split(ClientDisconnect)[1] is not None:
                        raise
                    raise _first(group) from None


def _first(error: Exception) -> Exception:
    """Return the first error of a group."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _of_event(event: Event) -> Message | None:
    if event.type.startswith("clip.") and event.clip_id is None:
        return None  # the sample of a webhook's test
    payload = event.payload
    if event.type == "endpoint.disabled":  # engines of 0.1 recorded the whole URL, which may be secret
        payload = payload | {"data": payload["data"] | {"url": origin_of(payload["data"]["url"])}}
    return Message(event.type, payload, event.clip_id, event.recording_id, event.seq)


class Feed:
    """Reader of the ledger for all streams: reads each change once and offers it to every stream.

    Its task runs in the event loop of the server while there are streams.
    """

    def __init__(self, engine: Engine, changes: ChangeBroadcast) -> None:
        self._engine = engine
        self._changes = changes
        self._streams: set[Stream] = set()
        self._changed: dict[tuple[str, str], None] = {}
        self._stirred = asyncio.Event()
        self._seq = 0
        # Other engines of a shared ledger notify no progress; it is read while there are streams.
        self._polls = engine.ledger.engines.shared
        self._poll_seconds = PROGRESS_SECONDS if self._polls else math.inf
        self._progress: dict[str, tuple[Any, ...]] = {}
        self._starting = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        return len(self._streams) >= MAX_STREAMS

    @asynccontextmanager
    async def joined(self, stream: Stream) -> AsyncIterator[None]:
        """Offer the stream all messages from now on, until the block ends."""
        self._streams.add(stream)
        try:
            await self._start_reader()
            stream.begun = self._seq
            yield
        finally:
            self._streams.discard(stream)

    async def follow(self, stream: Stream, last_seq: int | None) -> AsyncIterator[bytes]:
        """Yield the events after `last_seq` (None: since the stream joined) and all later ones.

        Ends with the stream or the server.
        """
        with self._changes.closing(stream.close):
            seq = stream.begun if last_seq is None else last_seq
            # Sent first, so that a connection that breaks before any event can resume as well.
            yield f"id: {seq}\n\n".encode()
            # Older events first. The feed may have added the newest of them to `pending`: `pop_after` skips them.
            while last_seq is not None:
                past = await run_in_threadpool(self._engine.ledger.events.after, seq)
                if not past:
                    break
                seq = past[-1].seq
                for found in filter(None, map(_of_event, past)):
                    if stream.wants(found):
                        yield found.wire
            while not stream.closed:
                while (message := stream.pop_after(seq)) is not None:
                    yield message.wire
                stream.ready.clear()
                if not (stream.pending or stream.closed):
                    await stream.ready.wait()

    async def _start_reader(self) -> None:
        async with self._starting:
            if self._reader is None or self._reader.done():
                self._seq = await run_in_threadpool(self._engine.ledger.events.last_seq)
                self._reader = asyncio.create_task(self._read())

    def _note(self, kind: str, identifier: str) -> None:
        if kind in _STREAMED:
            self._changed[kind, identifier] = None
        self._stirred.set()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        rights_at = loop.time()
        with self._changes.watched_by(self._note):
            while self._streams and not self._changes.closed:
                with suppress(TimeoutError):
                    # A change wakes the reader. Otherwise it looks for progress of other engines and ended rights.
                    async with asyncio.timeout(min(rights_at + RIGHTS_SECONDS - loop.time(), self._poll_seconds)):
                        await self._stirred.wait()
                self._stirred.clear()
                changed, self._changed = list(self._changed), {}
                check = loop.time() - rights_at >= RIGHTS_SECONDS
                callers = {stream.caller for stream in self._streams} if check else frozenset()
                try:
                    messages, ended = await run_in_threadpool(self._batch, changed, callers)
                except Exception:  # the next read finds the events by their numbers; only progress is late
                    log.exception("the event stream could not read the ledger")
                    messages, ended = [], set()
                rights_at = loop.time() if check else rights_at
                for stream in list(self._streams):
                    if ended and stream.caller in ended:  # a hash per stream and event costs more than this
                        stream.close()
                    for message in messages:
                        stream.offer(message)
                await asyncio.sleep(BATCH_SECONDS)

    def _batch(
        self, changed: list[tuple[str, str]], callers: Collection[Principal]
    ) -> tuple[list[Message], set[Principal]]:
        ledger = self._engine.ledger
        with ledger.session():
            messages: list[Message] = []
            while events := ledger.events.after(self._seq):
                self._seq = events[-1].seq
                messages += filter(None, map(_of_event, events))
            # The current states follow the events: a clip that has ended and is in progress was started again after its
            # end, and a clip that has ended and is missing was deleted after its end.
            changed = list(dict.fromkeys([*changed, *self._progressed()]))
            messages += filter(None, [self._now(kind, ident) for kind, ident in changed])
            ended = ledger.principals.ended(callers) if callers else set()
        return messages, ended

    def _progressed(self) -> list[tuple[str, str]]:
        """Return the clips whose progress has changed since the last call, if other engines may cut clips."""
        if not self._polls:
            return []
        before, self._progress = self._progress, self._engine.ledger.clips.progress_of_active()
        return [("clip", clip_id) for clip_id, now in self._progress.items() if before.get(clip_id) != now]

    def _now(self, kind: str, identifier: str) -> Message | None:
        """Return the current state of an object as a message.

        Return None if the object has ended and was not edited, because its end has an event in the ledger.
        """
        edited = kind.startswith("edited_")
        try:
            if kind in ("recording", "edited_recording"):
                recording = self._engine.ledger.recordings.get(identifier)
                if recording.state not in ("processing", "recording") and not edited:
                    return None
                return _update("recording.updated", RecordingObject.of(recording).to_object(), None, identifier)
            if kind == "transcription":
                found = self._engine.ledger.transcriptions.get(identifier)
                if found.ended:
                    return None
                data = TranscriptionObject.of(found).to_object()
                return _update("transcript.updated", data, None, found.recording_id)
            clip = self._engine.ledger.clips.get(identifier)
        except (RecordingNotFound, TranscriptNotFound):
            return None
        except ClipNotFound:
            return _update("clip.deleted", {"clip_id": identifier}, identifier, None)
        if clip.ended and not edited:
            return None
        return _update("clip.updated", ClipObject.of(clip).to_object(), identifier, clip.recording_id)


def _update(event: str, data: dict[str, Any], clip_id: str | None, recording_id: str | None) -> Message:
    return Message(event, {"event": event, "data": data}, clip_id, recording_id)


def operations(feed: Feed) -> list[Operation]:
    async def stream_events(call: Call[StreamEvents, NoBody]) -> Response:
        query = call.query
        if feed.full:
            raise Busy(f"{MAX_STREAMS} event streams are open", retry_after=10)
        last_seq = _last_seq(call.request.headers.get("last-event-id"))
        await call.in_session(lambda: _check_exists(call))
        stream = Stream(call.caller, query.clip_id, query.recording_id)
        return _Answer(feed, stream, last_seq)

    answer = Answer(
        200, "Server-sent events until one side ends the connection.", EventObject, media_type="text/event-stream"
    )
    errors = (ClipNotFound, RecordingNotFound, Busy)
    summary = "Follow what happens"
    return [
        Operation(
            "GET",
            "/v1/events",
            "read",
            stream_events,
            summary,
            [answer],
            errors,
            query=StreamEvents,
            headers={"Last-Event-ID": _LAST_EVENT_ID},
        )
    ]


def _check_exists(call: Call[StreamEvents, NoBody]) -> None:
    """Raise ClipNotFound or RecordingNotFound if the query names an object that does not exist."""
    if call.query.clip_id is not None:
        with located(parameter="clip_id"):
            call.ledger.clips.get(call.query.clip_id)
    if call.query.recording_id is not None:
        with located(parameter="recording_id"):
            call.ledger.recordings.get(call.query.recording_id)


_LAST_EVENT_ID = {
    "type": "string",
    "pattern": "^[0-9]{0,18}$",
    "description": "The `id` of the last event that was received: the stream begins after it. `0` sends all events, "
    "no header only new ones.",
    "examples": ["0"],
}


def _last_seq(header: str | None) -> int | None:
    if not header:
        return None
    if not (header.isascii() and header.isdigit() and len(header) < 19):
        raise invalid_header("Last-Event-ID", "is not the id of an event")
    return int(header)
