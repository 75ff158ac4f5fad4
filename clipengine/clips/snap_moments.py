"""Moments to which cuts are snapped, and the choice among the moments near a cut. Pure.

A child process finds keyframes, silences and changes of scene (`media.snap`). Sentences are found in transcripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.snap import Edge, Snap
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.sentence_ends import separates

Span = tuple[Fraction, Fraction]
CUE_MARGIN_SECONDS = 60  # of the cues around a cut, so that the cues before and after a sentence are known
_LEAD_SECONDS = Fraction(1, 10)  # of silence that is kept beside the sound


class Found(NamedTuple):
    """The moments to which the cuts of a part move, or None."""

    start: Fraction | None
    end: Fraction | None


def nearest(moments: Iterable[Fraction], at: Fraction, within: Fraction, duration: Fraction) -> Fraction | None:
    """Return the moment nearest to `at` in a recording of this duration, the earlier of two, or None."""
    near = (moment for moment in moments if abs(moment - at) <= within and 0 <= moment <= duration)
    return min(near, key=lambda moment: (abs(moment - at), moment), default=None)


def silence_moments(
    silences: Iterable[Span], edge: Edge, at: Fraction, within: Fraction, duration: Fraction
) -> Iterator[Fraction]:
    """Yield the moment for a cut in each silence: shortly before the next sound, or shortly after the previous one.

    A cut inside a silence whose sound is too far away may stay.
    """
    for start, end in silences:
        moment = silence_moment((start, end), edge, duration)
        if moment is not None and abs(moment - at) <= within:
            yield moment
        elif start <= at <= end:
            yield at


def silence_moment(silence: Span, edge: Edge, duration: Fraction) -> Fraction | None:
    """Return the moment in a silence for the start or the end of a clip; None if the recording has no sound there."""
    start, end = silence
    if edge == "start":
        return max(start, end - _LEAD_SECONDS) if end < duration else None
    return min(end, start + _LEAD_SECONDS) if start > 0 else None


def sentence_moments(cues: Sequence[Cue], edge: Edge, duration: Fraction) -> Iterator[Fraction]:
    """Yield the times at which sentences start or end. A sentence begins and ends with a cue, and may have several."""
    for before, after in pairwise((None, *cues, None)):
        if not separates(before, after):
            continue
        if edge == "start" and after is not None:
            yield Fraction(after.start_ms, 1000)
        if edge == "end" and before is not None:
            yield min(duration, Fraction(before.end_ms, 1000))


def find_sentences(snap: Snap, part: PlannedPart, start_cues: Sequence[Cue], end_cues: Sequence[Cue]) -> Found:
    """Return the sentences near the cuts of a part, from the cues around its start and around its end."""
    duration = part.facts.duration

    def found(edge: Edge, asked: Fraction, cues: Sequence[Cue]) -> Fraction | None:
        return nearest(sentence_moments(cues, edge, duration), min(asked, duration), snap.within, duration)

    return Found(found("start", part.start, start_cues), found("end", part.end, end_cues))
