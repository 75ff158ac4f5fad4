"""`clipengine recordings`: register, upload, import, list and delete recordings."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, get_args

import click

from clipengine.cli import output
from clipengine.cli.data_folder import store_identity
from clipengine.cli.groups import Commands
from clipengine.cli.options import (
    config_option,
    data_option,
    filter_options,
    json_option,
    limit_option,
    metadata_of,
    metadata_option,
    needs_server,
    new_tags,
    replace_tags_option,
    series_option,
    settings_of,
    started_option,
    tag_option,
    variant_option,
)
from clipengine.cli.remote.uploads import upload_file
from clipengine.client import Client, Recording
from clipengine.client.recordings import RecordingFields
from clipengine.clips.suggested import MAX_SUGGESTIONS, Source
from clipengine.clips.transcription import Transcriber
from clipengine.errors import StartupError
from clipengine.recordings.discovery import is_playlist, is_recording
from clipengine.recordings.folder_rules import FolderRules, RuledFolder
from clipengine.stores.base import Store, StoredObject
from clipengine.stores.build import store_of
from clipengine.work.upkeep.watched_playlists import WatchedPlaylists

_COLUMNS: dict[str, output.Column] = {
    "recording": "recording_id",
    "name": "name",
    "status": "status",
    "length": output.seconds("duration_seconds"),
    "created": "created_at",
    "bucket path": "bucket_path",
}
_SUGGESTIONS: dict[str, output.Column] = {
    "start": output.seconds("start_seconds"),
    "end": output.seconds("end_seconds"),
    "reason": "reason",
    "about": "about",
    "text": "text",
}


@click.group(cls=Commands, no_args_is_help=False)
def recordings() -> None:
    """Register, list and delete recordings."""


@recordings.command()
@click.argument("bucket_path", required=False)
@click.option(
    "--upload", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Upload this file instead."
)
@click.option("--name", help="Display name.")
@metadata_option
@tag_option
@variant_option
@click.option("--live", is_flag=True, help="The playlist or the file may still be written.")
@started_option
@series_option
@click.option("--wait", is_flag=True, help="Wait until the recording has been probed.")
@json_option
@needs_server
def add(
    client: Client,
    bucket_path: str | None,
    upload: Path | None,
    name: str | None,
    meta: tuple[str, ...],
    tags: tuple[str, ...],
    variant: dict[str, Any] | None,
    live: bool,
    started_at: str | None,
    series: str | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Register the object BUCKET_PATH of the store, fetch it from a URL, or upload a file.

    An upload that was interrupted is continued when the same command is run again.
    """
    if (bucket_path is None) == (upload is None):
        raise click.UsageError("give either BUCKET_PATH or --upload FILE")
    if (variant is not None or live) and (bucket_path is None or _is_url(bucket_path)):
        raise click.UsageError("--variant and --live need an object of the store")
    fields: RecordingFields = {
        "name": name,
        "metadata": metadata_of(meta),
        "tags": tags,
        "started_at": started_at,
        "series": series,
    }
    if upload is not None:
        recording = upload_file(client, upload, fields)
    elif bucket_path is not None and _is_url(bucket_path):
        recording = client.recordings.fetch(bucket_path, **fields)
    else:
        recording = client.recordings.add(bucket_path or "", variant=variant, live=live or None, **fields)
    if wait:
        recording = client.recordings.wait(recording.recording_id)
    output.show_object(recording.raw, as_json=as_json)
    return _exit_code(recording)


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _found(
    store: Store, prefix: str, rules: FolderRules, *, everything: bool, base_url: str, live: bool
) -> tuple[list[str], list[RuledFolder]]:
    """Return the keys of the recordings under a prefix: finished playlists are some, and the files they name none.

    With `live`, so are playlists that are still written. Files of cameras are not; their folders follow.
    """
    listed: dict[str, StoredObject] = {}
    folders: dict[str, RuledFolder] = {}
    for found in store.list(prefix):
        if (owner := rules.owner(found.key)) is None:
            listed[found.key] = found
        else:
            folders[owner.key] = owner
    playlists = {key: found for key, found in listed.items() if is_playlist(key)}
    files = {
        key: found for key, found in listed.items() if key not in playlists and is_recording(key, everything=everything)
    }
    named = WatchedPlaylists(store, base_url=base_url, live=live)
    return sorted(named.recordings(prefix, files, playlists, known={})), [folders[key] for key in sorted(folders)]


