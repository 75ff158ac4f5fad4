"""Labels of the clips that rules make, from a template. Pure."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import PurePosixPath

from clipengine.basis.moments import utc
from clipengine.clips.labels import MAX_LABEL_CHARACTERS
from clipengine.recordings.recording import Recording

MAX_TEMPLATE_CHARACTERS = 300
LABEL_FIELDS = ("name", "number", "title", "date", "time", "hour", "series")
_SEPARATORS = frozenset({"Cc", "Cs", "Zl", "Zp", "Zs"})


def check_template(template: str) -> str:
    """Return the template unchanged. Raises ValueError if it is malformed or has an unknown field."""
    parsed = string.Template(template)
    if not parsed.is_valid() or {*parsed.get_identifiers()} - {*LABEL_FIELDS}:
        known = ", ".join(f"${each}" for each in LABEL_FIELDS)
        raise ValueError(f"is not a valid template: its fields are {known}")
    return template


def label_of(template: str, values: Mapping[str, str]) -> str:
    """Return a label: one line of at most 200 characters. An empty one becomes name and number."""
    filled = string.Template(template).substitute(dict.fromkeys(LABEL_FIELDS, "") | dict(values))
    return _cleaned(filled) or _cleaned(f"{values.get('name', '')} {values.get('number', '')}")


def _cleaned(text: str) -> str:
    spaced = "".join(" " if unicodedata.category(each) in _SEPARATORS else each for each in text)
    return " ".join(spaced.split())[:MAX_LABEL_CHARACTERS].strip()


def values_of(recording: Recording, zone: tzinfo, start: float) -> dict[str, str]:
    """Return the fields that a range of a recording has by its start, in seconds.

    Without a clock, the date is the day on which the recording was registered, and the time is empty.
    """
    clock = recording.clock
    at = utc(recording.created_at if clock is None else clock.time_at(start))
    local = at.astimezone(zone)
    return {
        "name": recording.name or PurePosixPath(recording.bucket_path).stem,
        "series": recording.series or "",
        "date": local.date().isoformat(),
        "time": "" if clock is None else f"{local:%H.%M.%S}",
        "hour": "" if clock is None else f"{local:%H}",
    }
