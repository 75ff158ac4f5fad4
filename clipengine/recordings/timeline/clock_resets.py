"""Clock resets: pieces at which the clock of a run begins anew, although its playlist states no discontinuity. Pure.

A clock went back between two measured pieces if their timestamps are much closer than the durations that the playlist
states. At first, only the ends of each run are measured. If the clock may have gone back between them, the pieces 1, 3,
7, 15 … after the first are measured, and likewise in each step in which it went back, until a step has two adjacent
pieces. The second piece is a clock reset if it begins before the middle of the first. For pieces of 6 s:

    piece          0    1    2    3    4    5    6    7
    timestamp      0    6   12   18   24    0    6   12
    ends           x                                  x    12 s instead of 42 s: the clock may have gone back
    steps               x         x                        it goes forward to 3, and back from 3 to 7
    steps of 3-7                       x         x         it goes forward to 4, and back from 4 to 6
    steps of 4-6                            x              it goes back from 4 to 5: 5 is a clock reset

The steps double, so a step is about as long as all steps before it. A clock that goes back to its beginning loses the
time since the first piece. In a step that was much longer than this time, the loss would look like an error of the
stated durations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from clipengine.errors import PlaylistInvalid, TooManyPieces
from clipengine.recordings.assembly import check_runs
from clipengine.recordings.pieces import MAX_RUNS, MICROSECONDS, PieceIndex, Run, Track
from clipengine.recordings.timeline.run_placing import WRAP_SECONDS, Extent, RunScan, near

_MAX_MEASURED = 3 * MAX_RUNS  # of a recording
_LEAST_SECONDS = Fraction(1)  # by which a clock goes back over several pieces: less is an error of the stated durations

_UNAMBIGUOUS_US = int(WRAP_SECONDS * MICROSECONDS) // 4  # stated: then the distance of two pieces is known
_USUAL_ERROR = Fraction(21, 20)  # of stated durations that are too short

# The extents of pieces by their numbers in a run, and a function that measures pieces. It gets a pair of numbers for
# each piece: of its run in the index, and of the piece in the run.
Extents = Mapping[int, Extent]
Measure = Callable[[Sequence[tuple[int, int]]], Sequence[Extent]]


class _Range(NamedTuple):
    """Two pieces of a run between which resets are searched: the number of the run, and their numbers in it."""

    run: int
    first: int
    last: int

    @property
    def is_border(self) -> bool:
        return self.last == self.first + 1


def split_at_clock_resets(
    index: PieceIndex, known: Sequence[Extents], measure: Measure | None, sample: Measure | None = None
) -> tuple[PieceIndex, list[RunScan]]:
    """Return the index with its runs divided at clock resets, and the scans of all runs.

    `known` has the extents of some pieces of each run, including the first and the last one. `measure` is None for a
    file that is still written: its reader has divided it at its resets. `sample` measures pieces between the ends of a
    long run, and returns an extent without times for a piece that cannot be read. Raises TooManyPieces.
    """
    extents = [dict(each) for each in known]
    found: list[set[int]] = [set() for _ in known]
    if measure is not None:
        found = _find(index, extents, measure)
        _measure_long(index, extents, sample or measure)
    scans: list[RunScan] = []
    tracks: list[Track] = []
    numbers = iter(range(len(known)))
    for track in index.tracks:
        runs: list[Run] = []
        for run in track.runs:
            number = next(numbers)
            begins = [0, *sorted(found[number]), len(run.pieces)]
            for first, last in pairwise(begins):
                runs.append(_part(run, first, last - 1, runs))
                some = extents[number]
                scans.append(RunScan(some[first], some[last - 1], _distance(run, some, first, last - 1)))
        tracks.append(replace(track, runs=runs))
    return PieceIndex(tracks), scans


def _measure_long(index: PieceIndex, extents: Sequence[dict[int, Extent]], measure: Measure) -> None:
    """Add the extents of some pieces of runs that are stated to last for more than a quarter of the wrap of MPEG-TS.

    Its timestamps wrap after 26.5 hours, so two of them state their distance only up to a multiple of the wrap. The
    stated durations decide which multiple it is, and they may be false by much over a whole run. Therefore pieces are
    measured that are at most a quarter of the wrap apart by the stated durations. Raises TooManyPieces.
    """
    missing: list[tuple[int, int]] = []
    for number, (_, run) in enumerate(index.runs()):
        before = 0  # the last piece that is measured
        if run.pieces[-1].start - run.pieces[0].start <= _UNAMBIGUOUS_US:
            continue
        for piece in range(1, len(run.pieces) - 1):
            if run.pieces[piece + 1].start - run.pieces[before].start > _UNAMBIGUOUS_US:
                before = piece
                missing += [] if piece in extents[number] else [(number, piece)]
    if len(missing) > _MAX_MEASURED:
        raise TooManyPieces("the playlist states that its segments last for years")
    for (number, piece), extent in zip(missing, measure(missing) if missing else (), strict=True):
        extents[number][piece] = extent


def _distance(run: Run, extents: Extents, first: int, last: int) -> Fraction | None:
    """Return the time between two pieces of a run that is stated to last for hours.

    It is the sum of the times between the measured pieces. Return None if the run is shorter, or if nothing is known.
    """
    if run.pieces[last].start - run.pieces[first].start <= _UNAMBIGUOUS_US:
        return None
    known = [number for number in sorted(extents) if first <= number <= last and extents[number].start is not None]
    if not known or (known[0], known[-1]) != (first, last):
        return None
    steps = (_distances(run, extents, _Range(0, *pair))[0] for pair in pairwise(known))
    return sum((each for each in steps if each is not None), Fraction(0))


def check_clock_resets(index: PieceIndex) -> None:
    """Raise PlaylistInvalid if the tracks of a finished recording have different numbers of clock resets.

    Tracks without clock resets, and tracks with their own clock, do not count.
    """
    counts = {_count(track) for track in index.tracks if not track.own_clock}
    if len(counts - {0}) > 1:
        raise PlaylistInvalid("timestamps begin anew without EXT-X-DISCONTINUITY, and not as often in each track")


def _count(track: Track) -> int:
    return sum(after.clock_resets > before.clock_resets for before, after in pairwise(track.runs))


def _part(run: Run, first: int, last: int, before: Sequence[Run]) -> Run:
    """Return a part of a run, which follows the runs before it in the track."""
    part = run.part(first, last)
    if before and before[-1].discontinuity == run.discontinuity:
        part.clock_resets = before[-1].clock_resets + (first > 0)
    return part


def _find(index: PieceIndex, extents: list[dict[int, Extent]], measure: Measure) -> list[set[int]]:
    """Return the numbers of the clock resets in each run, and add the extents of measured pieces."""
    runs = [run for _, run in index.runs()]
    found: list[set[int]] = [set() for _ in runs]
    known = [_Range(number, *pair) for number, each in enumerate(extents) for pair in pairwise(sorted(each))]
    ranges = [each for each in known if _may_go_back(runs[each.run], extents[each.run], each)]
    measured = 0
    while ranges:
        steps = [list(_steps(each)) for each in ranges]
        missing = {(each.run, each.last) for some in steps for each in some if each.last not in extents[each.run]}
        measured += len(missing)
        if measured > _MAX_MEASURED:
            raise TooManyPieces("the timestamps of too many segments go back without EXT-X-DISCONTINUITY")
        for (number, piece), extent in zip(sorted(missing), measure(sorted(missing)) if missing else (), strict=True):
            extents[number][piece] = extent
        # Record adjacent pieces between which the clock goes back, and search the longer steps again.
        ranges = []
        for some in steps:
            back = [each for each in some if _goes_back(runs[each.run], extents[each.run], each)]
            found[some[0].run].update(each.last for each in back if each.is_border)
            ranges += _unclear(some, back)
        check_runs(len(runs) + sum(map(len, found)))
    return found


def _unclear(steps: Sequence[_Range], back: Sequence[_Range]) -> Iterator[_Range]:
    """Yield the ranges that are searched next: the steps in which the clock goes `back`, and the ranges after them.

        steps     |---|-----|---------|-----------------|
        back          |=====|         |=================|
        yielded       | step|  range  |      step       |

    A range after a step is searched again, because its steps are long for the clock that has just begun. A step of two
    adjacent pieces is not: the second piece is the reset.
    """
    range_ends = [each.first for each in back[1:]] + [steps[-1].last]
    for step, range_end in zip(back, range_ends, strict=False):
        if not step.is_border:
            yield step
        if step.last < range_end:
            yield _Range(step.run, step.last, range_end)


def _steps(found: _Range) -> Iterator[_Range]:
    """Yield the ranges between the first piece of a range and the pieces 1, 3, 7, 15 … after it."""
    first, step = found.first, 1
    while first < found.last:
        last = min(first + step, found.last)
        yield _Range(found.run, first, last)
        first, step = last, step * 2


def _may_go_back(run: Run, extents: Extents, found: _Range) -> bool:
    """Return True if a range is searched, because its pieces are closer than the durations that are stated for it.

    They may be closer by half a piece, or a second if that is less. If the first piece is longer than stated by more
    than a usual error, all stated durations are assumed to be too short by the same factor.
    """
    if found.is_border:
        return True
    length, (true, stated) = _length(extents[found.first]), _distances(run, extents, found)
    if length is None or true is None:
        return False
    factor = _scale(run, found.first, length)
    return stated * (factor if factor > _USUAL_ERROR else 1) - true > min(length / 2, _LEAST_SECONDS)


def _goes_back(run: Run, extents: Extents, found: _Range) -> bool:
    """Return True if the clock of a run begins anew in a range: its pieces are less than half as far apart as stated.

    Of two adjacent pieces, the second one then begins before the middle of the first. If the first piece is shorter
    than stated, all stated durations are assumed to be too long by the same factor.
    """
    length, (true, stated) = _length(extents[found.first]), _distances(run, extents, found)
    if length is None or true is None:
        return False
    if found.is_border:
        own_stated = Fraction(run.pieces[found.first].duration, MICROSECONDS)
        most = own_stated * 3 / 2 or length  # a single false timestamp in a piece can make it seem much longer
        return true < min(length, most) / 2
    return true < stated * min(_scale(run, found.first, length), Fraction(1)) / 2


def _length(extent: Extent) -> Fraction | None:
    return None if extent.start is None or extent.end is None else extent.end - extent.start


def _scale(run: Run, number: int, length: Fraction) -> Fraction:
    """Return the length of a piece in relation to its stated duration."""
    stated = Fraction(run.pieces[number].duration, MICROSECONDS)
    return length / stated if stated else Fraction(1)


def _distances(run: Run, extents: Extents, found: _Range) -> tuple[Fraction | None, Fraction]:
    """Return the true and the stated distance of the pieces of a range."""
    pieces, first, last = run.pieces, extents[found.first].start, extents[found.last].start
    stated = Fraction(pieces[found.last].start - pieces[found.first].start, MICROSECONDS)
    return None if first is None or last is None else near(last - first, stated), stated
