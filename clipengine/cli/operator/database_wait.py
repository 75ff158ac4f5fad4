"""Start of the engine in `serve` and `worker`, which wait for the database and for migrations of the ledger."""

from __future__ import annotations

import logging
import sqlite3
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from clipengine.api.app import create_waiting_app
from clipengine.api.http.requests.rules import RuleClipBodies
from clipengine.engine import Engine
from clipengine.errors import ClipEngineError, LedgerBusy
from clipengine.ledger.database.backend import Location
from clipengine.ledger.opening.location import is_current, location_of, why_unreachable
from clipengine.server.http_server import Server, listen
from clipengine.server.shutdown import StopRequest
from clipengine.settings.settings import Settings

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


def build_engine(settings: Settings, stop: StopRequest) -> Engine | None:
    """Build the engine when its database can be reached, or return None if it is stopped before. Raises StartupError.

    `/livez` answers while the database cannot be reached and while the ledger is migrated: a service manager would give
    up if the engine exited each time, for example while both start with the machine, or end it during the migration.
    """
    if (reason := _why_not_at_once(location_of(settings))) is None:
        return Engine.build(settings, RuleClipBodies())
    log.warning("%s", reason)
    stopped = threading.Event()
    with listen(settings.server.host, settings.server.port) as listener, ThreadPoolExecutor(1, "build") as builder:
        server = Server(create_waiting_app(), stop, on_listening=lambda: None)

        def end(built: Future[Engine | None]) -> None:
            server.should_exit = True

        built = builder.submit(_build, settings, stopped)
        built.add_done_callback(end)
        server.run(sockets=[listener])
        stopped.set()
        return built.result()


def _why_not_at_once(location: Location) -> str | None:
    """Return the reason if the ledger cannot be opened at once, or None."""
    if (reason := why_unreachable(location)) is not None:
        return f"waiting for the database: {reason}"
    try:
        return None if is_current(location) else "migrating the ledger"
    except (ClipEngineError, sqlite3.Error):
        return None  # the ledger does not exist yet, or `Engine.build` raises the error


def _build(settings: Settings, stopped: threading.Event) -> Engine | None:
    """Build the engine when the database can be reached and no other engine migrates the ledger.

    Return None if `stopped` is set before.
    """
    location = location_of(settings)
    while True:
        if why_unreachable(location) is None:
            log.info("the database can be reached")
            try:
                return Engine.build(settings, RuleClipBodies())
            except LedgerBusy as error:  # another engine migrates it
                log.warning("%s", error.message)
        if stopped.wait(_RETRY_SECONDS):
            return None
