"""How long an event loop is held, in CPU time: it does not count the time in which other programs have the cores."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from types import TracebackType

import pytest

_SECONDS = 0.002


class Ticks:
    """Measures an event loop during a context.

    `loop_seconds` is the most CPU time that one callback takes. Between two callbacks the loop may serve others; how
    many are ready together depends on the pace of the machine. `process_seconds` is the most CPU time of all threads
    between two runs of a callback that repeats itself, which is longer if one of them holds the interpreter.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ended = False
        self._last: float | None = None
        self._patch = pytest.MonkeyPatch()
        self.loop_seconds = self.process_seconds = 0.0

    def __enter__(self) -> Ticks:
        run = asyncio.Handle._run

        def measured(handle: asyncio.Handle) -> None:
            begun = time.thread_time()
            run(handle)
            if handle._loop is self._loop:
                self.loop_seconds = max(self.loop_seconds, time.thread_time() - begun)

        self._patch.setattr(asyncio.Handle, "_run", measured)
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
        self._patch.undo()

    def _tick(self) -> None:
        if self._ended:
            return
        now = time.process_time()
        if self._last is not None:
            self.process_seconds = max(self.process_seconds, now - self._last)
        self._last = now
        self._loop.call_later(_SECONDS, self._tick)
