"""Plan of a clip: its first frame, and what would be copied. Only packets around the start are read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from clipengine.clips.cut_range import CutRange
from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.effects import PartClock, effects_of
from clipengine.clips.options.framing import clip_size
from clipengine.clips.options.picture_size import PictureSize
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.estimate import estimate
from clipengine.clips.plan.frame_count import HELD_SECONDS, frame_count, held_seconds
from clipengine.clips.plan.frames import FrameSelector, kept_tracks
from clipengine.clips.plan.segments import NO_VIDEO_AT_START, CannotCopy, Segment, check_copyable
from clipengine.clips.warnings import picture_resized
from clipengine.media.bitstream.bits import SETS_CHANGE
from clipengine.media.input.container import media_errors
from clipengine.media.input.events import CopiedVideo
from clipengine.media.input.packet_copier import PacketCopier
from clipengine.media.input.read_request import ReadRequest, as_json
from clipengine.media.input.seekers import open_seeker
from clipengine.media.input.shown_frames import can_seek
from clipengine.media.input.shown_sizes import picture_size
from clipengine.media.input.source import ByteSource, MediaReader
from clipengine.media.previews.frame_times import frame_times
from clipengine.media.video.convert import FrameConverter
from clipengine.media.video.gaps import GapCounter
from clipengine.recordings.facts import SourceFacts, VideoFacts
from clipengine.recordings.seek_index import SeekIndex

_COUNTED_BYTES = 32 << 20  # of a range whose packets are read to count its frames; of more they are estimated


def read_plan(request: ReadRequest) -> bytes:
    """Return the JSON of the plan of a clip of the range with the `profile`."""
    start, end = request.range
    plan = clip_plan(
        request.source,
        request.facts,
        Profile.model_validate_json(request.values["profile"]),
        start=start,
        end=end,
        threads=request.threads,
        seek_index=request.seek_index,
        is_first=bool(request.values["is_first"]),
        is_last=bool(request.values["is_last"]),
        removed=Fraction(request.values["removed"]),
    )
    return as_json(plan)


def clip_plan(
    source: ByteSource,
    facts: SourceFacts,
    profile: Profile,
    *,
    start: Fraction,
    end: Fraction,
    threads: int,
    seek_index: SeekIndex | None = None,
    is_first: bool = True,
    is_last: bool = True,
    removed: Fraction = Fraction(0),
) -> dict[str, Any]:
    """Return the plan of the clip or part `[start, end)`, see `PartPlan`. Raises RecordingError.

    `is_first` and `is_last` are the place of the part in its clip, from which `removed` seconds are removed.
    """
    end = min(end, facts.duration)
    warnings: list[str] = []
    others = False
    has_video = facts.video is not None and profile.video != "none"
    cut = CutRange(start, end)
    if has_video and facts.video is not None:
        cut = CutRange(start, end, facts.video.frame_seconds, facts.video.tick)
        if facts.video.largest is not None and (picture := _picture(source, facts, cut, seek_index)) is not None:
            facts = facts.model_copy(update={"video": picture.applied_to(facts.video)})
            others = bool(picture.others)
            warnings += [picture_resized(picture)] if others else []
    exact = not has_video or (profile.output.is_timelapse and can_seek(facts))
    is_short = source.size * (end - start) <= _COUNTED_BYTES * facts.duration
    counted = not exact and profile.fps is None and is_short
    frames = None if exact else _frames(source, facts, cut, seek_index, all_of=counted)
    origin = start if frames is None else frames.origin
    held = held_seconds(facts, profile, origin, end - removed, is_first=is_first)
    segments: tuple[Segment, ...] = (Segment("encode", origin, end),)
    stream = reason = only_frame = misfit = None
    if profile.render != "encode":
        try:
            check_copyable([PlannedPart(facts, start, end)], profile)
            if others:
                raise CannotCopy(SETS_CHANGE)
            with _copier(source, facts, profile, cut, threads=threads, seek_index=seek_index) as copier:
                stream = _checksum(copier.begin())
                found, only_frame = copier.plan(), copier.only_frame
                misfit = NO_VIDEO_AT_START if held > HELD_SECONDS else _misfit(copier, profile)
                segments = segments if misfit else (replace(found[0], start=origin), *found[1:])
        except CannotCopy as refusal:
            reason = str(refusal)
    kept = end - origin - removed
    length, clock = kept / profile.output.tempo, PartClock(lambda time: time - origin)
    effects = effects_of(profile.output, length, first=is_first, last=is_last, clock=clock)
    size = clip_size(facts.video, profile) if has_video and facts.video is not None else (None, None)
    reached = seek_index.before(start) if seek_index is not None else None
    head = start - reached.time if reached is not None else Fraction(1)
    cost = estimate(facts, profile, segments, file_bytes=source.size, head_seconds=max(Fraction(0), head))
    share = float(kept / (end - origin))
    if counted and frames is not None and facts.video is not None and not removed:
        warnings += _gaps(frames, facts.video, profile.output.tempo, end)
    return {
        "actual_start": str(origin),
        "actual_end": str(end),
        "held_seconds": _seconds(held if held > HELD_SECONDS else Fraction(0)),
        "frames": frame_count(
            facts,
            profile,
            cut,
            origin,
            effects,
            held=held,
            removed=removed,
            times=frames.times if counted and frames is not None else None,
        )
        if has_video
        else 0,
        "width": size[0],
        "height": size[1],
        "segments": [_object(each) for each in segments],
        "stream": stream,
        "reason": reason,
        "only_frame": only_frame,
        "misfit": misfit,
        "estimated_bytes": round(cost.bytes * share),
        "estimated_seconds": round(cost.seconds * share / threads, 3),
        "bytes_to_read": cost.bytes_to_read,
        "warnings": warnings,
    }


def _gaps(frames: _Frames, video: VideoFacts, speed: Fraction, end: Fraction) -> Iterator[str]:
    """Yield the warning of missing frames at a constant rate."""
    gaps, length = GapCounter(Fraction(0) if video.variable_rate else video.frame_seconds / speed), end - frames.origin
    for time in frames.times:
        gaps.add(time / speed)
    if video.last_frame is not None and video.last_frame >= end:
        gaps.finish(length / speed, length / speed)
    yield from gaps.warnings()


def _object(segment: Segment) -> dict[str, Any]:
    return {"kind": segment.kind, "start_seconds": _seconds(segment.start), "end_seconds": _seconds(segment.end)}


def _picture(source: ByteSource, facts: SourceFacts, cut: CutRange, seek_index: SeekIndex | None) -> PictureSize | None:
    with MediaReader(source) as reader:
        return picture_size(reader, facts, cut, seek_index)


class _Frames(NamedTuple):
    """Where a clip begins, on a frame or at the start of its range, and the times of its frames from there."""

    origin: Fraction
    times: list[Fraction]


def _frames(
    source: ByteSource, facts: SourceFacts, cut: CutRange, seek_index: SeekIndex | None, *, all_of: bool
) -> _Frames:
    """Return the first frames of a clip, or all of them, by the times of their packets."""
    low, high = max(Fraction(0), cut.first_moment), cut.start + 2 * cut.frame_seconds + cut.tick
    selector: FrameSelector[Fraction] = FrameSelector(cut)
    until = max(cut.end, high) if all_of else max(high, low + cut.tick)
    times: list[Fraction] = []
    for time in frame_times(source, facts, start=low, end=max(until, low + cut.tick), seek_index=seek_index):
        times += [shown for shown, _ in selector.push(time, time)]
    times += [shown for shown, _ in selector.finish()]
    return _Frames(cut.start if selector.origin is None else selector.origin, times)


@contextmanager
def _copier(
    source: ByteSource,
    facts: SourceFacts,
    profile: Profile,
    cut: CutRange,
    *,
    threads: int,
    seek_index: SeekIndex | None,
) -> Iterator[PacketCopier]:
    audio = [track.index for track in kept_tracks(profile, facts.audio)]
    with (
        MediaReader(source) as reader,
        media_errors(reader),
        open_seeker(reader, facts, cut, video=True, audio=audio, seek_index=seek_index) as seeker,
    ):
        yield PacketCopier(seeker, cut, threads=threads, only_plans=True)


def _misfit(copier: PacketCopier, profile: Profile) -> str | None:
    frame = copier.first_copied_frame()
    try:
        FrameConverter(profile, frame, None).check_kept(frame)
    except CannotCopy as refusal:
        return str(refusal)
    return None


def _checksum(copied: CopiedVideo) -> str:
    return hashlib.sha256(repr(copied.bitstream.parameters).encode()).hexdigest()


def _seconds(time: Fraction) -> float:
    return round(float(time), 6)
