"""The formats of files with lists of ranges: which one a file has, and how each is written. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from clipengine.clips.ranges.edl import format_edl, parse_edl
from clipengine.clips.ranges.otio import format_otio, parse_otio
from clipengine.clips.ranges.range_file import (
    ListedRange,
    RangeFile,
    RangeFormat,
    RangeSource,
    checked,
    file_text,
    format_csv,
    format_losslesscut,
    later,
    parse_csv,
    text_lines,
)
from clipengine.clips.ranges.timeline_xml import format_fcpxml, format_xmeml

_HEAD_BYTES = 100
_BOM = b"\xef\xbb\xbf"


class WrittenFormat(NamedTuple):
    """A format in which ranges are written. One that `counts_frames` needs the frame rate of the recording."""

    suffix: str
    media_type: str
    write: Callable[[Sequence[ListedRange], RangeSource], str]
    counts_frames: bool = False


FORMATS: dict[RangeFormat, WrittenFormat] = {
    "csv": WrittenFormat("csv", "text/csv", lambda ranges, source: format_csv(ranges)),
    "losslesscut": WrittenFormat("llc.csv", "text/csv", lambda ranges, source: format_losslesscut(ranges)),
    "edl": WrittenFormat("edl", "text/plain", format_edl, True),
    "otio": WrittenFormat("otio", "application/json", format_otio),
    "fcpxml": WrittenFormat("fcpxml", "application/xml", format_fcpxml, True),
    "xmeml": WrittenFormat("xml", "application/xml", format_xmeml, True),
}


def parse_ranges(
    data: bytes, *, duration: Fraction, rate: Fraction | None, first_frame: Fraction = Fraction(0)
) -> RangeFile:
    """Return the ranges of a file in any format that can be read: CSV, EDL or OpenTimelineIO.

    `duration`, frame `rate` and the time of the `first_frame` describe the recording. Raises InvalidRequest, which
    names the line or the clip.
    """
    if data[:_HEAD_BYTES].removeprefix(_BOM).lstrip().startswith(b"{"):
        return checked(later(parse_otio(file_text(data)), first_frame), duration)
    lines = text_lines(data)
    return checked(parse_edl(lines, duration, rate, first_frame) or parse_csv(lines, duration), duration)


def format_ranges(kind: RangeFormat, ranges: Sequence[ListedRange], source: RangeSource) -> str:
    """Return the ranges of a recording as a file. Raises InvalidRequest if it lacks data for the format."""
    return FORMATS[kind].write(ranges, source)
