"""Lists of ranges from files of other programs, for the clips of a recording."""

from __future__ import annotations

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests import NoBody, NoQuery
from clipengine.api.http.responses import RangesObject
from clipengine.api.http.validation import content_type, read_bytes
from clipengine.api.routes.clip_requests import recording_of_path
from clipengine.clips.edl import parse_ranges
from clipengine.clips.range_file import MAX_FILE_BYTES
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
    recording = await call.in_session(lambda: recording_of_path(call))
    facts = recording.facts
    if facts is None:
        raise RecordingNotComplete.of(recording.recording_id, recording.state)
    rate = None if facts.video is None else 1 / facts.video.frame_seconds
    found = parse_ranges(body, duration=facts.duration, rate=rate)
    ranges = [
        {
            "start_seconds": round(float(each.start), 6),
            "end_seconds": round(float(min(each.end, facts.duration)), 6),
            "label": each.label,
        }
        for each in found.ranges
    ]
    return json_response({"data": ranges, "notes": [{"line": note.line, "detail": note.text} for note in found.notes]})


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
