"""`clipengine clips`: ask for clips, follow them, fetch them."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path, PurePosixPath

import click

from clipengine.cli import output
from clipengine.cli.options import (
    end_option,
    json_option,
    limit_option,
    metadata_of,
    metadata_option,
    needs_server,
    start_option,
)
from clipengine.client import Client, Clip

_COLUMNS: dict[str, output.Column] = {
    "clip": "clip_id",
    "status": lambda row: row.get("step") or row.get("status"),
    "done": lambda row: f"{row.get('progress') or 0:.0%}",
    "start": output.seconds("start_seconds"),
    "end": output.seconds("end_seconds"),
    "label": "label",
    "created": "created_at",
}


@click.group(no_args_is_help=False)
def clips() -> None:
    """Create, follow and fetch clips."""


@clips.command()
@click.argument("recording_id")
@click.argument("label")
@start_option
@end_option
@click.option("--profile", help="A profile of the settings.")
@click.option("--priority", type=click.IntRange(-10, 10), help="Higher is cut earlier; 0 unless given.")
@metadata_option
@click.option("--webhook-url", help="Also tell this address, for this clip alone.")
@click.option("--no-poster", is_flag=True, help="Make no picture of the first frame.")
@click.option("--wait", is_flag=True, help="Until it has ended.")
@json_option
@needs_server
def create(
    client: Client,
    recording_id: str,
    label: str,
    start: Fraction,
    end: Fraction,
    profile: str | None,
    priority: int | None,
    meta: tuple[str, ...],
    webhook_url: str | None,
    no_poster: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Ask for the clip LABEL: the range from --start to --end of a recording."""
    clip = client.clips.create(
        recording_id,
        label,
        float(start),
        float(end),
        profile=profile,
        priority=priority,
        metadata=metadata_of(meta),
        webhook_url=webhook_url,
        poster=False if no_poster else None,
    )
    if wait:
        clip = _follow(client, clip.clip_id, None)
    return _show(clip, as_json=as_json)


@clips.command("list")
@click.option("--recording", help="Only clips of this recording.")
@click.option("--status", type=click.Choice(["processing", "complete", "failed"]), help="Only these.")
@click.option("--label", help="Only those of this label.")
@limit_option
@json_option
@needs_server
def list_(
    client: Client, recording: str | None, status: str | None, label: str | None, limit: int, as_json: bool
) -> None:
    """List clips, newest first."""
    found = client.clips.each(recording_id=recording, status=status, label=label, limit=min(100, limit))
    output.show_list([clip.raw for clip in islice(found, limit)], _COLUMNS, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@json_option
@needs_server
def show(client: Client, clip_id: str, as_json: bool) -> None:
    """Show one clip."""
    output.show_object(client.clips.get(clip_id).raw, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@click.option("--timeout", type=click.FloatRange(min=0), help="Give up after so many seconds.")
@json_option
@needs_server
def wait(client: Client, clip_id: str, timeout: float | None, as_json: bool) -> int:
    """Wait until a clip has ended; fails when the clip failed."""
    return _show(_follow(client, clip_id, timeout), as_json=as_json)


@clips.command()
@click.argument("clip_id")
@json_option
@needs_server
def cancel(client: Client, clip_id: str, as_json: bool) -> None:
    """Stop a clip that is queued or being cut."""
    output.show_object(client.clips.cancel(clip_id).raw, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@json_option
@needs_server
def retry(client: Client, clip_id: str, as_json: bool) -> None:
    """Queue a failed clip again."""
    output.show_object(client.clips.retry(clip_id).raw, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@needs_server
def rm(client: Client, clip_id: str) -> None:
    """Delete a clip and its object; one that is being cut is stopped first."""
    client.clips.delete(clip_id)


@clips.command()
@click.argument("clip_id")
@click.argument("target", metavar="[OUTPUT]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@needs_server
def download(client: Client, clip_id: str, target: Path | None) -> None:
    """Fetch a complete clip into OUTPUT, or under its own name into this folder."""
    if target is None:
        bucket_path = client.clips.get(clip_id).bucket_path
        target = Path(PurePosixPath(bucket_path).name if bucket_path else f"{clip_id}.mp4")
    if not target.parent.is_dir():
        raise click.BadParameter(f"the folder {target.parent} does not exist", param_hint="'OUTPUT'")
    size = client.clips.download(clip_id, target)
    click.echo(f"{target}: {output.size(size)}")


def _follow(client: Client, clip_id: str, timeout: float | None) -> Clip:
    with output.progress("cutting") as move:
        return client.clips.wait(clip_id, timeout=timeout, on_progress=lambda clip: move(clip.progress))


def _show(clip: Clip, *, as_json: bool) -> int:
    output.show_object(clip.raw, as_json=as_json)
    if clip.status != "failed" or clip.error is None:
        return 0
    output.fail(clip.error.message, clip.error.code, clip.error.hint)
    return 1
