"""`clipengine worker`: an engine without the API, one more at a ledger in PostgreSQL, until SIGTERM or SIGINT.

Prints where things lie; the last line, `working`, is there once it takes jobs. The log goes to standard error. Exit 0
after a stop, within 10 seconds: what it was cutting is cut elsewhere.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import click

from clipengine import __version__
from clipengine.cli import logs, process
from clipengine.cli.data import in_postgres, make_private, places
from clipengine.cli.options import config_option, data_option, settings_of
from clipengine.cli.stopping import EarlyStop
from clipengine.engine import Engine
from clipengine.errors import StartupError
from clipengine.settings import Settings

log = logging.getLogger(__name__)

_ENGINE_STOP_SECONDS = 6
_LOOK_SECONDS = 0.2


@click.command()
@config_option
@data_option
def worker(config: Path | None, data: Path | None) -> None:
    """Cut clips and do chores for servers on other hosts, which share a ledger in PostgreSQL and a store.

    Give it the settings of the servers and a data folder of its own.
    """
    settings = settings_of(config, data)
    _check_shared(settings)
    stop = EarlyStop()
    logs.set_up(settings)
    make_private(settings.data.folder)
    process.prepare()
    engine = Engine.build(settings)
    try:
        engine.start(leads=False)
        click.echo("\n".join([f"clipengine {__version__}", *places(settings), "working"]))
        sys.stdout.flush()
        log.info("working as %s", engine.instance_id)
        while not stop.should_exit:
            time.sleep(_LOOK_SECONDS)
    finally:
        engine.stop(timeout=_ENGINE_STOP_SECONDS)
    log.info("stopped")


def _check_shared(settings: Settings) -> None:
    """Raises StartupError where this engine could not meet any other."""
    if not in_postgres(settings):
        raise StartupError(
            "a worker needs a ledger that it shares with a server, and SQLite belongs to one process",
            hint='Set database.url to "postgresql://…" here and at the server; see Operations, More than one box.',
        )
    if settings.storage.kind == "folder" and settings.storage.folder is None:
        raise StartupError(
            "a worker needs a store that every host reaches, and this one lies in its own data folder",
            hint='Set storage.kind = "s3", or storage.folder to a folder that every host mounts.',
        )
