"""Files with lists of ranges: code for all formats, CSV with a header, and the CSV of LosslessCut. Pure.

A file comes from outside: its size, its lines and its rows are limited while they are read, and each error names the
line.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, NamedTuple

from clipengine.basis.budget import Allowance, LineReader, TextLimits
from clipengine.basis.timecode import parse_time
from clipengine.clips.cut_range import END_TOLERANCE_SECONDS
from clipengine.clips.labels import check_label
from clipengine.clips.texts.cues import clean_line
from clipengine.errors import InvalidLabel, InvalidRequest

RangeFormat = Literal["csv", "losslesscut", "edl", "otio", "fcpxml", "xmeml"]
MAX_FILE_BYTES = 1_000_000
MAX_ROWS = 5000
MAX_ITEMS = 5 * MAX_ROWS  # events or clips: a range has one on each of its tracks
MAX_LINES = 2 * MAX_ITEMS
MAX_LINE_CHARACTERS = 10_000
_MAX_TIME_CHARACTERS = 40
_HINT = "Correct the file; docs/cli describes the formats."
_MARKED_COLUMNS, _LABEL_MARK = 4, 3  # of the CSV of LosslessCut if all labels look like times
_TIME = re.compile(r"[\d:]+(\.\d*)?\Z", re.ASCII)
_FORMULAS = tuple("=+-@")
_LABELS, _STARTS, _ENDS = ("label", "name", "title"), ("start", "start_seconds"), ("end", "end_seconds")


@dataclass(frozen=True)
class ListedRange:
    """A range in a file, or for one. `line` is the number of its line, or of the clip in a timeline."""

    line: int
    start: Fraction
    end: Fraction
    label: str = ""


class Note(NamedTuple):
    """A note about a part of a file that is not used. `line` is None if it concerns several lines."""

    line: int | None
    text: str

    def __str__(self) -> str:
        return self.text if self.line is None else f"line {self.line}: {self.text}"


@dataclass(frozen=True)
class RangeFile:
    """The ranges of a file, in its order, and notes about unused parts. Errors count in the `unit`."""

    ranges: tuple[ListedRange, ...]
    notes: tuple[Note, ...] = ()
    unit: str = "line"


@dataclass(frozen=True)
class RangeSource:
    """The recording of the ranges in a file, with its first tracks. Without video, `rate` is None and sizes are 0.

    `width` and `height` describe the stored picture, which players rotate by `rotation` degrees. `first_frame` is
    the time of the first frame: frames are counted from it, because editing programs ignore the edit list of a file
    whose audio begins before its video.
    """

    title: str
    file_name: str
    duration: Fraction
    rate: Fraction | None = None
    width: int = 0
    height: int = 0
    channels: int = 0
    sample_rate: int = 0
    rotation: int = 0
    first_frame: Fraction = Fraction(0)

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height of the rotated picture."""
        return (self.height, self.width) if self.rotation % 180 else (self.width, self.height)

    def frame_rate(self) -> Fraction:
        """Return the frame rate. Raises InvalidRequest if there is none."""
        if self.rate is None or self.rate <= 0:
            hint = "Choose another format."
            raise InvalidRequest("times in this format count frames, and the recording has no frame rate", hint=hint)
        return self.rate


def later(found: RangeFile, delay: Fraction) -> RangeFile:
    """Return the file with all of its ranges moved by the delay of the first frame."""
    ranges = tuple(replace(each, start=each.start + delay, end=each.end + delay) for each in found.ranges)
    return replace(found, ranges=ranges)


class Row(NamedTuple):
    """The cells of a line of a CSV file."""

    line: int
    cells: list[str]
    decimal_comma: bool = False

    def time(self, column: int) -> str:
        """Return the text of a time, or an empty string if the line has no such column."""
        text = self.cells[column].strip() if column < len(self.cells) else ""
        return text.replace(",", ".") if self.decimal_comma else text


def fault(line: int, text: str, unit: str = "line") -> InvalidRequest:
    """Return the error about a line of the file, or about another numbered unit."""
    return InvalidRequest(f"{unit} {line}: {text}", hint=_HINT)


def _refusal(message: str) -> InvalidRequest:
    return InvalidRequest(message, hint="Send UTF-8 text within these limits; split a file of more ranges.")


