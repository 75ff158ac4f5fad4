"""`clipengine transcripts`: put, get, list, search and delete the transcripts of recordings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click

from clipengine.cli import output
from clipengine.cli.groups import Commands
from clipengine.cli.options import json_option, limit_option, needs_server
from clipengine.client import Client
from clipengine.clips.texts.cues import MEDIA_TYPES, WRITTEN_TYPES, WrittenFormat

_COLUMNS: dict[str, output.Column] = {
    "language": "language",
    "source": "source",
    "cues": "cues",
    "created": "created_at",
}
_HITS: dict[str, output.Column] = {
    "recording": "recording_id",
    "language": "language",
    "start": output.seconds("start_seconds"),
    "end": output.seconds("end_seconds"),
    "text": "text",
}
F = TypeVar("F", bound=Callable[..., Any])

_FORMATS = click.Choice(list(WRITTEN_TYPES))


def _file_argument(*, exists: bool) -> Callable[[F], F]:
    """Add the argument FILE. If it is missing because LANGUAGE was left out, the error names LANGUAGE."""

    def required(ctx: click.Context, parameter: click.Parameter, file: Path | None) -> Path:
        if file is None:
            missing = "LANGUAGE" if _has_suffix(Path(ctx.params["language"])) else "FILE"
            raise click.UsageError(f"Missing argument '{missing}'.", ctx)
        return file

    kind = click.Path(path_type=Path, exists=exists, dir_okay=False)
    return click.argument("file", metavar="FILE", required=False, type=kind, callback=required)


@click.group(cls=Commands, no_args_is_help=False)
def transcripts() -> None:
    """Put, get, search and delete transcripts of recordings."""


@transcripts.command()
@click.argument("recording_id")
@click.argument("language")
@_file_argument(exists=True)
@json_option
@needs_server
def put(client: Client, recording_id: str, language: str, file: Path, as_json: bool) -> None:
    """Create or replace the transcript in LANGUAGE (en, pt-BR …) from a .vtt, .srt or .json FILE."""
    _check_suffix(file)
    output.show_object(client.transcripts.put(recording_id, language, file).raw, as_json=as_json)


@transcripts.command()
@click.argument("recording_id")
@click.argument("language")
@_file_argument(exists=False)
@click.option("--format", type=_FORMATS, help="Of the file. [default: its suffix]")
@needs_server
def get(client: Client, recording_id: str, language: str, file: Path, format: WrittenFormat | None) -> None:
    """Write the transcript in LANGUAGE to FILE, as .vtt, .srt, .json or plain .txt."""
    if format is None and file.suffix.lower() != ".txt":
        _check_suffix(file)
    client.transcripts.save(recording_id, language, file, format=format)


@transcripts.command("list")
@click.argument("recording_id")
@json_option
@needs_server
def list_(client: Client, recording_id: str, as_json: bool) -> None:
    """List the transcripts of a recording, newest first."""
    output.show_list([each.raw for each in client.transcripts.each(recording_id)], _COLUMNS, as_json=as_json)


@transcripts.command()
@click.argument("query")
@click.option("--recording", "recording_id", help="Search only this recording; needs --language.")
@click.option("--language", help="Search only its transcript in this language.")
@limit_option
@json_option
@needs_server
def search(
    client: Client, query: str, recording_id: str | None, language: str | None, limit: int, as_json: bool
) -> None:
    """Find the cues that contain all words of QUERY: words, "words in order", begin*."""
    if (recording_id is None) != (language is None):
        raise click.UsageError("give --recording and --language, or neither")
    found = client.transcripts.each_hit(query, recording_id=recording_id, language=language, limit=min(100, limit))
    output.show_list([hit.raw for hit in islice(found, limit)], _HITS, as_json=as_json)


@transcripts.command()
@click.argument("recording_id")
@click.argument("language")
@needs_server
def rm(client: Client, recording_id: str, language: str) -> None:
    """Delete the transcript in LANGUAGE."""
    client.transcripts.delete(recording_id, language)


def _check_suffix(file: Path) -> None:
    if not _has_suffix(file):
        raise click.UsageError(f"{file.name} does not end with .vtt, .srt or .json")


def _has_suffix(file: Path) -> bool:
    return file.suffix.lower().removeprefix(".") in MEDIA_TYPES
