"""Start times of frames, read from packets without decoding."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from clipengine.clips.cut_range import CutRange
from clipengine.errors import NoMediaInRange
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import is_presented, media_errors
from clipengine.media.input.read_request import ReadRequest
from clipengine.media.input.seeking.seekers import AnySeeker, open_seeker
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import SeekIndex


def read_times(request: ReadRequest) -> bytes:
    """Return the JSON of the times of frames in the range."""
    start, end = request.range
    times = frame_times(request.source, request.facts, start=start, end=end, seek_index=request.seek_index)
    return request.json_of_range(frames=[round(float(time), 6) for time in times])


def frame_times(
    source: ByteSource, facts: SourceFacts, *, start: Fraction, end: Fraction, seek_index: SeekIndex | None = None
) -> list[Fraction]:
    """Return the recording times of the frame on screen at `start` and of all that begin in `[start, end)`, in order.

    Raises RecordingError.
    """
    video = facts.video
    if video is None:
        raise NoMediaInRange("the recording has no video", hint="It has audio only and no frames.")
    cut = CutRange(start, end, frame_seconds=video.frame_seconds, tick=video.tick)
    with (
        MediaReader(source) as reader,
        media_errors(reader),
        open_seeker(reader, facts, cut, video=True, audio=(), seek_index=seek_index) as seeker,
    ):
        seeker.seek()
        found = shown_times({timed.time for timed in seeker.packets() if is_presented(timed.packet)}, seeker, facts)
    first = max((time for time in found if time <= start), default=start)
    return [time for time in found if first <= time < end]


def shown_times(times: Collection[Fraction], seeker: AnySeeker, facts: SourceFacts) -> list[Fraction]:
    """Return the times of frames in order, from the `times` of the video packets that were read."""
    found, video = sorted(times), facts.video
    if video is not None and seeker.has_field_packets and not video.variable_rate:
        return _without_second_fields(found, video.frame_seconds)
    return found


def _without_second_fields(times: list[Fraction], usual: Fraction) -> list[Fraction]:
    """Drop the times of second fields, which follow the first field sooner than the next frame does."""
    kept = times[:1]
    for time in times[1:]:
        if time - kept[-1] >= usual * Fraction(3, 4):
            kept.append(time)
    return kept
