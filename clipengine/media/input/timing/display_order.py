"""Presentation times for video whose packets have decoding times only (AVI, OGM, MP4 without composition offsets)."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections import deque
from typing import Any

import av
from av.packet import Packet
from av.video.stream import VideoStream

# Maximum number of frames that are decoded before one presented earlier (H.264, A.3.1; HEVC, A.4.2).
REORDERED_FRAMES = 16

_CHECKED_PACKETS = 3 * REORDERED_FRAMES  # the decoder returns frames as many packets later
_MAX_STAMPS = 4096  # far more than any decoder holds back
# By container, the codecs with B-frames for which FFmpeg does not work presentation times out.
_DECODING_TIMES = {
    "h264": frozenset(("h264",)),  # raw streams have no times at all; each packet gets the next one
    "hevc": frozenset(("hevc",)),
    "avi": frozenset(("h264", "hevc", "vc1", "wmv3")),
    "mov": frozenset(("vc1",)),  # writers leave out the composition offsets; if there are any, the order is the same
    "ogg": frozenset(("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4")),
}
# DivX and Xvid packed two frames into one packet for AVI, and say so in the stream's user data.
_PACKED = re.compile(rb"DivX\d+(?:Build|b)\d+p")
_USER_DATA_BYTES = 1024


def stores_decoding_times(container: str, codec: str, header: bytes = b"") -> bool:
    """Return True if packets of this codec in this container (FFmpeg's first name) have no presentation times.

    The `header` is the codec's. MPEG-4 with packed B-frames has wrong ones: a packet holds a frame of the next packet.
    """
    if codec == "mpeg4" and container == "avi":
        return _PACKED.search(header[:_USER_DATA_BYTES]) is not None
    return codec in _DECODING_TIMES.get(container, ())


class OrderCheck:
    """Finds out if the packets of a recording's beginning have decoding times only: pts that equal their dts.

    Decoders return frames in display order. If the times of frames go back, these are not the times at which they are
    shown.
    """

    def __init__(self, stream: VideoStream) -> None:
        self.goes_back = False  # True once the times of frames went back
        self._left = _CHECKED_PACKETS if stream.codec_context.has_b_frames else 0
        self._packet: int | None = None  # pts of the last packet
        self._frame: int | None = None  # pts of the last frame

    def needs(self, packet: Packet[Any]) -> bool:
        """Return True if the next packet of the video must be decoded for the answer."""
        if self._left == 0:
            return False
        before, self._packet = self._packet, packet.pts
        # A pts that is not the dts, or goes back, shows that the packets have presentation times.
        follows = packet.pts is not None and packet.pts == packet.dts and (before is None or packet.pts > before)
        self._left = self._left - 1 if follows else 0
        return self._left > 0

    def add(self, frame: av.VideoFrame) -> None:
        """Add the next decoded frame."""
        if self._left > 0 and frame.pts is not None:
            self.goes_back = self._frame is not None and frame.pts < self._frame
            self._left = 0 if self.goes_back else self._left
            self._frame = frame.pts


class DisplayOrder:
    """Gives frames the times of their packets: frames come in display order, packets in decoding order.

    The first frame gets the earliest time, the next frame the next one. If packets have no frame (damage, or B-frames
    before the first keyframe after a seek), the frames that follow are early by as many. At the next keyframe the
    count is right again: before it come the packets before its own, and the frames that were decoded after it.
    """

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._next = 0
        self._shown: deque[int] = deque(maxlen=REORDERED_FRAMES)  # the packets' stamps of the last frames

    def add(self, packet: Packet[Any]) -> None:
        """Note a packet that is about to be decoded."""
        if packet.pts is not None:
            insort(self._stamps, packet.pts)
            if len(self._stamps) > _MAX_STAMPS:
                dropped = len(self._stamps) // 2
                self._stamps = self._stamps[dropped:]
                self._next = max(0, self._next - dropped)

    def stamp_of(self, frame: av.VideoFrame) -> int | None:
        """Return when a decoded frame is presented, in units of the stream's time base. Call it once for each frame."""
        own = frame.pts
        if own is None or not self._stamps:
            return own
        if frame.key_frame:
            place = bisect_left(self._stamps, own) + sum(stamp > own for stamp in self._shown)
            self._next = max(self._next, place)
        self._shown.append(own)
        place = min(self._next, len(self._stamps) - 1)
        self._next += 1
        return self._stamps[place]
