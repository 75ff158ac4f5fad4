"""Plans of clips: what a request would make, without queueing it."""

from __future__ import annotations

from fractions import Fraction

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation
from clipengine.api.http.requests import CreateClip, NoQuery
from clipengine.api.http.responses import ClipPlanObject
from clipengine.api.routes.clips import complete_recording
from clipengine.api.routes.previews import PREVIEW_ERRORS, preview_bytes
from clipengine.clips.clip import Recording
from clipengine.clips.seek_index import SeekIndex
from clipengine.errors import InvalidLabel, InvalidWebhookUrl, RecordingNotComplete, UnknownProfile
from clipengine.timecode import exact
from clipengine.work.previews import Preview


async def plan_clip(call: Call[NoQuery, CreateClip]) -> Response:
    body = call.body

    def look_up() -> tuple[Recording, SeekIndex | None]:
        recording = complete_recording(call, call.body, call.path("recording_id"))
        return recording, call.ledger.recordings.seek_index(recording.recording_id)

    recording, seek_index = await call.in_session(look_up)
    if recording.facts is None:
        raise RecordingNotComplete.of(recording.recording_id, recording.state)
    start, end = exact(body.start_seconds), min(exact(body.end_seconds), recording.facts.duration)
    profile = call.engine.settings.profiles[body.profile].rendered(body.render, body.output)
    values: dict[str, str | int] = {"start": str(start), "end": str(end), "profile": profile.model_dump_json()}
    preview = Preview("plan", recording, values, seek_index and seek_index.near(Fraction(start)))
    return Response(await preview_bytes(call, preview), media_type="application/json")


OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/clips/plan",
        "read",
        plan_clip,
        "Get what a clip would be, without making it",
        [Answer(200, "What would be copied and encoded, with estimates of size and time.", ClipPlanObject)],
        (*PREVIEW_ERRORS, UnknownProfile, InvalidLabel, InvalidWebhookUrl),
        body=CreateClip,
    )
]
