"""Captions: subtitles that are drawn into the picture, and when each is shown. Pure."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction

from clipengine.clips.options.effects import repeated_steps
from clipengine.clips.texts.cues import Cue

MAX_TOGETHER = 6  # cues that are shown at the same time
MAX_FONTS = 8  # of one clip: each is a descriptor, and is read into memory
MAX_FONT_BYTES = 64 << 20
_SHORTEST_STEP = Fraction(1, 200)  # seconds between two frames with the same picture


class CaptionTimes:
    """The cues of a part of a clip, in recording time, by the time of the part.

    The part begins at `origin` and is played with this speed. Times are exact: a cue is shown on each frame whose time
    is from its start on and before its end.
    """

    def __init__(self, cues: Sequence[Cue], origin: Fraction, speed: Fraction) -> None:
        self._cues = cues
        self._origin = origin
        self._speed = speed
        self._moments = sorted({moment for cue in cues for moment in (cue.start_ms, cue.end_ms)})
        self._found: tuple[int, tuple[Cue, ...]] = (0, ())  # number of the last interval, and its cues

    def shown(self, time: Fraction) -> tuple[Cue, ...]:
        """Return all cues that are shown at a time of the part."""
        millis = self._millis(time)
        number = bisect_right(self._moments, millis)
        if number != self._found[0]:
            self._found = number, tuple(cue for cue in self._cues if cue.start_ms <= millis < cue.end_ms)
        return self._found[1]

    def steps(self, time: Fraction, duration: Fraction, *, step: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
        """Return time and duration of each frame to write for one that is shown at `time`.

        A frame that is held for longer than the usual `step` is repeated when the captions change.
        """
        low, high = (bisect_left(self._moments, self._millis(each)) for each in (time, time + duration))
        changes = ((Fraction(moment, 1000) - self._origin) / self._speed for moment in self._moments[low:high])
        return repeated_steps(changes, time, duration, step=step, shortest=_SHORTEST_STEP)

    def _millis(self, time: Fraction) -> Fraction:
        return (self._origin + time * self._speed) * 1000


def is_ignorable(character: str) -> bool:
    """Return True for characters that control the shaping of others and need no glyph."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"
