"""Plan of a clip from its packets: frames, gaps, and the segments that smart render would copy.

Only the packets around its start are read if the range has too many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from clipengine.clips.plan.frames import kept_tracks
from clipengine.clips.plan.segments import CannotCopy, Segment, check_copyable
from clipengine.clips.warnings import picture_resized
from clipengine.media.bitstream.bits import SETS_CHANGE
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.kept_source import KeptBytes, KeptSource
from clipengine.media.input.decoding.shown_frames import can_seek
from clipengine.media.input.decoding.shown_sizes import picture_size
from clipengine.media.input.read_request import ReadRequest, as_json
from clipengine.media.part_survey import PartSurvey, is_surveyed
from clipengine.media.previews.frame_times import frame_times
from clipengine.media.previews.range_packets import read_range, selected
from clipengine.media.video.gaps import GapCounter
from clipengine.recordings.facts import SourceFacts, VideoFacts
from clipengine.recordings.seek_index import SeekIndex


def read_plan(request: ReadRequest) -> bytes:
    """Return the JSON of the plan of a clip of the range with the `profile`."""
    start, end = request.range
    plan = clip_plan(
        KeptSource(request.source, KeptBytes()),  # the range is read for each question
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
    cut, video = CutRange(start, end), facts.video if profile.video != "none" else None
    warnings: list[str] = []
    picture = None
    if video is not None:
        cut = CutRange(start, end, video.frame_seconds, video.tick)
        picture = _picture(source, facts, cut, seek_index) if video.largest is not None else None
        if picture is not None:
            video = picture.applied_to(video)
            facts = facts.model_copy(update={"video": video})
            warnings += [picture_resized(picture)] if picture.others else []
    found = _read(source, facts, profile, cut, seek_index)
    origin = found.origin
    held = held_seconds(facts, profile, origin, end - removed, is_first=is_first)
    copied = PartSurvey((Segment("encode", origin, end),))
    if profile.render != "encode":
        sizes_change = picture is not None and bool(picture.others)
        try:
            check_copyable([PlannedPart(facts, start, end)], profile)
            if sizes_change and not found.is_read:
                raise CannotCopy(SETS_CHANGE)
            copied.read(
                source,
                facts,
                profile,
                cut,
                threads=threads,
                seek_index=seek_index,
                origin=origin,
                held=held,
                whole=found.is_read,
            )
        except CannotCopy as refusal:
            copied.reason = str(refusal)
    kept = end - origin - removed
    length, clock = kept / profile.output.tempo, PartClock(lambda time: time - origin)
    effects = effects_of(profile.output, length, first=is_first, last=is_last, clock=clock)
    size = clip_size(video, profile) if video is not None else (None, None)
    reached = seek_index.before(start) if seek_index is not None else None
    head = max(Fraction(0), start - reached.time) if reached is not None else Fraction(1)
    cost = estimate(
        facts, profile, copied.segments, file_bytes=source.size, head_seconds=head, copied_bytes=copied.bytes
    )
    share = float(kept / (end - origin))
    times = found.times if profile.fps is None else None
    if times is not None and video is not None and not removed:
        warnings += _gaps(found, times, video, profile.output.tempo, end)
    return {
        "actual_start": str(origin),
        "actual_end": str(end),
        "held_seconds": _seconds(held if held > HELD_SECONDS else Fraction(0)),
        "frames": frame_count(facts, profile, cut, origin, effects, held=held, removed=removed, times=times)
        if video is not None
        else 0,
        "frames_exact": _counts_exactly(profile, video, found, removed=removed),
        "width": size[0],
        "height": size[1],
        "segments": [_object(each) for each in copied.segments],
        "stream": copied.stream,
        "reason": copied.reason,
        "only_frame": copied.only_frame,
        "misfit": copied.misfit,
        "estimated_bytes": round(cost.bytes * share),
        "estimated_seconds": round(cost.seconds * share / threads, 3),
        "bytes_to_read": cost.bytes_to_read,
        "warnings": [*warnings, *copied.warnings, *found.warnings],
    }


def _counts_exactly(profile: Profile, video: VideoFacts | None, found: _Found, *, removed: Fraction) -> bool:
    """Return True if the number of frames is no estimate."""
    if video is None or profile.fps is not None or profile.output.is_timelapse:
        return True
    return found.times is not None and not (removed and video.variable_rate)


def _gaps(found: _Found, times: Sequence[Fraction], video: VideoFacts, speed: Fraction, end: Fraction) -> Iterator[str]:
    """Yield the warning of missing frames at a constant rate."""
    gaps, length = GapCounter(Fraction(0) if video.variable_rate else video.frame_seconds / speed), end - found.origin
    for time in times:
        gaps.add(time / speed)
    if video.last_frame is not None and video.last_frame >= end:
        gaps.finish(length / speed, length / speed)
    yield from gaps.warnings()


def _object(segment: Segment) -> dict[str, Any]:
    return {"kind": segment.kind, "start_seconds": _seconds(segment.start), "end_seconds": _seconds(segment.end)}


def _picture(source: ByteSource, facts: SourceFacts, cut: CutRange, seek_index: SeekIndex | None) -> PictureSize | None:
    with MediaReader(source) as reader:
        return picture_size(reader, facts, cut, seek_index)


class _Found(NamedTuple):
    """Start of a clip, on a frame or at the start of its range, and the findings from its packets.

    `times` are the times of its frames from that start, None if it has no video or its packets were not read.
    """

    origin: Fraction
    times: list[Fraction] | None = None
    warnings: Sequence[str] = ()
    is_read: bool = False


def _read(
    source: ByteSource, facts: SourceFacts, profile: Profile, cut: CutRange, seek_index: SeekIndex | None
) -> _Found:
    """Read the packets of the range, or only the packets around its start if there are too many."""
    has_video = facts.video is not None and profile.video != "none"
    if has_video and profile.output.is_timelapse and can_seek(facts):
        return _Found(cut.start)
    seconds, packets = cut.end - cut.start, None
    if is_surveyed([(source.size, facts.duration, seconds)]):
        tracks = kept_tracks(profile, facts.audio)
        packets = read_range(source, facts, cut, tracks, seek_index, video=has_video)
    if packets is not None:
        return _Found(packets.origin, packets.times if has_video else None, packets.audio_warnings, is_read=True)
    return _Found(_first_frame(source, facts, cut, seek_index) if has_video else cut.start)


def _first_frame(source: ByteSource, facts: SourceFacts, cut: CutRange, seek_index: SeekIndex | None) -> Fraction:
    """Return where a clip begins, from the packets around its start."""
    low, high = max(Fraction(0), cut.first_moment), cut.start + 2 * cut.frame_seconds + cut.tick
    shown = frame_times(source, facts, start=low, end=max(high, low + cut.tick), seek_index=seek_index)
    return selected(shown, cut)[0]


def _seconds(time: Fraction) -> float:
    return round(float(time), 6)
