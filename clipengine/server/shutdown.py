"""Shutdown by signal: drain if that was asked for, then stop within a deadline."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from contextvars import Context
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOP_SECONDS = 9.5  # service managers usually send SIGKILL after 10 s

Handler = Callable[[int, FrameType | None], None]


class StopRequest:
    """Handler of SIGTERM and SIGINT.

    If `drain_seconds` is not 0 and `drain` is set, the first signal drains, and the stop begins when that ends. A
    second signal, or one without draining, stops at once: it sets `should_exit` and calls `on_stop`.
    """

    def __init__(self, drain_seconds: float = 0) -> None:
        self.should_exit = False
        self.drain: Callable[[float], bool] | None = None
        self.on_stop: Handler | None = None
        self._drain_seconds = drain_seconds
        self._draining = False
        for each in SIGNALS:
            signal.signal(each, self._handle_in_context)

    def _handle_in_context(self, sig: int, frame: FrameType | None) -> None:
        Context().run(self._handle, sig, frame)  # without the log fields of the request that the signal interrupts

    def _handle(self, sig: int, frame: FrameType | None) -> None:
        if self.drain is None or not self._drain_seconds or self._draining or self.should_exit:
            self._stop(sig, frame)
            return
        self._draining = True
        log.info("draining for at most %g s; another signal stops at once", self._drain_seconds)
        threading.Thread(target=self._drain_and_stop, args=[self.drain, sig], name="drain", daemon=True).start()

    def _drain_and_stop(self, drain: Callable[[float], bool], sig: int) -> None:
        try:
            if not drain(self._drain_seconds) and not self.should_exit:
                log.warning("draining took longer than %g s; unfinished jobs are queued again", self._drain_seconds)
        except Exception:
            log.exception("draining failed")
        if not self.should_exit:
            self._stop(sig, None)

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            start_stop_deadline()
        self.should_exit = True
        if self.on_stop is not None:
            self.on_stop(sig, frame)


def start_stop_deadline() -> None:
    """End the process after STOP_SECONDS, even if a thread is still running."""
    log.info("stopping")

    def end() -> None:
        log.warning("shutdown took longer than %g s: exiting; the next start resumes unfinished jobs", STOP_SECONDS)
        os._exit(0)

    timer = threading.Timer(STOP_SECONDS, end)
    timer.daemon = True
    timer.start()
