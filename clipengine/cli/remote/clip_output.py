"""Output of commands about clips: tables, waiting and downloads."""

from __future__ import annotations

import os
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


def names_folder(target: str) -> bool:
    """Return True if the path ends with a slash."""
    return target.endswith(tuple(filter(None, (os.sep, os.altsep))))


def check_folder(target: str | Path, hint: str) -> None:
    """Raise BadParameter if the target cannot be written to, before the server does any work."""
    path = Path(target)
    if not path.parent.is_dir():
        raise click.BadParameter(f"the folder {path.parent} does not exist", param_hint=hint)
    if names_folder(str(target)) and path.exists() and not path.is_dir():
        raise click.BadParameter(f"{path} is a file, not a folder", param_hint=hint)


def download(client: Client, clip: Clip, target: str | Path) -> str:
    """Download the clip and return its path and size as text.

    The target is a file, or a folder, which is created if the path ends with a slash; not if the download fails.
    """
    path = Path(target)
    is_new = names_folder(str(target)) and not path.exists()
    if is_new:
        path.mkdir()
    if path.is_dir():
        path /= PurePosixPath(clip.bucket_path or f"{clip.clip_id}.mp4").name
    try:
        with output.transfer("downloading") as moved:
            size = client.clips.download(clip.clip_id, path, on_progress=moved)
    except BaseException:
        if is_new:
            path.parent.rmdir()
        raise
    return f"{path}: {output.size(size)}"


def wait(client: Client, clip_id: str, timeout: float | None) -> Clip:
    with output.progress("cutting") as move:
        return client.clips.wait(clip_id, timeout=timeout, on_progress=lambda clip: move(clip.progress))


def show(clip: Clip, *, as_json: bool) -> int:
    output.show_object(clip.raw, as_json=as_json)
    if clip.status != "failed" or clip.error is None:
        return 0
    output.fail(clip.error.message, clip.error.code, clip.error.hint)
    return 1
