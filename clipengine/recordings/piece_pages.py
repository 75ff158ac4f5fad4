"""Pages of pieces for the ledger: columns of JSON, compressed, which take about 34 bytes a piece."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain, islice
from typing import Any, NamedTuple

from clipengine.basis.row_format import FIRST_FORMAT
from clipengine.recordings.piece_columns import Pieces
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
        pieces, first = chain.from_iterable(run.pieces for run in track.runs), 0
        while page := list(islice(pieces, PAGE_PIECES)):
            yield PiecePage(number, first, page[0].start, _packed(_columns(page)))
            first += len(page)


def format_of(index: PieceIndex) -> int:
    """Return the format of rows that engines must know to read an index.

    Engines of 0.2.0 know no clocks of tracks, no clock resets, and no bytes between a header and its first piece.
    """
    has_clocks = any(track.own_clock for track in index.tracks)
    return 2 if has_clocks or any(run.clock_resets or run.distance for _, run in index.runs()) else FIRST_FORMAT


def pack_head(index: PieceIndex) -> bytes:
    """Return everything of the index but its pieces: the tracks and their runs."""
    tracks = [
        {
            "kind": track.kind,
            "title": track.title,
            "language": track.language,
            "runs": [_packed_run(run) for run in track.runs],
            **({"own_clock": True} if track.own_clock else {}),
        }
        for track in index.tracks
    ]
    return _packed(tracks)


def pack_added(head: bytes, lasts: Sequence[PiecePage], tail: PieceIndex) -> tuple[bytes, list[PiecePage]]:
    """Return the head of an index, and the changed and new pages, after pieces were added.

    `lasts` are the last pages of all tracks. The first run of each track of `tail` begins with the last piece of the
    index, the others follow it.
    """
    tracks, pages = _unpacked(head), []
    for number, (packed, track) in enumerate(zip(tracks, tail.tracks, strict=True)):
        first, *others = track.runs
        _add_to_run(packed["runs"][-1], first)
        packed["runs"] += [_packed_run(run) for run in others]
        page = next(each for each in lasts if each.track == number)
        added = [*first.pieces[1:], *(piece for run in others for piece in run.pieces)]
        pieces = [*_pieces(_unpacked(page.data)), *added]
        for begin in range(0, len(pieces) if added else 0, PAGE_PIECES):
            taken = pieces[begin : begin + PAGE_PIECES]
            pages.append(PiecePage(number, page.first + begin, taken[0].start, _packed(_columns(taken))))
    return _packed(tracks), pages


def _add_to_run(packed: list[Any], run: Run) -> None:
    """Add the pieces of a run after its first one, which the packed run has already."""
    before = packed[3] - 1
    packed[3] += len(run.pieces) - 1
    for place, dated in ((5, run.first_dated), (6, run.last_dated)):
        if dated is not None and dated.number and (place == 6 or packed[5] is None):
            packed[place] = [dated.number + before, dated.date]


def _packed_run(run: Run) -> list[Any]:
    dates = run.first_dated, run.last_dated
    resets = [run.clock_resets] if run.clock_resets else []  # few have one
    return [run.discontinuity, run.init, run.gap, len(run.pieces), str(run.shift), *dates, *resets]


def unpack_end(head: bytes, lasts: Sequence[PiecePage]) -> PieceIndex:
    """Return the last run of each track with its last piece only, dated as the last one that has a date."""
    tracks = []
    for number, packed in enumerate(_unpacked(head)):
        discontinuity, init, gap, count, shift, _, dated, *resets = packed["runs"][-1]
        page = next(each for each in lasts if each.track == number)
        pieces = [*_pieces(_unpacked(page.data))]
        run = Run(discontinuity, init and ObjectRange(*init), gap, pieces[-1:], Fraction(shift))
        run.clock_resets = sum(resets)
        place = None if dated is None else dated[0] - count + len(pieces)  # in the page
        if dated is not None and place is not None and place >= 0:
            run.last_dated = Dated(0, dated[1] + run.pieces[0].start - pieces[place].start)
        track = _track(packed, [run])
        track.earlier = {(each[0], sum(each[7:])): Fraction(each[4]) for each in packed["runs"][:-1]}
        tracks.append(track)
    return PieceIndex(tracks)


def unpack(head: bytes, pages: Sequence[PiecePage]) -> PieceIndex:
    """Return the index of its head and its pages."""
    tracks = []
    for number, packed in enumerate(_unpacked(head)):
        own = sorted(page for page in pages if page.track == number)
        pieces = (piece for page in own for piece in _pieces(_unpacked(page.data)))
        runs = []
        for discontinuity, init, gap, count, shift, first_dated, last_dated, *resets in packed["runs"]:
            taken = Pieces(next(pieces) for _ in range(count))
            first, last = (None if each is None else Dated(*each) for each in (first_dated, last_dated))
            header = init and ObjectRange(*init)
            runs.append(Run(discontinuity, header, gap, taken, Fraction(shift), first, last, sum(resets)))
        tracks.append(_track(packed, runs))
    return PieceIndex(tracks)


def _track(packed: dict[str, Any], runs: list[Run]) -> Track:
    return Track(packed["kind"], runs, packed["title"], packed["language"], packed.get("own_clock", False))


def _columns(pieces: Sequence[Piece]) -> list[list[Any]]:
    """Return the columns. Most values repeat, or advance by the length, so that they compress well."""
    rows = [(*piece.data, piece.start, piece.duration) for piece in pieces]
    return [list(column) for column in zip(*rows, strict=True)]


def _pieces(columns: list[list[Any]]) -> Iterator[Piece]:
    for key, etag, offset, length, start, duration in zip(*columns, strict=True):
        yield Piece(ObjectRange(key, etag, offset, length), start, duration)


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9)


def _unpacked(data: bytes) -> Any:
    return json.loads(zlib.decompress(data))
