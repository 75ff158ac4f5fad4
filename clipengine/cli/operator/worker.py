"""`clipengine worker`: an additional engine without the API, with a ledger in PostgreSQL, until SIGTERM or SIGINT.

Its port answers `/livez`, `/readyz` and `/metrics` only. Prints its address and the locations of its data. The last
line, `working`, is printed when it accepts jobs. The log goes to standard error. Exits with 0 within 10 seconds of a
signal, or of the end of draining; other hosts take over its unfinished jobs.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from clipengine import __version__
from clipengine.api.app import create_worker_app
from clipengine.cli import output
from clipengine.cli.data_folder import in_postgres, locations
from clipengine.cli.operator.running_engine import run_engine
from clipengine.cli.options import config_option, data_option, drain_option, host_option, port_option
from clipengine.engine import Engine
from clipengine.errors import StartupError
from clipengine.server.http_server import Server, listen, url_of
from clipengine.server.shutdown import StopRequest
from clipengine.settings.settings import Settings
from clipengine.settings.sources import load

log = logging.getLogger(__name__)

_ENGINE_STOP_SECONDS = 5


@click.command()
@config_option
@host_option
@port_option
@data_option
@drain_option
def worker(config: Path | None, host: str | None, port: int | None, data: Path | None, drain_seconds: float) -> None:
    """Run jobs for servers on other hosts that share a ledger in PostgreSQL and a store.

    Use the settings of the servers and a separate data folder. The port serves /livez, /readyz and /metrics.
    """
    overrides: dict[str, dict[str, object]] = {"server": {"host": host, "port": port}, "data": {"folder": data}}
    settings = load(config, overrides=overrides, warn=output.warn)
    _check_shared(settings)
    run_engine(settings, _serve, leads=False, drain_seconds=drain_seconds, stop_seconds=_ENGINE_STOP_SECONDS)


def _serve(engine: Engine, stop: StopRequest) -> None:
    """Serve health and metrics until a signal arrives."""
    settings = engine.settings
    with listen(settings.server.host, settings.server.port) as listener:
        url = url_of(listener)

        def announce() -> None:
            lines = [f"clipengine {__version__}", f"  address  {url} (health and metrics)", *locations(settings)]
            click.echo("\n".join([*lines, "working"]))
            sys.stdout.flush()
            log.info("working as %s on %s", engine.instance_id, url)

        Server(create_worker_app(engine), stop, on_listening=announce).run(sockets=[listener])


def _check_shared(settings: Settings) -> None:
    """Raise StartupError if other hosts cannot share the ledger and the store."""
    if not in_postgres(settings):
        raise StartupError(
            "a worker needs a ledger in PostgreSQL: SQLite cannot be shared between hosts",
            hint='Set database.url to "postgresql://…" here and at the server; see Several machines in the documents.',
        )
    if settings.storage.kind == "folder" and settings.storage.folder is None:
        raise StartupError(
            "a worker needs a store that all hosts share, not the folder in its data folder",
            hint='Set storage.kind = "s3", or storage.folder to a folder that all hosts mount.',
        )
