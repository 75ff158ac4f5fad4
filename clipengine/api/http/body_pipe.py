"""Bounded pipe for a request's body, from the event loop to a thread that stores it.

The body is never whole in memory, and a slow store slows the client.
"""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request

from clipengine.api.http.rights import WAIT_SECONDS
from clipengine.errors import ClipEngineError, Internal, MalformedRequest, PayloadTooLarge
from clipengine.limits.pace import LEAST_BYTES_PER_SECOND, Pace

STALL_SECONDS = 60
_PIPE_BYTES = 4 * 1024 * 1024

log = logging.getLogger(__name__)


class BodyPipe(io.RawIOBase):
    """Written by a coroutine, read as a blocking stream by a thread; holds at most `capacity` bytes or one chunk.

    If it `keeps` what has arrived, an incomplete body ends as if it were complete, and `interruption` says why. The
    chunk that reaches `most` bytes is passed on at the end of the body: a longer body must not seem complete.
    """

    def __init__(self, capacity: int = _PIPE_BYTES, *, keeps: bool = False, most: int | None = None) -> None:
        super().__init__()
        self.keeps = keeps
        self._most = most
        self._arrived = 0
        self._last = b""
        self.interruption: ClipEngineError | None = None
        self._capacity = capacity
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._filled = threading.Condition()
        self._chunks: deque[memoryview] = deque()
        self._held = 0
        self._finished = False
        self._error: ClipEngineError | None = None

    @property
    def hint(self) -> str:
        """Return what the client can do after an interruption."""
        return "Ask for the offset, and continue there." if self.keeps else "Send the upload again."

    async def send(self, chunk: bytes) -> None:
        """Append a chunk, waiting while the pipe is full. Raises PayloadTooLarge beyond `most` bytes."""
        self._arrived += len(chunk)
        if self._most is not None and self._arrived >= self._most:
            if self._arrived > self._most:
                self._last = b""
                raise too_long()
            self._last = chunk or self._last
            return
        while self._held >= self._capacity:
            self._room.clear()
            if self._held >= self._capacity:  # the reader may have consumed data meanwhile
                await self._room.wait()
        with self._filled:
            self._append(chunk)

    def finish(self) -> None:
        """Mark the body as complete."""
        with self._filled:
            self._append(self._last)
            self._finished = True
            self._filled.notify()

    def fail(self, error: ClipEngineError) -> None:
        """Mark the body as incomplete; the next read raises this error, unless the pipe keeps what has arrived."""
        with self._filled:
            if self.keeps:
                self._append(self._last)
                self.interruption, self._finished = self.interruption or error, True
            else:
                self._error = self._error or error
            self._filled.notify()

    def _append(self, chunk: bytes) -> None:
        if chunk:
            self._last = b""  # it is no longer withheld
            self._chunks.append(memoryview(chunk))
            self._held += len(chunk)
            self._filled.notify()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with self._filled:
            while not (self._chunks or self._finished or self._error):
                self._filled.wait()
            if self._error:
                raise self._error
            if not self._chunks:
                return 0
            chunk = self._chunks.popleft()
            count = min(len(buffer), len(chunk))
            buffer[:count] = chunk[:count]
            if count < len(chunk):
                self._chunks.appendleft(chunk[count:])
            self._held -= count
        self._loop.call_soon_threadsafe(self._room.set)
        return count


def too_long() -> PayloadTooLarge:
    """Return the error of a body that goes beyond the end of its upload."""
    hint = "Send the bytes from Upload-Offset up to Upload-Length."
    return PayloadTooLarge("The body goes beyond the end of the upload", hint=hint)


async def feed(
    request: Request,
    pipe: BodyPipe,
    check: Callable[[], Awaitable[None]],
    least_pace: Callable[[], int] = lambda: LEAST_BYTES_PER_SECOND,
) -> None:
    """Copy the body into the pipe. Never raises: an error is passed to the pipe.

    `check` is called before each chunk, and every WAIT_SECONDS while none arrives; its errors end the body.
    `least_pace` returns the bytes per second that the client must send.
    """
    loop = asyncio.get_running_loop()
    chunks = request.stream()
    pace, received = Pace(STALL_SECONDS, least_pace), 0
    try:
        while True:
            asked = loop.time()
            try:
                async with asyncio.timeout(min(pace.left(), WAIT_SECONDS)):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                pace.add(waited=loop.time() - asked, received=0)
                await check()
                chunks = request.stream()  # the interrupted stream is closed
                continue
            if chunk is None:
                break
            received += len(chunk)
            pace.add(waited=loop.time() - asked, received=len(chunk))
            await check()
            await pipe.send(chunk)
    except TimeoutError:
        pipe.fail(MalformedRequest("The upload came too slowly, or not at all", hint=pipe.hint))
    except ClientDisconnect:
        pipe.fail(MalformedRequest("The client ended the connection before the upload was whole"))
    except ClipEngineError as error:
        pipe.fail(error)
    except Exception as error:  # otherwise the reader would wait forever
        log.exception("an upload failed")
        pipe.fail(Internal(f"The upload failed: {type(error).__name__}"))
    else:
        if not received and not pipe.keeps:
            pipe.fail(MalformedRequest("The upload is empty", hint="Send the recording's bytes as the body."))
        pipe.finish()
