"""Preview jobs in an encoder child: a frame, a filmstrip, a waveform, frame times."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from clipengine.clips.facts import SourceFacts
from clipengine.clips.profiles import Profile
from clipengine.clips.seek_index import SeekIndex
from clipengine.media.input.source import ByteSource
from clipengine.media.previews.clip_plan import clip_plan
from clipengine.media.previews.frame import filmstrip, frame_at
from clipengine.media.previews.frame_times import frame_times
from clipengine.media.previews.proxy import make_init, make_segment
from clipengine.media.previews.waveform import peaks
from clipengine.media.snap import next_moment, snap_part

KINDS = ("frame", "times", "filmstrip", "waveform", "plan", "moments", "jump", "proxy")


def make_preview(job: dict[str, Any], source: ByteSource) -> bytes:
    """Do the job and return a JPEG or the JSON of the response. Raises RecordingError."""
    facts = SourceFacts.model_validate(job["facts"])
    seek_index = None if job["seek_index"] is None else SeekIndex.model_validate(job["seek_index"])
    if job["job"] == "frame":
        return frame_at(
            source,
            facts,
            at=Fraction(job["at"]),
            width=job["width"],
            threads=job["threads"],
            seek_index=seek_index,
        )
    if job["job"] == "moments":
        moments, _ = snap_part(source, facts, job, threads=job["threads"])
        return json.dumps([None if moment is None else str(moment) for moment in moments]).encode()
    if job["job"] == "jump":
        return _jump(job, facts, next_moment(source, facts, job, threads=job["threads"]))
    if job["job"] == "proxy":
        if job["segment"] == "init":
            return make_init(facts, lines=job["lines"])
        number, lines, threads = job["segment"], job["lines"], job["threads"]
        return make_segment(source, facts, number=number, lines=lines, threads=threads, seek_index=seek_index)
    start, end = Fraction(job["start"]), Fraction(job["end"])
    if job["job"] == "plan":
        profile, threads = Profile.model_validate_json(job["profile"]), job["threads"]
        plan = clip_plan(
            source,
            facts,
            profile,
            start=start,
            end=end,
            threads=threads,
            seek_index=seek_index,
            is_first=bool(job["is_first"]),
            is_last=bool(job["is_last"]),
        )
        return json.dumps(plan, separators=(",", ":")).encode()
    if job["job"] == "times":
        times = frame_times(source, facts, start=start, end=end, seek_index=seek_index)
        return _json(start, end, frames=[round(float(time), 6) for time in times])
    if job["job"] == "filmstrip":
        return filmstrip(
            source,
            facts,
            start=start,
            end=end,
            count=job["count"],
            width=job["width"],
            threads=job["threads"],
        )
    found = peaks(source, facts, start=start, end=end, points=job["points"], seek_index=seek_index)
    return _json(start, end, points=len(found), peaks=found)


def _jump(job: dict[str, Any], facts: SourceFacts, moment: Fraction | None) -> bytes:
    until = Fraction(job["until"]) if moment is None else moment
    body = {
        "to": job["to"],
        "seconds": None if moment is None else round(float(moment), 6),
        "searched_from_seconds": round(float(Fraction(job["at"])), 6),
        "searched_to_seconds": round(float(until), 6),
        "more": 0 < until < facts.duration,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _json(start: Fraction, end: Fraction, **values: Any) -> bytes:
    body = {"start_seconds": float(start), "end_seconds": float(end), **values}
    return json.dumps(body, separators=(",", ":")).encode()
