"""Pieces of a recording: a list of tracks, each a list of runs of pieces on one timeline.

The pieces of a run continue one byte stream, which one demuxer reads after the run's header. A discontinuity, another
header or a missing piece ends a run. A recording in one file is one track with one run of one piece.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, NamedTuple

# A track of kind "muxed" has video and audio; of the others only the named kind is used.
TrackKind = Literal["muxed", "video", "audio"]
# Pieces are missing or encrypted, or the recorder paused, by the dates of the playlist.
GapReason = Literal["missing", "encrypted", "paused"]
MAX_TRACKS = 64
MAX_AUDIO_STREAMS = 63  # of a track
MAX_RUNS = 2000  # of a recording: two pieces of each are probed
MAX_INIT_BYTES = 1 << 20
MICROSECONDS = 1_000_000
MIN_DISTANCE = 16  # bytes of a filler behind a header
TRACK_BYTES = 1 << 46  # of the virtual object, for each track


class ObjectRange(NamedTuple):
    """Bytes of an object of the store that has this ETag."""

    key: str
    etag: str
    offset: int
    length: int


class Piece(NamedTuple):
    """A piece with its place on the recording's timeline, in microseconds.

    The place serves to find the pieces of a range; exact times come from the packets.
    """

    data: ObjectRange
    start: int
    duration: int

    @property
    def end(self) -> int:
        return self.start + self.duration


class Gap(NamedTuple):
    """A range of the timeline without media, in microseconds."""

    start: int
    end: int
    reason: GapReason

    def to_object(self) -> dict[str, Any]:
        return {
            "start_seconds": self.start / MICROSECONDS,
            "end_seconds": self.end / MICROSECONDS,
            "reason": self.reason,
        }


class Dated(NamedTuple):
    """The number of a piece of a run, and its date by the playlist, in microseconds since 1970."""

    number: int
    date: int


@dataclass
class Run:
    """Pieces that continue one byte stream. Recording time is container time plus `shift`.

    Runs of one `clock` share it, in all tracks: `clock_resets` counts how often it began anew since the last stated
    discontinuity. `gap` says why media before the run is missing. `first_dated` and `last_dated` are pieces whose
    date the playlist states; `dates` are all of them, as long as the run is not stored.
    """

    discontinuity: int
    init: ObjectRange | None
    gap: GapReason | None
    pieces: Sequence[Piece] = ()
    shift: Fraction = Fraction(0)
    first_dated: Dated | None = None
    last_dated: Dated | None = None
    clock_resets: int = 0
    dates: list[Dated] = field(default_factory=list, compare=False, repr=False)

    @property
    def clock(self) -> tuple[int, int]:
        return self.discontinuity, self.clock_resets

    @property
    def after_gap(self) -> bool:
        return self.gap is not None

    @property
    def distance(self) -> int:
        """The bytes between the header and the first piece, outside the run, if both are of one object."""
        if self.init is None or self.init.key != self.pieces[0].data.key:
            return 0
        found = self.pieces[0].data.offset - self.init.offset - self.init.length
        return found if found >= MIN_DISTANCE else 0

    def shares_header(self, before: Run | None) -> bool:
        """Return True if the run begins with a clock reset: its bytes continue the previous run of the track."""
        if before is None or self.discontinuity != before.discontinuity:
            return False
        return self.clock_resets > before.clock_resets

    def part(self, first: int, last: int) -> Run:
        """Return the pieces with the numbers `first` to `last` as a run. The later ones do not follow a gap."""
        dates = [Dated(each.number - first, each.date) for each in self.dates if first <= each.number <= last]
        return replace(
            self,
            gap=None if first else self.gap,
            pieces=self.pieces[first : last + 1],
            first_dated=dates[0] if dates else None,
            last_dated=dates[-1] if dates else None,
            dates=dates,
        )

    def zero_date(self, dated: Dated) -> int:
        """Return the date of the start of the timeline by the date of a piece."""
        return dated.date - self.pieces[dated.number].start


@dataclass
class Track:
    """A track of a recording with its runs in order.

    A track with `own_clock` shares no discontinuities with the others: the dates of its runs give its place beside
    them. In an index that continues another one, `earlier` has the shifts of the clocks of the runs before its own.
    """

    kind: TrackKind
    runs: list[Run] = field(default_factory=list)
    title: str | None = None
    language: str | None = None
    own_clock: bool = False
    earlier: dict[tuple[int, int], Fraction] = field(default_factory=dict, compare=False, repr=False)


class ListedPiece(NamedTuple):
    """A piece with the numbers of its track and of its run in the track."""

    track: int
    run: int
    piece: Piece


@dataclass(frozen=True)
class Counts:
    """The size of an index, as the API shows it."""

    count: int
    runs: int
    tracks: int
    bytes: int


@dataclass
class PieceIndex:
    """All pieces of a recording.

    The bytes of its runs, each with its header, follow each other in one virtual object, which children read. Each
    track begins at a fixed offset, so that no byte moves when pieces are added to a track that is still written. Pieces
    of the object that has their header keep their distance from it, because fragments may state byte offsets.
    """

    tracks: list[Track]

    def runs(self) -> Iterator[tuple[int, Run]]:
        """Yield all runs in order, each with the number of its track."""
        for number, track in enumerate(self.tracks):
            for run in track.runs:
                yield number, run

    def ranges(self) -> Iterator[ObjectRange]:
        """Yield the ranges of the virtual object in order."""
        return (data for _, data in self.located())

    def located(self) -> Iterator[tuple[int, ObjectRange]]:
        """Yield the ranges of the virtual object in order, each with its offset."""
        for number, track in enumerate(self.tracks):
            at, before = number * TRACK_BYTES, None
            for run in track.runs:
                if run.init is not None and not run.shares_header(before):
                    yield at, run.init
                    at += run.init.length + run.distance
                before = run
                for piece in run.pieces:
                    yield at, piece.data
                    at += piece.data.length

    def pinned(self, etags: Mapping[tuple[str, str], str]) -> PieceIndex:
        """Return the index with other ETags of objects, which `etags` has by their keys and ETags."""

        def pin(data: ObjectRange) -> ObjectRange:
            return data._replace(etag=etags.get((data.key, data.etag), data.etag))

        tracks = []
        for track in self.tracks:
            runs = [
                replace(
                    run,
                    init=None if run.init is None else pin(run.init),
                    pieces=[each._replace(data=pin(each.data)) for each in run.pieces],
                )
                for run in track.runs
            ]
            tracks.append(replace(track, runs=runs))
        return PieceIndex(tracks)

    def listed(self, start: int) -> list[ListedPiece]:
        """Return the pieces of all tracks that end after a time in microseconds, in the order of their starts."""
        found = [
            ListedPiece(number, place, piece)
            for number, track in enumerate(self.tracks)
            for place, run in enumerate(track.runs)
            for piece in run.pieces
            if piece.end > start
        ]
        return sorted(found, key=lambda each: each.piece.start)

    @property
    def gaps(self) -> list[Gap]:
        """The gaps of the first track, which is the video if there is one. Call it when all runs are placed."""
        found, at = [], 0
        for run in self.tracks[0].runs:
            if run.gap is not None and run.pieces[0].start > at:
                found.append(Gap(at, run.pieces[0].start, run.gap))
            at = run.pieces[-1].end
        return found

    @property
    def etag(self) -> str:
        """A hash over all pieces."""
        return continued_etag("", self.ranges())

    @property
    def counts(self) -> Counts:
        runs = [run for _, run in self.runs()]
        count, size = sum(len(run.pieces) for run in runs), sum(each.length for each in self.ranges())
        return Counts(count, len(runs), len(self.tracks), size)


def stream_number(track: int, audio: int | None = None) -> int:
    """Return the number that a stream of a track has in the facts of the recording: its video, or one of its audio."""
    return track * (1 + MAX_AUDIO_STREAMS) + (0 if audio is None else 1 + audio)


def track_of(stream: int) -> int:
    """Return the track of a stream with this number in the facts of the recording."""
    return stream // (1 + MAX_AUDIO_STREAMS)


def continued_etag(etag: str, added: Iterable[ObjectRange]) -> str:
    """Return the ETag of an index after pieces were added to one with this ETag."""
    digest = etag.encode()
    for each in added:
        digest = hashlib.sha256(digest + repr(tuple(each)).encode()).digest()
    return f"pieces-{digest.hex()[:32]}"
