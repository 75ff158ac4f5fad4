"""Selection of the objects in a store that are recordings, and their names, by key. Pure."""

from __future__ import annotations

import re
import string
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from clipengine.recordings.media_types import ending, without_ending
from clipengine.recordings.names import slug

_VIDEO_SUFFIXES = {".3gp", ".asf", ".avi", ".flv", ".gxf", ".ivf", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"}
_VIDEO_SUFFIXES |= {".mpg", ".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv"}
_AUDIO_SUFFIXES = {".aac", ".ac3", ".aiff", ".amr", ".caf", ".eac3", ".flac", ".m4a", ".m4b", ".mka", ".mp3", ".oga"}
_AUDIO_SUFFIXES |= {".ogg", ".opus", ".w64", ".wav", ".wma"}
_TEXT_SUFFIXES = {".srt", ".vtt"}
_MARKERS_ENDING = ".markers.json"
_PLAYLIST_SUFFIXES = {".m3u8", ".m3u"}
_SUFFIXES = _VIDEO_SUFFIXES | _AUDIO_SUFFIXES
_AGORA_VIDEO, _AGORA_AUDIO = "__uid_e_video.m3u8", "__uid_e_audio.m3u8"

NAME_FIELDS = ("path", "folder", "file", "stem")
_MAX_NAME_CHARACTERS = 200
# The upload request registers its recording itself, under the id in the key.
_UPLOAD_KEY = re.compile(r"(?:\A|/)recordings/(rec_[0-9a-z]{26})/[^/]+\Z")
# Of the segments of CMAF: init.mp4, init-video0.mp4, init_1.mp4, init2_0.mp4.
_HEADER = re.compile(r"init[-_]?(video|audio|stream|v|a|s)?[-_]?\d*([-_]\d+)?\.mp4", re.IGNORECASE)
# Wherever `storage.clip_key` puts it.
_CLIP_ID = re.compile(r"(?<![0-9a-z])clip_[0-9a-z]{26}(?![0-9a-z])")


def is_recording(key: str, *, everything: bool = False) -> bool:
    """Return True if the object may be a recording: it has a media suffix, unless `everything`, and is not a clip.

    Names that begin with a dot are hidden or temporary, such as the partial files of rsync.
    """
    path = PurePosixPath(key)
    if is_of_clip(key) or path.name.startswith(".") or is_sidecar(key):
        return False
    return everything or path.suffix.lower() in _SUFFIXES


def is_of_clip(key: str) -> bool:
    """Return True for a clip of ours and the files beside it."""
    if "clip_" not in key:
        return False
    path = PurePosixPath(key)
    return _CLIP_ID.search(key) is not None or (path.parent.name == "clips" and "-clip_" in path.stem)


def is_playlist(key: str) -> bool:
    """Return True if the object may be the playlist of a recording of many files."""
    path = PurePosixPath(key)
    return path.suffix.lower() in _PLAYLIST_SUFFIXES and not is_of_clip(key) and not path.name.startswith(".")


def audio_playlist_of(key: str) -> str | None:
    """Return the key of an Agora user's audio playlist, if `key` is the user's video playlist."""
    name = key.removesuffix(_AGORA_VIDEO)
    return None if name == key else name + _AGORA_AUDIO


def is_segment(key: str) -> bool:
    """Return True if the object may be a piece of a recording whose playlist appears later."""
    return PurePosixPath(key).suffix.lower() == ".ts"


def may_be_piece(key: str) -> bool:
    """Return True if the object is named like a piece: `index_0042.ts`, or `init.mp4`, a header of CMAF."""
    path = PurePosixPath(key)
    return (is_segment(key) and path.stem[-1:].isdigit()) or _HEADER.fullmatch(path.name) is not None


def is_sidecar(key: str) -> bool:
    """Return True if the object may be a transcript or a file of markers beside a recording."""
    path = PurePosixPath(key)
    if path.suffix.lower() not in _TEXT_SUFFIXES and not is_marker_file(key):
        return False
    return not is_of_clip(key) and not path.name.startswith(".")


def is_marker_file(key: str) -> bool:
    """Return True if the object is named like the markers of a recording, as `talk.markers.json`."""
    return key.lower().endswith(_MARKERS_ENDING)


def sidecar_prefix(recording_key: str) -> str:
    """Return what the keys of all sidecars of a recording begin with: `a/talk.` for `a/talk.mp4`."""
    path = PurePosixPath(recording_key)
    return recording_key[: len(recording_key) - len(path.suffix)] + "."


def belongs_to(sidecar_key: str, recording_key: str) -> bool:
    """Return True if the sidecar belongs to the recording, as `talk.en.srt` belongs to `talk.mp4`."""
    prefix = sidecar_prefix(recording_key)
    rest = sidecar_key.removeprefix(prefix)
    return is_sidecar(sidecar_key) and rest != sidecar_key and "/" not in rest and rest.count(".") <= 1


def upload_key(recording_id: str, name: str) -> str:
    """Return the key of an upload: `recordings/<the recording's id>/<a safe name>`, with a plain extension."""
    extension = ending(name)
    return f"recordings/{recording_id}/{slug(without_ending(name))}" + (f".{extension}" if extension else "")


def file_name(url: str) -> str:
    """Return the file name in the path of a URL, or `recording`."""
    return unquote(PurePosixPath(urlsplit(url).path).name, errors="replace").rpartition("/")[2] or "recording"


def is_upload(key: str) -> bool:
    """Return True if the object was uploaded through the API, or fetched from a URL."""
    return id_of_upload(key) is not None


def id_of_upload(key: str) -> str | None:
    """Return the id of the recording in the key of an upload, see `upload_key`, or None for any other key."""
    found = _UPLOAD_KEY.search(key)
    return None if found is None else found[1]


def check_name_rule(rule: str) -> str:
    """Return the rule unchanged. Raises ValueError if it is invalid."""
    template = string.Template(rule)
    unknown = sorted({*template.get_identifiers()} - {*NAME_FIELDS})
    if unknown or not template.is_valid():
        known = ", ".join(f"${each}" for each in NAME_FIELDS)
        raise ValueError(f"{rule!r} is not a valid name rule: the placeholders are {known}")
    return rule


def recording_name(key: str, rule: str) -> str | None:
    """Return the name of a recording, or None. `$folder` of `a/h_01/talk.mp4` is `h_01`, `$stem` is `talk`."""
    path = PurePosixPath(key)
    parts = {"path": key, "folder": path.parent.name, "file": path.name, "stem": path.stem}
    return clean_name(string.Template(rule).substitute(parts))


def clean_name(name: str) -> str | None:
    """Return the name as the API accepts it, on one line of at most 200 characters, or None if nothing is left."""
    line = "".join(" " if unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} else each for each in name)
    return line.strip()[:_MAX_NAME_CHARACTERS].strip() or None
