"""Media types by file extension: a fixed list, so that no upload is ever served as HTML or a script."""

from __future__ import annotations

import re

_ENDING = re.compile(r"[^/]\.([A-Za-z0-9]{1,8})\Z")
_TYPES = {
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "ts": "video/mp2t",
    "m2ts": "video/mp2t",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
    "ogv": "video/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "jpg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}


def ending(name: str) -> str:
    """Return the extension of a file name, lower-case and without the dot, or "" if it has no plain one."""
    match = _ENDING.search(name)
    return match[1].lower() if match else ""


def without_ending(name: str) -> str:
    extension = ending(name)
    return name[: -len(extension) - 1] if extension else name


def media_type(name: str) -> str:
    return _TYPES.get(ending(name), "application/octet-stream")
