"""Which objects of a store are recordings, and what they are called, by their keys alone. Pure."""

from __future__ import annotations

import re
import string
import unicodedata
from pathlib import PurePosixPath

_VIDEO_ENDINGS = {".3gp", ".asf", ".avi", ".flv", ".gxf", ".ivf", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"}
_VIDEO_ENDINGS |= {".mpg", ".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv"}
_AUDIO_ENDINGS = {".aac", ".ac3", ".aiff", ".amr", ".caf", ".eac3", ".flac", ".m4a", ".m4b", ".mka", ".mp3", ".oga"}
_AUDIO_ENDINGS |= {".ogg", ".opus", ".w64", ".wav", ".wma"}
_ENDINGS = _VIDEO_ENDINGS | _AUDIO_ENDINGS

NAME_FIELDS = ("path", "folder", "file", "stem")
_LONGEST_NAME = 200
# An upload is registered by whoever uploads it, under the id that stands in its key.
_UPLOADED = re.compile(r"(?:\A|/)recordings/rec_[0-9a-z]{26}/[^/]+\Z")


def is_recording(key: str, *, everything: bool = False) -> bool:
    """Whether the object may be a recording: it ends as media does (unless `everything`), and no clip of ours.

    What begins with a dot is on its way (rsync) or nobody's business.
    """
    path = PurePosixPath(key)
    made_here = path.parent.name == "clips" and "-clip_" in path.stem
    if made_here or path.name.startswith("."):
        return False
    return everything or path.suffix.lower() in _ENDINGS


def is_upload(key: str) -> bool:
    """Whether the object came through the API's own upload."""
    return _UPLOADED.search(key) is not None


def check_rule(rule: str) -> str:
    """The rule as it is. Raises ValueError where it is none."""
    template = string.Template(rule)
    unknown = sorted({*template.get_identifiers()} - {*NAME_FIELDS})
    if unknown or not template.is_valid():
        known = ", ".join(f"${each}" for each in NAME_FIELDS)
        raise ValueError(f"{rule!r} is no rule for names: what stands for parts of the key is {known}")
    return rule


def name_of(key: str, rule: str) -> str | None:
    """What a recording is called: `$folder` of `a/h_01/talk.mp4` is `h_01`, `$stem` is `talk`; None where empty."""
    path = PurePosixPath(key)
    parts = {"path": key, "folder": path.parent.name, "file": path.name, "stem": path.stem}
    name = string.Template(rule).substitute(parts)
    # As the API takes names: one line.
    plain = "".join(" " if unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} else each for each in name)
    return plain.strip()[:_LONGEST_NAME].strip() or None
