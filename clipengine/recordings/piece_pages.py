"""Pages of pieces for the ledger: columns of JSON, compressed, which take about 34 bytes a piece."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from clipengine.recordings.pieces import Dated, ObjectRange, Piece, PieceIndex, Run, Track

PAGE_PIECES = 256


class PiecePage(NamedTuple):
    """Consecutive pieces of a track. `first` is the number of the first one, `start_us` its place."""

    track: int
    first: int
    start_us: int
    data: bytes


def pack_pages(index: PieceIndex) -> Iterator[PiecePage]:
    """Yield the pages of all tracks in order."""
    for number, track in enumerate(index.tracks):
        pieces = [piece for run in track.runs for piece in run.pieces]
        for first in range(0, len(pieces), PAGE_PIECES):
            page = pieces[first : first + PAGE_PIECES]
            yield PiecePage(number, first, page[0].start, _packed(_columns(page)))


def pack_head(index: PieceIndex) -> bytes:
    """Return everything of the index but its pieces: the tracks and their runs."""
    tracks = [
        {
            "kind": track.kind,
            "title": track.title,
            "language": track.language,
            "runs": [
                [run.discontinuity, run.init, run.gap, len(run.pieces), str(run.shift), run.first_dated, run.last_dated]
                for run in track.runs
            ],
        }
        for track in index.tracks
    ]
    return _packed(tracks)


def unpack(head: bytes, pages: Sequence[PiecePage]) -> PieceIndex:
    """Return the index of its head and its pages."""
    tracks = []
    for number, packed in enumerate(_unpacked(head)):
        own = sorted(page for page in pages if page.track == number)
        pieces = (piece for page in own for piece in _pieces(_unpacked(page.data)))
        runs = []
        for discontinuity, init, gap, count, shift, *dates in packed["runs"]:
            taken = [next(pieces) for _ in range(count)]
            first, last = (None if each is None else Dated(*each) for each in dates)
            runs.append(Run(discontinuity, init and ObjectRange(*init), gap, taken, Fraction(shift), first, last))
        tracks.append(Track(packed["kind"], runs, packed["title"], packed["language"]))
    return PieceIndex(tracks)


def _columns(pieces: Sequence[Piece]) -> list[list[Any]]:
    """Return the columns. Most values equal the one before, or differ by the length, so that they compress well."""
    rows = [(*piece.data, piece.start, piece.duration) for piece in pieces]
    return [list(column) for column in zip(*rows, strict=True)]


def _pieces(columns: list[list[Any]]) -> Iterator[Piece]:
    for key, etag, offset, length, start, duration in zip(*columns, strict=True):
        yield Piece(ObjectRange(key, etag, offset, length), start, duration)


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9)


def _unpacked(data: bytes) -> Any:
    return json.loads(zlib.decompress(data))
