"""GOPs of a recording that can be copied.

Each GOP is read ahead as a whole, and its packets are checked, before its first packet is copied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

from av.video.stream import VideoStream

from clipengine.clips.cut_range import CutRange
from clipengine.clips.plan.segments import CannotCopy
from clipengine.media.bitstream.bits import SETS_CHANGE, BitstreamError
from clipengine.media.bitstream.copied_stream import CopiedStream
from clipengine.media.bitstream.packets import CopiedPacket
from clipengine.media.input.containers.codec_headers import new_header
from clipengine.media.input.containers.container import is_presented
from clipengine.media.input.copying.copied_tail import MAX_KEPT_BYTES, SEAM_FRAMES, Reordering, reordered_frames
from clipengine.media.input.copying.skipped_packets import SkippedPackets
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.media.input.timing.repeated_times import RepeatedTimes

# Packets after the first copied packet that are checked before anything is decoded.
_CHECKED_PACKETS = 64
_CHECKED_BYTES = 32 << 20  # of one GOP; the rest of a larger one is checked while it is copied
# GOPs before the first one that can be copied. Each is read and checked in vain, and decoded afterwards: if more are
# refused, the whole clip is encoded.
_MAX_REFUSED = 2


class CopyableGops:
    """Packets of a recording in decoding order, divided into packets to decode and packets to copy.

    Call `find`, then read all packets of `head` and of `copied`. Repeat if `copied` ends at a `refused_gop`.

        packets     . . . . . K L L . . . K . . . . . K . . .
                    |  head   | copied                | refused_gop, which begins the next head

    The copied packets begin with `key`, a keyframe (K). The `leading` packets (L) follow it in the file, but are shown
    before it and refer to packets before it, so they are not copied. With `full_proof`, packets that the container
    marks as damaged are not copied. With `only_first`, the first packets of each GOP are checked, which is enough for a
    plan.
    """

    def __init__(
        self,
        packets: Iterator[TimedPacket],
        video: VideoStream,
        bitstream: CopiedStream,
        cut: CutRange,
        *,
        full_proof: bool,
        only_first: bool,
    ) -> None:
        self._packets = packets
        self._video, self._header, self._bitstream = video, video.codec_context.extradata, bitstream
        self._cut = cut
        self._full_proof, self._only_first = full_proof, only_first
        self._repeated = RepeatedTimes(cut.frame_seconds)
        self._reordering = Reordering()  # of the copied packets
        self._proven_reordering = 0
        self._copies: dict[int, CopiedPacket] = {}  # of packets ahead, by their id()
        self._is_found = False
        self.key: TimedPacket
        self.keyframe_id = 0  # of the key
        self.leading: list[TimedPacket] = []
        self.ahead: deque[TimedPacket] = deque()  # packets that were read and are not used yet
        self.refused_gop: tuple[Fraction, str] | None = None  # the time of the first refused GOP, and the reason

    def find(self, *, after_copied: bool = False) -> None:
        """Find the first GOP ahead that can be copied.

        With `after_copied`, `copied` has ended at a refused GOP, and the search begins with the GOP after it. Raises
        CannotCopy if no GOP can be copied; then `head` has all packets.
        """
        self._is_found = False
        if after_copied and self._bitstream.stated_reordering is None:
            raise CannotCopy("it does not state how far frames are reordered")
        skipped = SkippedPackets(self._bitstream, self._video, sets_may_change=after_copied)
        size = refused = 0
        for number, timed in self._peek():
            size += timed.packet.size
            if size > MAX_KEPT_BYTES:
                raise CannotCopy("its keyframes are too far apart")
            if not timed.is_video:
                continue
            if after_copied and timed.time >= self._cut.last_moment:
                break
            if (number or not after_copied) and self._may_be_first(timed):
                try:
                    self._find_at(number, skipped)
                except CannotCopy as refusal:
                    self.refused_gop = self.refused_gop or (timed.time, str(refusal))
                    refused += 1
                    if refused > _MAX_REFUSED and not after_copied:
                        break
                else:
                    return
            skipped.add(timed)
        raise CannotCopy("no GOP begins in the range" if self.refused_gop is None else self.refused_gop[1])

    def head(self) -> Iterator[TimedPacket]:
        """Yield the packets before the key, or all if none was found."""
        while (timed := self._next()) is not None and not (self._is_found and timed is self.key):
            yield self.ahead.popleft()

    def proven(self, reordered: int) -> list[tuple[TimedPacket, bool]]:
        """Return the packets from the key on that are decoded to prove the clip, True if the packet is copied.

        A decoder returns SEAM_FRAMES pictures for them: it keeps back as many as are `reordered`. Call it after `head`.
        """
        left = SEAM_FRAMES + reordered
        proven: list[tuple[TimedPacket, bool]] = []
        for timed in self.ahead:
            leading = self._is_left_out(timed)
            if not timed.is_video:
                continue
            if not leading and (not left or id(timed) not in self._copies):
                break
            left -= not leading
            proven.append((timed, not leading))
        self._proven_reordering = reordered_frames([timed.time for timed, is_copied in proven if is_copied])
        return proven

    def copied(self) -> Iterator[tuple[TimedPacket, CopiedPacket | None]]:
        """Yield the packets from the key on, and for each video packet in the clip the copy.

        Audio packets, and video packets from the clip's end on, come with None. The iterator ends before a GOP that
        cannot be copied, the `refused_gop`. Raises CannotCopy if a later packet of a GOP cannot be copied.
        """
        self.refused_gop = None
        ended = False
        while (timed := self._next()) is not None:
            if not timed.is_video:
                yield self.ahead.popleft(), None
                continue
            if self._is_left_out(timed):
                self.ahead.popleft()
                continue
            ended = ended or timed.time >= self._cut.last_moment
            if ended:  # it is decoded for the tail, and must not change what the copied packets depend on
                self._check_header(timed)
                self._check(timed)
                self._check_sets(timed)
            elif not self._is_accepted(timed):
                return
            yield self.ahead.popleft(), self._copies.pop(id(timed), None)

    def _is_accepted(self, timed: TimedPacket) -> bool:
        """Return False if the first packet ahead begins a GOP that cannot be copied. Raises CannotCopy for others."""
        if id(timed) not in self._copies:
            if not self._starts_gop(timed):
                self._copies[id(timed)] = self._checked(timed)
            else:
                try:
                    self._read_gop(0)
                except CannotCopy as refusal:
                    self.refused_gop = timed.time, str(refusal)
                    return False
        self._check_reordering(timed)
        return True

    def starts_gop(self, timed: TimedPacket) -> bool:
        """Return True if decoding can begin with the packet. Flags of the container are ignored."""
        try:
            return self._bitstream.starts_gop(bytes(timed.packet))
        except BitstreamError:
            return False

    # ---- packets ahead

    def _peek(self, number: int = 0) -> Iterator[tuple[int, TimedPacket]]:
        """Yield the packets ahead from this number on, and read more of them."""
        while number < len(self.ahead) or self._read():
            yield number, self.ahead[number]
            number += 1

    def _next(self) -> TimedPacket | None:
        """Return the first packet ahead, or None at the end."""
        return self.ahead[0] if self.ahead or self._read() else None

    def _read(self) -> bool:
        """Read one more packet ahead. Return False at the end."""
        timed = next(self._packets, None)
        if timed is not None:
            if timed.is_video and self._repeated.add(timed.time, timed.dts):
                timed = timed._replace(is_repeated=True)
            self.ahead.append(timed)
        return timed is not None

    def _may_be_first(self, timed: TimedPacket) -> bool:
        return timed.time >= self._cut.first_moment and self._starts_gop(timed)

    def _starts_gop(self, timed: TimedPacket) -> bool:
        """Return True if a GOP begins with the packet. Container flags alone are not trusted."""
        return timed.packet.is_keyframe and self.starts_gop(timed)

    def _find_at(self, number: int, skipped: SkippedPackets) -> None:
        """Let the copied packets begin with packet `number` of the packets ahead. Raises CannotCopy."""
        self.key, self.leading, self._copies = self.ahead[number], [], {}
        skipped.check(self.key)
        following = self._read_gop(number)
        for timed in self.leading:
            self._check_sets(timed)
            skipped.add(timed)
        skipped.check(self.key)
        self.keyframe_id = self._copies[id(self.key)].keyframe_id or 0
        self._is_found = True
        try:
            while following is not None and len(self._copies) < _CHECKED_PACKETS:
                following = self._read_gop(following)
        except CannotCopy:
            pass  # this GOP is reached later

    def _read_gop(self, number: int) -> int | None:
        """Read the GOP that begins with this packet ahead, and check its packets. Raises CannotCopy.

        Return the number of the packet with which the next GOP begins, or None if it is not known.
        """
        size = 0
        copies: dict[int, CopiedPacket] = {}
        found: int | None = None
        for at, timed in self._peek(number):
            size += timed.packet.size
            if not timed.is_video:
                continue
            if at > number and self._starts_gop(timed):
                found = at
                break
            if (timed.time >= self._cut.last_moment and timed is not self.key) or size > _CHECKED_BYTES:
                break
            if self._only_first and len(copies) > _CHECKED_PACKETS:
                break
            if self._is_leading(timed):
                self.leading.append(timed)
            else:
                copies[id(timed)] = self._checked(timed)
        self._copies |= copies
        return found

    # ---- rules

    def _checked(self, timed: TimedPacket) -> CopiedPacket:
        """Return the packet to copy. Raises CannotCopy."""
        self._check_header(timed)
        self._check(timed)
        try:
            return self._bitstream.copied(bytes(timed.packet), first=timed is self.key)
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None

    def _check(self, timed: TimedPacket) -> None:
        if timed.is_repeated:
            raise CannotCopy("its timestamps go back")
        start, key = self._cut.start, self.key.time
        never_shown = not is_presented(timed.packet) and timed.time < self._cut.last_moment
        if never_shown or (timed.packet.is_corrupt and self._full_proof):
            raise CannotCopy("packets of the range are damaged, or are never shown")
        if timed.time < key:
            raise CannotCopy("frames after a keyframe are shown before it")
        if key < timed.time <= self._cut.latest_start and abs(timed.time - start) < abs(key - start):
            raise CannotCopy("two frames begin near the start")

    def _check_reordering(self, timed: TimedPacket) -> None:
        if self._bitstream.stated_reordering is None and self._reordering.add(timed.time) > self._proven_reordering:
            raise CannotCopy("it reorders frames farther than at the first copied ones, and does not state how far")

    def _check_header(self, timed: TimedPacket) -> None:
        """Raise CannotCopy if the codec header changes with the packet."""
        if timed.packet.stream is not self._video or new_header(timed.packet) not in (None, self._header):
            raise CannotCopy(SETS_CHANGE)

    def _check_sets(self, timed: TimedPacket) -> None:
        """Raise CannotCopy if a packet that is not copied changes a parameter set that copied ones may use."""
        try:
            self._bitstream.check_sets(bytes(timed.packet))
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None

    def _is_leading(self, timed: TimedPacket) -> bool:
        try:
            return timed.time < self.key.time and self._bitstream.is_leading(bytes(timed.packet))
        except BitstreamError:
            return False

    def _is_left_out(self, timed: TimedPacket) -> bool:
        return any(timed is each for each in self.leading)
