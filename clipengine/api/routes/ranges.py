"""Lists of ranges from and for other programs, for the clips of a recording."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests import NoBody, NoQuery, WriteRanges
from clipengine.api.http.validation import content_type, read_bytes
from clipengine.api.routes.clip_requests import recording_of_path
from clipengine.api.routes.downloads import content_disposition, file_name
from clipengine.clips.ranges.edl import format_ranges, parse_ranges
from clipengine.clips.ranges.range_file import MAX_FILE_BYTES, ListedRange
from clipengine.clips.resolve import ClipSource
from clipengine.errors import (
    InvalidRequest,
    MalformedRequest,
    PayloadTooLarge,
    RecordingNotComplete,
    RecordingNotFound,
    UnsupportedContentType,
)
from clipengine.objects.preview import RangesObject
from clipengine.timecode import exact

_MEDIA_TYPES = ("text/plain", "text/csv")
_SUFFIXES = {"csv": "csv", "losslesscut": "llc.csv", "edl": "edl"}


async def read_ranges(call: Call[NoQuery, NoBody]) -> Response:
    if (kind := content_type(call.request)) not in _MEDIA_TYPES:
        raise UnsupportedContentType(f"Content-Type is {kind or 'missing'}", hint=f"Send {' or '.join(_MEDIA_TYPES)}.")
    body = bytes(await read_bytes(call.request, limit=MAX_FILE_BYTES))

    def work() -> Response:
        facts = ClipSource(recording_of_path(call)).facts
        found = parse_ranges(body, duration=facts.duration, rate=facts.video.rate if facts.video else None)
        notes = [{"line": note.line, "detail": note.text} for note in found.notes]
        return json_response({"data": [_object(each, facts.duration) for each in found.ranges], "notes": notes})

    return await call.in_session(work)


def write_ranges(call: Call[NoQuery, WriteRanges]) -> Response:
    recording, kind = recording_of_path(call), call.body.format
    video = ClipSource(recording).facts.video
    ranges = [
        ListedRange(number, exact(each.start_seconds), exact(each.end_seconds), each.label)
        for number, each in enumerate(call.body.ranges, 1)
    ]
    title = recording.name or recording.recording_id
    text = format_ranges(kind, ranges, title, video.rate if video else None)
    name = content_disposition("attachment", file_name(title, _SUFFIXES[kind]))
    media_type = "text/plain" if kind == "edl" else "text/csv"
    return Response(text, media_type=media_type, headers={"Content-Disposition": name})


def _object(each: ListedRange, duration: Fraction) -> dict[str, Any]:
    start, end = (round(float(time), 6) for time in (each.start, min(each.end, duration)))
    return {"start_seconds": start, "end_seconds": end, "label": each.label}


OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/ranges",
        "read",
        read_ranges,
        "Import the ranges of a CSV file or an EDL (edit decision list)",
        [Answer(200, "The ranges, of which no clip is made yet, and what was left out.", RangesObject)],
        (
            RecordingNotFound,
            RecordingNotComplete,
            InvalidRequest,
            MalformedRequest,
            PayloadTooLarge,
            UnsupportedContentType,
        ),
        uploads=_MEDIA_TYPES,
    ),
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/ranges/file",
        "read",
        write_ranges,
        "Export ranges to a CSV file or an EDL (edit decision list)",
        [Answer(200, "The file. An edit decision list is `text/plain`.", media_type="text/csv, text/plain")],
        (RecordingNotFound, RecordingNotComplete, InvalidRequest),
        body=WriteRanges,
    ),
]
