"""`clipengine backup` and `clipengine restore`: the ledger and its secrets key in one file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.data_folder import exclusive, in_postgres, make_private, no_ledger
from clipengine.cli.options import config_option, data_option, settings_of
from clipengine.errors import StartupError
from clipengine.ledger.audit.head import HEAD_FILE
from clipengine.ledger.opening.backup import restore_backup, write_backup
from clipengine.settings.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@data_option
def backup(file: Path, config: Path | None, data: Path | None) -> None:
    """Write the ledger and its secrets key to the new file FILE. A server may be running."""
    settings = settings_of(config, data)
    _require_sqlite(settings, "Write a backup with pg_dump --format=custom --file=FILE URL")
    if not settings.ledger_file.exists():
        raise no_ledger(settings)
    make_private(settings.data.folder)
    about = write_backup(settings.ledger_file, file)
    size = output.size(file.stat().st_size)
    output.say(f"{file} contains the ledger of {about['created_at']} and its secrets key ({size}): keep it private.")
    output.say("Recordings and clips are not included: they are in the store.")


def _backup(ctx: click.Context, parameter: click.Parameter, file: Path) -> Path:
    if not file.is_file():
        raise click.BadParameter(f"there is no file {str(file)!r}: give the path of a file that `backup` has written")
    return file


@click.command()
@click.argument("file", type=click.Path(path_type=Path), callback=_backup)
@click.option("--replace", is_flag=True, help="Move an existing ledger aside and keep it.")
@config_option
@data_option
def restore(file: Path, replace: bool, config: Path | None, data: Path | None) -> None:
    """Restore the ledger from the backup FILE to the data folder. No server may be using the folder."""
    settings = settings_of(config, data)
    _require_sqlite(
        settings,
        "Stop every engine, restore with pg_restore --clean --if-exists --dbname=URL FILE, and delete the file "
        f"{HEAD_FILE} in the data folder of each",
    )
    folder = settings.data.folder
    missing = not folder.exists()
    make_private(folder)
    with exclusive(settings, new=True):
        try:
            about, aside = restore_backup(file, settings.ledger_file, replace=replace)
        except Exception:
            if missing:
                with suppress(OSError):
                    (folder / "lock").unlink()
                    folder.rmdir()
            raise
    output.say(f"{folder} now has the ledger of {about['created_at']}.")
    if aside is not None:
        output.say(f"The previous ledger is kept in {aside}.")
    output.say("It has no recordings, clips and events of a later time. Some webhooks may be sent a second time.")
    output.say(
        "Later objects remain in the store: `clipengine recordings import PREFIX` registers recordings again. Later "
        "clips are in `clips/` next to their recording, under names that end with an id unknown to the ledger."
    )


def _require_sqlite(settings: Settings, instructions: str) -> None:
    if in_postgres(settings):
        raise StartupError(
            "the ledger is in PostgreSQL, which has its own backup tools",
            hint=f"{instructions}. Keep {settings.secrets_key} with it: without it the webhook secrets are lost.",
        )