_LIMITS = TextLimits("the file", _refusal, MAX_FILE_BYTES, MAX_LINES, MAX_LINE_CHARACTERS)


def allowance(limit: int, things: str) -> Allowance:
    """Return a budget of things in the file, which ends with InvalidRequest."""
    return Allowance(limit, things, of="the file", refusal=_refusal)


def file_text(data: bytes) -> str:
    """Return the text of a file that is not read by lines. Raises InvalidRequest if it is too large or not UTF-8."""
    LineReader(_LIMITS).check_size(len(data))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refusal("the file is not UTF-8") from None


def text_lines(data: bytes) -> list[str]:
    """Return the lines of a file without their ends. Raises InvalidRequest if it exceeds a limit or is not UTF-8."""
    reader = LineReader(_LIMITS)
    reader.check_size(len(data))
    feeds = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return [line for block in reader.blocks(feeds) for line in block]


def checked(found: RangeFile, duration: Fraction) -> RangeFile:
    """Return the ranges of a recording of this duration with cleaned labels.

    Raises InvalidRequest if there are none or too many, or for a range that is invalid.
    """
    if not found.ranges:
        raise InvalidRequest("the file has no ranges", hint=_HINT)
    allowance(MAX_ROWS, "ranges").spend(len(found.ranges))
    return replace(found, ranges=tuple(_checked(each, duration, found.unit) for each in found.ranges))


def _checked(each: ListedRange, duration: Fraction, unit: str) -> ListedRange:
    start, end = float(each.start), float(each.end)
    if each.end <= each.start:
        raise fault(each.line, f"the end ({end:g} s) is not after the start ({start:g} s)", unit)
    if each.start >= duration or each.end > duration + Fraction(END_TOLERANCE_SECONDS):
        raise fault(each.line, f"{start:g} to {end:g} s is past the recording's end at {float(duration):g} s", unit)
    label = " ".join(each.label.split())
    try:
        return replace(each, label=check_label(label) if label else "")
    except InvalidLabel as error:
        raise fault(each.line, error.message, unit) from None


def without_copies(found: Sequence[tuple[ListedRange, bool]]) -> Iterator[ListedRange]:
    """Yield the ranges of tracks, each with whether it is audio; of video and audio of the same range, one."""
    spans = {(each.start, each.end) for each, is_audio in found if not is_audio}
    for each, is_audio in found:
        span = each.start, each.end
        if not is_audio or span not in spans:
            spans.add(span)
            yield each


def parse_csv(lines: Sequence[str], duration: Fraction) -> RangeFile:
    """Return the ranges of a CSV file: columns by the names in its header, or label,start,end, or start,end,label.

    An empty start is the beginning of the recording, an empty end its end. Raises InvalidRequest.
    """
    rows = list(_rows(lines))
    if not rows:
        return RangeFile(())
    names = [cell.strip().lower() for cell in rows[0].cells]
    if set(names) & set(_STARTS) and set(names) & set(_ENDS):
        return _with_header(names, rows, duration)
    label, start, end = _columns(rows)
    return RangeFile(tuple(_range(row, label, start, end, duration) for row in rows))


def _rows(lines: Sequence[str]) -> Iterator[Row]:
    """Yield the rows that are not empty, one of which may be a header."""
    left = allowance(MAX_ROWS + 1, "rows")
    first = next((line for line in lines if line.strip()), "")
    delimiter = _delimiter(first)
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise fault(line, f"it is not CSV: {error}") from None
        if any(cell.strip() for cell in cells):
            left.spend()
            yield Row(line, cells, decimal_comma=delimiter == ";")
        line = reader.line_num + 1


def _delimiter(first: str) -> str:
    """Return a semicolon if the first line has no comma, or only commas in its times: `1,5;2,5;Goal`."""
    by_comma = Row(1, first.split(","))
    if any(_is_time(by_comma, column) and _is_time(by_comma, column + 1) for column in (0, 1)):
        return ","  # semicolons are part of its label
    row = Row(1, first.split(";"), decimal_comma=True)
    times = sum(_is_time(row, column, empty=True) for column in range(len(row.cells)))
    return ";" if len(row.cells) > 1 and ("," not in first or times > 1) else ","


