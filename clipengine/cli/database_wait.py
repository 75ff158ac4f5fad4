"""Wait of `serve` and `worker` for a database that cannot be reached when they start."""

from __future__ import annotations

import logging
import threading

from clipengine.api.app import create_waiting_app
from clipengine.cli.http_server import Server, listen
from clipengine.cli.shutdown import StopRequest
from clipengine.ledger.opening.location import location_of, why_unreachable
from clipengine.settings import Settings

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


def wait_for_database(settings: Settings, stop: StopRequest) -> bool:
    """Return True when the database can be reached, False if the engine is stopped before. `/livez` answers meanwhile.

    A service manager would give up if the engine exited each time, for example while both start with the machine.
    """
    location = location_of(settings)
    if (reason := why_unreachable(location)) is None:
        return True
    log.warning("waiting for the database: %s", reason)
    ended = threading.Event()
    with listen(settings.server.host, settings.server.port) as listener:
        server = Server(create_waiting_app(), stop, on_listening=lambda: None)

        def poll() -> None:
            while not ended.wait(_RETRY_SECONDS):
                if why_unreachable(location) is None:
                    server.should_exit = True
                    return

        polling = threading.Thread(target=poll, name="database-wait", daemon=True)
        polling.start()
        server.run(sockets=[listener])
        ended.set()
        polling.join()
    if not stop.should_exit:
        log.info("the database can be reached")
    return not stop.should_exit
