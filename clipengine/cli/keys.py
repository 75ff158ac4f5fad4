"""`clipengine keys`: API keys, in the ledger; needs no server and disturbs none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.data import has_ledger, no_ledger, open_ledger
from clipengine.cli.options import config_option, data_option, json_option, settings_of
from clipengine.errors import RequestError
from clipengine.ledger.keys import SCOPES
from clipengine.ledger.ledger import Ledger
from clipengine.timecode import rfc3339

_LONGEST_NAME = 100
_COLUMNS: dict[str, output.Column] = {
    "key": "key_id",
    "name": "name",
    "scopes": lambda row: ", ".join(row["scopes"]),
    "created": "created_at",
    "last used": "last_used_at",
    "revoked": "revoked_at",
}


@click.group(no_args_is_help=False)
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="May be repeated. [default: all]")
@config_option
@data_option
def create(name: str, scopes: tuple[str, ...], config: Path | None, data: Path | None) -> None:
    """Make the key NAME and print it, alone, on standard output. It is shown this once."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise click.BadParameter(f"give 1 to {_LONGEST_NAME} characters that can be printed", param_hint="'NAME'")
    with _ledger(config, data, make=True) as ledger:
        _, text = ledger.keys.create(name, scopes=scopes or SCOPES)
    output.say(f"key {name!r}, shown this once:")
    click.echo(text)


@keys.command("list")
@config_option
@data_option
@json_option
def list_(config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the keys: their names, not their texts."""
    with _ledger(config, data) as ledger:
        found = ledger.keys.list()
    rows = [
        {
            "key_id": key.key_id,
            "name": key.name,
            "scopes": list(key.scopes),
            "created_at": rfc3339(key.created_at),
            "last_used_at": _moment(key.last_used_at),
            "revoked_at": _moment(key.revoked_at),
        }
        for key in found
    ]
    output.show_list(rows, _COLUMNS, as_json=as_json)


@keys.command()
@click.argument("key", metavar="ID_OR_NAME")
@config_option
@data_option
def revoke(key: str, config: Path | None, data: Path | None) -> None:
    """Revoke a key: the next request with it is refused."""
    with _ledger(config, data) as ledger:
        try:
            revoked = ledger.keys.revoke(key)
        except RequestError as error:
            error.hint = "`clipengine keys list` shows the keys and their ids."
            raise
    output.say(f"key {revoked.name!r} ({revoked.key_id}) is revoked")


@contextmanager
def _ledger(config: Path | None, data: Path | None, *, make: bool = False) -> Iterator[Ledger]:
    settings = settings_of(config, data)
    fresh = not has_ledger(settings)
    if fresh and not make:
        raise no_ledger(settings)
    ledger = open_ledger(settings)
    if fresh:
        folder = settings.data.folder.resolve()
        output.say(f"a new data folder was made: {folder} (a server that uses another one does not know this key)")
    try:
        yield ledger
    finally:
        ledger.close()


def _moment(millis: int | None) -> str | None:
    return None if millis is None else rfc3339(millis)
