"""Captions of a recording as the engine draws them into a clip, for players that preview a clip."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation
from clipengine.api.http.requests.fields import NoQuery
from clipengine.api.http.requests.previews import PaintCaptions
from clipengine.api.routes.clip_requests import recording_of_path
from clipengine.api.routes.previews import PREVIEW_ERRORS, preview_bytes
from clipengine.basis.timecode import exact
from clipengine.clips.options.framing import upright_framing
from clipengine.clips.plan.read_jobs import CAPTIONS
from clipengine.clips.removed import Removed
from clipengine.clips.resolve import ClipSource
from clipengine.clips.texts.captions import drawn_cues
from clipengine.clips.texts.language_tags import alpha3_of
from clipengine.clips.texts.subtitles import TextTrack, pack
from clipengine.errors import FontsMissing, InvalidRequest, NoMediaInRange, TranscriptNotFound
from clipengine.objects.preview import CaptionsObject
from clipengine.recordings.recording import Recording
from clipengine.work.children.fonts import choose_fonts
from clipengine.work.previews.previews import Preview


def _found(call: Call[NoQuery, PaintCaptions]) -> tuple[Recording, TextTrack]:
    """Return the recording, and the cues of the range with the texts and times that a clip in the style shows."""
    recording = recording_of_path(call)
    body, transcripts = call.body, call.ledger.transcripts
    transcript = transcripts.get(recording.recording_id, body.language)
    start_ms, end_ms = (round(1000 * each) for each in (body.start_seconds, body.end_seconds))
    cues = transcripts.cues(transcript, start_ms=start_ms, end_ms=end_ms)
    heard = Removed.of_ranges((exact(each.start_seconds), exact(each.end_seconds)) for each in body.removed)
    track = TextTrack(body.language, alpha3_of(body.language), tuple(heard.from_cues(cues)))
    if body.part is not None:
        part = exact(body.part.start_seconds), exact(body.part.end_seconds)
        track = track.said(*part).shown(*part)
    return recording, replace(track, cues=drawn_cues(track.cues, body.style))


async def paint_captions(call: Call[NoQuery, PaintCaptions]) -> Response:
    recording, track = await call.in_session(lambda: _found(call))
    video = ClipSource(recording).facts.video
    if video is None:
        raise NoMediaInRange("the recording has no video", hint="Captions are drawn only into a picture.")
    body, folders = call.body, call.engine.settings.encoding.font_folders
    _, framing = upright_framing(video, body.output)
    fonts = await run_in_threadpool(choose_fonts, [track], folders)
    values: dict[str, str | int] = {
        "start": str(exact(body.start_seconds)),
        "end": str(exact(body.end_seconds)),
        **framing.canvas._asdict(),
        "ratio": str(Fraction(framing.sample_aspect_ratio)),
        "style": body.style.model_dump_json() if body.style else "",
        "track": pack([track]),
        "warnings": json.dumps(fonts.warnings()),
    }
    made = await preview_bytes(call, Preview(CAPTIONS, recording, values, fonts=fonts.fonts))
    return Response(made, media_type="application/json")


OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/captions",
        "read",
        paint_captions,
        "Get captions as a clip would show them",
        [Answer(200, "A picture for each time in which the same captions are shown.", CaptionsObject)],
        (*PREVIEW_ERRORS, InvalidRequest, TranscriptNotFound, FontsMissing),
        body=PaintCaptions,
    )
]
