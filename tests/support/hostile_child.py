"""Encoder children taken over by a hostile recording: real processes that send a given report and do no job."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from clipengine.work.encoder import EncoderPool, EncoderProcess, Program

_SCRIPT = """
import json, socket, sys
from clipengine.media.wire import Channel

control = Channel(socket.socket(fileno=int(sys.argv[1])), takes_descriptors=True)
control.send({"type": "ready", "layers": [{"name": "seccomp", "holds": True, "detail": ""}]})
control.receive()
control.send(json.loads(sys.argv[2]))
"""


class HostileChild(EncoderProcess):
    def __init__(self, report: dict[str, Any]) -> None:
        self._report = report
        super().__init__()

    def _launch(self, control: int, ranges: int, words: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(control), json.dumps(self._report)],
            pass_fds=(control, ranges),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            start_new_session=True,
        )


class HostilePool(EncoderPool):
    """Hands out children that all send the same report."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__()
        self._report = report

    def _make(self, program: Program) -> EncoderProcess:
        return HostileChild(self._report)
