"""WebVTT in segments, as HLS has it: the time of its cues in the container, and then of the recording. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from clipengine.clips.texts.cues import Cue, check_cues
from clipengine.clips.texts.transcript_file import parse_transcript
from clipengine.recordings.timeline.run_placing import near

_MAP = re.compile(rb"^X-TIMESTAMP-MAP=([ -~]{1,100})\s*$", re.MULTILINE)
_TICKS = re.compile(rb"MPEGTS:(\d{1,19})")
_LOCAL = re.compile(rb"LOCAL:(?:(\d{1,6}):)?(\d\d):(\d\d)\.(\d{3})")


class TextSegment(NamedTuple):
    """A segment of WebVTT, the shift of its run, and its expected place on the recording's timeline."""

    body: bytes
    shift: Fraction
    expected: Fraction


def join_segments(segments: Iterable[TextSegment]) -> bytes:
    """Return the segments as one document: a line with their sizes and places, and their bytes."""
    listed = list(segments)
    places = [[len(each.body), str(each.shift), str(each.expected)] for each in listed]
    return json.dumps(places).encode() + b"\n" + b"".join(each.body for each in listed)


def parse_segments(document: bytes) -> list[Cue]:
    """Return the cues of `join_segments`, sorted by time. Raises InvalidTranscript."""
    head, _, bodies = document.partition(b"\n")
    cues, begin = [], 0
    for size, shift, expected in json.loads(head):
        body = bodies[begin : begin + size]
        cues.append(segment_cues(body, shift=Fraction(shift), expected=Fraction(expected)))
        begin += size
    return check_cues(joined_cues(cues))


def segment_cues(body: bytes, *, shift: Fraction, expected: Fraction) -> list[Cue]:
    """Return the cues of a segment on the recording's timeline.

    `shift` is the shift of the segment's run, and `expected` the place of the segment. Raises InvalidTranscript.
    """
    if b"-->" not in body:
        return []  # most segments of a silent stretch
    cues = parse_transcript(body, "vtt")
    moved = _container_offset(body) + shift
    first = Fraction(cues[0].start_ms, 1000)
    by_ms = round((near(first + moved, expected) - first) * 1000)
    placed = (replace(cue, start_ms=max(0, cue.start_ms + by_ms), end_ms=cue.end_ms + by_ms) for cue in cues)
    return [cue for cue in placed if cue.end_ms > cue.start_ms]


def joined_cues(segments: Iterable[list[Cue]]) -> list[Cue]:
    """Return the cues of all segments. One that is in several of them is taken once."""
    return list(dict.fromkeys(cue for cues in segments for cue in cues))


def _container_offset(body: bytes) -> Fraction:
    """Return the container time minus the time of the cues: 0 without a header that says it."""
    found = _MAP.search(body[: body.index(b"-->")])
    ticks, local = (found and each.search(found[1]) for each in (_TICKS, _LOCAL))
    if ticks is None or local is None:
        return Fraction(0)
    hours, minutes, seconds, millis = (int(each or 0) for each in local.groups())
    return Fraction(int(ticks[1]), 90_000) - (hours * 3600 + minutes * 60 + seconds + Fraction(millis, 1000))
