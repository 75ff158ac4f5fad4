"""A clip as it is asked for: validated once against the recording and the settings, trusted from then on."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from clipengine.errors import InvalidLabel, InvalidTimeRange

# Clients know durations rounded up: an end that is this far past the recording's end is clamped, farther is an error.
END_TOLERANCE_SECONDS = 1.0
_LEAST_SECONDS = 0.000_999_999  # what containers can tell apart: a millisecond, as floats subtract to it
MAX_LABEL_CHARACTERS = 200
_SLUG_CHARACTERS = 60
_SURROGATE = re.compile("[\ud800-\udfff]")
_BOTH = ("start_seconds", "end_seconds")


@dataclass(frozen=True)
class ClipRequest:
    """`start_seconds` and `end_seconds` as the client wrote them; what is cut is clamped to the recording.

    `expires_at` in ms since 1970: when the clip is to be deleted, None for what the settings say.
    """

    label: str
    start_seconds: float
    end_seconds: float
    profile: str = "default"
    metadata: dict[str, str] = field(default_factory=dict)
    priority: int = 0
    webhook_url: str | None = None
    poster: bool = True
    expires_at: int | None = None


def half_character(text: str) -> str | None:
    """Return what is wrong with a text that has a lone surrogate, in the caller's terms; None if it has none."""
    half = _SURROGATE.search(text)
    if half is None:
        return None
    return f"\\u{ord(half[0]):04x} in it, one half of a surrogate pair, which is no character without the other"


def check_label(label: str) -> str:
    """The label as it is. Raises InvalidLabel: empty, too long, with control characters or lone surrogates."""
    if not label.strip():
        raise InvalidLabel("label is empty")
    if len(label) > MAX_LABEL_CHARACTERS:
        raise InvalidLabel(f"label has {len(label)} characters, at most {MAX_LABEL_CHARACTERS} are allowed")
    for character in label:
        if half := half_character(character):
            raise InvalidLabel(f"label has {half}")
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
            raise InvalidLabel("label contains control characters")
    return label


def check_range(start: float | None, end: float | None, *, duration: float, shortest: float, longest: float) -> None:
    """Raises InvalidTimeRange unless `[start, end)` is a range of a recording of `duration` seconds.

    `shortest` and `longest` are the limits of the settings, in seconds. A time that is None is judged elsewhere, and
    so is an infinite `duration`. The error's `errors` point at the one that is at fault, at both where neither is
    wrong alone.
    """
    found: list[tuple[str, tuple[str, ...]]] = []
    for field_name, value in (("start_seconds", start), ("end_seconds", end)):
        if value is not None and not math.isfinite(value):
            found.append((f"{field_name} must be a finite number", (field_name,)))
    if not found:
        found = list(_faults_of_range(start, end, duration))
    if not found and start is not None and end is not None:
        length = min(end, duration) - start
        if length < max(shortest, min(_LEAST_SECONDS, duration)):  # all of a recording is a range, however short it is
            least = max(shortest, 0.001)
            found.append((f"the clip would be {length:g} s long, at least {least:g} s are needed", _BOTH))
        if length > longest:
            found.append((f"the clip would be {length:g} s long, at most {longest:g} s are allowed", _BOTH))
    if found:
        errors = [{"detail": detail, "pointer": f"/{each}"} for detail, fields in found for each in fields]
        raise InvalidTimeRange("; ".join(detail for detail, _ in found), errors=errors)


def _faults_of_range(start: float | None, end: float | None, duration: float) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is wrong with two finite times, and the fields that are at fault."""
    if start is not None and start < 0:
        yield f"start_seconds is {start:g}, it must not be negative", ("start_seconds",)
    elif start is not None and start >= duration:
        yield f"start_seconds ({start:g}) lies past the recording's end at {duration:g} s", ("start_seconds",)
    if end is not None and end > duration + END_TOLERANCE_SECONDS:
        yield f"end_seconds ({end:g}) lies past the recording's end at {duration:g} s", ("end_seconds",)
    if start is not None and end is not None and end <= start:
        yield f"end_seconds ({end:g}) must be greater than start_seconds ({start:g})", _BOTH


def slug(label: str) -> str:
    """The label as one safe part of a key: letters and digits of any script, `-` and `_`; never empty.

    Compatibility forms are folded (NFKC), so that look-alikes of `/` and `.` cannot come back as separators.
    """
    text = unicodedata.normalize("NFKC", label).lower()
    kept = "".join(c if c == "_" or unicodedata.category(c)[0] in "LMN" else "-" for c in text)
    short = re.sub(r"-{2,}", "-", kept)[:_SLUG_CHARACTERS].strip("-_")
    while len(short.encode()) > 3 * _SLUG_CHARACTERS:  # keys are limited in bytes, not in characters
        short = short[:-1]
    return short or "clip"


def object_key(recording_key: str, label: str, clip_id: str, extension: str) -> str:
    """Where a clip lies: `<the recording's folder>/clips/<label as slug>-<clip id>.<extension>`."""
    folder = PurePosixPath(recording_key).parent
    return str(folder / "clips" / f"{slug(label)}-{clip_id}.{extension}")
