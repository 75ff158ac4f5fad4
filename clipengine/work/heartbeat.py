"""The heartbeat: tells the engines that share a ledger that this one lives, on a thread that does nothing else."""

from __future__ import annotations

import logging
import threading

from clipengine.errors import ClipEngineError
from clipengine.ledger.engines import BEAT_SECONDS, Engines

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 0.5  # after a beat that failed: a database that is back must hear of us before others judge us


class Heartbeat:
    """Beats until `stop`, where the ledger is shared; elsewhere it does nothing."""

    def __init__(self, engines: Engines, engine_id: str) -> None:
        self._engines = engines
        self._engine_id = engine_id
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """The first beat is there when this returns: nothing is claimed before. Raises StorageUnavailable."""
        if self._engines.shared:
            self._engines.beat(self._engine_id)
            self._thread.start()

    def stop(self, timeout: float) -> None:
        """Leave, once nothing is done any more."""
        self._stopped.set()
        if not self._thread.is_alive():
            return
        self._thread.join(timeout)
        try:
            self._engines.leave(self._engine_id)
        except ClipEngineError as error:
            log.warning("the others will learn from silence that this engine has stopped: %s", error.message)

    def _run(self) -> None:
        wait = BEAT_SECONDS
        while not self._stopped.wait(wait):
            try:
                # One connection from beat to beat: requests that take all others must not make this engine look dead.
                with self._engines.session():
                    while True:
                        self._engines.beat(self._engine_id)
                        wait = BEAT_SECONDS
                        if self._stopped.wait(wait):
                            return
            except ClipEngineError as error:
                if wait == BEAT_SECONDS:
                    log.warning("the other engines are not told that this one lives: %s", error.message)
                wait = _AGAIN_SECONDS
            except Exception:
                log.exception("the heartbeat failed; it goes on")
                wait = _AGAIN_SECONDS
