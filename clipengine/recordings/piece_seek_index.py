"""Seek index of a recording of many files: the places of its pieces, and the clocks of their runs. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Annotated, Any, NamedTuple

from pydantic import ConfigDict, Field, field_serializer, model_validator

from clipengine.errors import TooManyPieces
from clipengine.recordings.facts import ExactSeconds
from clipengine.recordings.pieces import MAX_RUNS, MAX_TRACKS, MICROSECONDS, PieceIndex, TrackKind
from clipengine.recordings.seek_index import MAX_POINTS, KeyframeIndex, Offset, SeekIndex, SeekPoint

# Pieces before a range, in which a keyframe must be, and after it, because the places are not exact.
_PIECES_AROUND = 40
_PIECES_AROUND_A_FRAME = 10  # of each tile of a filmstrip
_SLACK_SECONDS = 4
_OVERLAP_US = 500_000  # of two runs: less is jitter
_OF_RUNS = ("run_tracks", "run_shifts", "head_offsets", "head_lengths", "after_gaps", "overlaps")
Number = Annotated[int, Field(ge=0, lt=MAX_POINTS)]
Place = Annotated[int, Field(ge=-(2**53), lt=2**53)]  # in microseconds


class PlacedPiece(NamedTuple):
    """The bytes of a piece in the virtual object, and its start on the timeline."""

    offset: int
    length: int
    start: Fraction


class PlacedRun(NamedTuple):
    """A run, or a part of it. `head` are the offset and the length of its header.

    One that `overlaps` begins with media of the run before it.
    """

    track: int
    shift: Fraction
    head: tuple[int, int]
    after_gap: bool
    pieces: Sequence[PlacedPiece]
    overlaps: bool = False

    def from_fragment(self, head_end: int, offset: int) -> PlacedRun:
        """Return the run, which is fragmented MP4 in one piece, without the bytes between its header and a fragment.

        `head_end` and `offset` count from the header, or from the start of the piece if that contains the header.
        """
        (piece,) = self.pieces
        base = self.head[0] if self.head[1] else piece.offset
        begin = base + offset
        rest = piece._replace(offset=begin, length=piece.offset + piece.length - begin)
        return self._replace(head=(base, head_end), pieces=[rest])


class PieceSeekIndex(SeekIndex):
    """The pieces of all tracks, in columns and in order: one row of a run, and one row of each of its pieces.

    `at_head` is True for each track whose first piece here is its first piece in the recording.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    kinds: Annotated[tuple[TrackKind, ...], Field(max_length=MAX_TRACKS)]
    at_head: Annotated[tuple[bool, ...], Field(max_length=MAX_TRACKS)]
    run_tracks: Annotated[tuple[Number, ...], Field(max_length=MAX_RUNS)]
    run_counts: Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_POINTS)], ...], Field(max_length=MAX_RUNS)]
    run_shifts: Annotated[tuple[ExactSeconds, ...], Field(max_length=MAX_RUNS)]
    head_offsets: Annotated[tuple[Offset, ...], Field(max_length=MAX_RUNS)]
    head_lengths: Annotated[tuple[Offset, ...], Field(max_length=MAX_RUNS)]
    after_gaps: Annotated[tuple[bool, ...], Field(max_length=MAX_RUNS)]
    overlaps: Annotated[tuple[bool, ...], Field(max_length=MAX_RUNS)]
    offsets: Annotated[tuple[Offset, ...], Field(max_length=MAX_POINTS)]
    lengths: Annotated[tuple[Offset, ...], Field(max_length=MAX_POINTS)]
    starts: Annotated[tuple[Place, ...], Field(max_length=MAX_POINTS)]

    @field_serializer("offsets", "lengths", "starts")
    def _column(self, column: Sequence[int]) -> list[int]:
        return list(column)

    @model_validator(mode="after")
    def _check_columns(self) -> PieceSeekIndex:
        runs = (self.run_counts, self.run_shifts, self.head_offsets, self.head_lengths, self.after_gaps, self.overlaps)
        if any(len(column) != len(self.run_tracks) for column in runs) or len(self.at_head) != len(self.kinds):
            raise ValueError("the columns of the runs have different lengths")
        if not len(self.offsets) == len(self.lengths) == len(self.starts) == sum(self.run_counts):
            raise ValueError("the columns of the pieces have different lengths")
        if any(track >= len(self.kinds) for track in self.run_tracks):
            raise ValueError("a run is in a track that does not exist")
        return self

    def before(self, time: Fraction) -> SeekPoint | None:
        """Return the start of the last piece of the first track at or before `time`, or None."""
        found = [
            SeekPoint(piece.start, piece.offset, run.shift)
            for run in self.runs(0)
            for piece in run.pieces
            if piece.start <= time
        ]
        return found[-1] if found else None

    def near(self, time: Fraction, until: Fraction | None = None) -> PieceSeekIndex:
        """Return the pieces that reading from `time` on, or from any time up to `until`, may need."""
        return self.between(time, time if until is None else until)

    def between(self, start: Fraction, end: Fraction) -> PieceSeekIndex:
        """Return the pieces that reading the range may need. Raises TooManyPieces if a job cannot have as many."""
        return self._within([(start, end + _SLACK_SECONDS)], _PIECES_AROUND)

    def around(self, times: Sequence[Fraction]) -> PieceSeekIndex:
        return self._within([(time, time) for time in times], _PIECES_AROUND_A_FRAME)

    def _within(self, ranges: Sequence[tuple[Fraction, Fraction]], around: int) -> PieceSeekIndex:
        """Return the pieces of the ranges, and so many before and after each. Raises TooManyPieces."""
        kept: list[int] = []
        at_head = list(self.at_head)
        for track in range(len(self.kinds)):
            numbers = [number for run in self._numbers(track) for number in run]
            starts = [self.starts[number] for number in numbers]
            at_head[track] = False
            for low, high in ranges:
                first = max(0, bisect_right(starts, int(low * MICROSECONDS)) - 1 - around)
                kept += numbers[first : bisect_left(starts, int(high * MICROSECONDS)) + around]
                at_head[track] |= self.at_head[track] and first == 0
        return self._only(kept, tuple(at_head))

    def single(self, places: Sequence[tuple[int, int]]) -> PieceSeekIndex:
        """Return pieces, given by the numbers of their runs and theirs, each as a run. They are at most `MAX_RUNS`."""
        firsts, runs = self._firsts(), [run for run, _ in places]
        columns: dict[str, Any] = {name: tuple(getattr(self, name)[run] for run in runs) for name in _OF_RUNS}
        numbers = [firsts[run] + piece for run, piece in places]
        columns |= {
            name: tuple(getattr(self, name)[each] for each in numbers) for name in ("offsets", "lengths", "starts")
        }
        counts = (1,) * len(places)
        return PieceSeekIndex.model_construct(run_counts=counts, kinds=self.kinds, at_head=self.at_head, **columns)

    def only(self, numbers: Sequence[int]) -> PieceSeekIndex:
        """Return the index with only these pieces, for a reader of all of them. It may be too large for a job."""
        return self._kept(numbers, self.at_head)

    def batches(self, runs: int) -> Iterator[PieceSeekIndex]:
        """Yield the index in parts of so many runs, for a recording of one track."""
        numbers = list(self._numbers(0))
        for first in range(0, len(numbers), runs):
            yield self._only([each for run in numbers[first : first + runs] for each in run], self.at_head)

    def runs(self, track: int) -> Iterator[PlacedRun]:
        """Yield the runs of a track in order."""
        for number, (first, count) in enumerate(zip(self._firsts(), self.run_counts, strict=True)):
            if self.run_tracks[number] == track:
                head = self.head_offsets[number], self.head_lengths[number]
                pieces = [self._piece(each) for each in range(first, first + count)]
                flags = self.after_gaps[number], pieces, self.overlaps[number]
                yield PlacedRun(track, self.run_shifts[number], head, *flags)

    def _piece(self, number: int) -> PlacedPiece:
        return PlacedPiece(self.offsets[number], self.lengths[number], Fraction(self.starts[number], MICROSECONDS))

    def _firsts(self) -> list[int]:
        """Return the number of the first piece of each run."""
        return [0, *accumulate(self.run_counts)][:-1]

    def _numbers(self, track: int) -> Iterator[range]:
        """Yield the numbers of the pieces of each run of a track."""
        for of, first, count in zip(self.run_tracks, self._firsts(), self.run_counts, strict=True):
            if of == track:
                yield range(first, first + count)

    def _only(self, numbers: Sequence[int], at_head: tuple[bool, ...]) -> PieceSeekIndex:
        """Return the index with only these pieces. Raises TooManyPieces if a job cannot have as many."""
        found = self._kept(numbers, at_head)
        if len(found.starts) > MAX_POINTS or len(found.run_counts) > MAX_RUNS:
            raise TooManyPieces(f"the range has {len(found.starts)} pieces, and at most {MAX_POINTS} are read at once")
        return found

    def _kept(self, numbers: Sequence[int], at_head: tuple[bool, ...]) -> PieceSeekIndex:
        kept = set(numbers)
        counts = [
            sum(number in kept for number in range(first, first + count))
            for first, count in zip(self._firsts(), self.run_counts, strict=True)
        ]
        runs = [number for number, count in enumerate(counts) if count]
        columns: dict[str, Any] = {name: tuple(getattr(self, name)[number] for number in runs) for name in _OF_RUNS}
        order = sorted(kept)
        columns |= {
            name: tuple(getattr(self, name)[each] for each in order) for name in ("offsets", "lengths", "starts")
        }
        columns |= {"run_counts": tuple(counts[number] for number in runs), "kinds": self.kinds, "at_head": at_head}
        return PieceSeekIndex.model_construct(**columns)


