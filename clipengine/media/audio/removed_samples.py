"""Leaving ranges out of an audio track, exact to the sample, with short fades at the seams."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av

from clipengine.clips.removed import Removed
from clipengine.media.audio.samples import FADE_SECONDS, scale, slice_of


class RemovedSamples:
    """Removes samples from contiguous frames of floats that begin at 0, which is the recording time `origin`.

    Rounding does not add up: each seam is within a sample of its time.
    """

    def __init__(self, removed: Removed, origin: Fraction, rate: int) -> None:
        self._fade = round(rate * FADE_SECONDS)
        self._spans: list[tuple[int, int]] = []  # samples that are still to be removed
        written = 0
        for start, end in removed.spans:
            place = round((removed.place(start) - origin) * rate)  # of the seam, in the written samples
            first = place + written
            last = max(first, round((end - origin) * rate))
            self._spans.append((first, last))
            written = last - place
        self._spans.reverse()
        self._seam = -self._fade  # the first sample after the last range that was removed
        self._read = self._made = 0

    def apply(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        """Yield the samples of the frame that are kept, maybe in several frames."""
        at, end = self._read, self._read + frame.samples
        self._read = end
        while at < end:
            first, last = self._spans[-1] if self._spans else (end + self._fade, end + self._fade)
            if at < first:
                stop = min(first, end)
                yield self._kept(frame, at - (end - frame.samples), stop - at, first)
                at = stop
                continue
            at = min(last, end)
            if at == last:
                self._seam = last
                self._spans.pop()

    def _kept(self, frame: av.AudioFrame, offset: int, count: int, next_seam: int) -> av.AudioFrame:
        """Return samples of the frame, faded near the seams."""
        at = self._read - frame.samples + offset
        faded = at < self._seam + self._fade or at + count > next_seam - self._fade
        piece = slice_of(frame, offset, count) if faded or count < frame.samples else frame
        if faded:
            scale(piece, [self._gain(at + number, next_seam) for number in range(count)])
        piece.pts, piece.time_base = self._made, Fraction(1, frame.sample_rate)
        self._made += count
        return piece

    def _gain(self, sample: int, next_seam: int) -> float:
        rising = (sample - self._seam + 0.5) / self._fade
        return min(1.0, rising, (next_seam - sample - 0.5) / self._fade)
