"""Times of keyframes that are stated too early in fragmented MP4.

FFmpeg's HLS muxer gives the first frame of each segment the composition offset of the recording's first frame. If that
keyframe begins an open GOP, as x265's keyframes do, it then has the time of one of the frames that are shown before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from clipengine.media.input.timing.display_order import REORDERED_FRAMES
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.media.input.timing.timeline import as_fraction

_MOST_WAITING = 1000  # packets of all streams
_ROUNDED_TICKS = 2


def with_keyframe_times(packets: Iterable[TimedPacket]) -> Iterator[TimedPacket]:
    """Yield the packets of a run, in decoding order. A keyframe with the time of another frame gets the next free one.

    It waits for the packets that may have its time, which are few.
    """
    waiting: deque[TimedPacket] = deque()
    for timed in packets:
        waiting.append(timed)
        while waiting:
            time = _time_of(waiting, ended=len(waiting) > _MOST_WAITING)
            if time is None:
                break
            yield _placed(waiting.popleft(), time)
    while waiting:
        yield _placed(waiting[0], _time_of(waiting, ended=True) or waiting[0].time)
        waiting.popleft()


def _placed(timed: TimedPacket, time: Fraction) -> TimedPacket:
    return timed if time == timed.time else timed._replace(time=time)


def _time_of(waiting: Sequence[TimedPacket], *, ended: bool) -> Fraction | None:
    """Return the time of the first packet, or None if it depends on packets that follow."""
    first = waiting[0]
    if first.time <= first.dts or not (first.packet.is_keyframe and first.is_video):
        return first.time
    tick = as_fraction(first.packet.time_base)
    frame = (first.packet.duration or 0) * tick
    following = [each for each in waiting if each.stream == first.stream][1:]
    time, near = first.time, _ROUNDED_TICKS * tick
    # A packet of this time has a dts up to it, so one with a later dts shows that there is no other.
    while frame > 0 and any(abs(each.time - time) <= near for each in following):
        time, near = time + frame, frame / 2
    is_known = ended or frame == 0 or len(following) > 2 * REORDERED_FRAMES
    return time if is_known or (following and following[-1].dts >= time) else None