def stored_seek_index(fields: dict[str, Any]) -> SeekIndex:
    """Return the seek index, of one file or of pieces, in a message or a row of the ledger. Raises ValueError."""
    return (PieceSeekIndex if "kinds" in fields else KeyframeIndex).model_validate(fields)


def seek_index_of(index: PieceIndex) -> PieceSeekIndex:
    """Return the seek index of all pieces. It may be too large for a job: `between` returns a part of it."""
    located, runs = index.located(), []
    offsets, lengths, starts = array("q"), array("q"), array("q")
    for number, track in enumerate(index.tracks):
        head, before = 0, None
        for run in track.runs:
            if run.init is not None and not run.shares_header(before):
                head = next(located)[0]
            for piece in run.pieces:
                offsets.append(next(located)[0])
                lengths.append(piece.data.length)
                starts.append(piece.start)
            length = 0 if run.init is None else run.init.length
            overlaps = before is not None and before.pieces[-1].end - run.pieces[0].start >= _OVERLAP_US
            runs.append((number, len(run.pieces), run.shift, head, length, run.after_gap, overlaps))
            before = run
    names = ("run_tracks", "run_counts", "run_shifts", "head_offsets", "head_lengths", "after_gaps", "overlaps")
    columns: dict[str, Any] = dict(zip(names, zip(*runs, strict=True), strict=True))
    columns |= {"offsets": offsets, "lengths": lengths, "starts": starts}  # arrays: tuples take five times as much
    kinds = tuple(track.kind for track in index.tracks)
    return PieceSeekIndex.model_construct(kinds=kinds, at_head=(True,) * len(kinds), **columns)
