"""Output of commands about clips: tables, waiting and downloads."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import click

from clipengine.cli import output
from clipengine.client import Client, Clip

COLUMNS: dict[str, output.Column] = {
    "clip": "clip_id",
    "status": lambda row: row.get("step") or row.get("status"),
    "done": lambda row: f"{row.get('progress') or 0:.0%}",
    "start": output.seconds("start_seconds"),
    "end": output.seconds("end_seconds"),
    "label": "label",
    "created": "created_at",
}


def check_folder(target: Path, hint: str) -> None:
    """Raise BadParameter if the target's folder does not exist, before the server does any work."""
    if not target.parent.is_dir():
        raise click.BadParameter(f"the folder {target.parent} does not exist", param_hint=hint)


def download(client: Client, clip: Clip, target: Path) -> str:
    """Download the clip to a file or into a folder, and return its path and size as text."""
    if target.is_dir():
        target /= PurePosixPath(clip.bucket_path or f"{clip.clip_id}.mp4").name
    with output.transfer("downloading") as moved:
        size = client.clips.download(clip.clip_id, target, on_progress=moved)
    return f"{target}: {output.size(size)}"


def wait(client: Client, clip_id: str, timeout: float | None) -> Clip:
    with output.progress("cutting") as move:
        return client.clips.wait(clip_id, timeout=timeout, on_progress=lambda clip: move(clip.progress))


def show(clip: Clip, *, as_json: bool) -> int:
    output.show_object(clip.raw, as_json=as_json)
    if clip.status != "failed" or clip.error is None:
        return 0
    output.fail(clip.error.message, clip.error.code, clip.error.hint)
    return 1
