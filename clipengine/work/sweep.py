"""The sweep: once a second it nudges the queues for whatever the ledger says still waits.

This is what makes the queues lossless: a nudge that was lost, in a crash or a full memory, is given again here.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from clipengine.errors import StorageError

log = logging.getLogger(__name__)

_SECONDS = 1.0
_ALIVE_SECONDS = 10.0
_HOURLY_SECONDS = 3600.0


class Sweep:
    """Calls `every_second` in a thread of its own, and `every_hour` once an hour; errors are logged, never fatal."""

    def __init__(self, every_second: Callable[[], None], every_hour: Callable[[], None]) -> None:
        self._every_second = every_second
        self._every_hour = every_hour
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self.last_run = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def alive(self) -> bool:
        return self._thread.is_alive() and time.monotonic() - self.last_run < _ALIVE_SECONDS

    def _run(self) -> None:
        hour = -math.inf  # the first time right after the start: a killed engine may have left uploads behind
        while not self._stopped.wait(_SECONDS):
            self._call(self._every_second)
            if time.monotonic() - hour > _HOURLY_SECONDS:
                hour = time.monotonic()
                self._call(self._every_hour)
            self.last_run = time.monotonic()

    def _call(self, job: Callable[[], None]) -> None:
        try:
            job()
        except StorageError as error:
            log.warning("the sweep could not use the ledger: %s; it goes on", error.message)
        except Exception:
            log.exception("the sweep failed; it goes on")
