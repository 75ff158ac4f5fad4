"""Lists of ranges from and for other programs, for the clips of a recording."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from clipengine.api.http.jobs import read_document
from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.api.http.requests.ranges import WriteRanges
from clipengine.api.http.validation import content_type, read_bytes
from clipengine.api.routes.clip_requests import recording_of_path
from clipengine.api.routes.downloads import content_disposition, file_name
from clipengine.clips.cut_range import END_TOLERANCE_SECONDS
from clipengine.clips.ranges.formats import FORMATS
from clipengine.clips.ranges.range_documents import RANGE_FILE, RANGE_LIST, range_list, source_values
from clipengine.clips.ranges.range_file import MAX_FILE_BYTES, ListedRange, RangeFile, RangeSource
from clipengine.clips.resolve import ClipSource
from clipengine.errors import (
    Busy,
    DecoderCrashed,
    InvalidRequest,
    InvalidTimeRange,
    MalformedRequest,
    PayloadTooLarge,
    RecordingNotComplete,
    RecordingNotFound,
    UnsupportedContentType,
    located,
)
from clipengine.objects.preview import RangesObject
from clipengine.recordings.recording import Recording

_MEDIA_TYPES = ("text/plain", "text/csv", "application/json")


async def read_ranges(call: Call[NoQuery, NoBody]) -> Response:
    if (kind := content_type(call.request)) not in _MEDIA_TYPES:
        raise UnsupportedContentType(f"Content-Type is {kind or 'missing'}", hint=f"Send {' or '.join(_MEDIA_TYPES)}.")
    body = bytes(await read_bytes(call.request, limit=MAX_FILE_BYTES, check=call.check_rights))

    facts = await call.in_session(lambda: ClipSource(recording_of_path(call)).facts)
    rate, first = (facts.video.rate, facts.video.first_frame) if facts.video else (None, None)
    found = await read_document(
        call,
        RANGE_FILE,
        body,
        duration=str(facts.duration),
        rate=None if rate is None else str(rate),
        first_frame=str(first or 0),
    )
    return await run_in_threadpool(_found, found, facts.duration)


def _found(found: RangeFile, duration: Fraction) -> Response:
    notes = [{"line": note.line, "detail": note.text} for note in found.notes]
    return json_response({"data": [_object(each, duration) for each in found.ranges], "notes": notes})


async def write_ranges(call: Call[NoQuery, WriteRanges]) -> Response:
    kind = call.body.format

    def work() -> tuple[RangeSource, bytes]:
        source = _source(recording_of_path(call))
        _check_ends(call.body, source.duration)
        return source, range_list([(each.start_seconds, each.end_seconds, each.label) for each in call.body.ranges])

    source, listed = await call.in_session(work)
    text = await read_document(call, RANGE_LIST, listed, kind=kind, source=source_values(source))
    name = content_disposition("attachment", file_name(source.title, FORMATS[kind].suffix))
    return Response(text, media_type=FORMATS[kind].media_type, headers={"Content-Disposition": name})


def _check_ends(body: WriteRanges, duration: Fraction) -> None:
    """Raise InvalidTimeRange for a range past the recording's end: files count its frames."""
    last = float(duration) + END_TOLERANCE_SECONDS
    for number, each in enumerate(body.ranges):
        if each.end_seconds > last:
            with located(pointer=f"/ranges/{number}/end_seconds"):
                raise InvalidTimeRange(f"end_seconds is past the recording's end at {float(duration):g} s")


def _source(recording: Recording) -> RangeSource:
    """Return the recording as files of ranges name it. Raises RecordingNotComplete."""
    facts = ClipSource(recording).facts
    title, file = recording.name or recording.recording_id, PurePosixPath(recording.bucket_path).name
    source = RangeSource(title, file, facts.duration)
    if (video := facts.video) is not None:
        source = replace(source, rate=video.rate, width=video.width, height=video.height, rotation=video.rotation)
        source = replace(source, first_frame=video.first_frame or source.first_frame)
    if facts.audio:
        source = replace(source, channels=facts.audio[0].channels, sample_rate=facts.audio[0].sample_rate)
    return source


def _object(each: ListedRange, duration: Fraction) -> dict[str, Any]:
    start, end = (round(float(time), 6) for time in (each.start, min(each.end, duration)))
    return {"start_seconds": start, "end_seconds": end, "label": each.label}


OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/ranges",
        "read",
        read_ranges,
        "Import the ranges of a CSV file, an EDL (edit decision list) or an OpenTimelineIO file",
        [Answer(200, "The ranges, of which no clip is made yet, and what was left out.", RangesObject)],
        (
            RecordingNotFound,
            RecordingNotComplete,
            InvalidRequest,
            MalformedRequest,
            PayloadTooLarge,
            UnsupportedContentType,
            DecoderCrashed,
            Busy,
        ),
        uploads=_MEDIA_TYPES,
    ),
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/ranges/file",
        "read",
        write_ranges,
        "Export ranges to a CSV file, or for an editing program",
        [Answer(200, "The file.", media_type=", ".join(dict.fromkeys(each.media_type for each in FORMATS.values())))],
        (RecordingNotFound, RecordingNotComplete, InvalidRequest, InvalidTimeRange, DecoderCrashed, Busy),
        body=WriteRanges,
    ),
]
