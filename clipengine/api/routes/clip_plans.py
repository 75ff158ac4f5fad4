"""Plans of clips: what a request would make, without queueing it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests import CreateClip, NoQuery
from clipengine.api.http.responses import ClipPlanObject
from clipengine.api.routes.clip_parts import parts_of
from clipengine.api.routes.clips import complete_recording
from clipengine.api.routes.previews import PREVIEW_ERRORS, preview_bytes
from clipengine.clips.clip import Recording
from clipengine.clips.edit import Part
from clipengine.clips.profiles import Profile
from clipengine.clips.seek_index import SeekIndex
from clipengine.clips.segments import JOINED
from clipengine.clips.warnings import encoded_instead
from clipengine.errors import InvalidLabel, InvalidWebhookUrl, RecordingNotComplete, UnknownProfile
from clipengine.timecode import exact
from clipengine.work.previews import Preview


async def plan_clip(call: Call[NoQuery, CreateClip]) -> Response:
    body, recording_id = call.body, call.path("recording_id")

    def look_up() -> list[tuple[Part, Recording, SeekIndex | None]]:
        complete_recording(call, body, recording_id)
        single = Part(recording_id, body.start_seconds or 0.0, body.end_seconds or 0.0)
        parts = parts_of(body, recording_id) or (single,)
        recordings = call.ledger.recordings
        return [(part, recordings.get(part.recording_id), recordings.seek_index(part.recording_id)) for part in parts]

    parts = await call.in_session(look_up)
    profile = call.engine.settings.profiles[body.profile].rendered(body.render, body.output)
    warnings = []
    if len(parts) > 1 and profile.render == "smart":
        profile, warnings = profile.rendered("encode", body.output), [encoded_instead(JOINED)]
    plans = [await _plan_part(call, profile, *part) for part in parts]
    own = [plan for plan, (part, *_) in zip(plans, parts, strict=True) if part.recording_id == recording_id]
    plan = _joined(plans, own or plans)
    plan["warnings"] += warnings
    if profile.output.max_bytes is not None:
        plan["estimated_bytes"] = min(plan["estimated_bytes"], profile.output.max_bytes)
    return json_response(plan)


async def _plan_part(
    call: Call[NoQuery, CreateClip], profile: Profile, part: Part, recording: Recording, seek_index: SeekIndex | None
) -> dict[str, Any]:
    if recording.facts is None:
        raise RecordingNotComplete.of(recording.recording_id, recording.state)
    start, end = exact(part.start_seconds), min(exact(part.end_seconds), recording.facts.duration)
    values: dict[str, str | int] = {"start": str(start), "end": str(end), "profile": profile.model_dump_json()}
    preview = Preview("plan", recording, values, seek_index and seek_index.near(Fraction(start)))
    made: dict[str, Any] = json.loads(await preview_bytes(call, preview))
    return made


def _joined(plans: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the plan of the clip from those of its parts. Its start and end are those of its `own` recording."""
    sums = ("duration_seconds", "frames", "estimated_bytes", "estimated_seconds", "bytes_to_read")
    return {
        **plans[0],  # the first part decides the size of the picture
        "actual_start_seconds": min(plan["actual_start_seconds"] for plan in own),
        "actual_end_seconds": max(plan["actual_end_seconds"] for plan in own),
        "segments": [{"part": part, **each} for part, plan in enumerate(plans) for each in plan["segments"]],
        **{name: round(sum(plan[name] for plan in plans), 3) for name in sums},
        "warnings": list(dict.fromkeys(text for plan in plans for text in plan["warnings"])),
    }


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
