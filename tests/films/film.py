"""The declared content of one synthetic recording, on the recording's own timeline.

Time 0 is the earliest presentation time of all streams, as a player shows it (after edit lists and codec delays, with
clock jumps closed: a step back, or one of more than ten seconds ahead, continues directly). All times are exact
seconds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

Span = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Tags:
    """Colour tags by their ISO/IEC 23091-2 codes, 2 if unspecified; `full_range` is None if not declared."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool | None = None

    @property
    def hdr(self) -> bool:
        return self.transfer in (16, 18)


UNTAGGED = Tags()
BT601 = Tags(6, 6, 6, False)
BT709 = Tags(1, 1, 1, False)
BT2020 = Tags(9, 14, 9, False)
PQ = Tags(9, 16, 9, False)
HLG = Tags(9, 18, 9, False)


@dataclass(frozen=True)
class Sound:
    """One audio track. Audio at time t is `sound(seed, t)`, silence in `silences`, before `start` and after `end`.

    In `doubtful` spans nothing is promised (output of a decoder for a lost packet). `leads` are (since, lead): from
    `since` on, audio at t is `sound(seed, t + lead)`, because an edit list moved it.
    """

    seed: int
    start: Fraction
    end: Fraction
    rate: int
    channels: int
    codec: str
    language: str | None = None
    silences: tuple[Span, ...] = ()
    doubtful: tuple[Span, ...] = ()
    leads: tuple[tuple[Fraction, Fraction], ...] = ()

    def lead(self, time: Fraction) -> Fraction:
        """Return the offset to add to `time` for the argument of `sound`."""
        return next((lead for since, lead in reversed(self.leads) if since <= time), Fraction(0))

    def spans(self, start: Fraction, end: Fraction) -> list[Span]:
        """Return the parts of [start, end) with promised audio."""
        kept = [(max(start, self.start), min(end, self.end))]
        for low, high in (*self.silences, *self.doubtful, *((since, since) for since, _ in self.leads)):
            parts = [part for a, b in kept for part in ((a, min(b, low)), (max(a, high), b))]
            kept = [(a, b) for a, b in parts if a < b]
        return [(a, b) for a, b in kept if a < b]

    def quiet(self, start: Fraction, end: Fraction) -> list[Span]:
        """Return the parts of [start, end) with promised silence."""
        edges = ((start, self.start), *self.silences, (self.end, end))
        return [(max(a, start), min(b, end)) for a, b in edges if max(a, start) < min(b, end)]


@dataclass(frozen=True)
class Film:
    """The declared content of one file. `frames` are (time, number) sorted by time; width and height are as displayed.

    `frame_seconds` is the nominal frame duration, None without video. `duration` is the latest presentation end of all
    streams. `grid` is the time base of the container: times in `frames` are already rounded to it; it only sets how
    near a frame may be to the edge of a range to count on either side. `crossings` are times that a cut should cross
    (a clock jump, a change of size).
    """

    name: str
    path: Path
    frames: tuple[tuple[Fraction, int], ...]
    frame_seconds: Fraction | None
    sounds: tuple[Sound, ...]
    duration: Fraction
    width: int = 0
    height: int = 0
    sar: Fraction = Fraction(1)
    tags: Tags = UNTAGGED
    grid: Fraction = Fraction(0)
    crossings: tuple[Fraction, ...] = ()
    traits: frozenset[str] = frozenset()

    def at(self, path: Path) -> Film:
        """Return the same film at another path."""
        return replace(self, path=path)

    @property
    def picture_end(self) -> Fraction:
        """Return the end of the last frame, 0 without video."""
        return self.frames[-1][0] + (self.frame_seconds or 0) if self.frames else Fraction(0)

    def on_screen(self, time: Fraction) -> int | None:
        """Return the number of the frame on screen at `time`, None before the first frame."""
        shown = [number for begin, number in self.frames if begin <= time]
        return shown[-1] if shown else None

    @property
    def gaps(self) -> list[Span]:
        """Return (time, next time) of each frame that lasts longer than 1.5 nominal frames."""
        if self.frame_seconds is None:
            return []
        times = [time for time, _ in self.frames]
        return [(a, b) for a, b in itertools.pairwise(times) if b - a > self.frame_seconds * Fraction(3, 2)]
