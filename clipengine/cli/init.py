"""`clipengine init`: the first settings, asked for, written with their comments, and tried."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.data import make_private, open_ledger
from clipengine.cli.doctor import findings, show
from clipengine.cli.options import settings_of
from clipengine.errors import SettingsError
from clipengine.settings import Settings

_HEAD = """\
# Settings of clipengine, written by `clipengine init`. What is not here has its default;
# `clipengine config` shows all that is in effect, and every setting is explained at /docs/configuration.
"""
_Line = tuple[str, str, str]  # key, value, comment


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("clipengine.toml"),
    show_default=True,
    help="The file to write.",
)
@click.option("--kind", type=click.Choice(["folder", "s3"]), help="Where recordings lie.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data folder.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Kind folder: where the objects lie.")
@click.option("--endpoint", help="Kind s3: the store's address.")
@click.option("--bucket", help="Kind s3: the bucket of recordings and clips.")
@click.option("--region", help="Kind s3: the region that requests are signed for.")
@click.option("--yes", is_flag=True, help="Ask nothing: what is not given has its default.")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
def init(
    config: Path,
    kind: str | None,
    data: Path | None,
    folder: Path | None,
    endpoint: str | None,
    bucket: str | None,
    region: str | None,
    yes: bool,
    force: bool,
) -> int:
    """Ask for a store, write a settings file, have doctor try it, and make the first API key.

    The keys of an S3 store are taken from CLIPENGINE_STORAGE__ACCESS_KEY and CLIPENGINE_STORAGE__SECRET_KEY and then
    not written; otherwise they are asked for and the file is readable by its owner alone.
    """
    if config.exists() and not force:
        raise click.UsageError(f"{config} exists; --force replaces it, --config FILE writes another one")

    def ask(question: str, given: object, default: str) -> str:
        return str(given) if given else default if yes else _prompt(question, default=default)

    kind = ask("Where recordings lie: folder, or s3 for MinIO, S3, Ceph", kind, "folder")
    if kind not in ("folder", "s3"):
        raise click.BadParameter(f"{kind!r} is neither folder nor s3", param_hint="'--kind'")
    place = _absolute(ask("Data folder: the ledger, scratch files", data, _absolute("clipengine-data")))
    own: list[_Line] = [("folder", place, "the ledger (`clipengine backup FILE` copies it), the queue, scratch files")]
    storage: list[_Line] = [("kind", kind, '"folder", or "s3" for any S3-compatible store')]
    if kind == "folder":
        where = _absolute(ask("Folder of recordings and clips", folder, f"{place}/store"))
        storage.append(("folder", where, "where the objects lie: recordings and clips"))
    else:
        endpoint = ask("Address of the store", endpoint, "http://127.0.0.1:9000")
        storage.append(("endpoint", endpoint, "the store's address"))
        storage.append(("bucket", ask("Bucket", bucket, "recordings"), "holds the recordings and gets the clips"))
        storage.append(("region", ask("Region", region, "us-east-1"), "the region that requests are signed for"))
        storage += [] if yes else _credentials()
    settings = _write(config, _text({"data": own, "storage": storage}))
    output.say(f"written: {config}")
    return _try(settings, config)


def _prompt(question: str, *, default: str | None = None, hidden: bool = False) -> str:
    try:
        return str(click.prompt(question, default=default, hide_input=hidden, err=True))
    except click.Abort as error:
        if not isinstance(error.__context__, EOFError):
            raise
        raise click.UsageError(
            f"the input ended before {question!r} was answered: with --yes nothing is asked, and what is not given has "
            "its default"
        ) from None


def _absolute(folder: str) -> str:
    """As the file names it: a server that is started elsewhere finds the same folder."""
    return os.path.abspath(os.path.expanduser(folder))


def _credentials() -> list[_Line]:
    """The keys that the environment does not have, asked for."""
    found = []
    for name, hidden in (("access_key", False), ("secret_key", True)):
        variable = f"CLIPENGINE_STORAGE__{name.upper()}"
        if variable not in os.environ and f"{variable}_FILE" not in os.environ:
            value = _prompt(name.replace("_", " ").capitalize(), hidden=hidden)
            found.append((name, value, f"or from {variable}"))
    return found


def _text(tables: dict[str, list[_Line]]) -> str:
    """The file: each setting with its comment, which begin in one column."""
    rows = {
        name: [(f"{key} = {json.dumps(value, ensure_ascii=False)}", comment) for key, value, comment in lines]
        for name, lines in tables.items()
    }
    width = max(len(setting) for lines in rows.values() for setting, _ in lines)
    written = [
        "\n".join([f"[{name}]", *(f"{setting:<{width}}  # {comment}" for setting, comment in lines)])
        for name, lines in rows.items()
    ]
    return "\n\n".join([_HEAD.rstrip("\n"), *written]) + "\n"


def _write(path: Path, text: str) -> Settings:
    """The settings of the file `path`, which is written, for its owner alone, only where they are complete."""
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            settings = settings_of(Path(draft))
            os.replace(draft, path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except SettingsError as error:
        raise SettingsError(
            error.message,
            hint=f"{path} was not written: correct that, and run init again. The store's keys come from "
            "CLIPENGINE_STORAGE__ACCESS_KEY and CLIPENGINE_STORAGE__SECRET_KEY; without --yes they are asked for.",
        ) from None
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from None
    return settings


def _try(settings: Settings, config: Path) -> int:
    """What `doctor` finds; where nothing keeps clips from being made, the first key."""
    make_private(settings.data.folder)
    found = []
    for finding in findings(settings):
        found.append(finding)
        show(finding, err=True)
    if any(finding.status == "problem" for finding in found):
        output.say(f"Correct {config}, and see with `clipengine doctor{_named(config)}` whether all is well.")
        return 1
    ledger = open_ledger(settings)
    try:
        key = None if ledger.keys.list() else ledger.keys.create("first")[1]
    finally:
        ledger.close()
    if key:
        output.say("an API key, shown this once:")
        click.echo(key)
    output.say(f"Next: clipengine serve{_named(config)}")
    return 0


def _named(config: Path) -> str:
    """How a command is told of the file, in whatever folder it is typed."""
    return f" --config {shlex.quote(_absolute(str(config)))}"
