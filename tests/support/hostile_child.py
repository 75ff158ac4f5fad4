"""Encoder children taken over by a hostile recording: real processes that run a given script instead of a job."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from clipengine.work.children.jobs import Program
from clipengine.work.children.launch import ChildEnds, Process
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.process import Child

# Helpers of the scripts. `send` and `ask` write any bytes to the sockets, bypassing `media.worker.ipc`.
_PRELUDE = """
import json, os, socket, struct, sys, time

control, ranges = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])

def send(text, blob=b"", end=control):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    end.sendall(struct.pack(">II", len(text), len(blob)) + text + blob)

def ask(text, blob=b""):
    send(text, blob, ranges)

ready = {"type": "ready", "layers": [{"name": "seccomp", "holds": True, "detail": ""}]}
send(ready)
control.recvmsg(1 << 20)  # the job
"""
_WAIT = "\ntime.sleep(600)  # it is ended by its parent\n"


class HostileChild(Child):
    """A child that runs this script instead of its job and then waits."""

    def __init__(self, script: str) -> None:
        self._script = script
        super().__init__(launch=self._launch_script)

    @classmethod
    def that_reports(cls, message: dict[str, Any]) -> HostileChild:
        return cls(_report(message))

    def _launch_script(self, program: Program, ends: ChildEnds, sandboxed: bool) -> Process:
        return subprocess.Popen(
            [sys.executable, "-I", "-c", _PRELUDE + self._script + _WAIT, str(ends.control), str(ends.ranges)],
            pass_fds=(ends.control, ends.ranges),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=ends.stderr,
            start_new_session=True,
        )


def launch_unstarted(program: Program, ends: ChildEnds, sandboxed: bool) -> Process:
    """Start a child that ends before it is ready, as while an upgrade replaces the files of the engine."""
    arguments = [sys.executable, "-I", "-c", "import clipengine.replaced"]
    return subprocess.Popen(arguments, stderr=ends.stderr, start_new_session=True)


class HostilePool(ChildPool):
    """A pool whose children all send the same report."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__()
        self._report = report

    def _make(self, program: Program) -> Child:
        return HostileChild.that_reports(self._report)


def _report(message: dict[str, Any]) -> str:
    return f"send({json.dumps(message)!r}.encode())"
