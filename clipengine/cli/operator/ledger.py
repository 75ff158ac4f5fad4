"""`clipengine ledger copy`: moves the ledger from its SQLite file to PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.data_folder import exclusive, no_ledger
from clipengine.cli.groups import Commands
from clipengine.cli.options import config_option, data_option, json_option, settings_of
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.database.vault import KEY_FILE
from clipengine.ledger.opening.location import copy_to_postgres


@click.group(cls=Commands, no_args_is_help=False)
def ledger() -> None:
    """Move the ledger to another database."""


@ledger.command()
@click.option("--to", "url", metavar="URL", help="An empty database, postgresql://… [default: database.url]")
@config_option
@data_option
@json_option
def copy(url: str | None, config: Path | None, data: Path | None, as_json: bool) -> None:
    """Copy the SQLite ledger of the data folder to an empty PostgreSQL database. No server may be running.

    The file is not deleted, but engines refuse to open it. All users of the machine can see a password in an argument:
    put it in database.url, or in ~/.pgpass.
    """
    settings = settings_of(config, data)
    url = url or settings.database.url.get_secret_value()
    if not url.startswith(("postgresql://", "postgres://")):
        raise click.BadParameter("is not a URL that begins with postgresql://", param_hint="'--to'")
    if not settings.ledger_file.exists():
        raise no_ledger(settings)
    key = settings.ledger_file.with_name(KEY_FILE)
    with exclusive(settings):
        tables = copy_to_postgres(settings.ledger_file, PostgresLocation(url, key))
    rows = [{"table": table, "rows": count, "checksum": checksum} for table, count, checksum in tables]
    output.show_list(rows, {"table": "table", "rows": "rows", "checksum": "checksum"}, as_json=as_json)
    output.say("Every table of the copy has the same rows as the file.")
    output.say("Set database.url to the same URL in the settings of every engine, then start them.")
    output.say(f"The secrets key is not copied: put {key.resolve()} on every host (database.secrets_key), mode 0600.")
    output.say(f"{settings.ledger_file} is not used any more. Keep it until the engines run, then delete it.")
