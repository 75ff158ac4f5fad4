"""Timelines of OpenTimelineIO (https://opentimelineio.readthedocs.io), as its JSON. Pure.

The package `opentimelineio` is not used here: it would parse in C++ in the process that holds all secrets, and 100,000
nested brackets end that process with a segmentation fault. The tests use it to read the files that this module writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, Never, cast
from urllib.parse import quote

from clipengine.basis.json_budget import JsonLimits
from clipengine.basis.timecode import bounded, exact, frame_rate
from clipengine.clips.ranges.edl import frames_of
from clipengine.clips.ranges.range_file import (
    MAX_LINES,
    ListedRange,
    Note,
    RangeFile,
    RangeSource,
    allowance,
    fault,
    without_copies,
)
from clipengine.errors import InvalidRequest

_HINT = "Export the timeline again as OpenTimelineIO (.otio)."
_CHILDREN = {"Timeline": "tracks", "Stack": "children", "Track": "children", "SerializableCollection": "children"}
_SPEED = ("LinearTimeWarp", "FreezeFrame", "TimeEffect")
_Object = dict[str, Any]


def _refusal(message: str) -> InvalidRequest:
    return InvalidRequest(message, hint=_HINT)


# Editing programs nest their own metadata, and stacks in tracks.
_LIMITS = JsonLimits("the timeline", _refusal, max_depth=200, max_tokens=400_000)


def format_otio(ranges: Sequence[ListedRange], source: RangeSource) -> str:
    """Return a timeline with a clip for each range: on a video and an audio track, as far as the recording has them."""
    rate = source.rate or Fraction(source.sample_rate or 1000)
    kinds = [kind for kind, given in (("Video", source.rate), ("Audio", source.channels)) if given]
    media = _object("ExternalReference.1", "", target_url=quote(source.file_name))
    media["available_range"] = _time_range(0, round((source.duration - source.first_frame) * rate), rate)
    tracks = []
    for kind in kinds or ["Video"]:
        clips = [_clip(each, media, rate, source.first_frame) for each in ranges]
        tracks.append(_object("Track.1", kind, children=clips, kind=kind, source_range=None))
    stack = _object("Stack.1", "tracks", children=tracks, source_range=None)
    timeline = _object("Timeline.1", source.title, global_start_time=None, tracks=stack)
    return json.dumps(timeline, indent=1, ensure_ascii=False) + "\n"


def _clip(each: ListedRange, media: _Object, rate: Fraction, first: Fraction) -> _Object:
    start, end = frames_of(each, rate, first)
    references = {"DEFAULT_MEDIA": media}
    made = _object("Clip.2", each.label, media_references=references, active_media_reference_key="DEFAULT_MEDIA")
    return made | {"source_range": _time_range(start, end - start, rate)}


def _object(schema: str, name: str, **fields: Any) -> _Object:
    return {"OTIO_SCHEMA": schema, "metadata": {}, "name": name, **fields}


def _time_range(start: int, length: int, rate: Fraction) -> _Object:
    times = ({"OTIO_SCHEMA": "RationalTime.1", "rate": float(rate), "value": float(each)} for each in (start, length))
    return dict(zip(("OTIO_SCHEMA", "start_time", "duration"), ("TimeRange.1", *times), strict=True))


class _Clip(NamedTuple):
    """A clip on a timeline: whether its track is audio, its range, and the address of its media."""

    is_audio: bool
    range: ListedRange
    address: str


def parse_otio(text: str) -> RangeFile:
    """Return the source ranges of the clips on a timeline. Raises InvalidRequest, which names the clip.

    A clip on an audio track with the range of a clip on a video track is the same range.
    """
    _LIMITS.check(text)
    try:
        timeline = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise InvalidRequest(f"the timeline is not valid JSON: {error}"[:200], hint=_HINT) from None
    notes: list[Note] = []
    clips = [_read_clip(number, *found, notes) for number, found in enumerate(_clips(timeline), 1)]
    if (files := len({each.address for each in clips})) > 1:
        notes.append(Note(None, f"its clips are of {files} files, and all are read as ranges of this recording"))
    ranges = without_copies([(each.range, each.is_audio) for each in clips])
    return RangeFile(tuple(ranges), tuple(notes), unit="clip")


def _refuse(text: str) -> Never:
    raise ValueError(f"{text} is not a number")


def _clips(timeline: object) -> Iterator[tuple[bool, _Object]]:
    """Yield the clips, with whether their track is audio, in the order of the file."""
    waiting: list[tuple[bool, object]] = [(False, timeline)]
    left = allowance(MAX_LINES, "clips, gaps and transitions")
    while waiting:
        is_audio, node = waiting.pop()
        schema = _schema(node)
        if schema == "Clip":
            yield is_audio, cast(_Object, node)
        elif schema in _CHILDREN:
            inside = cast(_Object, node).get(_CHILDREN[schema])
            is_audio = is_audio or (schema == "Track" and cast(_Object, node).get("kind") == "Audio")
            children = inside if isinstance(inside, list) else [inside]
            left.spend(len(children))
            waiting += [(is_audio, each) for each in reversed(children)]


def _schema(node: object) -> str:
    """Return the name of an object's schema without its version, or an empty text for other values."""
    return str(node.get("OTIO_SCHEMA")).partition(".")[0] if isinstance(node, dict) else ""


def _read_clip(number: int, is_audio: bool, clip: _Object, notes: list[Note]) -> _Clip:
    references = clip.get("media_references")
    media = references.get(clip.get("active_media_reference_key")) if isinstance(references, dict) else None
    media = media or clip.get("media_reference")  # of version 1
    media = media if isinstance(media, dict) else {}
    available = _seconds(number, media.get("available_range"))
    start, length = _seconds(number, clip.get("source_range")) or available or (None, None)
    if start is None or length is None:
        raise fault(number, "it has no source range", "clip")
    effects = clip.get("effects")
    if isinstance(effects, list) and any(_schema(each) in _SPEED for each in effects):
        notes.append(Note(None, f"clip {number}: its speed is not applied"))
    start -= available[0] if available else 0  # media may begin at a timecode such as 01:00:00:00
    if start < 0:
        raise fault(number, "it begins before its media", "clip")
    listed = ListedRange(number, start, start + length, str(clip.get("name") or ""))
    return _Clip(is_audio, listed, str(media.get("target_url") or ""))


def _seconds(number: int, span: object) -> tuple[Fraction, Fraction] | None:
    """Return start and length of a range in seconds, or None without one."""
    if span is None:
        return None
    try:
        start, length = (_time(span[each]) for each in ("start_time", "duration"))  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        raise fault(number, "it has a range without valid times", "clip") from None
    return start, length


def _time(value: Mapping[str, Any]) -> Fraction:
    return _number(value["value"]) / frame_rate(_number(value["rate"]))


def _number(value: object) -> Fraction:
    if not isinstance(value, int | float):
        raise TypeError("is not a number")
    return bounded(exact(value))
