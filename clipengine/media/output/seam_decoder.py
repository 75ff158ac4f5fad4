"""Decoding of a clip's file where copied and encoded packets meet: the pictures must be as expected.

All encoded packets are decoded. Copied packets are decoded if a picture is expected for them: the first copied packets
after encoded packets or at the start of a part, and the first packets of the last copied GOP of a part. With `full`
proof, all packets are decoded. A run of decoded packets begins with a keyframe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
from av.codec.context import ThreadType
from av.packet import Packet
from av.video.stream import VideoStream

from clipengine.errors import VerificationFailed
from clipengine.media.input.decoding.shown_picture import shown_picture
from clipengine.media.output.spliced_track import EXACT, SplicedTrack


class SeamDecoder:
    """Decodes packets of the file's video, in decoding order. Call `end` after the last one."""

    def __init__(self, stream: VideoStream, track: SplicedTrack, *, full: bool, threads: int) -> None:
        self._track, self._full = track, full
        self._context: Any = stream.codec_context
        self._context.options = EXACT
        self._context.thread_type, self._context.thread_count = ThreadType.FRAME | ThreadType.SLICE, threads
        self._waiting: dict[int | None, int] = {}  # pts of each packet in the decoder -> its time in the track
        self._latest: int | None = None
        self._left_out = False

    def add(self, number: int, packet: Packet[Any]) -> None:
        """Add the next packet. Raises VerificationFailed and av.FFmpegError."""
        time = self._track.times[number]
        if self._track.is_copied[number] and time not in self._track.pictures and not self._full:
            self._left_out = True
            return
        if self._left_out and packet.is_keyframe:
            self._flush()
        self._left_out = False
        self._waiting[packet.pts] = time
        self._check(self._context.decode(packet))

    def end(self) -> None:
        self._flush()
        if self._waiting:
            raise VerificationFailed("a frame at a cut does not decode")

    def _flush(self) -> None:
        self._check(self._context.decode(None))
        self._context.flush_buffers()

    def _check(self, frames: Sequence[av.VideoFrame]) -> None:
        for frame in frames:
            time = self._waiting.pop(frame.pts, None)
            if time is None or frame.is_corrupt:
                raise VerificationFailed("a frame at a cut is damaged")
            if self._latest is not None and time <= self._latest:
                raise VerificationFailed("frames at a cut come out in another order")
            self._latest = time
            expected = self._track.pictures.get(time, 0)
            if expected and expected != shown_picture(frame):
                raise VerificationFailed("a frame at a cut differs from the one that was copied or encoded")
