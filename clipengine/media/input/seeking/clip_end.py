"""End of a clip in the packets of a recording: which streams still have packets of the clip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from fractions import Fraction

from av.stream import Discard

from clipengine.clips.cut_range import CutRange
from clipengine.media.input.containers.container import is_presented
from clipengine.media.input.timing.display_order import REORDERED_FRAMES
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.recordings.facts import PIECES, SourceFacts

# Maximum distance between interleaved streams.
SLACK_SECONDS = Fraction(3)
# Audio is read so far past the clip's end, because its timestamps may be late.
_LATE_SECONDS = Fraction(1, 20)
_MISSED_SECONDS = Fraction(1, 4)  # as a pause


class ClipEnd:
    """Ends the packets of a clip when each of its streams has passed the clip's end.

    `video` and `audio` are the numbers of the streams. `resume_times` gets the earliest time after the clip at which
    each stream continues. Packets are stored at most `reordered` seconds before their presentation in addition to the
    difference between their dts and pts.

    A stream of a recording of many files that ends before the clip counts as one that continues after it: its last
    files may be missing, or not be written yet.
    """

    def __init__(
        self,
        facts: SourceFacts,
        cut: CutRange,
        video: int | None,
        audio: Collection[int],
        resume_times: dict[int, Fraction],
        reordered: Fraction,
    ) -> None:
        self._end = cut.end
        self._is_pieces = facts.container == PIECES
        late = {track.index: track.stamps.late for track in facts.audio if track.stamps is not None}
        # One more frame of video, whose second field may be a separate packet.
        self._ends = {
            **({} if video is None else {video: cut.end + cut.frame_seconds + reordered}),
            **{number: cut.end + late.get(number, _LATE_SECONDS) for number in audio},
        }
        # An encoder delays frames, which are seconds in a recording of slides.
        self._far = cut.end + max(SLACK_SECONDS, REORDERED_FRAMES * cut.frame_seconds) + reordered
        self._open = set(self._ends)  # streams that have not passed their end
        self._resume_times = resume_times
        resume_times.clear()
        self._latest: dict[int, Fraction] = {}  # time of each stream's last packet in the clip

    def before(self, packets: Iterable[TimedPacket]) -> Iterator[TimedPacket]:
        """Yield the packets before the end. Tell the demuxer to skip the streams that have passed it."""
        for timed in packets:
            packet = timed.packet
            if timed.time < self._end and (timed.dts is timed.time or timed.dts <= timed.time):
                self._latest[timed.stream] = timed.time
                yield timed
                continue
            self._note_resume_time(timed)
            reveals_hole = timed.dts >= self._far and timed.stream in self._open
            earliest = min(timed.dts, timed.time)
            if earliest < self._ends[timed.stream]:
                if earliest < self._end or not packet.is_corrupt:  # damage after the clip does not concern it
                    yield timed
            else:
                self._open.discard(timed.stream)
                if not packet.is_discard:  # pre-roll of an edit list can have any time
                    packet.stream.discard = Discard.all
            if reveals_hole:  # in all streams
                self._resume_times |= dict.fromkeys(self._open - self._resume_times.keys(), timed.dts)
            if not self._open or timed.dts >= self._far:
                return
        if self._is_pieces:
            begins = self._end - _MISSED_SECONDS
            missed = {number for number in self._open if self._latest.get(number, Fraction(0)) < begins}
            self._resume_times |= dict.fromkeys(missed - self._resume_times.keys(), self._end)

    def _note_resume_time(self, timed: TimedPacket) -> None:
        if timed.time < self._end or not is_presented(timed.packet):
            return
        index = timed.stream
        resumes = timed.time if timed.dts < self._ends[index] else min(timed.dts, timed.time)
        self._resume_times[index] = min(resumes, self._resume_times.get(index, resumes))
