"""Events of a clip, from the decoder to the builder: its begin, frames, copied packets and audio."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import av
from av.video.stream import VideoStream

from clipengine.media.bitstream.copied_stream import CopiedStream


@dataclass(frozen=True)
class CopiedVideo:
    """The recording's video stream, if packets of it are copied, or if encoded frames must fit between such packets.

    A copied packet is decoded at most `reordered_frames` frames before it is shown. `keyframe_id` is the id of the
    first copied packet. The `stream` is closed with its recording.
    """

    stream: VideoStream
    bitstream: CopiedStream
    reordered_frames: int
    keyframe_id: int


class BeginEvent(NamedTuple):
    """Start of the clip: its origin in recording time and its first frame, if it has video."""

    origin: Fraction
    frame: av.VideoFrame | None


class VideoFrameEvent(NamedTuple):
    """A video frame that is shown from `time` (clip time) until the next one."""

    time: Fraction
    frame: av.VideoFrame


@dataclass(frozen=True)
class VideoPacketEvent:
    """A packet to copy, in decoding order, whose frame is shown from `time` (clip time).

    `data` is the packet for the clip's file, and `checksum` the checksum that it must have there (see `CopiedPacket`).
    The duration (seconds) is the recording's, which may be wrong. `keyframe_id` is None if the packet does not start a
    GOP.
    """

    time: Fraction
    data: bytes
    checksum: int
    duration: Fraction
    keyframe_id: int | None


class SeamEvent(NamedTuple):
    """The checksum of the picture that a copied packet must show at `time` (clip time), 0 if it may be any."""

    time: Fraction
    picture: int


class NextKeyframeEvent(NamedTuple):
    """The id of the keyframe that is copied after the frames which follow now."""

    keyframe_id: int


class AudioFrameEvent(NamedTuple):
    """An audio frame of a stream, presented at `time` (recording time)."""

    stream_index: int
    time: Fraction
    frame: av.AudioFrame


Event = BeginEvent | VideoFrameEvent | VideoPacketEvent | SeamEvent | NextKeyframeEvent | AudioFrameEvent


class EventSizes:
    """Computes the memory that an event takes, in bytes, once for each video format."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[int, int, str], int] = {}

    def __call__(self, event: Event) -> int:
        if isinstance(event, VideoFrameEvent):
            frame = event.frame
            shape = frame.width, frame.height, frame.format.name
            if shape not in self._sizes:
                self._sizes[shape] = sum(plane.buffer_size for plane in frame.planes)
            return self._sizes[shape]
        if isinstance(event, AudioFrameEvent):
            return event.frame.samples * event.frame.layout.nb_channels * event.frame.format.bytes
        if isinstance(event, VideoPacketEvent):
            return len(event.data)
        return 0  # its frame follows as a VideoFrameEvent
