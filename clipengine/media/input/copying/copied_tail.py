"""The end of a clip whose packets are copied: frames that must be encoded, and how to decode them.

The first packets of the last copied GOP are decoded in any case: the clip must show the same pictures.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction

from clipengine.clips.cut_range import CutRange
from clipengine.clips.plan.segments import CannotCopy
from clipengine.media.input.timing.packet_timestamps import TimedPacket

# Limit of the packets before the first copied packet, and of the packets kept to decode the tail.
MAX_KEPT_BYTES = 96 << 20
_SEAM_BYTES = 64 << 20
# Up to this length, all of the last copied GOP is decoded in a clip whose last frames are encoded.
_MAX_GOP_PACKETS = 96
_REORDERED_AMONG = 32  # packets; the largest buffer of a decoder has 16 frames
SEAM_FRAMES = 24  # that are decoded after a cut, besides the reordered ones


class CopiedTail:
    """The packets that are needed to decode the clip's last frames, if these cannot be copied."""

    def __init__(self, cut: CutRange, reordered_frames: int) -> None:
        self._cut = cut
        self._reorders = reordered_frames > 0
        self._seam_packets = SEAM_FRAMES + reordered_frames
        self._seam: list[TimedPacket] = []  # the first packets of the last GOP, without leading packets
        self._seam_bytes = 0
        self._rest: list[Fraction] = []  # times of the packets that follow them in the last GOP
        self._gop: list[TimedPacket] | None = []  # copied packets of the last GOP; None if they are too large
        self._gop_bytes = 0
        self._after: list[TimedPacket] = []  # packets from the first packet on that is not copied

    def add_after(self, timed: TimedPacket) -> None:
        """Add a packet that is not copied, because it or a packet before it is shown after the clip."""
        self._after.append(timed)

    def add_copied(self, timed: TimedPacket, *, starts_gop: bool, leading: bool) -> None:
        self._add_to_seam(timed, starts_gop=starts_gop, leading=leading)
        if not self._reorders:
            return
        if starts_gop:
            self._gop, self._gop_bytes = [], 0
        if self._gop is not None:
            self._gop.append(timed)
            self._gop_bytes += timed.packet.size
            if self._gop_bytes > MAX_KEPT_BYTES:
                self._gop = None

    def _add_to_seam(self, timed: TimedPacket, *, starts_gop: bool, leading: bool) -> None:
        if starts_gop:
            self._seam, self._seam_bytes, self._rest = [], 0, []
        if leading:
            return
        self._seam_bytes += timed.packet.size
        if not self._rest and len(self._seam) < self._seam_packets and self._seam_bytes <= _SEAM_BYTES:
            self._seam.append(timed)
        elif len(self._rest) < _MAX_GOP_PACKETS:
            self._rest.append(timed.time)

    @property
    def seam(self) -> list[TimedPacket]:
        """The packets that begin the last copied GOP."""
        return self._seam

    @property
    def rest(self) -> list[Fraction]:
        """The times of the other packets of that GOP, or none if it is long."""
        return self._rest if len(self._seam) + len(self._rest) <= _MAX_GOP_PACKETS else []

    def wanted(self, last_copied: Fraction | None) -> set[Fraction]:
        """Return the times of the frames to encode."""
        wanted = {timed.time for timed in self._after if timed.time < self._cut.last_moment}
        if wanted and last_copied is not None and min(wanted) <= last_copied:
            raise CannotCopy("the last frames are not in a row")
        if wanted and self._gop is None:
            raise CannotCopy("its keyframes are too far apart")
        return wanted

    def packets(self) -> Iterator[tuple[TimedPacket, bool]]:
        """Yield the packets to decode; True if the frame is needed as a reference at most."""
        for timed in self._gop or ():
            yield timed, True
        last = max(number for number, timed in enumerate(self._after) if timed.time < self._cut.last_moment)
        for timed in self._after[: last + 1]:
            yield timed, False


class Reordering:
    """Counts the frames that are decoded before a frame and shown after it, from packets in decoding order."""

    def __init__(self) -> None:
        self._latest: deque[Fraction] = deque()
        self._sorted: list[Fraction] = []  # the same times

    def add(self, time: Fraction) -> int:
        """Add a packet and return the number of such frames."""
        place = known = len(self._sorted)
        if known and time < self._sorted[-1]:
            place = bisect_right(self._sorted, time)
        self._sorted.insert(place, time)
        self._latest.append(time)
        if known == _REORDERED_AMONG:
            self._sorted.remove(self._latest.popleft())  # it is among the first ones
        return known - place


def reordered_frames(times: Sequence[Fraction]) -> int:
    """Return the largest number of frames that are decoded before a frame and shown after it."""
    most = 0
    earlier: list[Fraction] = []
    for time in times:
        most = max(most, len(earlier) - bisect_right(earlier, time))
        insort(earlier, time)
    return most
