"""Decoder of a recording whose packets are copied: frames to encode, and pictures that the clip must show."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from av.codec.context import ThreadType
from av.video.stream import VideoStream

from clipengine.clips.plan.segments import CannotCopy, seam_threads
from clipengine.media.input.decoding.audio_decode import raise_if_memory_ran_out
from clipengine.media.input.decoding.shown_picture import shown_picture
from clipengine.media.input.seeking.seekers import AnySeeker
from clipengine.media.input.timing.packet_timestamps import TimedPacket

DAMAGED = "frames at the cut are damaged"
TimedFrame = tuple[Fraction, av.VideoFrame]  # with its recording time


class CopiedDecoder:
    """Returns frames with their times, except expected frames: it keeps the checksums of their pictures.

    Its methods raise CannotCopy if a frame is damaged.
    """

    def __init__(self, seeker: AnySeeker, video: VideoStream, *, threads: int) -> None:
        self._seeker, self._video = seeker, video
        self._context: Any = video.codec_context
        self._context.thread_type = ThreadType.FRAME | ThreadType.SLICE
        self._context.thread_count = seam_threads(threads)
        self._expected: set[Fraction] = set()
        self._pictures: list[tuple[Fraction, int]] = []

    @property
    def sample_aspect_ratio(self) -> Fraction | None:
        ratio: Fraction | None = self._context.sample_aspect_ratio
        return ratio

    def decode(self, timed: TimedPacket, *, skips: bool = False, expected: bool = False) -> list[TimedFrame]:
        """Decode the next packet, whose frame may be `expected`. With `skips` it is needed as a reference at most."""
        if expected:
            self._expected.add(timed.time)
        self._context.skip_frame = "NONREF" if skips else "DEFAULT"
        try:
            return self._others(self._context.decode(timed.packet))
        except av.FFmpegError as error:
            raise_if_memory_ran_out(error, self._seeker)
            raise CannotCopy(DAMAGED) from None

    def flush(self) -> list[TimedFrame]:
        """Return the frames inside the decoder, and make it ready for another GOP."""
        try:
            return self._others(self._context.decode(None))
        except av.FFmpegError as error:
            raise_if_memory_ran_out(error, self._seeker)
            raise CannotCopy(DAMAGED) from None
        finally:
            self._context.flush_buffers()

    def pictures(self, *, all_of_them: bool) -> list[tuple[Fraction, int]]:
        """Return the checksums of expected pictures since the last call, which may have to be `all_of_them`."""
        if all_of_them and self._expected:
            raise CannotCopy(DAMAGED)
        pictures, self._pictures = self._pictures, []
        return pictures

    def _others(self, frames: Sequence[av.VideoFrame]) -> list[TimedFrame]:
        others = []
        for frame in frames:
            time = self._seeker.time_of(frame, self._video)
            if time is None or frame.is_corrupt:
                raise CannotCopy(DAMAGED)
            if time in self._expected:
                self._expected.remove(time)
                self._pictures.append((time, shown_picture(frame)))
            else:
                others.append((time, frame))
        return others
