"""Packets that are skipped before copied packets.

A decoder that reads the recording has decoded them before the copied packets; a decoder that reads the clip has not.
"""

from __future__ import annotations

from av.video.stream import VideoStream

from clipengine.clips.plan.segments import CannotCopy
from clipengine.media.bitstream.bits import SETS_CHANGE, BitstreamError
from clipengine.media.bitstream.copied_stream import CopiedStream
from clipengine.media.input.containers.codec_headers import new_header
from clipengine.media.input.timing.packet_timestamps import TimedPacket


class SkippedPackets:
    """Follows the decoder state that skipped packets of the `video` change. Its methods raise CannotCopy."""

    def __init__(self, bitstream: CopiedStream, video: VideoStream, *, sets_may_change: bool) -> None:
        """Without `sets_may_change`, `add` raises CannotCopy if parameter sets change."""
        self._bitstream, self._video = bitstream, video
        self._header = video.codec_context.extradata
        self._sets_may_change = sets_may_change
        self._other_header = self._other_sets = False  # True if it differs from the clip's
        self._lasting: dict[int, int] = {}  # messages for decoders that act on later frames

    def add(self, timed: TimedPacket) -> None:
        """Add the next packet. Raises if no later packet can be copied."""
        self._follow_sets(timed)
        if not self._sets_may_change:
            self._check_sets()
        self._lasting |= self._messages(timed)

    def check(self, keyframe: TimedPacket) -> None:
        """Raise unless a decoder reads the keyframe, and all packets after it, as it does without skipped packets."""
        self._follow_sets(keyframe)
        self._check_sets()
        own = self._messages(keyframe)
        if any(own.get(kind, 0) != message for kind, message in self._lasting.items()):
            raise CannotCopy("messages before the first copied frame change how it is decoded")

    def _follow_sets(self, timed: TimedPacket) -> None:
        if timed.packet.stream is not self._video:
            raise CannotCopy(SETS_CHANGE)
        header, data = new_header(timed.packet), bytes(timed.packet)
        if header is not None:
            self._other_header = self._other_sets = header != self._header
        try:
            self._bitstream.check_sets(data)
            if self._other_sets and self._bitstream.has_all_sets(data):
                self._other_sets = False
        except BitstreamError as error:
            if not self._sets_may_change:
                raise CannotCopy(str(error)) from None
            self._other_sets = True

    def _check_sets(self) -> None:
        if self._other_header or self._other_sets:
            raise CannotCopy(SETS_CHANGE)

    def _messages(self, timed: TimedPacket) -> dict[int, int]:
        try:
            return self._bitstream.lasting(bytes(timed.packet))
        except BitstreamError as error:
            raise CannotCopy(str(error)) from None
