"""Places of a camera's files on the timeline of their recording. Pure.

The names of files are rounded down, and files are a little longer or shorter than the steps between their names. So a
file continues the previous file on the grid of its frames, unless its name is further off than its resolution allows.
The names of 20 files together say within a tenth of a second when they began: that is the clock, and the length of a
gap. Files of MediaMTX state both exactly.

Files that are added to a recording that is still written continue the last ones, and move none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from clipengine.recordings.pieces import MICROSECONDS, Piece
from clipengine.recordings.timeline.clock import Clock, ClockPoint, ClockSource, straightened
from clipengine.recordings.timeline.folder_files import FolderEnd, FolderFile, PlacedFiles, microseconds

_WINDOW = 20  # names that are taken together; over more, the drift of a clock empties their intersection
_MOST_KEPT = 2 * _WINDOW  # of the last files, by which the next ones are placed
_SLACK_US = 250_000
_ENDS_US = 200_000  # the resolution of the ends of files
_PREROLL_US = 60 * MICROSECONDS
_SEVERAL = 3  # files that begin early
_LEAST_ACCURACY = 0.05


@dataclass(frozen=True)
class _Window:
    """Range of the difference between clock and timeline that consecutive names allow, in microseconds."""

    low: int
    high: int

    @classmethod
    def of(cls, offsets: Sequence[int], resolution: int) -> _Window:
        low, high = max(offsets), min(offsets) + resolution
        if low <= high:
            return cls(low, high)
        middle = sum(offsets) // len(offsets) + resolution // 2  # the clock drifts or jumps
        return cls(middle, middle)

    @property
    def middle(self) -> int:
        return (self.low + self.high) // 2

    @property
    def slack(self) -> int:
        return (self.high - self.low) // 2


def place_files(files: Sequence[FolderFile], *, origin: Fraction | None, resolution: int, dated: bool) -> PlacedFiles:
    """Place the files of a recording, each as a separate run.

    `origin` is the first presentation time of the first file; `resolution` is the resolution of the names.
    Without `dated`, the names have no day and give no clock.
    """
    first = files[0]
    begins = microseconds(first.first - (first.first if origin is None else origin))
    start = FolderEnd(begins, (), trimmed=False, accuracy=0.0)
    return place_more(start, None, files, resolution=resolution, dated=dated)


def place_more(
    end: FolderEnd, clock: Clock | None, files: Sequence[FolderFile], *, resolution: int, dated: bool
) -> PlacedFiles:
    """Place files that are added to a recording with this end and this clock."""
    names = [*end.files, *files]
    by_ends = end.by_ends or begin_early(names, resolution)
    early = _early_by(names)
    if by_ends:
        names, resolution = [each._replace(name=each.began) for each in names], _ENDS_US
    stretches = list(_stretches(names, resolution))
    doubt = max(_doubt(each, early, by_ends=by_ends) for each in stretches)
    readings, places = _place_stretches(stretches, end, resolution)
    last = _last_files(stretches[-1], places[-1], end.trimmed and len(stretches) == 1)
    earlier = [each for each in readings if each.point.place < last.place]
    accuracy = max([end.accuracy, *(each.accuracy for each in earlier)])
    last = replace(last, accuracy=accuracy, order=end.order, by_ends=by_ends)
    known = () if clock is None else (each for each in clock.points if each.place < end.place)
    points = [*known, *(each.point for each in readings)]
    mark = stretches[0][0].file.mark
    source: ClockSource = "mtxi" if mark is not None else "end" if by_ends else "name"
    least = _LEAST_ACCURACY if mark is None else 0.001
    accuracy = max([doubt, least, end.accuracy, *(each.accuracy for each in readings)])
    found = Clock(source, round(accuracy, 3), straightened(points)) if points and dated else None
    return PlacedFiles(max((_latest(each) for each in files), default=Fraction(0)), found, last)


def may_overlap(before: FolderFile, after: FolderFile, resolution: int, *, by_ends: bool) -> bool:
    """Return True if the next file begins before the end of a file, by their names, or by their ends."""
    if by_ends and before.closed is not None and after.began is not None:
        return after.began < before.closed - _SLACK_US
    if before.name is None or after.name is None or before.mark is not None:
        return False
    return before.length > after.name - before.name + resolution + _SLACK_US


def begin_early(files: Sequence[FolderFile], resolution: int) -> bool:
    """Return True if files begin before the time in their names, by their ends: with a pre-roll.

    Most of several files must do so by less than a minute, and none may begin long after its name.
    """
    early = _early_by(files)
    if len(early) < max(_SEVERAL, len(files)) or any(file.mark is not None for file in files):
        return False
    often = sum(each > _SLACK_US for each in early) * 4 >= 3 * len(early)
    return often and max(early) < _PREROLL_US and min(early) > -resolution - MICROSECONDS


def _early_by(files: Sequence[FolderFile]) -> list[int]:
    """Return by how much files begin before the time in their names, by their ends."""
    return [each.name - each.began for each in files if each.name is not None and each.began is not None]


def _doubt(stretch: Sequence[_InStretch], early: Sequence[int], *, by_ends: bool) -> float:
    """Return by how many seconds the clock of a stretch may be wrong.

    The end times of files lag by varying delays. If the clock comes from the names, the names may be later than the
    starts of the files.
    """
    if by_ends:
        offsets = _offsets(stretch)
        return (max(offsets) - min(offsets)) / MICROSECONDS / 2
    shared = (
        before.offset + before.file.length - after.offset
        for before, after in pairwise(stretch)
        if after.file.overlap is not None
    )
    return max([0, *shared, *(each for each in early if _SLACK_US < each < _PREROLL_US)]) / MICROSECONDS


class _Reading(NamedTuple):
    """A point of the clock, and its accuracy in seconds."""

    point: ClockPoint
    accuracy: float


def _place_stretches(
    stretches: Sequence[Sequence[_InStretch]], end: FolderEnd, resolution: int
) -> tuple[list[_Reading], list[int]]:
    """Place the files of stretches. The first stretch may begin with the files of `end`.

    Return the readings of the clock from the names, and the places of the stretches.
    """
    readings: list[_Reading] = []
    places: list[int] = []
    at = end.place
    before: int | None = None  # the difference of clock and timeline at the end of the stretch before
    for number, stretch in enumerate(stretches):
        windows = list(_windows(stretch, resolution, is_start=number > 0 or not end.trimmed))
        gap = 0 if before is None or not windows else windows[0][1].middle - before - at  # by the clock
        if gap > 0:
            stretch[0].file.run.gap = "missing"
            at += gap
        for each in stretch:
            _place(each.file, at + each.offset)
        length = stretch[-1].offset + stretch[-1].file.length
        if windows:
            for place, window in [*windows, (length, windows[-1][1])]:
                point = ClockPoint(at + place, place + window.middle)
                readings.append(_Reading(point, window.slack / MICROSECONDS))
            before = windows[-1][1].middle - at
        places.append(at)
        at += length
    return readings, places


def _last_files(stretch: Sequence[_InStretch], place: int, trimmed: bool) -> FolderEnd:
    """Return the last files of a stretch; windows of names that are complete are left out."""
    left = 0 if len(stretch) <= _MOST_KEPT else (len(stretch) // _WINDOW - 1) * _WINDOW
    kept = tuple(each.file for each in stretch[left:])
    return FolderEnd(place + stretch[left].offset, kept, trimmed or left > 0, 0.0)


class _InStretch(NamedTuple):
    """A file and its place in its stretch, in microseconds."""

    file: FolderFile
    offset: int


def _stretches(files: Sequence[FolderFile], resolution: int) -> Iterator[list[_InStretch]]:
    """Yield the files that follow each other without a gap."""
    current: list[_InStretch] = []
    for each in files:
        if current and not _continues(current, each, resolution):
            yield current
            current = []
        current.append(_InStretch(each, _next_offset(current, each)))
    yield current


def _next_offset(current: Sequence[_InStretch], file: FolderFile) -> int:
    """Return the place of the next file of a stretch: on the grid of the frames, or as MediaMTX states it."""
    if not current:
        return 0
    before = current[-1]
    if file.mark is not None and before.file.mark is not None:
        began = Fraction(file.mark.dts - before.file.mark.dts, 10**9)
        return before.offset + microseconds(began + file.first - before.file.first)
    if file.overlap is not None:
        begins = file.scan.first.video_start
        lead = Fraction(0) if begins is None else begins - file.first
        return before.offset + microseconds(file.overlap - before.file.first - lead)
    return before.offset + before.file.length


def _continues(current: Sequence[_InStretch], file: FolderFile, resolution: int) -> bool:
    before = current[-1].file
    if file.mark is not None and before.mark is not None:
        return file.mark.stream == before.mark.stream and file.mark.number == before.mark.number + 1
    if file.name is None or file.overlap is not None:
        return True
    window = _Window.of(_offsets(current[-_WINDOW:]), resolution)
    expected = current[-1].offset + before.length + window.middle
    slack = _SLACK_US + window.slack
    return file.name - slack <= expected <= file.name + resolution + slack


def _offsets(stretch: Sequence[_InStretch]) -> list[int]:
    """Return the differences of the times of files and of their places in the stretch."""
    return [_time(each.file) - each.offset for each in stretch]


def _time(file: FolderFile) -> int:
    """Return the time of a file in microseconds since 1970."""
    return file.mark.ntp // 1000 if file.mark is not None else file.name or 0


def _windows(stretch: Sequence[_InStretch], resolution: int, *, is_start: bool) -> Iterator[tuple[int, _Window]]:
    """Yield the place of each window in the stretch: its start, later the middle of its files."""
    if stretch[0].file.name is None and stretch[0].file.mark is None:
        return
    exact = 1 if stretch[0].file.mark is not None else resolution
    for first in range(0, max(1, len(stretch) - _WINDOW // 2), _WINDOW):
        last = len(stretch) if len(stretch) - first <= _WINDOW * 3 // 2 else first + _WINDOW
        taken = stretch[first:last]
        yield (0 if first == 0 and is_start else taken[len(taken) // 2].offset), _Window.of(_offsets(taken), exact)


def _place(file: FolderFile, start: int) -> None:
    run = file.run
    run.shift = Fraction(start, MICROSECONDS) - file.first
    run.pieces = [Piece(run.pieces[0].data, start, file.length)]


def _latest(file: FolderFile) -> Fraction:
    latest = file.scan.last.latest
    return (file.end if latest is None else latest) + file.run.shift
