"""`clipengine init`: ask for the main settings, write the settings file and check it."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from pathlib import Path

import click

from clipengine.cli import output, questions
from clipengine.cli.data_folder import command, make_private, open_ledger
from clipengine.cli.operator.doctor import findings, show
from clipengine.cli.options import settings_of
from clipengine.errors import SettingsError
from clipengine.settings.settings import Settings

_HEAD = """\
# Settings of clipengine, written by `clipengine init`. All other settings have their defaults:
# `clipengine config` prints them, and /docs/configuration documents them.
"""
_WITHOUT_QUESTIONS = "use --yes to accept the defaults without questions"
_Line = tuple[str, str, str]  # key, value, comment


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("clipengine.toml"),
    show_default=True,
    help="The file to write.",
)
@click.option("--kind", type=click.Choice(["folder", "s3"]), help="Kind of store.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data folder.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Kind folder: where the objects are.")
@click.option("--endpoint", help="Kind s3: the URL of the store.")
@click.option("--bucket", help="Kind s3: the bucket of recordings and clips.")
@click.option("--region", help="Kind s3: the region to sign requests for.")
@click.option("--yes", is_flag=True, help="Ask no questions; use the default of options that are not given.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
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
    """Ask for the main settings, write a settings file, check it with doctor and create the first API key.

    If CLIPENGINE_STORAGE__ACCESS_KEY and CLIPENGINE_STORAGE__SECRET_KEY are set, the keys of an S3 store are neither
    asked for nor written. The file is readable only by its owner.
    """
    if config.exists() and not force:
        raise click.UsageError(f"{config} exists: use --force to replace it, or --config FILE to write another file")

    def ask(question: str, given: object, default: str) -> str:
        if given or yes:
            return str(given or default)
        return questions.ask(question, default=default, otherwise=_WITHOUT_QUESTIONS)

    kind = ask("Kind of store: folder, or s3 for MinIO, S3, Ceph", kind, "folder")
    if kind not in ("folder", "s3"):
        raise click.BadParameter(f"{kind!r} must be folder or s3", param_hint="'--kind'")
    data_folder = _absolute(ask("Data folder, for the ledger and scratch files", data, _absolute("clipengine-data")))
    comment = "the ledger (`clipengine backup FILE` copies it), the queue, scratch files"
    storage: list[_Line] = [("kind", kind, '"folder", or "s3" for any S3-compatible store')]
    if kind == "folder":
        objects = _absolute(ask("Folder of recordings and clips", folder, f"{data_folder}/store"))
        storage.append(("folder", objects, "recordings and clips"))
    else:
        endpoint = ask("URL of the store", endpoint, "http://127.0.0.1:9000")
        storage.append(("endpoint", endpoint, "URL of the store"))
        storage.append(("bucket", ask("Bucket", bucket, "recordings"), "bucket of recordings and clips"))
        storage.append(("region", ask("Region", region, "us-east-1"), "region to sign requests for"))
        storage += [] if yes else _credentials()
    settings = _write(config, _format({"data": [("folder", data_folder, comment)], "storage": storage}))
    output.say(f"written: {config}")
    return _check(settings, config)


def _absolute(folder: str) -> str:
    # The server may be started in another folder.
    return os.path.abspath(os.path.expanduser(folder))


def _credentials() -> list[_Line]:
    """Ask for the keys that are not in the environment."""
    found = []
    for name, hidden in (("access_key", False), ("secret_key", True)):
        variable = f"CLIPENGINE_STORAGE__{name.upper()}"
        if variable not in os.environ and f"{variable}_FILE" not in os.environ:
            value = questions.ask(name.replace("_", " ").capitalize(), hidden=hidden, otherwise=_WITHOUT_QUESTIONS)
            found.append((name, value, f"or from {variable}"))
    return found


def _format(tables: dict[str, list[_Line]]) -> str:
    """Return the content of the settings file, with aligned comments."""
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
    """Write the settings file, readable only by its owner, if its settings are valid, and return them."""
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
            hint=f"{path} was not written: correct the setting and run init again. The store's keys are taken from "
            "CLIPENGINE_STORAGE__ACCESS_KEY and CLIPENGINE_STORAGE__SECRET_KEY, or asked for without --yes.",
        ) from None
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from None
    return settings


def _check(settings: Settings, config: Path) -> int:
    """Print the findings of `doctor` and, if there is no problem, create and print the first key."""
    make_private(settings.data.folder)
    found = []
    for finding in findings(settings):
        found.append(finding)
        show(finding, err=True)
    if any(finding.status == "problem" for finding in found):
        output.say(f"Correct {config}, then check it with `clipengine doctor{_config_option(config)}`.")
        return 1
    ledger = open_ledger(settings)
    try:
        with command("key.create"):
            key = None if ledger.keys.list() else ledger.keys.create("first")[1]
    finally:
        ledger.close()
    if key:
        output.say("API key, shown only once:")
        click.echo(key)
    output.say(f"Next: clipengine serve{_config_option(config)}")
    return 0


def _config_option(config: Path) -> str:
    """Return the option for the file, valid in any working directory."""
    return f" --config {shlex.quote(_absolute(str(config)))}"
