"""Playlists as documents that a child parses: their segments in columns, whose keys are checked again."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import repeat
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

from clipengine.basis.budget import Allowance, whole_number
from clipengine.basis.documents import STRICT, Document
from clipengine.errors import TooManyPieces
from clipengine.recordings.playlist import (
    MAX_ALL_SEGMENTS,
    MAX_REASON,
    MAX_SEGMENT_SECONDS,
    MAX_SEGMENTS,
    MAX_URI_BYTES,
    PLAIN_NAME,
    MasterPlaylist,
    MediaPlaylist,
    Rendition,
    Variant,
    parse_playlist,
)
from clipengine.recordings.segments import ByteRange, Segment, Segments

_BLOCK = 1000  # segments of a line: checked and made by calls that hold the interpreter
_MOST_LINES = MAX_SEGMENTS // _BLOCK + 2
_MAX_LINE_BYTES = 4 << 20
_MAX_INTEGER = (1 << 63) - 1
_MAX_DENOMINATOR = 10**12

_Head = tuple[bool, int, int, str | None]  # ended, first, target_seconds, invalid_date
_Master = tuple[
    list[tuple[str, tuple[int, int], int, str | None, str | None, str | None]],
    list[tuple[bool, str, str | None, str | None, str | None]],
]
_HEAD: TypeAdapter[_Head] = TypeAdapter(_Head, config=STRICT)
_MASTER: TypeAdapter[_Master] = TypeAdapter(_Master, config=STRICT)
_MASTER_MARK = b"master\n"
_MARKS = frozenset({"Cc", "Cs"})

T = TypeVar("T")


def segments_allowance(limit: int = MAX_ALL_SEGMENTS, *, of: str = "the recording") -> Allowance:
    """Return the budget of segments that several playlists share."""
    return Allowance(limit, "segments", of=of, refusal=TooManyPieces)


def _parse(
    data: bytes, *, key: str, folder: str, base_url: str, segments: tuple[int, int, str]
) -> MediaPlaylist | MasterPlaylist:
    left, limit, owner = segments
    allowance = segments_allowance(limit, of=owner)
    allowance.spend(limit - left)
    return parse_playlist(data, key=key, folder=folder, base_url=base_url, segments=allowance)


def pack_playlist(playlist: MediaPlaylist | MasterPlaylist) -> bytes:
    """Return a playlist as lines of JSON: what describes it, and blocks of segments in columns."""
    if isinstance(playlist, MasterPlaylist):
        return _MASTER_MARK + _json([playlist.variants, playlist.renditions])
    lines = [_json([playlist.ended, playlist.first, playlist.target_seconds, playlist.invalid_date])]
    segments = playlist.segments
    lines += [_json(_columns(segments[first : first + _BLOCK])) for first in range(0, len(segments), _BLOCK)]
    return b"\n".join(lines)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _columns(segments: Sequence[Segment]) -> list[Any]:
    """Return the columns of a block, each as its distinct values and the number of the value in each segment."""
    columns: list[list[Any]] = [
        [each.data.key for each in segments],
        [each.data.offset for each in segments],
        [each.data.length for each in segments],
        [each.init for each in segments],
        [str(each.seconds) for each in segments],
        [each.discontinuity for each in segments],
        [each.gap for each in segments],
        [each.date for each in segments],
        [each.encrypted for each in segments],
    ]
    return [_short(column) for column in columns]


def _short(column: list[Any]) -> list[Any]:
    """Return a column, or one value and its count if all are equal."""
    return [column[0], len(column)] if column.count(column[0]) == len(column) else [column]


def unpack_playlist(data: bytes, *, key: str, folder: str, **values: Any) -> MediaPlaylist | MasterPlaylist:
    """Return the playlist of `pack_playlist`, all of whose keys are in the folder. Raises ValueError."""
    check = _KeyCheck(key, folder)
    if data.startswith(_MASTER_MARK):
        return _master(data[len(_MASTER_MARK) :], check)
    lines = data.split(b"\n", _MOST_LINES)
    if len(lines) > _MOST_LINES or max(map(len, lines)) > _MAX_LINE_BYTES:
        raise ValueError("the child has returned too many lines, or too long a line")
    ended, first, target, invalid = _HEAD.validate_json(lines[0])
    invalid = None if invalid is None else invalid[:MAX_REASON]
    found = MediaPlaylist(Segments(), ended, _number(first), _number(target, MAX_SEGMENT_SECONDS), invalid)
    for line in lines[1:]:
        found.segments += _segments(json.loads(line), check)
    if not 0 < len(found.segments) <= MAX_SEGMENTS:
        raise ValueError(f"the child has returned {len(found.segments)} segments")
    return found


def _master(data: bytes, check: _KeyCheck) -> MasterPlaylist:
    variants, renditions = _MASTER.validate_json(data)
    found = MasterPlaylist([Variant(*each) for each in variants], [Rendition(*each) for each in renditions])
    for key in (*(each.key for each in found.variants), *(each.key for each in found.renditions)):
        if key is not None:
            check(key)
    return found


class _KeyCheck:
    """Checks that a key names an object in the folder of a playlist, as `resolve_uri` does."""

    def __init__(self, playlist: str, folder: str) -> None:
        self._playlist, self._folder = playlist, folder
        self._most = len(playlist) + MAX_URI_BYTES

    def __call__(self, key: object) -> str:
        if not isinstance(key, str) or not key.startswith(self._folder) or len(key) > self._most:
            raise ValueError("a key is outside the folder of the playlist")
        if PLAIN_NAME.fullmatch(key, len(self._folder)):
            return key  # nearly all
        if "\\" in key or not (key.isprintable() or _MARKS.isdisjoint(map(unicodedata.category, key))):
            raise ValueError("a key is not that of an object")
        if {"", ".", ".."} & {*key.split("/")}:
            raise ValueError("a key is not the only spelling of a path")
        return key

    def of_segment(self, key: object) -> str:
        """Return the key of a segment or a header. Raises ValueError if it is the key of the playlist."""
        if key == self._playlist:
            raise ValueError("the playlist is its own segment")
        return self(key)


def _segments(block: Any, check: _KeyCheck) -> Iterator[Segment]:
    keys, offsets, lengths, inits, seconds, runs, gaps, dates, encrypted = map(_long, block)
    if len({*map(len, (keys, offsets, lengths, inits, seconds, runs, gaps, dates, encrypted))}) > 1:
        raise ValueError("columns of segments have different lengths")
    ranges = map(
        ByteRange,
        _each(keys, check.of_segment),
        _each(offsets, _number),
        _each(lengths, _optional(_number)),
    )
    inits = _each([None if each is None else tuple(each) for each in inits], _optional(_init(check)))
    return map(
        Segment,
        ranges,
        inits,
        _each(seconds, _seconds),
        _each(runs, _number),
        _each(gaps, _flag),
        _each(dates, _optional(_number)),
        _each(encrypted, _flag),
    )


def _long(column: list[Any]) -> list[Any]:
    if len(column) == 1:
        values = column[0]
    else:
        value, count = column
        values = list(repeat(value, count if type(count) is int and 0 <= count <= _BLOCK else -1))
    if not isinstance(values, list) or not 0 < len(values) <= _BLOCK:
        raise ValueError("a column of segments is not one")
    return values


def _each(column: list[Any], make: Callable[[Any], T]) -> list[T]:
    """Return the values of a column, each of which is checked once: most columns have few distinct ones."""
    made = {value: make(value) for value in dict.fromkeys(column)}
    return [made[value] for value in column]


def _optional(make: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else make(value)


def _init(check: _KeyCheck) -> Callable[[Any], ByteRange]:
    def make(value: tuple[Any, ...]) -> ByteRange:
        key, offset, length = value
        return ByteRange(check.of_segment(key), _number(offset), None if length is None else _number(length))

    return make


def _number(value: Any, most: int = _MAX_INTEGER) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("a number of a segment is out of range")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("a segment has an invalid flag")
    return value


def _seconds(value: Any) -> Fraction:
    before, _, after = cast(str, value).partition("/")
    whole = whole_number(before, MAX_SEGMENT_SECONDS * _MAX_DENOMINATOR)
    parts = whole_number(after or "1", _MAX_DENOMINATOR)
    if whole is None or not parts or whole > parts * MAX_SEGMENT_SECONDS:
        raise ValueError("a duration of a segment is out of range")
    return Fraction(whole, parts)


PLAYLIST: Document[MediaPlaylist | MasterPlaylist] = Document(
    "playlist", 200_000, _parse, pack_playlist, unpack_playlist
)
