"""Start of child processes: as programs, or by a function that forks them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from clipengine.work.children.jobs import Program

_POLL_SECONDS = 0.005
_MODULES: dict[Program, str] = {"parser": "clipengine.api.parser"}  # reads documents of requests too


class ChildEnds(NamedTuple):
    """Descriptors for a child: its ends of both sockets, and its stderr."""

    control: int
    ranges: int
    stderr: int


class Process(Protocol):
    """A started child. `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


# Starts a child, which applies Landlock and seccomp if the last argument is True.
Launch = Callable[[Program, ChildEnds, bool], Process]


def launch_program(program: Program, ends: ChildEnds, sandboxed: bool) -> Process:
    """Start a child as a new program, with an empty environment."""
    module = _MODULES.get(program, f"clipengine.media.worker.{program}")
    isolation = "sandboxed" if sandboxed else "unconfined"
    return subprocess.Popen(
        [sys.executable, "-I", "-m", module, str(ends.control), str(ends.ranges), str(os.getpid()), isolation],
        pass_fds=(ends.control, ends.ranges),
        env={},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=ends.stderr,
        start_new_session=True,
    )


class ForkedProcess:
    """A child that was forked. Thread-safe."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        with self._lock:
            if self.returncode is None:
                self.returncode = self._exit_code()
            return self.returncode

    def _exit_code(self) -> int | None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # SIGCHLD is ignored, so that the kernel discards the status
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status. Raises TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked child", timeout or 0.0)
            time.sleep(_POLL_SECONDS)
        return code
