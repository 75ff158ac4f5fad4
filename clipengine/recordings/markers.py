"""Markers: moments of a recording that another program has named. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from clipengine.recordings.timeline.clock import Clock

MAX_ADDED = 200  # at a time
MAX_MARKERS = 1000  # of a recording
MAX_LABEL_CHARACTERS = 200
MAX_SECONDS = 604_800


@dataclass(frozen=True)
class Marker:
    """A moment, or a range of `seconds`, at a place of the recording or at a time in ms since 1970."""

    at_seconds: float | None
    time: int | None
    seconds: float = 0.0
    label: str = ""

    @property
    def key(self) -> str:
        """The hash of the marker: one that comes twice is the same."""
        place = None if self.at_seconds is None else float(self.at_seconds)
        of = [place, self.time, float(self.seconds), self.label]
        return hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]

    def start(self, clock: Clock | None) -> float | None:
        """Return its place in seconds, or None if it has a time and the recording has no clock."""
        if self.time is None:
            return self.at_seconds
        return None if clock is None else clock.first_seconds_at(self.time)
