"""Lists of ranges from files of other programs, for the clips of a recording."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests import NoBody, NoQuery
from clipengine.api.http.responses import RangesObject
from clipengine.api.http.validation import content_type, read_bytes
from clipengine.api.routes.clip_requests import recording_of_path
from clipengine.clips.edl import parse_ranges
from clipengine.clips.range_file import MAX_FILE_BYTES, ListedRange
from clipengine.clips.resolve import ClipSource
from clipengine.errors import (
    InvalidRequest,
    MalformedRequest,
    PayloadTooLarge,
    RecordingNotComplete,
    RecordingNotFound,
    UnsupportedContentType,
)

_MEDIA_TYPES = ("text/plain", "text/csv")


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


def _object(each: ListedRange, duration: Fraction) -> dict[str, Any]:
    start, end = (round(float(time), 6) for time in (each.start, min(each.end, duration)))
    return {"start_seconds": start, "end_seconds": end, "label": each.label}


OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/ranges",
        "read",
        read_ranges,
        "Read the ranges of a CSV file or an edit decision list",
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
]
