"""Gaps between frames at a constant rate. Demuxers skip damage silently, so a gap indicates it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from clipengine.clips.warnings import warning

_GAP_FRAMES = Fraction(3, 2)  # a larger distance means that a frame is missing
_NOTED_SECONDS = Fraction(1, 1000)


class GapCounter:
    """Adds up the gaps between a clip's frames. Times are in clip time; a `frame_seconds` of 0 counts no gaps."""

    def __init__(self, frame_seconds: Fraction) -> None:
        self._frame_seconds = frame_seconds
        self._longest = _GAP_FRAMES * frame_seconds
        self._last: Fraction | None = None
        self._seconds = Fraction(0)
        self._unordered: list[Fraction] = []

    def add(self, time: Fraction) -> None:
        """Add the next frame."""
        if self._unordered:
            self.settle()
        self._add(time)

    def add_unordered(self, time: Fraction) -> None:
        """Add a frame in decoding order; all frames are ordered by `settle` and by the next `add`."""
        self._unordered.append(time)

    def settle(self) -> None:
        frames, self._unordered = sorted(self._unordered), []
        for time in frames:
            self._add(time)

    def _add(self, time: Fraction) -> None:
        self._add_gap(time, time)
        self._last = time

    def finish(self, following: Fraction, length: Fraction) -> None:
        """Count the gap at the clip's end, if the recording's next frame is at `following`."""
        self._add_gap(following, min(following, length))

    def _add_gap(self, following: Fraction, until: Fraction) -> None:
        """Add the gap up to the frame at `following`, as far as it lies before `until`."""
        if self._last is not None and self._longest and following - self._last > self._longest:
            self._seconds += max(Fraction(0), until - self._last - self._frame_seconds)

    def warnings(self) -> Iterator[str]:
        if self._seconds >= _NOTED_SECONDS:
            text = f"gaps of {float(self._seconds):.3f} s between frames: the frame before each gap is held"
            yield warning("video_gap", text)