def _with_header(names: Sequence[str], rows: Sequence[Row], duration: Fraction) -> RangeFile:
    found = [next((names.index(name) for name in known if name in names), None) for known in (_LABELS, _STARTS, _ENDS)]
    label, start, end = found
    assert start is not None
    assert end is not None
    unused = [name for number, name in enumerate(names) if number not in found and name]
    notes = [Note(None, f"the columns {', '.join(unused)[:200]} are not used")] if unused else []
    return RangeFile(tuple(_range(row, label, start, end, duration) for row in rows[1:]), tuple(notes))


def _columns(rows: Sequence[Row]) -> tuple[int, int, int]:
    """Return the columns of label, start and end of a file without a header."""
    last = all(_is_time(row, 0, empty=True) and _is_time(row, 1, empty=True) for row in rows)
    first = all(_is_time(row, 1) and _is_time(row, 2) for row in rows)
    if first and last and all(len(row.cells) == _MARKED_COLUMNS and not row.time(_LABEL_MARK) for row in rows):
        return 2, 0, 1
    if first and last:
        raise fault(rows[0].line, "start,end,label or label,start,end? Add a header line that says which it is")
    if first:
        return 0, 1, 2
    if last:
        return 2, 0, 1
    for row in rows:
        if not (_is_time(row, 0, empty=True) and _is_time(row, 1, empty=True)) and not _is_time(row, 1):
            raise fault(row.line, "it must be start,end,label or label,start,end, with times such as 90.5 or 1:02.5")
    raise InvalidRequest("some lines are start,end,label and others label,start,end", hint=_HINT)


def _is_time(row: Row, column: int, *, empty: bool = False) -> bool:
    text = row.time(column)
    return _TIME.match(text) is not None if text else empty and column < len(row.cells)


def _range(row: Row, label: int | None, start: int, end: int, duration: Fraction) -> ListedRange:
    if len(row.cells) <= max(start, end):
        raise fault(row.line, "it has no start and end")
    name = row.cells[label] if label is not None and label < len(row.cells) else ""
    first, last = row.time(start), row.time(end)
    times = seconds(row.line, first) if first else Fraction(0), seconds(row.line, last) if last else duration
    return ListedRange(row.line, *times, _unsafe(name.strip()))


def seconds(line: int, text: str) -> Fraction:
    """Return the time in a cell in seconds. Raises InvalidRequest."""
    if len(text) > _MAX_TIME_CHARACTERS:
        raise fault(line, f"{text[:20]!r}… is not a time")
    try:
        return parse_time(text)
    except ValueError as error:
        raise fault(line, str(error)) from None


def _safe(label: str) -> str:
    """Return a label as the text of a cell that spreadsheets and terminals only show, on one line.

    A cell that looks like a formula begins with an apostrophe, as spreadsheets write it.
    """
    text = " ".join(clean_line(label).split())
    return f"'{text}" if _is_formula(text) else text


def _unsafe(cell: str) -> str:
    """Return the label of a cell, without the apostrophe that `_safe` has added."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def _is_formula(text: str) -> bool:
    """Return True if spreadsheets may run a cell, or if it becomes such a cell without its apostrophes."""
    shown = (each for each in text if each != "'" and not each.isspace() and unicodedata.category(each) != "Cf")
    return next(shown, "") in _FORMULAS


def format_csv(ranges: Iterable[ListedRange]) -> str:
    """Return the ranges as CSV with a header."""
    return _written([("label", "start", "end"), *((_safe(each.label), *_times(each)) for each in ranges)])


def format_losslesscut(ranges: Iterable[ListedRange]) -> str:
    """Return the ranges as the CSV of LosslessCut.

    If all labels look like times, an empty fourth column, which LosslessCut ignores, says which column they are.
    """
    rows = [(*_times(each), _safe(each.label)) for each in ranges]
    alike = all(_TIME.match(label.strip()) for *_, label in rows)
    return _written([(*row, "") for row in rows] if alike else rows)


def _times(each: ListedRange) -> tuple[str, str]:
    return _decimal(each.start), _decimal(each.end)


def _decimal(time: Fraction) -> str:
    """Return seconds to six decimals. Python would write values below 0.0001 with an exponent."""
    whole, _, decimals = f"{float(time):.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"


def _written(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
