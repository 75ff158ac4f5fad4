"""Video of a long clip, encoded in segments side by side on machines with many cores.

One encoder keeps about eight cores busy; with more, the thread that calls x264 and the packet verifier are the limit.
So the frames are divided into segments, and an encoder is opened for each. A segment begins with an IDR frame and
refers to no other segment, and all encoders write the same parameter sets, so that their packets are one stream.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import av
from av.filter import Graph
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from clipengine.errors import EncoderFailed
from clipengine.media.output.background_encoder import BackgroundEncoder
from clipengine.media.output.decoding_times import DecodingTimes
from clipengine.media.video.filter_graph import linear_graph, pull_one
from clipengine.media.video.frame_format import FrameFormat

_CORES = 8  # that one encoder keeps busy
_MOST_FRAMES = 250  # of a segment: x264 sets a keyframe after as many
_FEWEST_FRAMES = 50
_WAITING_BYTES = 256 << 20  # of all frames that wait for an encoder


class Layout(NamedTuple):
    """Number of encoders that work side by side, and the frames of each segment."""

    encoders: int
    frames: int

    @property
    def waiting(self) -> int:
        """Number of frames that wait for encoders: they begin one after the other, at equal distances."""
        return self.frames * (self.encoders - 1) // 2

    @property
    def ahead(self) -> int:
        """Number of frames by which the frame that is written can be ahead of the packet that is ready."""
        return self.frames * (self.encoders + 1)


def encoders_side_by_side(threads: int) -> int:
    """Return the number of H.264 encoders that keep this number of cores busy."""
    return max(1, threads // _CORES)


def segment_layout(threads: int, frames: int, format: FrameFormat) -> Layout | None:
    """Return the segments of a clip of about `frames` frames, or None if one encoder is as fast.

    The memory of waiting frames limits the length of segments.
    """
    for encoders in range(encoders_side_by_side(threads), 1, -1):
        longest = min(_MOST_FRAMES, 2 * _WAITING_BYTES // ((encoders - 1) * _frame_bytes(format)))
        if longest < _FEWEST_FRAMES:
            continue
        rounds = max(2, -(-frames // (encoders * longest)))
        if frames >= _FEWEST_FRAMES * encoders * rounds:
            return Layout(encoders, -(-frames // (encoders * rounds)))
    return None


def _frame_bytes(format: FrameFormat) -> int:
    planes = av.VideoFormat(format.pixel_format, format.width, format.height).components
    return sum(plane.width * plane.height * -(-plane.bits // 8) for plane in planes)


class SegmentedVideo:
    """Turns frames with pts, in order, into the packets of one stream, in decoding order. Call `close` at the end.

    `open_encoder` returns an open encoder that writes the parameter sets of the stream. The container counts in units
    of `unit` ticks.
    """

    def __init__(self, stream: VideoStream, open_encoder: Callable[[], Any], layout: Layout, *, unit: int) -> None:
        self._stream = stream
        self._open_encoder = open_encoder
        self._layout = layout
        context: Any = stream.codec_context
        context.open()
        step = round(1 / (context.framerate * context.time_base))
        self._clock = DecodingTimes(context.reorder_depth, max(unit, step), unit)
        self._segments: deque[BackgroundEncoder] = deque()  # of which packets are still to be yielded
        self._written = 0  # frames of the last segment
        self._room = threading.Semaphore(layout.waiting)
        self._copier: Graph | None = None

    def encode(self, frame: av.VideoFrame) -> Iterator[Packet[Any]]:
        """Encode a frame, and yield the packets that are ready. Blocks while too many frames wait."""
        if self._written == 0:
            self._segments.append(BackgroundEncoder(self._open, self._room))
        self._written += 1
        ends = self._written == self._layout.frames
        frame = self._copied(frame)
        # An IDR frame may not follow an IDR frame with the same id (ITU-T H.264, 7.4.3, idr_pic_id).
        frame.pict_type = PictureType.P if ends else PictureType.NONE
        self._segments[-1].put(frame)
        if ends:
            self._end_segment()
        yield from self._ready()

    def finish(self) -> Iterator[Packet[Any]]:
        """Yield all other packets."""
        if self._written:
            self._end_segment()
        while self._segments:
            yield from self._joined(self._segments[0].remaining())
            self._segments.popleft()

    def close(self) -> None:
        """Stop all encoders and free them."""
        while self._segments:
            self._segments.popleft().stop()

    def _open(self) -> Any:
        encoder = self._open_encoder()
        if encoder.extradata != self._stream.codec_context.extradata:
            raise EncoderFailed("the parameter sets of its segments differ")
        return encoder

    def _end_segment(self) -> None:
        self._segments[-1].end()
        self._written = 0

    def _copied(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return a frame with the same picture: the caller may write a frame again, with another pts."""
        if self._copier is None:
            self._copier = linear_graph(frame, ("null",))
        return pull_one(self._copier, frame)

    def _ready(self) -> Iterator[Packet[Any]]:
        """Yield the packets of finished segments, and the packets that the next segment has so far."""
        for segment in self._segments:
            segment.check()
        while self._segments:
            yield from self._joined(self._segments[0].ready())
            if not self._segments[0].ended:
                break
            self._segments.popleft()

    def _joined(self, packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
        for packet in packets:
            packet.stream = self._stream
            packet.dts = self._clock.dts(packet.pts or 0)
            yield packet
