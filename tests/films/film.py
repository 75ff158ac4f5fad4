"""What a film is: the truth about one synthetic recording, on the recording's own timeline.

Time 0 is the earliest presentation time over the streams, as a player shows it (after edit lists and codec delays, with
jumps of the clock closed: a step back, or one of more than ten seconds ahead, continues directly). All times are exact
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
    """Colour tags by their ISO/IEC 23091-2 codes, 2 where unspecified; `full_range` None where it is not said."""

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
    """One audio track. Sound at time t is `sound(seed, t)`; in `silences`, before `start` and after `end` is none.

    In `doubtful` spans nothing is promised (what a decoder makes of a lost packet). `leads` are (since, lead): from
    `since` on, sound at t is `sound(seed, t + lead)`, where an edit list moved what was drawn.
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
        """What is to be added to `time` for the argument of `sound`."""
        return next((lead for since, lead in reversed(self.leads) if since <= time), Fraction(0))

    def spans(self, start: Fraction, end: Fraction) -> list[Span]:
        """The parts of [start, end) in which sound is promised."""
        kept = [(max(start, self.start), min(end, self.end))]
        for low, high in (*self.silences, *self.doubtful, *((since, since) for since, _ in self.leads)):
            parts = [part for a, b in kept for part in ((a, min(b, low)), (max(a, high), b))]
            kept = [(a, b) for a, b in parts if a < b]
        return [(a, b) for a, b in kept if a < b]

    def quiet(self, start: Fraction, end: Fraction) -> list[Span]:
        """The parts of [start, end) in which silence is promised."""
        edges = ((start, self.start), *self.silences, (self.end, end))
        return [(max(a, start), min(b, end)) for a, b in edges if max(a, start) < min(b, end)]


@dataclass(frozen=True)
class Film:
    """The truth about one file. `frames` are (time, number) in order of time; width and height as shown, upright.

    `frame_seconds` is the nominal distance of two frames, None without video. `duration` is the latest presentation
    end over the streams. `grid` is the container's time step: what it rounded is already in `frames`, it only says
    how near to the edge of a range a frame may lie to count on either side. `crossings` are moments that a cut should
    cross (a jump of the clock, a change of size).
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
        """The same film in another place."""
        return replace(self, path=path)

    @property
    def picture_end(self) -> Fraction:
        """When the last frame ends, 0 without video."""
        return self.frames[-1][0] + (self.frame_seconds or 0) if self.frames else Fraction(0)

    def on_screen(self, time: Fraction) -> int | None:
        """The number that a player shows at `time`, None before the first frame."""
        shown = [number for begin, number in self.frames if begin <= time]
        return shown[-1] if shown else None

    @property
    def gaps(self) -> list[Span]:
        """Where one frame stands for more than 1.5 nominal frames, as (its time, the next one's)."""
        if self.frame_seconds is None:
            return []
        times = [time for time, _ in self.frames]
        return [(a, b) for a, b in itertools.pairwise(times) if b - a > self.frame_seconds * Fraction(3, 2)]
