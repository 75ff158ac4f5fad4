"""Signals that end a command which has files to remove."""

from __future__ import annotations

import signal
from types import FrameType


def end_by_exception() -> None:
    """Make SIGTERM and SIGHUP raise SystemExit, as SIGINT raises KeyboardInterrupt, so that the command cleans up.

    A signal that is ignored, such as SIGHUP under `nohup`, stays ignored.
    """
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) == signal.SIG_DFL:
            signal.signal(each, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
