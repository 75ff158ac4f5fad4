"""Thread that runs maintenance once a second, so that work whose nudge was lost is found in the ledger."""

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
    """Thread that calls `every_second`, and `every_hour` once an hour. Errors are logged and do not end it."""

    def __init__(self, every_second: Callable[[], None], every_hour: Callable[[], None]) -> None:
        self._every_second = every_second
        self._every_hour = every_hour
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self.last_run = time.monotonic()
        self._is_interrupted = False  # by a failure of the ledger

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def alive(self) -> bool:
        return self._thread.is_alive() and time.monotonic() - self.last_run < _ALIVE_SECONDS

    def _run(self) -> None:
        hour = -math.inf  # also right after the start: a killed engine may have left uploads
        while not self._stopped.wait(_SECONDS):
            self._call(self._every_second)
            if time.monotonic() - hour > _HOURLY_SECONDS:
                hour = time.monotonic()
                self._call(self._every_hour)
            self.last_run = time.monotonic()

    def _call(self, job: Callable[[], None]) -> None:
        try:
            job()
            self._is_interrupted = False
        except StorageError as error:
            if not self._is_interrupted:  # once for each outage
                log.warning("the sweep cannot use the ledger and is repeated until it can: %s", error.message)
            self._is_interrupted = True
        except Exception:
            log.exception("the sweep failed and is repeated")
