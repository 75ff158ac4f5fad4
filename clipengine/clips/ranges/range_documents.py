"""Files of ranges as documents: files that a child parses, and files that it writes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from fractions import Fraction
from typing import Any

from pydantic import TypeAdapter

from clipengine.basis.documents import STRICT, Document, packed_rows, unpacked_rows
from clipengine.basis.timecode import exact
from clipengine.clips.ranges.formats import format_ranges, parse_ranges
from clipengine.clips.ranges.range_file import MAX_ROWS, ListedRange, Note, RangeFile, RangeFormat, RangeSource

_MAX_TERM = 1 << 128  # of a time as a fraction
_MAX_NOTES = 50_000
_MAX_WRITTEN_BYTES = 64 << 20  # 5,000 ranges with long labels as XML have about 20 MB

_Times = tuple[int, tuple[int, int], tuple[int, int], str]
_TIMES: TypeAdapter[_Times] = TypeAdapter(_Times, config=STRICT)
_Head = tuple[str, list[tuple[int | None, str]]]
_HEAD: TypeAdapter[_Head] = TypeAdapter(_Head, config=STRICT)


def _parse(data: bytes, *, duration: str, rate: str | None, first_frame: str) -> RangeFile:
    rate_found = None if rate is None else Fraction(rate)
    return parse_ranges(data, duration=Fraction(duration), rate=rate_found, first_frame=Fraction(first_frame))


def _pack(found: RangeFile) -> bytes:
    rows = ([each.line, _ratio(each.start), _ratio(each.end), each.label] for each in found.ranges)
    return packed_rows([[found.unit, found.notes], *rows])


def _ratio(time: Fraction) -> tuple[int, int]:
    return time.as_integer_ratio()


def _unpack(data: bytes, **values: Any) -> RangeFile:
    head, _, rows = data.partition(b"\n")
    unit, notes = _HEAD.validate_json(head)
    ranges = (
        ListedRange(line, _time(start), _time(end), label)
        for line, start, end, label in unpacked_rows(rows, _TIMES, most=MAX_ROWS)
    )
    return RangeFile(tuple(ranges), tuple(Note(*each) for each in notes[:_MAX_NOTES]), unit)


def _time(ratio: tuple[int, int]) -> Fraction:
    above, below = ratio
    if not (0 < below < _MAX_TERM and abs(above) < _MAX_TERM):
        raise ValueError("a time is out of range")
    return Fraction(above, below)


def range_list(ranges: Sequence[tuple[float, float, str]]) -> bytes:
    """Return ranges, with their labels, as `RANGE_LIST` writes them."""
    return json.dumps(ranges, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def source_values(source: RangeSource) -> dict[str, Any]:
    """Return a recording as values of `RANGE_LIST`."""
    return {name: str(value) if isinstance(value, Fraction) else value for name, value in asdict(source).items()}


def _source(values: Mapping[str, Any]) -> RangeSource:
    times = {each.name for each in fields(RangeSource) if "Fraction" in str(each.type)}
    given: dict[str, Any] = {
        name: Fraction(each) if name in times and each is not None else each for name, each in values.items()
    }
    return RangeSource(**given)


def _write(data: bytes, *, kind: RangeFormat, source: Mapping[str, Any]) -> bytes:
    ranges = [
        ListedRange(number, exact(start), exact(end), label)
        for number, (start, end, label) in enumerate(json.loads(data), 1)
    ]
    return format_ranges(kind, ranges, _source(source)).encode(errors="replace")


def _compressed(text: bytes) -> bytes:
    return zlib.compress(text, 1)


def _expanded(data: bytes, **values: Any) -> bytes:
    stream = zlib.decompressobj()
    text = stream.decompress(data, _MAX_WRITTEN_BYTES)
    if not stream.eof:
        raise ValueError(f"the file has more than {_MAX_WRITTEN_BYTES} bytes")
    return text


RANGE_FILE: Document[RangeFile] = Document("ranges", 24_000, _parse, _pack, _unpack)
RANGE_LIST: Document[bytes] = Document("range list", 4000, _write, _compressed, _expanded)