@recordings.command("import")
@click.argument("prefix")
@click.option("--all", "everything", is_flag=True, help="Include objects without the extension of a media file.")
@click.option("--dry-run", is_flag=True, help="List the objects without registering them.")
@variant_option
@config_option
@data_option
@json_option
@needs_server
def import_(
    client: Client,
    prefix: str,
    everything: bool,
    dry_run: bool,
    variant: dict[str, Any] | None,
    config: Path | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Register all recordings under PREFIX of the store. Clips are skipped.

    Files that `[[folders]]` of the settings own are recordings of many files, one for each camera and day.
    Recordings that are already registered are not changed.
    """
    settings = settings_of(config, data)
    if settings.storage.kind == "folder" and not settings.store_folder.is_dir():
        raise StartupError(
            f"the store's folder {settings.store_folder} does not exist",
            hint="Give the settings file of the server with --config, or its data folder with --data.",
        )
    with store_identity(settings) as known:
        # Listing does not write to the server's upload journal.
        store = store_of(settings, identity=known)
        live, base_url = settings.watch.live, settings.storage.playlist_base_url
        rules = settings.folder_rules
        keys, folders = _found(store, prefix, rules, everything=everything, base_url=base_url, live=live)
    if dry_run:
        paths = [*keys, *(each.key for each in folders)]
        output.show_list([{"bucket_path": path} for path in paths], {"bucket path": "bucket_path"}, as_json=as_json)
        return
    rows = []
    with output.progress("registering") as move:
        for key in keys:
            of_playlist: dict[str, Any] = {"variant": variant, "live": live or None} if is_playlist(key) else {}
            rows.append(client.recordings.add(key, **of_playlist).raw)
            move(len(rows) / (len(keys) + len(folders)))
        for each in folders:
            rows.append(client.recordings.add_folder(**vars(each.source), live=True, series=each.series).raw)
            move(len(rows) / (len(keys) + len(folders)))
    output.show_list(rows, _COLUMNS, as_json=as_json)


@recordings.command("list")
@click.option(
    "--status",
    type=click.Choice(["processing", "recording", "complete", "failed"]),
    help="Only recordings with this status.",
)
@click.option("--name", help="Only recordings with this name.")
@click.option("--series", help="Only recordings of this series.")
@filter_options("created_at", "name", "duration", "size")
@limit_option
@json_option
@needs_server
def list_(
    client: Client,
    status: str | None,
    name: str | None,
    series: str | None,
    search: str | None,
    tags: tuple[str, ...],
    meta: tuple[str, ...],
    sort: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List recordings, newest first unless --sort is given."""
    found = client.recordings.each(
        status=status,
        name=name,
        series=series,
        q=search,
        tags=tags,
        metadata=metadata_of(meta),
        sort=sort,
        limit=min(100, limit),
    )
    output.show_list([recording.raw for recording in islice(found, limit)], _COLUMNS, as_json=as_json)


@recordings.command()
@click.argument("recording_id")
@click.option("--language", metavar="TAG", help="Language that is spoken, such as en. [default: detected]")
@click.option("--source", type=click.Choice(["local", "url"]), help="A model of the server's engine, or a URL.")
@click.option("--track", type=click.IntRange(min=0), default=0, help="Number of the audio track, from 0.")
@click.option("--wait", is_flag=True, help="Wait until the transcript is ready. Exit code 1 if it failed.")
@json_option
@needs_server
def transcribe(
    client: Client,
    recording_id: str,
    language: str | None,
    source: Transcriber | None,
    track: int,
    wait: bool,
    as_json: bool,
) -> int:
    """Make the transcript of a recording."""
    made = client.transcripts.transcribe(recording_id, language=language, source=source, track=track)
    if wait:
        with output.progress("transcribing") as move:
            made = client.transcripts.wait(made.transcript_id, on_progress=lambda now: move(now.progress))
    output.show_object(made.raw, as_json=as_json)
    return 1 if made.status == "failed" else 0


@recordings.command()
@click.argument("recording_id")
@click.option("--language", help="Of the transcript in which they are found. [default: the first one]")
@click.option("--limit", type=click.IntRange(1, MAX_SUGGESTIONS), default=10, show_default=True)
@click.option(
    "--source", type=click.Choice(get_args(Source)), help="url: the language model of suggestions.url. [default: local]"
)
@json_option
@needs_server
def suggest(
    client: Client, recording_id: str, language: str | None, limit: int, source: str | None, as_json: bool
) -> None:
    """List ranges of 15 to 90 s that may be worth a clip, the best one first."""
    found = client.recordings.suggestions(recording_id, language=language, limit=limit, source=source)
    output.show_list(found.data, _SUGGESTIONS, as_json=as_json)


@recordings.command()
@click.argument("recording_id")
@json_option
@needs_server
def show(client: Client, recording_id: str, as_json: bool) -> None:
    """Show one recording."""
    output.show_object(client.recordings.get(recording_id).raw, as_json=as_json)


@recordings.command()
@click.argument("recording_id")
@json_option
@needs_server
def end(client: Client, recording_id: str, as_json: bool) -> None:
    """End a recording that is still written."""
    output.show_object(client.recordings.end(recording_id).raw, as_json=as_json)


@recordings.command()
@click.argument("recording_id")
@click.option("--name", help="The new name.")
@metadata_option
@replace_tags_option
@started_option
@series_option
@click.option("--expires-at", metavar="TIME", help="Remove the recording at this time, such as 2030-01-31T12:00:00Z.")
@json_option
@needs_server
def update(
    client: Client,
    recording_id: str,
    name: str | None,
    meta: tuple[str, ...],
    tags: tuple[str, ...],
    started_at: str | None,
    series: str | None,
    expires_at: str | None,
    as_json: bool,
) -> None:
    """Change the name, the metadata, the tags, the start, the series or the expiry of a recording."""
    given = {"name": name, "started_at": started_at, "series": series, "expires_at": expires_at}
    if not meta and not tags and not any(given.values()):
        options = "--name, --meta, --tag, --started-at, --series or --expires-at"
        raise click.UsageError(f"nothing to change: give {options}")
    changed = client.recordings.update(recording_id, metadata=metadata_of(meta), tags=new_tags(tags), **given)
    output.show_object(changed.raw, as_json=as_json)


@recordings.command()
@click.argument("recording_id")
@click.option("--object", "with_object", is_flag=True, help="Delete the object from the store as well.")
@click.option("--pieces", "with_pieces", is_flag=True, help="Delete the files of a playlist or camera as well.")
@needs_server
def rm(client: Client, recording_id: str, with_object: bool, with_pieces: bool) -> None:
    """Delete a recording. Its object remains in the store unless --object or --pieces is given."""
    client.recordings.delete(recording_id, object=with_object or with_pieces, pieces=with_pieces)


def _exit_code(recording: Recording) -> int:
    if recording.status != "failed" or recording.error is None:
        return 0
    output.fail(recording.error.message, recording.error.code, recording.error.hint)
    return 1
