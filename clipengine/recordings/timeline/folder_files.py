"""Files of a camera's folder: what is known of each, and the last ones of a recording that is still written. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, Self

from clipengine.recordings.pieces import MICROSECONDS, ObjectRange, Piece, Run
from clipengine.recordings.timeline.clock import Clock
from clipengine.recordings.timeline.run_placing import Extent, RunScan

_MAX_NANOSECONDS = 1 << 63
FolderOrder = tuple[int, int, str]  # the time and the number of a name, or 0, and the key


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
    """A file with the time of its name in microseconds since 1970, if it has one, its scan and its mark.

    `closed` is the time of its last change, if the store knows it. If the file begins with the last pictures of the
    file before, `overlap` is the container time at which they begin in the file before.
    """

    run: Run
    name: int | None
    scan: RunScan
    mark: Mark | None = None
    closed: int | None = None
    overlap: Fraction | None = None

    @property
    def first(self) -> Fraction:
        return self.scan.first.start or Fraction(0)

    @property
    def end(self) -> Fraction:
        found = self.scan.last.end
        return self.first if found is None else max(found, self.first)

    @property
    def began(self) -> int | None:
        """The start time of the file, computed from its end time and its length."""
        return None if self.closed is None else self.closed - self.length

    @property
    def length(self) -> int:
        """The length on the grid of the frames, in microseconds."""
        return microseconds(self.end - self.first)

    @property
    def safe_end(self) -> Fraction | None:
        """The end of the stream that ends first, on the timeline: the next file may begin with audio of this one."""
        ends = [each for each in (self.scan.last.video_end, self.scan.last.audio_end) if each is not None]
        return min(ends) + self.run.shift if ends else None


@dataclass(frozen=True)
class FolderEnd:
    """The last files of a folder's recording, which follow each other without a gap, the first of them at `place`.

    Unless `trimmed`, the first file begins the recording, or follows a gap. `accuracy` is the accuracy of the clock
    before these files, and `order` the order of the last file that was read. If `by_ends`, the clock comes from the end
    times of the files, not from their names.
    """

    place: int
    files: tuple[FolderFile, ...]
    trimmed: bool
    accuracy: float
    order: FolderOrder = (0, 0, "")
    by_ends: bool = False

    def to_object(self) -> dict[str, Any]:
        kept = {"place": self.place, "trimmed": self.trimmed, "accuracy": self.accuracy, "order": [*self.order]}
        return {**kept, "by_ends": self.by_ends, "files": [_kept_values(each) for each in self.files]}

    @classmethod
    def from_object(cls, stored: dict[str, Any]) -> Self:
        files = tuple(_kept_file(*each) for each in stored["files"])
        order, by_ends = tuple(stored["order"]), stored.get("by_ends", False)
        return cls(stored["place"], files, stored["trimmed"], stored["accuracy"], order, by_ends)


def _kept_values(file: FolderFile) -> list[Any]:
    overlap = None if file.overlap is None else str(file.overlap)
    return [file.name, str(file.first), str(file.end), file.mark and [*file.mark], file.closed, overlap]


def _kept_file(
    name: int | None,
    first: str,
    end: str,
    mark: list[Any] | None,
    closed: int | None = None,
    overlap: str | None = None,
) -> FolderFile:
    extent = Extent(Fraction(first), Fraction(end), None, None)
    run = Run(0, None, None, [Piece(ObjectRange("", "", 0, 0), 0, 0)])
    scan, found = RunScan(extent, extent), None if mark is None else Mark(*mark)
    return FolderFile(run, name, scan, found, closed, None if overlap is None else Fraction(overlap))


class PlacedFiles(NamedTuple):
    """The end of the last frame or sound of files that are placed, their clock, and the last ones of them."""

    end: Fraction
    clock: Clock | None
    last: FolderEnd


def microseconds(seconds: Fraction) -> int:
    return int(seconds * MICROSECONDS // 1)
