"""Servers that are forked from a process that has imported them, because imports take most of the time of a start.

This file is also the program of that process. It has one thread and holds nothing but modules. Each fork gets its own
arguments, environment, working directory and output, and then runs the command as a new process does.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_MOST_BYTES = 100_000  # of a request: arguments and an environment
_MODULES = ("clipengine.cli.operator.serve", "clipengine.cli.operator.worker")
_ROOT = Path(__file__).resolve().parents[2]


class ForkedProcess:
    """A process as `subprocess.Popen` would start it, with its output as text in `stdout`."""

    def __init__(
        self, command: str, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, stderr: IO[str]
    ) -> None:
        output, stdout = os.pipe()
        status, report = os.pipe()
        try:
            _origin().send([command, *arguments], env, cwd, (stdout, stderr.fileno(), report))
        finally:
            os.close(stdout)
            os.close(report)
        self.stdout = os.fdopen(output, encoding="utf-8")
        self.returncode: int | None = None
        self._status = os.fdopen(status, "rb", buffering=0, closefd=False)
        weakref.finalize(self, os.close, status)
        self._read = threading.Lock()  # of the status: threads of a test may wait together
        self.pid = int(self._status.readline())

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status. Raises TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("clipengine", timeout or 0)
            with self._read:
                if self.returncode is None:
                    self.returncode = int(self._status.readline())
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Origin:
    """The process from which servers are forked, as this process uses it."""

    def __init__(self) -> None:
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                start_new_session=True,
            )
        atexit.register(self.close)

    def send(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, descriptors: Sequence[int]) -> None:
        request = json.dumps({"arguments": arguments, "env": dict(env), "cwd": str(cwd)}).encode()
        assert len(request) <= _MOST_BYTES
        socket.send_fds(self._control, [request], descriptors)

    def close(self) -> None:
        self._control.close()
        self._process.wait()


@functools.cache
def _origin() -> _Origin:
    return _Origin()


# ---- the program


def _fork_for_each_request(control: socket.socket) -> list[str]:
    """Return the arguments of the process in each fork. Exits when the tests have ended."""
    poller, running = select.poll(), {}
    poller.register(control, select.POLLIN)
    while True:
        for descriptor, _ in poller.poll():
            if descriptor != control.fileno():
                pid, report = running.pop(descriptor)
                poller.unregister(descriptor)
                os.close(descriptor)
                _report(report, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(report)
                continue
            data, passed, _, _ = socket.recv_fds(control, _MOST_BYTES, 3)
            if not data:
                sys.exit()
            pid = os.fork()
            if pid == 0:
                control.close()
                return _become(json.loads(data), passed)
            stdout, stderr, report = passed
            os.close(stdout)
            os.close(stderr)
            _report(report, pid)
            descriptor = os.pidfd_open(pid)
            running[descriptor] = pid, report
            poller.register(descriptor, select.POLLIN)


def _report(descriptor: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the test has ended
        os.write(descriptor, f"{number}\n".encode())


def _become(request: dict[str, Any], passed: Sequence[int]) -> list[str]:
    os.setsid()
    os.dup2(passed[0], 1)
    os.dup2(passed[1], 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    fork_children()
    return list(request["arguments"])


if __name__ == "__main__":
    from clipengine.cli.lasting_imports import import_lasting
    from clipengine.cli.main import main

    for _name in _MODULES:
        import_lasting(_name)
    from clipengine.api.routes.page import page_files
    from tests.support.forked_children import fork_children, programs

    programs()
    page_files((), ())
    sys.argv = _fork_for_each_request(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(main())
