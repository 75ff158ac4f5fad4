"""The end of a clip whose packets are copied: frames that must be encoded, and how to decode them."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from fractions import Fraction

from clipengine.clips.plan.frames import CutRange
from clipengine.clips.plan.segments import CannotCopy
from clipengine.media.input.packet_timestamps import TimedPacket

# Limit of the packets before the first copied one, and of those kept to decode the tail.
MAX_KEPT_BYTES = 96 << 20


class CopiedTail:
    """The packets that are needed to decode the clip's last frames, if these cannot be copied."""

    def __init__(self, cut: CutRange, reordered_frames: int) -> None:
        self._cut = cut
        self._reorders = reordered_frames > 0
        self._gop: list[TimedPacket] | None = []  # copied packets of the last GOP; None if they are too large
        self._gop_bytes = 0
        self._after: list[TimedPacket] = []  # packets from the first one on that is not copied

    def takes(self, timed: TimedPacket) -> bool:
        """Return True if the packet is not copied, because it or one before it is shown after the clip."""
        if self._after or timed.time >= self._cut.last_moment:
            self._after.append(timed)
            return True
        return False

    def add_copied(self, timed: TimedPacket, *, starts_gop: bool) -> None:
        if not self._reorders:
            return
        if starts_gop:
            self._gop, self._gop_bytes = [], 0
        if self._gop is not None:
            self._gop.append(timed)
            self._gop_bytes += timed.packet.size
            if self._gop_bytes > MAX_KEPT_BYTES:
                self._gop = None

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


def reordered_frames(times: Sequence[Fraction]) -> int:
    """Return the largest number of frames that are decoded before a frame and shown after it."""
    most = 0
    earlier: list[Fraction] = []
    for time in times:
        most = max(most, len(earlier) - bisect_right(earlier, time))
        insort(earlier, time)
    return most
