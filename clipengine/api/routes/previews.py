"""Previews of a recording: a frame, frame times, a filmstrip, a waveform, the next keyframe, silence or scene.

Their responses are immutable and cached on both sides. No thread is blocked while one is made. Suggested moments come
from the ledger instead, and change with the transcript.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from clipengine.api.http.jobs import finished, read_document
from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.ranges import matches
from clipengine.api.http.requests.fields import NoBody, Q
from clipengine.api.http.requests.previews import GetFilmstrip, GetFrame, GetFrames, GetMoments, GetWaveform
from clipengine.basis.timecode import exact
from clipengine.clips.plan.read_jobs import FRAME, JUMP, TIMES
from clipengine.clips.suggested import suggest_chosen
from clipengine.clips.texts.cues import Cue
from clipengine.clips.transcript_searches import suggestion_search
from clipengine.errors import (
    Busy,
    ClipEngineError,
    DecoderCrashed,
    InvalidRequest,
    InvalidTimeRange,
    NoMediaInRange,
    NotRecordedYet,
    RecordingChanged,
    RecordingEncrypted,
    RecordingMissing,
    RecordingNotComplete,
    RecordingNotFound,
    RecordingTruncated,
    RecordingUnreadable,
    StorageUnavailable,
    SuggestionsUnavailable,
    TranscriptNotFound,
    UnsupportedMedia,
    located,
)
from clipengine.ledger.texts.transcripts import Transcript
from clipengine.objects.preview import FramesObject, MomentsObject, SuggestionsObject, WaveformObject
from clipengine.recordings.recording import Recording
from clipengine.recordings.seek_index import SeekIndex
from clipengine.work.previews.previews import Preview

_JPEG, _JSON = "image/jpeg", "application/json"
_IMMUTABLE = "private, max-age=31536000, immutable"
_MOST_TIMES_SECONDS = 600  # per response: every packet of the range is read


async def get_frame(call: Call[GetFrame, NoBody]) -> Response:
    recording, _ = await complete_recording(call)
    at = await _moment(call, recording, call.query.at_seconds)
    seek_index = await seek_index_of(call, recording)
    values: dict[str, str | int] = {"at": str(at), "width": call.query.width}
    return await preview_response(call, Preview(FRAME, recording, values, seek_index and seek_index.near(at)), _JPEG)


async def get_frames(call: Call[GetFrames, NoBody]) -> Response:
    recording, _ = await complete_recording(call)
    start, end = await _part(call, recording, call.query.start_seconds, call.query.end_seconds)
    end = min(end, start + _MOST_TIMES_SECONDS)
    seek_index = await seek_index_of(call, recording)
    near = seek_index and seek_index.between(start, end)
    return await preview_response(call, Preview(TIMES, recording, {"start": str(start), "end": str(end)}, near), _JSON)


async def get_filmstrip(call: Call[GetFilmstrip, NoBody]) -> Response:
    recording, _ = await complete_recording(call)
    start, end = await _part(call, recording, call.query.start_seconds, call.query.end_seconds)
    seek_index = await seek_index_of(call, recording)
    size = {"count": call.query.count, "width": call.query.width}
    preview = Preview.filmstrip(recording, start, end, **size, seek_index=seek_index)
    return await preview_response(call, preview, _JPEG)


async def get_waveform(call: Call[GetWaveform, NoBody]) -> Response:
    recording, _ = await complete_recording(call)
    start, end = await _part(call, recording, call.query.start_seconds, call.query.end_seconds)
    seek_index = await seek_index_of(call, recording)
    preview = Preview.waveform(recording, start, end, points=call.query.points, seek_index=seek_index)
    return await preview_response(call, preview, _JSON)


async def get_moments(call: Call[GetMoments, NoBody]) -> Response:
    to, at_seconds = call.query.to, call.query.at_seconds
    if to is None or at_seconds is None:
        return await _suggestions(call)
    recording, duration = await complete_recording(call)
    backward = call.query.direction == "previous"
    _check_has(recording, to)
    at, within = await _moment(call, recording, at_seconds), exact(call.query.within_seconds)
    until = max(Fraction(0), at - within) if backward else min(duration, at + within)
    seek_index = await seek_index_of(call, recording)
    near = seek_index and seek_index.near(min(at, until), max(at, until))
    values: dict[str, str | int] = {"to": to, "at": str(at), "until": str(until)}
    return await preview_response(call, Preview(JUMP, recording, values, near), _JSON)


async def _suggestions(call: Call[GetMoments, NoBody]) -> Response:
    recording, duration = await complete_recording(call)

    def read() -> tuple[str, list[Cue]]:
        transcript = _transcript(call)
        return transcript.language, call.ledger.transcripts.cues(transcript)

    if call.query.source == "url" and call.engine.suggester is None:
        with located(parameter="source"):
            raise InvalidRequest("source=url needs suggestions.url in the settings", hint="Use source=local.")
    language, cues = await call.in_session(read)
    duration_ms, limit, suggester = int(duration * 1000), call.query.limit, call.engine.suggester
    chapters = recording.facts.chapter_list if recording.facts else ()
    keywords = call.engine.settings.suggestions.keywords

    if suggester is None or call.query.source == "local":
        search = await run_in_threadpool(
            lambda: suggestion_search(
                cues, duration_ms=duration_ms, language=language, chapters=chapters, keywords=keywords, limit=limit
            )
        )
        found = await read_document(call, search.document, search.data)
    else:
        choose = partial(suggester.choose, limit=limit)
        chosen = partial(suggest_chosen, cues, choose, duration_ms=duration_ms, limit=limit)
        found = await run_in_threadpool(chosen)
    return json_response(SuggestionsObject(language, found).to_object())


def _transcript(call: Call[GetMoments, NoBody]) -> Transcript:
    """Return the transcript in the requested language, or the first one. Raises TranscriptNotFound."""
    recording_id, language = call.path("recording_id"), call.query.language
    if language is not None:
        return call.ledger.transcripts.get(recording_id, language)
    found = call.ledger.transcripts.preferred(recording_id, None)
    if found is None:
        hint = "PUT a transcript, or POST to the recording's transcripts to make one, and wait until it is complete."
        raise TranscriptNotFound("the recording has no transcript in which moments can be found", hint=hint)
    return found


def _check_has(recording: Recording, to: str) -> None:
    """Raise NoMediaInRange if the recording has no stream in which there could be such moments."""
    facts, medium = recording.facts, "audio" if to == "silence" else "video"
    if facts is not None and not (facts.audio if to == "silence" else facts.video):
        others = "keyframes or scenes" if to == "silence" else "silences"
        raise NoMediaInRange(f"the recording has no {medium}", hint=f"Search for {others}, which need none.")


async def seek_index_of(call: Call[Q, NoBody], recording: Recording) -> SeekIndex | None:
    return await call.in_session(lambda: call.ledger.recordings.seek_index(recording.recording_id))


async def complete_recording(call: Call[Q, NoBody]) -> tuple[Recording, Fraction]:
    """Return the recording and its duration. Raises RecordingNotFound or RecordingNotComplete."""
    recording = await call.in_session(lambda: call.ledger.recordings.get(call.path("recording_id")))
    return recording, _duration(recording)


def _duration(recording: Recording) -> Fraction:
    if recording.facts is None:
        raise RecordingNotComplete.of(recording.recording_id, recording.state, recording.error)
    return recording.facts.duration


async def _moment(call: Call[Q, NoBody], recording: Recording, seconds: float) -> Fraction:
    at = exact(seconds)
    if at > _duration(recording):
        raise await _outside(call, recording, "at_seconds", at)
    return at


async def _part(
    call: Call[Q, NoBody], recording: Recording, first: float, last: float | None
) -> tuple[Fraction, Fraction]:
    """Return the requested range: the whole recording by default, with the end clamped."""
    start, duration = exact(first), _duration(recording)
    end = duration if last is None else min(exact(last), duration)
    if start >= duration:
        raise await _outside(call, recording, "start_seconds", start)
    if start >= end:
        raise _invalid("end_seconds", f"end_seconds must be greater than start_seconds, which is {first:g}")
    return start, end


async def _outside(call: Call[Q, NoBody], recording: Recording, parameter: str, at: Fraction) -> ClipEngineError:
    """Return the error of a moment after the end. A recording that is still written is soon read again."""
    if recording.state == "recording":
        await call.in_session(lambda: call.ledger.live.want(recording.recording_id, at_once=True))
        return NotRecordedYet.of(float(at))
    duration = float(_duration(recording))
    return _invalid(parameter, f"{parameter} lies outside the recording, which has {duration:.3f} s")


def _invalid(parameter: str, said: str) -> InvalidTimeRange:
    return InvalidTimeRange(
        said,
        errors=[{"detail": said, "parameter": parameter}],
        hint="Give seconds from 0 to its duration, and an end after the start.",
    )


async def preview_response(
    call: Call[Q, NoBody], preview: Preview, media_type: str, *, cache: str = _IMMUTABLE
) -> Response:
    headers = {"ETag": f'"{preview.name}"', "Cache-Control": cache}
    if matches(call.request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    body = await preview_bytes(call, preview)
    return Response(body, headers=headers, media_type=media_type)


async def preview_bytes(call: Call[Any, Any], preview: Preview) -> bytes:
    """Return a preview from the cache, or make it."""
    found = await run_in_threadpool(call.engine.previews.find, preview)
    if found is not None:
        return found
    return await finished(call, call.engine.previews.requested(preview, owner=call.caller.id))


PREVIEW_ERRORS = (
    RecordingNotFound,
    RecordingNotComplete,
    InvalidTimeRange,
    NotRecordedYet,
    NoMediaInRange,
    RecordingMissing,
    RecordingChanged,
    RecordingUnreadable,
    RecordingTruncated,
    RecordingEncrypted,
    UnsupportedMedia,
    DecoderCrashed,
    StorageUnavailable,
    Busy,
)
KNOWN = Answer(304, "The client has these bytes already.")
_operation = partial(Operation, "GET", action="read", errors=PREVIEW_ERRORS)

OPERATIONS = [
    _operation(
        "/v1/recordings/{recording_id}/frame",
        handler=get_frame,
        summary="Get the frame that is on screen at a moment",
        answers=[Answer(200, "A JPEG, upright: what a clip that starts there begins with.", media_type=_JPEG), KNOWN],
        query=GetFrame,
    ),
    _operation(
        "/v1/recordings/{recording_id}/frames",
        handler=get_frames,
        summary="Get when the frames of a part begin",
        answers=[Answer(200, "The times of the frames, at most ten minutes of them.", FramesObject), KNOWN],
        query=GetFrames,
    ),
    _operation(
        "/v1/recordings/{recording_id}/filmstrip",
        handler=get_filmstrip,
        summary="Get small frames for a timeline",
        answers=[Answer(200, "A JPEG: `count` tiles of the same width, side by side.", media_type=_JPEG), KNOWN],
        query=GetFilmstrip,
    ),
    _operation(
        "/v1/recordings/{recording_id}/moments",
        handler=get_moments,
        summary="Get the next or previous keyframe, silence or scene, or suggested moments",
        answers=[
            Answer(200, "The moment or the end of the search that found none; or the suggestions.", MomentsObject),
            KNOWN,
        ],
        errors=(*PREVIEW_ERRORS, TranscriptNotFound, InvalidRequest, SuggestionsUnavailable),
        query=GetMoments,
    ),
    _operation(
        "/v1/recordings/{recording_id}/waveform",
        handler=get_waveform,
        summary="Get the loudness of a recording, part by part",
        answers=[Answer(200, "The loudest sample of each part.", WaveformObject), KNOWN],
        query=GetWaveform,
    ),
]
