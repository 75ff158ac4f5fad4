"""Stops by signal, within a deadline whatever a thread is doing."""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOP_SECONDS = 9.5  # for everything: whoever sent the signal kills after 10


class EarlyStop:
    """Remembers a signal that comes before there is a server to tell, or where there is none."""

    def __init__(self) -> None:
        self.should_exit = False
        for each in SIGNALS:
            signal.signal(each, self._handle)

    def _handle(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            guard_stop()
        self.should_exit = True


def guard_stop() -> None:
    """From now on the process ends within STOP_SECONDS, even where a thread does not come back."""
    log.info("stopping")

    def end() -> None:
        log.warning("the stop took longer than %g s: leaving what is still running to the next start", STOP_SECONDS)
        os._exit(0)

    timer = threading.Timer(STOP_SECONDS, end)
    timer.daemon = True
    timer.start()
