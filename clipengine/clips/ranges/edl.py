"""Edit decision lists: CMX 3600, which editing programs export, and the EDL of MPlayer and Kodi. Pure.

The source times of CMX 3600 count the frames of the recording, from 0 for the first one. An EDL of MPlayer lists the
stretches that a player skips, so its ranges are the stretches in between.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from clipengine.clips.cut_range import begun_frames
from clipengine.clips.ranges.range_file import (
    MAX_ITEMS,
    MAX_ROWS,
    ListedRange,
    Note,
    RangeFile,
    RangeSource,
    allowance,
    fault,
    later,
    seconds,
    without_copies,
)
from clipengine.errors import InvalidRequest

_CODE = r"(\d{1,2}:\d\d:\d\d[:;.,]\d{2,3})"
_EVENT = re.compile(
    rf"\s*(\d{{1,6}})\s+(\S+)\s+(\S+)\s+(C|D|W\d*|K\w*)\s+(?:[BFO]\s+|\d+\s+)*{_CODE}\s+{_CODE}(?:\s|\Z)", re.I | re.A
)
_NAME = re.compile(r"\s*\*\s*(FROM|TO) CLIP NAME:\s*(.*)", re.I)
_NUMBERED = re.compile(r"\s*\d{3,6}\s", re.A)
_SKIP = re.compile(r"\s*(\S+)\s+(\S+)(?:\s+([0-3]))?\s*\Z", re.A)
_CUT, _MUTE, _MARKER, _BREAK = "0", "1", "2", "3"  # actions of MPlayer and Kodi
_IGNORED = {_MUTE: "mute", _MARKER: "scene marker"}


@dataclass(frozen=True)
class _Event:
    """An event of CMX 3600. The times are source times."""

    line: int
    number: str
    reel: str
    track: str
    start: Fraction
    end: Fraction
    label: str = ""

    @property
    def is_black(self) -> bool:
        return self.reel.upper() == "BL"

    @property
    def is_audio(self) -> bool:
        return self.track.upper().startswith("A") and "V" not in self.track.upper()


def parse_edl(lines: Sequence[str], duration: Fraction, rate: Fraction | None, first: Fraction) -> RangeFile | None:
    """Return the ranges of an EDL, or None for another format. Raises InvalidRequest, which names the line.

    `first` is the time of the first frame, from which frames are counted.
    """
    written = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("##")]
    if any(_EVENT.match(line) for _, line in written):
        return later(_parse_cmx(lines, rate), first)
    if written and all("," not in line and ";" not in line and _is_skip(line) for _, line in written):
        return _parse_mplayer(written, duration, rate, first)
    return None


# ---- CMX 3600


def _parse_cmx(lines: Sequence[str], rate: Fraction | None) -> RangeFile:
    if rate is None or rate <= 0:
        raise InvalidRequest(
            "the times of an EDL count frames, and the frame rate is not known", hint="Give it: --edl-rate 25."
        )
    events: list[_Event] = []
    notes: list[Note] = []
    left = allowance(MAX_ITEMS, "events")
    drop = False
    for line, text in enumerate(lines, 1):
        if event := _EVENT.match(text):
            left.spend()
            number, reel, track, _, *codes = event.groups()
            start, end = (_seconds_of(code, rate, line, drop=drop) for code in codes)
            events.append(_Event(line, number, reel, track, start, end))
        elif (name := _NAME.match(text)) and events:
            if not events[-1].label or name[1].upper() == "TO":
                events[-1] = replace(events[-1], label=name[2])
        elif text.strip().upper().startswith("FCM:"):
            drop = "NON" not in text.upper()
        elif _NUMBERED.match(text):
            raise fault(line, f"{text.strip()[:60]!r} is not an event: number, reel, track, C and four timecodes")
        elif re.match(r"\s*M2\s", text):
            left.spend()
            notes.append(Note(line, "the speed of an event is not applied"))
    notes += [Note(event.line, "black is left out") for event in events if event.is_black]
    # The first line of a transition has no length; the second one has the same number.
    lasting = {event.number for event in events if event.start < event.end}
    kept = [each for each in events if not each.is_black and (each.start != each.end or each.number not in lasting)]
    ranges = without_copies(
        [(ListedRange(each.line, each.start, each.end, each.label), each.is_audio) for each in kept]
    )
    return RangeFile(tuple(ranges), tuple(notes))


def _seconds_of(code: str, rate: Fraction, line: int, *, drop: bool) -> Fraction:
    """Return the time of a timecode. With drop frame, each minute but every tenth skips frame numbers, not frames."""
    hours, minutes, whole, frames = map(int, re.split("[:;.,]", code))
    nominal = round(rate)
    if minutes > 59 or whole > 59 or frames >= nominal:
        raise fault(line, f"{code} is not a timecode at {nominal} frames per second")
    passed = 60 * hours + minutes
    skipped = nominal // 15 if (drop or ";" in code) and nominal % 30 == 0 else 0
    return ((60 * passed + whole) * nominal + frames - skipped * (passed - passed // 10)) / rate


def frames_of(each: ListedRange, rate: Fraction, first: Fraction) -> tuple[int, int]:
    """Return the numbers of the first frame of a clip of the range, and of the first frame after it.

    Frames are counted from 0, the frame at the time `first`.
    """
    start = max(0, math.ceil((each.start - first) * rate - Fraction(1, 2)))  # the nearest frame; of two, the earlier
    return start, max(start + 1, begun_frames((each.end - first) * rate))


def format_edl(ranges: Iterable[ListedRange], source: RangeSource) -> str:
    """Return the ranges as CMX 3600 without drop frame.

    An event has the first frame of its clip, and the first frame after it.
    """
    rate = source.frame_rate()
    text, recorded = f"TITLE: {' '.join(source.title.split())}\nFCM: NON-DROP FRAME\n", 0
    for number, each in enumerate(ranges, 1):
        start, end = frames_of(each, rate, source.first_frame)
        codes = (_timecode(frames, rate) for frames in (start, end, recorded, recorded + end - start))
        recorded += end - start
        text += f"\n{number:03d}  AX       AA/V  C        {' '.join(codes)}\n"
        text += f"* FROM CLIP NAME: {' '.join(each.label.split())}\n" if each.label else ""
    return text


def _timecode(frames: int, rate: Fraction) -> str:
    whole, frame = divmod(frames, round(rate))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{frame:02d}"


# ---- MPlayer and Kodi


def _is_skip(line: str) -> bool:
    found = _SKIP.match(line)
    return found is not None and all(re.match(r"#?[\d:.]+\Z", text, re.A) for text in found.groups()[:2])


def _parse_mplayer(
    lines: Iterable[tuple[int, str]], duration: Fraction, rate: Fraction | None, first: Fraction
) -> RangeFile:
    skipped, notes = [], []
    left = allowance(MAX_ROWS, "rows")
    for line, text in lines:
        left.spend()
        found = _SKIP.match(text)
        assert found is not None
        start, end = (_skip_time(line, each, rate, first) for each in found.groups()[:2])
        action = found[3] or _CUT
        if action in _IGNORED:
            notes.append(Note(line, f"action {action} ({_IGNORED[action]}) makes no range"))
        elif end <= start:
            raise fault(line, f"the end ({float(end):g} s) is not after the start ({float(start):g} s)")
        else:
            skipped.append(ListedRange(line, start, end))
    return RangeFile(tuple(_between(skipped, duration)), tuple(notes))


def _skip_time(line: int, text: str, rate: Fraction | None, first: Fraction) -> Fraction:
    if not text.startswith("#"):
        return seconds(line, text)
    if rate is None or rate <= 0:
        raise fault(line, f"{text} counts frames, and the frame rate is not known: give --edl-rate")
    return seconds(line, text[1:]) / rate + first


def _between(skipped: Sequence[ListedRange], duration: Fraction) -> Iterator[ListedRange]:
    """Yield the ranges that a player shows."""
    shown_from = Fraction(0)
    for each in sorted(skipped, key=lambda skip: skip.start):
        if each.start > shown_from:
            yield ListedRange(each.line, shown_from, min(each.start, duration))
        shown_from = max(shown_from, each.end)
    if skipped and shown_from < duration:
        yield ListedRange(skipped[-1].line, shown_from, duration)
