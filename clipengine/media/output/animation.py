"""Timing and colors of silent animations, for GIF and WebP alike."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet
from av.video.reformatter import VideoReformatter

from clipengine.clips.options.profiles import ANIMATION_TICKS, MAX_ANIMATION_FPS, Profile
from clipengine.media.output.writable_file import WritableFile
from clipengine.media.video.frame_format import FULL, SWS_BICUBIC_ACCURATE, FrameFormat
from clipengine.media.video.palette import RGB_FORMAT


class Animation:
    """Encodes frames, whose times are rounded to ticks of the container, so that no error adds up.

    `frames` is the number of frames in the file.
    """

    def __init__(self, container: Any, file: WritableFile, profile: Profile, format: FrameFormat) -> None:
        self._container = container
        self._file = file
        self._profile = profile
        self._format = format
        self._tick = ANIMATION_TICKS[profile.container]
        self._least = round(1 / self._tick / MAX_ANIMATION_FPS)  # ticks of a frame
        self._to_rgb = VideoReformatter()
        self._start = self._end = 0  # of the latest frame, in ticks
        self.frames = 0

    def encode(self, frame: av.VideoFrame, time: Fraction, duration: Fraction) -> Iterator[Packet[Any]]:
        """Yield the packets after a frame that is shown at `time` for `duration` seconds.

        The first frame is shown from 0 on. A later frame that is shown for less time than browsers can show is left
        out: the frame before it is held.
        """
        start, self._end = round(time / self._tick), round((time + duration) / self._tick)
        if self.frames and self._end - start < self._least:
            return
        rgb = self._to_rgb.reformat(
            frame,
            format=RGB_FORMAT,
            interpolation=SWS_BICUBIC_ACCURATE,
            dst_color_range=FULL,
        )
        rgb.pts, rgb.time_base = start if self.frames else 0, self._tick
        yield from self._add(rgb)

    def _add(self, rgb: av.VideoFrame) -> Iterator[Packet[Any]]:
        """Encode a frame with its time in ticks, and yield the packets that are ready."""
        raise NotImplementedError

    def end_sampling(self) -> None:
        """End the first of two passes: the same frames are encoded again."""

    def flush(self) -> Iterator[Packet[Any]]:
        """Yield the remaining packets."""
        yield from ()

    def end_file(self) -> None:
        """Complete the file, after its muxer has: the last frame is shown until `_end`."""
        raise NotImplementedError
