"""Heartbeat that records in the ledger that this engine is alive."""

from __future__ import annotations

import logging
import threading

from clipengine.errors import ClipEngineError
from clipengine.ledger.engines.engines import BEAT_SECONDS, Engines

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5  # after a failed beat: short, so that other engines do not take this one for dead


class Heartbeat:
    """Registration of the engine until `stop`, renewed every few seconds if the ledger is shared."""

    def __init__(self, engines: Engines, engine_id: str, *, encoders: int) -> None:
        self._engines = engines
        self._engine_id = engine_id
        self._encoders = encoders
        self._registered = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Register the engine; call it before anything is claimed. Raises StorageUnavailable."""
        self._beat()
        self._registered = True
        if self._engines.shared:
            self._thread.start()

    def announce_stop(self) -> None:
        """Record in the background that this engine stops on purpose. A busy ledger does not delay the stop."""
        if self._registered:
            threading.Thread(target=self._record_stopping, name="stop", daemon=True).start()

    def stop(self, timeout: float) -> None:
        """Remove the engine's row, after its work has ended."""
        self._stopped.set()
        if not self._registered:
            return
        if self._thread.is_alive():
            self._thread.join(timeout)
        try:
            self._engines.remove(self._engine_id)
        except ClipEngineError as error:
            log.warning(
                "the stop cannot be recorded; other engines notice it by the missing heartbeat: %s", error.message
            )

    def _beat(self) -> None:
        self._engines.beat(self._engine_id, encoders=self._encoders)

    def _record_stopping(self) -> None:
        try:
            self._engines.record_stopping(self._engine_id)
        except ClipEngineError as error:
            log.warning("the planned stop cannot be recorded: %s", error.message)

    def _run(self) -> None:
        wait = BEAT_SECONDS
        while not self._stopped.wait(wait):
            try:
                # A connection reserved for the beats: an exhausted pool must not make this engine look dead.
                with self._engines.session():
                    while True:
                        self._beat()
                        wait = BEAT_SECONDS
                        if self._stopped.wait(wait):
                            return
            except ClipEngineError as error:
                if wait == BEAT_SECONDS:
                    log.warning("the heartbeat cannot be recorded: %s", error.message)
                wait = _RETRY_SECONDS
            except Exception:
                log.exception("the heartbeat failed and is retried")
                wait = _RETRY_SECONDS
