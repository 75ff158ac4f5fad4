"""Keys of clips in the store, made from the template `storage.clip_key`. Pure."""

from __future__ import annotations

import re
import string
from pathlib import PurePosixPath

from clipengine.basis.moments import utc
from clipengine.clips.request import ClipRequest
from clipengine.recordings.names import slug
from clipengine.recordings.recording import Recording

CLIP_KEY = "$folder/clips/$label-$clip_id"
CLIP_KEY_FIELDS = ("folder", "label", "clip_id", "date", "name", "start", "recording_id")
MAX_TEMPLATE_CHARACTERS = 300


def check_clip_key(template: str) -> str:
    """Return the template unchanged. Raises ValueError if its keys could be invalid, or the same for two clips."""
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        raise ValueError(f"has {len(template)} characters, at most {MAX_TEMPLATE_CHARACTERS} are allowed")
    parsed = string.Template(template)
    unknown = sorted({*parsed.get_identifiers()} - {*CLIP_KEY_FIELDS})
    if unknown or not parsed.is_valid():
        known = ", ".join(f"${each}" for each in CLIP_KEY_FIELDS)
        raise ValueError(f"{template!r} is not a valid template: the placeholders are {known}")
    if "clip_id" not in parsed.get_identifiers():
        raise ValueError(f"{template!r} must contain $clip_id, so that each clip has its own key")
    parts = parsed.substitute(dict.fromkeys(CLIP_KEY_FIELDS, "x")).split("/")
    if not template.isprintable() or "\\" in template or any(not part or part.startswith(".") for part in parts):
        raise ValueError(
            f"{template!r} has an empty part, a part that begins with a dot, or a character that keys lack"
        )
    return template


def clip_key(
    template: str, recording: Recording, request: ClipRequest, clip_id: str, created_at: int, extension: str
) -> str:
    """Return the key of a clip, created at `created_at` (ms). No value but `$folder` contains a slash."""
    path = PurePosixPath(recording.bucket_path)
    folder = str(path if recording.folder is not None else path.parent)
    key = string.Template(template).substitute(
        folder="" if folder in (".", "/") else folder,
        label=slug(request.label),
        clip_id=clip_id,
        date=utc(created_at).date().isoformat(),
        name=slug(recording.name or path.stem),
        start=f"{request.start_seconds:.3f}",
        recording_id=recording.recording_id,
    )
    # The folder of a recording at the root of the store is empty.
    return f"{key.removeprefix('/')}.{extension}"


def next_clip_key(key: str, clip_id: str, attempt: int) -> str:
    """Return the key of a later attempt: `goal-clip_….mp4` becomes `goal-clip_…-2.mp4`."""
    before, _, after = key.rpartition(clip_id)
    return f"{before}{clip_id}-{attempt}{re.sub('^-[0-9]+(?=[./])', '', after)}"
