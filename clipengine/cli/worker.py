"""`clipengine worker`: an additional engine without the API, with a ledger in PostgreSQL, until SIGTERM or SIGINT.

Prints the locations of its data. The last line, `working`, is printed when it accepts jobs. The log goes to standard
error. Exits with 0 within 10 seconds of a signal; other hosts take over its unfinished jobs.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import click

from clipengine import __version__
from clipengine.cli import logs, process
from clipengine.cli.data_folder import in_postgres, locations, make_private
from clipengine.cli.options import config_option, data_option, settings_of
from clipengine.cli.shutdown import StopRequest
from clipengine.engine import Engine
from clipengine.errors import StartupError
from clipengine.settings import Settings

log = logging.getLogger(__name__)

_ENGINE_STOP_SECONDS = 6
_POLL_SECONDS = 0.2


@click.command()
@config_option
@data_option
def worker(config: Path | None, data: Path | None) -> None:
    """Run jobs for servers on other hosts that share a ledger in PostgreSQL and a store.

    Use the settings of the servers and a separate data folder.
    """
    settings = settings_of(config, data)
    _check_shared(settings)
    stop = StopRequest()
    logs.set_up(settings)
    make_private(settings.data.folder)
    process.prepare()
    engine = Engine.build(settings)
    try:
        engine.start(leads=False)
        click.echo("\n".join([f"clipengine {__version__}", *locations(settings), "working"]))
        sys.stdout.flush()
        log.info("working as %s", engine.instance_id)
        while not stop.should_exit:
            time.sleep(_POLL_SECONDS)
    finally:
        engine.stop(timeout=_ENGINE_STOP_SECONDS)
    log.info("stopped")


def _check_shared(settings: Settings) -> None:
    """Raise StartupError if other hosts cannot share the ledger and the store."""
    if not in_postgres(settings):
        raise StartupError(
            "a worker needs a ledger in PostgreSQL: SQLite cannot be shared between hosts",
            hint='Set database.url to "postgresql://…" here and at the server; see Operations, More than one box.',
        )
    if settings.storage.kind == "folder" and settings.storage.folder is None:
        raise StartupError(
            "a worker needs a store that all hosts share, not the folder in its data folder",
            hint='Set storage.kind = "s3", or storage.folder to a folder that all hosts mount.',
        )
