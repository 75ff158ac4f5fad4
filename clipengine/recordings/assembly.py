"""Assembly of an index from playlists: segments become runs of pieces, and missing ones become gaps."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from clipengine.errors import PlaylistInvalid, TooManyPieces
from clipengine.recordings.piece_columns import Pieces
from clipengine.recordings.pieces import (
    MAX_INIT_BYTES,
    MAX_RUNS,
    MICROSECONDS,
    Dated,
    GapReason,
    ObjectRange,
    Piece,
    PieceIndex,
    Run,
    Track,
    TrackKind,
)
from clipengine.recordings.playlist import MediaPlaylist
from clipengine.recordings.segments import ByteRange, Segment


class StoredPiece(NamedTuple):
    """An object of the store that has pieces."""

    etag: str
    size: int


class StoredPieces(Mapping[str, StoredPiece]):
    """Objects of the store by their keys, in columns: an object takes 24 bytes and its ETag, instead of 170."""

    def __init__(self, found: Iterable[tuple[str, StoredPiece]]) -> None:
        """Keep objects in the order of their keys."""
        self._keys: list[str] = []
        self._etags: list[str] = []
        self._sizes = array("q")
        for key, (etag, size) in found:
            self._keys.append(key)
            self._etags.append(etag)
            self._sizes.append(size)

    def __getitem__(self, key: str) -> StoredPiece:
        number = bisect_left(self._keys, key)
        if number == len(self._keys) or self._keys[number] != key:
            raise KeyError(key)
        return StoredPiece(self._etags[number], self._sizes[number])

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class ListedTrack(NamedTuple):
    """A track with its playlist, and the key of that."""

    kind: TrackKind
    playlist: MediaPlaylist
    title: str | None = None
    language: str | None = None
    key: str = ""
    own_clock: bool = False


class ListedText(NamedTuple):
    """A text with its playlist."""

    playlist: MediaPlaylist
    title: str | None
    language: str | None


def assemble(listed: list[ListedTrack], stored: Mapping[str, StoredPiece]) -> PieceIndex:
    """Return the index of the tracks, whose objects are `stored`. Pieces of missing objects are left out.

    The pieces have the places that the playlist states. A playlist loses its segments when its last track is made.
    Raises PlaylistInvalid or TooManyPieces.
    """
    if not any(_makes_piece(each, stored) for each in _segments(listed)):
        raise PlaylistInvalid(_why_unusable(_segments(listed), stored))
    left = Counter(id(each.playlist) for each in listed)  # several tracks may have one playlist
    tracks = []
    for each in listed:
        runs = list(_runs(each.playlist.segments, stored))
        tracks.append(Track(each.kind, runs, each.title, each.language, each.own_clock))
        left[id(each.playlist)] -= 1
        if not left[id(each.playlist)]:
            each.playlist.segments.clear()
    tracks = [track for track in tracks if track.runs]
    check_runs(sum(len(track.runs) for track in tracks))
    return PieceIndex(tracks)


def _segments(listed: Iterable[ListedTrack]) -> Iterator[Segment]:
    return (segment for each in listed for segment in each.playlist.segments)


def _makes_piece(segment: Segment, stored: Mapping[str, StoredPiece]) -> bool:
    if segment.gap or segment.encrypted or not is_stored(segment.data, stored):
        return False
    return segment.init is None or is_stored(segment.init, stored)


def check_runs(count: int) -> None:
    """Raise TooManyPieces if a recording must not have as many runs."""
    if count > MAX_RUNS:
        raise TooManyPieces(f"the recording has more than {MAX_RUNS} discontinuities and gaps")


def continued(end: Track, segments: Sequence[Segment], stored: Mapping[str, StoredPiece]) -> Track:
    """Return the runs of segments that follow the end of a track.

    `end` has the last run of the track with its last piece only. The first run begins with this piece. Raises
    PlaylistInvalid.
    """
    (last,) = end.runs
    dates = [] if last.last_dated is None else [last.last_dated]
    first = replace(last, gap=None, dates=dates)
    return replace(end, runs=list(_runs(segments, stored, first)))


def _runs(segments: Iterable[Segment], stored: Mapping[str, StoredPiece], run: Run | None = None) -> Iterator[Run]:
    """Yield the runs of the segments. The first one continues the `run`, if it is given."""
    at, pieces = 0, Pieces()
    if run is not None:
        at, pieces = run.pieces[-1].end, Pieces(run.pieces)
        run = replace(run, pieces=pieces)
    gap: GapReason | None = None
    seconds, duration = None, 0
    for segment in segments:
        if segment.seconds is not seconds:  # most segments share one duration object
            seconds, duration = segment.seconds, round(segment.seconds * MICROSECONDS)
        data = None if segment.gap or segment.encrypted else _range(segment.data, stored)
        init = None if segment.init is None else _init(segment.init, stored)
        if data is None or (segment.init is not None and init is None):
            gap = "encrypted" if segment.encrypted else gap or "missing"
        else:
            if run is None or gap or (run.discontinuity, run.init) != (segment.discontinuity, init):
                resets = 0
                if run is not None:
                    resets = run.clock_resets if run.discontinuity == segment.discontinuity else 0
                    yield run
                pieces = Pieces()
                run = Run(segment.discontinuity, init, gap, pieces, clock_resets=resets)
            pieces.append(Piece(data, at, duration))
            if segment.date is not None:
                run.last_dated = Dated(len(pieces) - 1, segment.date)
                run.dates.append(run.last_dated)
                run.first_dated = run.first_dated or run.last_dated
            gap = None
        at += duration
    if run is not None:
        yield run


def _init(found: ByteRange, stored: Mapping[str, StoredPiece]) -> ObjectRange | None:
    init = _range(found, stored)
    if init is not None and init.length > MAX_INIT_BYTES:
        raise PlaylistInvalid(f"a header of the playlist has more than {MAX_INIT_BYTES >> 20} MiB")
    return init


def _why_unusable(segments: Iterable[Segment], stored: Mapping[str, StoredPiece]) -> str:
    """Return why no segment makes a piece: the first cause in a segment whose object is in the store."""
    for segment in segments:
        known = None if segment.gap or segment.encrypted else stored.get(segment.data.key)
        if known is None:
            continue
        for found, name in ((segment.data, "a segment of the playlist"), (segment.init, "the header (EXT-X-MAP)")):
            if found is not None and _range(found, stored) is None:
                return _why_missing(found, stored.get(found.key), name)
    return "none of the objects that the playlist names is in the store"


def _why_missing(found: ByteRange, known: StoredPiece | None, name: str) -> str:
    if known is None:
        return f"{name} is not in the store: {found.key}"
    if found.length is None or known.size == 0:
        return f"{name} is empty: {found.key}"
    last = found.offset + found.length - 1
    return f"{name} is incomplete: {found.key} has {known.size} bytes, and its byte range is {found.offset} to {last}"


def is_stored(data: ByteRange, stored: Mapping[str, StoredPiece]) -> bool:
    """Return True if the object of a segment has all of its bytes."""
    return _range(data, stored) is not None


def _range(found: ByteRange, stored: Mapping[str, StoredPiece]) -> ObjectRange | None:
    """Return the range of the stored object, or None if the object is missing, empty or too short."""
    known = stored.get(found.key)
    if known is None:
        return None
    length = known.size - found.offset if found.length is None else found.length
    if length <= 0 or found.offset + length > known.size:
        return None
    return ObjectRange(found.key, known.etag, found.offset, length)
