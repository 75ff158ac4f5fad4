"""How long an event loop is held, in CPU time: it does not count the time in which other programs have the cores."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from types import TracebackType

_SECONDS = 0.002


class Ticks:
    """Measures an event loop during a context, by a callback that it runs again and again.

    `loop_seconds` is the most CPU time of its thread between two of them, and `process_seconds` that of all threads,
    which is longer if one of them holds the interpreter.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ended = False
        self._last: tuple[float, float] | None = None
        self.loop_seconds = self.process_seconds = 0.0

    def __enter__(self) -> Ticks:
        begun: Future[None] = Future()
        self._loop.call_soon_threadsafe(lambda: (self._tick(), begun.set_result(None)))
        begun.result(60)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        ended: Future[None] = Future()

        def end() -> None:
            self._tick()
            self._ended = True
            ended.set_result(None)

        self._loop.call_soon_threadsafe(end)
        ended.result(60)

    def _tick(self) -> None:
        if self._ended:
            return
        now = time.thread_time(), time.process_time()
        if self._last is not None:
            self.loop_seconds = max(self.loop_seconds, now[0] - self._last[0])
            self.process_seconds = max(self.process_seconds, now[1] - self._last[1])
        self._last = now
        self._loop.call_later(_SECONDS, self._tick)
