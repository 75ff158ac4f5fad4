"""Places of a camera's files on the timeline of their recording. Pure.

The names of files are rounded down, and files are a little longer or shorter than the steps between their names. So a
file continues the one before it on the grid of its frames, unless its name is further off than its resolution allows.
The names of 20 files together say within a tenth of a second when they began: that is the clock, and the length of a
gap. Files of MediaMTX state both exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, Self

from clipengine.recordings.clock import Clock, ClockPoint, ClockSource, straightened
from clipengine.recordings.pieces import MICROSECONDS, Piece, Run
from clipengine.recordings.placing import RunScan

_WINDOW = 20  # names that are taken together; over more, the drift of a clock empties their intersection
_SLACK_US = 250_000
_LEAST_ACCURACY = 0.05
_MAX_NANOSECONDS = 1 << 63


class Mark(NamedTuple):
    """The `mtxi` box of a file of MediaMTX: its stream and number, and its start in the stream and by the clock."""

    stream: str
    number: int
    dts: int  # nanoseconds
    ntp: int  # nanoseconds since 1970

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self:
        """Return the mark that a child reports. Raises ValueError."""
        stream, *numbers = values
        if not isinstance(stream, str) or len(stream) != 32 or len(numbers) != 3:
            raise ValueError("a mark has an id and three numbers")
        if any(type(each) is not int or not -_MAX_NANOSECONDS <= each < _MAX_NANOSECONDS for each in numbers):
            raise ValueError("a number of a mark is out of range")
        return cls(stream, *numbers)


class FolderFile(NamedTuple):
    """A file with the time of its name in microseconds since 1970, if it has one, its scan and its mark."""

    run: Run
    name: int | None
    scan: RunScan
    mark: Mark | None = None

    @property
    def first(self) -> Fraction:
        return self.scan.first.start or Fraction(0)

    @property
    def end(self) -> Fraction:
        found = self.scan.last.end
        return self.first if found is None else max(found, self.first)

    @property
    def length(self) -> int:
        """The length on the grid of the frames, in microseconds."""
        return _microseconds(self.end - self.first)


@dataclass(frozen=True)
class _Window:
    """What consecutive names say about the difference of the clock and the timeline, in microseconds."""

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


def place_files(
    files: Sequence[FolderFile], *, origin: Fraction | None, resolution: int, dated: bool
) -> tuple[Fraction, Clock | None]:
    """Place the files, each as a separate run, and return the duration of the recording and its clock.

    `origin` is the first presentation time of the first file; `resolution` is that of the names. Without `dated`, the
    names have no day and give no clock.
    """
    first = files[0]
    begins = first.first - (first.first if origin is None else origin)
    stretches = list(_stretches(files, resolution))
    at = _microseconds(begins)
    points: list[ClockPoint] = []
    accuracy = 0.0
    before: int | None = None  # the difference of clock and timeline at the end of the stretch before
    for stretch in stretches:
        windows = list(_windows(stretch, resolution))
        gap = 0 if before is None or not windows else windows[0][1].middle - before - at  # by the clock
        if gap > 0:
            stretch[0].file.run.gap = "missing"
            at += gap
        for each in stretch:
            _place(each.file, at + each.offset)
        points += [ClockPoint(at + place, place + window.middle) for place, window in windows]
        last = stretch[-1]
        end = last.offset + last.file.length
        if windows:
            accuracy = max(accuracy, *(window.slack / MICROSECONDS for _, window in windows))
            points.append(ClockPoint(at + end, end + windows[-1][1].middle))
            before = windows[-1][1].middle - at
        at += end
    source: ClockSource = "mtxi" if first.mark is not None else "name"
    least = 0.001 if first.mark is not None else _LEAST_ACCURACY
    clock = Clock(source, round(max(accuracy, least), 3), straightened(points)) if points and dated else None
    return max(_latest(each) for each in files), clock


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
        return before.offset + _microseconds(began + file.first - before.file.first)
    return before.offset + before.file.length


def _continues(current: Sequence[_InStretch], file: FolderFile, resolution: int) -> bool:
    before = current[-1].file
    if file.mark is not None and before.mark is not None:
        return file.mark.stream == before.mark.stream and file.mark.number == before.mark.number + 1
    if file.name is None:
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


def _windows(stretch: Sequence[_InStretch], resolution: int) -> Iterator[tuple[int, _Window]]:
    """Yield the place of each window in the stretch: its start, later the middle of its files."""
    if stretch[0].file.name is None and stretch[0].file.mark is None:
        return
    exact = 1 if stretch[0].file.mark is not None else resolution
    for first in range(0, max(1, len(stretch) - _WINDOW // 2), _WINDOW):
        last = len(stretch) if len(stretch) - first <= _WINDOW * 3 // 2 else first + _WINDOW
        taken = stretch[first:last]
        yield (0 if first == 0 else taken[len(taken) // 2].offset), _Window.of(_offsets(taken), exact)


def _place(file: FolderFile, start: int) -> None:
    run = file.run
    run.shift = Fraction(start, MICROSECONDS) - file.first
    run.pieces = [Piece(run.pieces[0].data, start, file.length)]


def _latest(file: FolderFile) -> Fraction:
    latest = file.scan.last.latest
    return (file.end if latest is None else latest) + file.run.shift


def _microseconds(seconds: Fraction) -> int:
    return int(seconds * MICROSECONDS // 1)
