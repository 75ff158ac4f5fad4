"""Pool of warm child processes."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import get_args

from clipengine.settings.settings import Sandbox
from clipengine.work.children.header_cache import HeaderCache
from clipengine.work.children.jobs import Program
from clipengine.work.children.process import Child, ignore_loss


class ChildPool:
    """A pool that starts children ahead of time, so that their start-up does not delay clips.

    One thread starts all children and lives as long as the pool, because the kernel kills a child when the thread that
    started it ends.
    """

    def __init__(
        self,
        *,
        nice: int = 0,
        sandbox: Sandbox = "auto",
        ahead: int = 1,
        inspectors_ahead: int = 0,
        header_cache: HeaderCache | None = None,
        on_loss: Callable[[str], None] = ignore_loss,
    ) -> None:
        """All children use `header_cache`, which other pools may share."""
        self._header_cache = header_cache or HeaderCache()
        self._nice = nice
        self._sandbox: Sandbox = sandbox
        self._ahead: dict[Program, int] = dict.fromkeys(get_args(Program), 0)
        self._ahead |= {"maker": ahead, "inspector": inspectors_ahead}
        self._on_loss = on_loss
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="children")
        self._lock = threading.Lock()
        self._started: dict[Program, deque[Future[Child]]] = {program: deque() for program in self._ahead}
        self._closed = False

    def warm_up(self) -> None:
        """Start the missing children, without waiting for them."""
        with self._lock:
            for program, started in self._started.items():
                while len(started) < self._ahead[program] and not self._closed:
                    started.append(self._start(program))

    def check_sandbox(self) -> None:
        """Raise SandboxIncomplete if all of the sandbox is required and this machine lacks a layer."""
        child = self.take()
        try:
            child.wait_until_ready()
        finally:
            child.close()

    def take(self, program: Program = "maker") -> Child:
        """Return a child that runs this program. The caller closes it."""
        with self._lock:
            waiting = self._started[program]
            started = waiting.popleft() if waiting else self._start(program)
        self.warm_up()
        child = started.result()
        if child.alive:
            return child
        child.close()
        return self._start(program).result()

    def close(self) -> None:
        """End the children that were not taken. Callers of `take` close theirs."""
        with self._lock:
            self._closed = True
            for waiting in self._started.values():
                while waiting:
                    with contextlib.suppress(OSError):  # the child could not be started
                        waiting.popleft().result().close()

    def _start(self, program: Program) -> Future[Child]:
        return self._starter.submit(self._make, program)

    def _make(self, program: Program) -> Child:
        child = Child(program, nice=self._nice, sandbox=self._sandbox, header_cache=self._header_cache)
        child.on_loss = self._on_loss
        return child
