"""Plans of clips: what a request would make, without queueing it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests.clips import CreateClip
from clipengine.api.http.requests.fields import NoQuery
from clipengine.api.routes.clip_requests import recording_of_path, resolved
from clipengine.api.routes.previews import PREVIEW_ERRORS, preview_bytes
from clipengine.clips.edit import PlannedPart
from clipengine.clips.resolve import ResolvedClip
from clipengine.errors import (
    ClockAmbiguous,
    ClockUnknown,
    FontsMissing,
    InvalidLabel,
    InvalidWebhookUrl,
    NotRecordedYet,
    UnknownProfile,
    UnknownWatermark,
)
from clipengine.objects.clip import ClipPlanObject
from clipengine.recordings.recording import Recording
from clipengine.work.cutting import planning
from clipengine.work.cutting.clip_texts import LedgerTexts
from clipengine.work.cutting.planning import PlanSearch
from clipengine.work.cutting.preparation import Done, Making, advance
from clipengine.work.previews.previews import Preview


def _resolved(call: Call[NoQuery, CreateClip]) -> ResolvedClip:
    """Return the clip with the seek indexes of its sources. Raises NotRecordedYet if it would have to wait."""
    clip = resolved(call, call.body, recording_of_path(call), seeks=True)
    if clip.lacking_seconds:
        for source in clip.sources:
            call.ledger.live.want(source.recording.recording_id, at_once=True)
        raise NotRecordedYet.of(clip.parts[-1].end_seconds)
    return clip


async def plan_clip(call: Call[NoQuery, CreateClip]) -> Response:
    clip = await call.in_session(lambda: _resolved(call))
    recordings, asked = [source.recording for source in clip.sources], clip.request
    ids = [recording.recording_id for recording in recordings]
    texts = LedgerTexts(call.ledger.transcripts, ids, asked.subtitles, clip.language, asked.caption_style)
    making = Making(clip.planned, clip.profile, texts, asked.snap, asked.output, without=asked.without)
    settings, report = call.engine.settings, None
    steps = planning.plan_clip(making, encoding=settings.encoding, rules=settings.clip_rules)
    while not isinstance(step := await call.in_thread(advance, steps, report), Done):
        report = step.report_of_parts([await _found(call, step, part, recordings) for part in step.parts])
    own = ids.index(clip.recording.recording_id) if clip.recording.recording_id in ids else None
    return json_response(step.value.values(source=own))


async def _found(
    call: Call[NoQuery, CreateClip], search: PlanSearch, part: PlannedPart, recordings: Sequence[Recording]
) -> object:
    """Return the JSON of the preview with which a part is searched."""
    preview = Preview(search.kind, recordings[part.source], search.values(part), search.seek_index(part))
    return json.loads(await preview_bytes(call, preview))


OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/clips/plan",
        "read",
        plan_clip,
        "Get what a clip would be, without making it",
        [Answer(200, "What would be copied and encoded, with estimates of size and time.", ClipPlanObject)],
        (
            *PREVIEW_ERRORS,
            ClockUnknown,
            ClockAmbiguous,
            UnknownProfile,
            UnknownWatermark,
            InvalidLabel,
            InvalidWebhookUrl,
            FontsMissing,
        ),
        body=CreateClip,
    )
]
