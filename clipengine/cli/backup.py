"""`clipengine backup` and `clipengine restore`: the ledger and its key in one file, beside a server that works."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.data import exclusive, in_postgres, make_private, no_ledger
from clipengine.cli.options import config_option, data_option, settings_of
from clipengine.errors import StartupError
from clipengine.ledger.backup import restore_backup, write_backup
from clipengine.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@data_option
def backup(file: Path, config: Path | None, data: Path | None) -> None:
    """Write the ledger and the key of its secrets into the new file FILE. A server may be running."""
    settings = settings_of(config, data)
    _check_kind(settings, "pg_dump --format=custom --file=FILE URL writes a backup")
    if not settings.ledger_file.exists():
        raise no_ledger(settings)
    make_private(settings.data.folder)
    about = write_backup(settings.ledger_file, file)
    size = output.size(file.stat().st_size)
    output.say(
        f"{file} holds the ledger of {about['created_at']} and the key of its secrets ({size}): keep it private."
    )
    output.say("Recordings and clips are not in it: they lie in the store.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Where the folder holds a ledger, move it aside; it is kept.")
@config_option
@data_option
def restore(file: Path, replace: bool, config: Path | None, data: Path | None) -> None:
    """Put the ledger of the backup FILE into the data folder. Refused while a server runs on it."""
    settings = settings_of(config, data)
    _check_kind(settings, "Stop every engine, then pg_restore --clean --if-exists --dbname=URL FILE puts one back")
    folder = settings.data.folder
    missing = not folder.exists()
    make_private(folder)
    with exclusive(settings, new=True):
        try:
            about, aside = restore_backup(file, settings.ledger_file, replace=replace)
        except Exception:
            if missing:  # of a restore that failed nothing is left
                with suppress(OSError):
                    (folder / "lock").unlink()
                    folder.rmdir()
            raise
    output.say(f"{folder} has the ledger of {about['created_at']}.")
    if aside is not None:
        output.say(f"The ledger that was there is kept in {aside}.")
    output.say("What was registered, cut or told since then is not in it; webhooks of that time may come once more.")
    output.say(
        "Objects of that time stay in the store: `clipengine recordings import PREFIX` registers the recordings again; "
        "clips lie in `clips/` beside them, under names that end with an id that the ledger does not know."
    )


def _check_kind(settings: Settings, how: str) -> None:
    """Raises StartupError where the ledger is not a file, which says how PostgreSQL does it."""
    if in_postgres(settings):
        raise StartupError(
            "the ledger is in PostgreSQL, which has a backup of its own",
            hint=f"{how}. Keep {settings.secrets_key} with it: without it the webhook secrets are lost.",
        )
