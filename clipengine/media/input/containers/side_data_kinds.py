"""Kinds of side data that FFmpeg attaches to frames and PyAV does not know, such as the views of MV-HEVC and EXIF.

PyAV lists them in an enum, and raises ValueError for a frame that has a kind that is missing there.
"""

from __future__ import annotations

from av.sidedata.sidedata import Type


def accept_unknown_kinds() -> None:
    """Let the enum have a nameless member for each kind that it lacks, so that the other side data can be read."""
    Type._missing_ = classmethod(_unknown)  # type: ignore[assignment, method-assign]


def _unknown(kinds: type[Type], value: object) -> Type | None:
    if not isinstance(value, int):
        return None
    kind = object.__new__(kinds)
    kind.__dict__.update(_name_=f"UNKNOWN_{value}", _value_=value)
    return kind
