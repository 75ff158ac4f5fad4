"""Shutdown by signal within a deadline."""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOP_SECONDS = 9.5  # service managers usually send SIGKILL after 10 s


class StopRequest:
    """Record of a signal that arrives while there is no HTTP server to handle it."""

    def __init__(self) -> None:
        self.should_exit = False
        for each in SIGNALS:
            signal.signal(each, self._handle)

    def _handle(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            start_stop_deadline()
        self.should_exit = True


def start_stop_deadline() -> None:
    """End the process after STOP_SECONDS, even if a thread is still running."""
    log.info("stopping")

    def end() -> None:
        log.warning("shutdown took longer than %g s: exiting; the next start resumes unfinished jobs", STOP_SECONDS)
        os._exit(0)

    timer = threading.Timer(STOP_SECONDS, end)
    timer.daemon = True
    timer.start()
