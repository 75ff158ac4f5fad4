"""Markers of recordings."""

from __future__ import annotations

from dataclasses import dataclass, field

from typing_extensions import TypedDict

from clipengine.objects.base import ApiObject, MaybeTime


class MarkerObject(TypedDict):
    """A moment, or a range, that another program has named."""

    key: str
    """Hash of the marker."""
    at_seconds: float | None
    """Its place in the recording; null if it has a time."""
    time: MaybeTime
    """Its time; null if it has a place."""
    seconds: float
    """Its length; 0 for a moment."""
    label: str
    """Its name; may be empty."""


@dataclass(frozen=True)
class MarkersObject(ApiObject):
    """Markers that were added to a recording."""

    recording_id: str
    markers: list[MarkerObject] = field(default_factory=list)
    """The new ones."""
