"""Plans of clips: what a request would make, without queueing it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests import CreateClip, NoQuery
from clipengine.api.routes.clip_requests import recording_of_path, resolved
from clipengine.api.routes.previews import PREVIEW_ERRORS, preview_bytes
from clipengine.clips.clip import Recording
from clipengine.clips.edit import PlannedPart, lost_texts
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.snap import Snap
from clipengine.clips.plan.frame_count import joined_frames, mean_rate
from clipengine.clips.plan.read_jobs import MOMENTS, PLAN, SILENCES
from clipengine.clips.plan.segments import CannotCopy, FoundPart, check_copyable, refused_parts
from clipengine.clips.removed import Span
from clipengine.clips.resolve import ResolvedClip
from clipengine.clips.shortened import Shortened, SilenceReport, shorten
from clipengine.clips.snap_moments import Found
from clipengine.clips.snapped import Snapped, SnapReport, move_cuts
from clipengine.clips.warnings import (
    asked_warnings,
    encoded_instead,
    known_warnings,
    of_part,
    part_encoded,
    picture_held,
    subtitles_not_drawn,
    text_lost,
)
from clipengine.errors import (
    ClockAmbiguous,
    ClockUnknown,
    FontsMissing,
    InvalidLabel,
    InvalidWebhookUrl,
    NotRecordedYet,
    UnknownProfile,
    UnknownWatermark,
    located,
)
from clipengine.objects.clip import ClipPlanObject
from clipengine.timecode import exact
from clipengine.work.children.fonts import choose_fonts
from clipengine.work.children.jobs import silence_values, snap_values
from clipengine.work.making.clip_texts import LedgerTexts
from clipengine.work.making.snapping import sentences
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
    profile, recordings = clip.profile, [source.recording for source in clip.sources]
    ids = [recording.recording_id for recording in recordings]
    asked = clip.request
    texts = LedgerTexts(call.ledger.transcripts, ids, asked.subtitles, clip.language, asked.caption_style)
    snapped = await _snap(call, clip, recordings, texts)
    shortened = await _shorten(call, clip, snapped.parts, recordings, texts)
    parts, lost = await call.in_session(lambda: texts.added(shortened.parts))
    folders = call.engine.settings.encoding.font_folders
    fonts = await run_in_threadpool(choose_fonts, [part.burnt for part in parts], folders)
    warnings = [*snapped.warnings, *shortened.warnings, *lost, *fonts.warnings()]
    plans, refused, reason = await _plan_parts(call, profile, parts, recordings)
    if reason is not None:
        warnings.append(encoded_instead(reason))
    _add_known_warnings(plans, refused, profile, parts)
    own = [
        plan for plan, part in zip(plans, clip.parts, strict=True) if part.recording_id == clip.recording.recording_id
    ]
    plan = _joined(
        plans, own or plans, profile, refused if reason is None else dict.fromkeys(range(len(parts)), reason)
    )
    plan["warnings"] = asked_warnings([*plan["warnings"], *warnings], profile)
    plan["snapped"] = [asdict(cut) for cut in snapped.cuts]
    plan["removed"] = [
        {"part": number, "start_seconds": round(float(start), 6), "end_seconds": round(float(end), 6)}
        for number, part in enumerate(parts)
        for start, end in part.removed.spans
    ]
    if profile.output.max_bytes is not None:
        plan["estimated_bytes"] = min(plan["estimated_bytes"], profile.output.max_bytes)
    return json_response(plan)


async def _plan_parts(
    call: Call[NoQuery, CreateClip], profile: Profile, parts: Sequence[PlannedPart], recordings: Sequence[Recording]
) -> tuple[list[dict[str, Any]], dict[int, str], str | None]:
    """Return the plans of the parts, why smart render encodes some of them, and why it encodes all of the clip."""
    plan = partial(_plan_part, call, parts=parts, recordings=recordings)
    numbers, encoding = range(len(parts)), profile.model_copy(update={"render": "encode"})
    if profile.render == "encode":
        return [await plan(profile, number) for number in numbers], {}, None
    plans: list[dict[str, Any]] = []
    try:
        check_copyable(parts, profile)
        plans = [await plan(profile, number) for number in numbers]
        refused = refused_parts(
            parts, [FoundPart(each["stream"], each["reason"], each["only_frame"], each["misfit"]) for each in plans]
        )
    except CannotCopy as refusal:
        planned = [
            each if each["reason"] or each["misfit"] else await plan(encoding, number)
            for number, each in enumerate(plans)
        ]
        return planned or [await plan(encoding, number) for number in numbers], {}, str(refusal)
    for number in refused:
        if not plans[number]["reason"]:
            plans[number] = await plan(encoding, number)
    return plans, refused, None


async def _snap(
    call: Call[NoQuery, CreateClip], clip: ResolvedClip, recordings: Sequence[Recording], texts: LedgerTexts
) -> Snapped:
    """Return the parts with their cuts snapped if that is requested. Raises InvalidTimeRange."""
    snap, rules, parts = clip.request.snap, call.engine.settings.clip_rules, clip.planned
    if snap is None:
        return Snapped(tuple(parts))
    if snap.to == "sentence":
        found = await call.in_session(lambda: [sentences(snap, part, texts.cues) for part in parts])
    else:
        found = [await _moments(call, snap, clip.profile, part, recordings[part.source]) for part in parts]
    snapped = move_cuts(snap, parts, found)
    with located(pointer="/snap"):
        longest = rules.longest_range_of(clip.profile)
        snapped.check(shortest=rules.shortest, longest=longest, output=clip.request.output)
    return snapped


async def _shorten(
    call: Call[NoQuery, CreateClip],
    clip: ResolvedClip,
    parts: Sequence[PlannedPart],
    recordings: Sequence[Recording],
    texts: LedgerTexts,
) -> Shortened:
    """Return the parts without their pauses and fillers if that is requested. Raises InvalidTimeRange."""
    without = clip.request.without
    if not without.kinds:
        return Shortened(tuple(parts))
    words = await call.in_session(lambda: [texts.spoken(part) for part in parts])
    silences: Sequence[Sequence[Span]] = [()] * len(parts)
    if "silence" in without.kinds:
        found = [await _silences(call, clip.profile, part, recordings[part.source]) for part in parts]
        silences = SilenceReport.of({"parts": found, "bytes_read": 0}, len(parts)).silences
    shortened = shorten(without, parts, clip.profile, silences, words)
    with located(pointer="/without"):
        shortened.check(shortest=call.engine.settings.clip_rules.shortest)
    return shortened


async def _silences(
    call: Call[NoQuery, CreateClip], profile: Profile, part: PlannedPart, recording: Recording
) -> object:
    preview = Preview(SILENCES, recording, silence_values(part, profile), part.own_seek_index)
    return json.loads(await preview_bytes(call, preview))


async def _moments(
    call: Call[NoQuery, CreateClip], snap: Snap, profile: Profile, part: PlannedPart, recording: Recording
) -> Found:
    seek_index = part.seek_index and part.seek_index.near(part.start, part.end)
    preview = Preview(MOMENTS, recording, snap_values(snap, part, profile), seek_index)
    cuts = json.loads(await preview_bytes(call, preview))
    return SnapReport.of({"cuts": [cuts], "bytes_read": 0}).found[0]


async def _plan_part(
    call: Call[NoQuery, CreateClip],
    profile: Profile,
    number: int,
    *,
    parts: Sequence[PlannedPart],
    recordings: Sequence[Recording],
) -> dict[str, Any]:
    part = parts[number]
    values: dict[str, str | int] = {
        "start": str(part.start),
        "end": str(min(part.end, part.facts.duration)),
        "profile": profile.model_dump_json(),
        "is_first": int(number == 0),
        "is_last": int(number == len(parts) - 1),
    }
    preview = Preview(PLAN, recordings[part.source], values, part.own_seek_index)
    made: dict[str, Any] = json.loads(await preview_bytes(call, preview))
    return _without_removed(made, part, profile) if part.removed.spans else made


def _without_removed(plan: dict[str, Any], part: PlannedPart, profile: Profile) -> dict[str, Any]:
    """Return the plan of a part, made for all of it, without what is removed of it."""
    removed, tempo = part.removed.seconds, profile.output.tempo
    kept = 1 - float(removed) / max(plan["actual_end_seconds"] - plan["actual_start_seconds"], 1e-6)
    frames = plan["frames"]
    if frames:
        rate = mean_rate(part.facts) if profile.fps is None else Fraction(str(profile.fps)) / tempo
        frames = max(1, frames - round(removed * rate))
    return {
        **plan,
        "duration_seconds": round(plan["duration_seconds"] - float(removed / tempo), 6),
        "frames": frames,
        "estimated_bytes": round(plan["estimated_bytes"] * kept),
        "estimated_seconds": round(plan["estimated_seconds"] * kept, 3),
    }


def _add_known_warnings(
    plans: Sequence[dict[str, Any]], refused: Mapping[int, str], profile: Profile, parts: Sequence[PlannedPart]
) -> None:
    """Add the warnings that follow from facts and transcripts, in the form in which the clip would have them."""
    made = [
        (exact(plan["actual_start_seconds"]), exact(plan["actual_end_seconds"]) - part.removed.seconds)
        for plan, part in zip(plans, parts, strict=True)
    ]
    lost = lost_texts(parts, made, profile.container, speed=profile.output.tempo)
    for number, (plan, part) in enumerate(zip(plans, parts, strict=True)):
        found = [*known_warnings(parts, number, profile)]
        if number in refused:
            found.append(part_encoded(refused[number]))
        if parts[0].facts.video and not part.facts.video and profile.video != "none":
            found.append(picture_held(exact(plan["duration_seconds"])))
        found += [text_lost(language, profile.container) for of, language in lost if of == number]
        if part.burnt is not None and not parts[0].facts.video:  # a part without video shows the picture before it
            found.append(subtitles_not_drawn(part.burnt.language))
        found += plan["warnings"]
        plan["warnings"] = of_part(number, found, of=len(parts))


def _joined(
    plans: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]], profile: Profile, refused: Mapping[int, str]
) -> dict[str, Any]:
    """Return the plan of the clip from those of its parts. Its start and end are those of its `own` recording.

    The `refused` parts are not copied for these reasons.
    """
    sums = ("duration_seconds", "estimated_bytes", "estimated_seconds", "bytes_to_read")
    return {
        **{name: plans[0][name] for name in ("width", "height")},  # of the first part
        "actual_start_seconds": min(plan["actual_start_seconds"] for plan in own),
        "actual_end_seconds": max(plan["actual_end_seconds"] for plan in own),
        "segments": [
            {"part": part, **each, "reason": refused.get(part)}
            for part, plan in enumerate(plans)
            for each in plan["segments"]
        ],
        **{name: round(sum(plan[name] for plan in plans), 3) for name in sums},
        "frames": joined_frames([(exact(plan["duration_seconds"]), plan["frames"]) for plan in plans], profile),
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
