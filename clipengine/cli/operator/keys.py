"""`clipengine keys`: manage API keys directly in the ledger, with or without a running server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from clipengine.access.roles import Scope
from clipengine.cli import output
from clipengine.cli.data_folder import command, has_ledger, no_ledger, open_ledger
from clipengine.cli.groups import Commands
from clipengine.cli.options import config_option, data_option, json_option, settings_of
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.people.keys import MAX_KEY_NAME, SCOPES
from clipengine.objects.key import KeyObject

_COLUMNS: dict[str, output.Column] = {
    "key": "key_id",
    "name": "name",
    "scopes": lambda row: ", ".join(row["scopes"]),
    "created": "created_at",
    "last used": "last_used_at",
    "revoked": "revoked_at",
}


@click.group(cls=Commands, no_args_is_help=False)
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="May be repeated. [default: all]")
@config_option
@data_option
def create(name: str, scopes: tuple[Scope, ...], config: Path | None, data: Path | None) -> None:
    """Create the key NAME and print it to standard output. It is not shown again."""
    if not name.strip() or len(name) > MAX_KEY_NAME or not name.isprintable():
        raise click.BadParameter(f"must have 1 to {MAX_KEY_NAME} printable characters", param_hint="'NAME'")
    with _ledger(config, data, create=True) as ledger, command("key.create"):
        _, text = ledger.keys.create(name, scopes=scopes or SCOPES)
    output.say(f"key {name!r}, shown only once:")
    click.echo(text)


@keys.command("list")
@config_option
@data_option
@json_option
def list_(config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the keys by name. The keys themselves are not stored."""
    with _ledger(config, data) as ledger:
        rows = [KeyObject.of(key).to_object() for key in ledger.keys.list()]
    output.show_list(rows, _COLUMNS, as_json=as_json)


@keys.command()
@click.argument("key", metavar="ID_OR_NAME")
@config_option
@data_option
def revoke(key: str, config: Path | None, data: Path | None) -> None:
    """Revoke a key. It becomes invalid at once."""
    with _ledger(config, data) as ledger, command("key.revoke"):
        revoked = ledger.keys.revoke_named(key)
    output.say(f"key {revoked.name!r} ({revoked.key_id}) is revoked")


@contextmanager
def _ledger(config: Path | None, data: Path | None, *, create: bool = False) -> Iterator[Ledger]:
    settings = settings_of(config, data)
    new = not has_ledger(settings)
    if new and not create:
        raise no_ledger(settings)
    ledger = open_ledger(settings)
    if new:
        folder = settings.data.folder.resolve()
        output.say(f"created a new data folder: {folder} (the key is not valid for a server with another data folder)")
    try:
        yield ledger
    finally:
        ledger.close()
