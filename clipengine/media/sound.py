"""Sound to the sample: decoded frames laid on the clip's timeline, trimmed at both ends, gaps filled with silence.

A frame's timestamp says where its samples belong, but stored timestamps jitter (milliseconds in Matroska, more in live
recordings). Samples therefore follow on each other unless the timestamps leave them: at once for a real gap, after
several frames for a slow drift. So sync stays within 3 ms without a click in every frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av
from av.audio.resampler import AudioResampler

from clipengine.errors import UnsupportedMedia

_GAP_SECONDS = Fraction(1, 100)  # from here on a difference is a gap or an overlap, and is mended at once
_DRIFT_SECONDS = Fraction(3, 2000)  # a smaller one is mended when it lasts
_DRIFT_FRAMES = 8
_JITTER_FRAMES = 24  # to both sides of a wrong place, as where the first frame of all was far off
_SILENCE_SAMPLES = 8192


class SoundTimeline:
    """One track of the clip as contiguous frames from sample 0 to the clip's end, in `format` and `layout`.

    The frames keep the recording's sample rate; their pts count samples from 0.
    """

    def __init__(self, *, format: str, layout: str, rate: int, origin: Fraction, end: Fraction) -> None:
        self.format, self.layout, self.rate = format, layout, rate
        self._origin = origin
        self.total = round((end - origin) * rate)
        self.heard = 0  # samples that came from the recording
        self.filled = 0  # samples of silence between those of the recording
        self._next: int | None = None  # where the next sample belongs
        self._written = 0
        self._drift: deque[int] = deque(maxlen=_JITTER_FRAMES)
        self._converter: AudioResampler | None = None
        self._input: tuple[str, str, int] | None = None

    @property
    def done(self) -> bool:
        return self._written >= self.total

    @property
    def end_of_sound(self) -> Fraction:
        """How far the recording's sound has come, in seconds of clip time."""
        return Fraction(max(self._next or 0, 0), self.rate)

    def feed(self, frame: av.AudioFrame, time: Fraction) -> Iterator[av.AudioFrame]:
        """Lay a decoded frame that is presented at `time` (recording time); yields what is now settled."""
        position = round((time - self._origin) * self.rate)
        for piece in self._convert(frame):
            yield from self._lay(piece, position)
            position += piece.samples

    def finish(self, *, goes_on: bool) -> Iterator[av.AudioFrame]:
        """Silence from where the recording's sound ended to the clip's end; a gap where it goes on after that."""
        missing = self.total - self._written
        if goes_on and self._written > 0 and missing > _GAP_SECONDS * self.rate:
            self.filled += missing
        yield from self._silence(missing)

    def _convert(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._converter is None or shape != self._input:
            self._converter = AudioResampler(self.format, self.layout, self.rate)
            self._input = shape
        frame.pts = None
        try:
            return self._converter.resample(frame)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            format, layout, rate = shape
            raise UnsupportedMedia(f"sound as {format} in {layout} at {rate} Hz cannot be converted") from error

    def _lay(self, piece: av.AudioFrame, position: int) -> Iterator[av.AudioFrame]:
        correction = self._correction(position)
        if self._next is None:
            self._next = position
        self._next += max(correction, 0)
        skip = max(-correction, 0) + max(0, -self._next)  # overlapping samples, and those before the clip
        if skip >= piece.samples:
            self._next += max(0, piece.samples + min(correction, 0))
            return
        self._next += max(0, -self._next)
        gap = self._next - self._written
        if gap > 0 and self._written > 0:
            self.filled += min(gap, self.total - self._written)
        yield from self._silence(min(gap, self.total - self._written))
        count = min(piece.samples - skip, self.total - self._written)
        if count > 0:
            yield self._place(piece if (skip, count) == (0, piece.samples) else _slice(piece, skip, count))
            self.heard += count
        self._next += piece.samples - skip

    def _correction(self, position: int) -> int:
        """Samples by which the next frame is moved: positive for a gap, negative for an overlap."""
        if self._next is None:
            return 0
        difference = position - self._next
        if abs(difference) > _GAP_SECONDS * self.rate:
            self._drift.clear()
            return difference
        self._drift.append(difference)
        limit = _DRIFT_SECONDS * self.rate
        recent = sorted(list(self._drift)[-_DRIFT_FRAMES:])
        if len(recent) == _DRIFT_FRAMES and (recent[0] > limit or recent[-1] < -limit):
            middle = recent[_DRIFT_FRAMES // 2]
        elif len(self._drift) == _JITTER_FRAMES:
            middle = round(sum(self._drift) / _JITTER_FRAMES)
        else:
            return 0
        if abs(middle) <= limit:
            return 0
        self._drift.clear()
        return middle

    def _silence(self, samples: int) -> Iterator[av.AudioFrame]:
        while samples > 0:
            count = min(samples, _SILENCE_SAMPLES)
            frame = av.AudioFrame(format=self.format, layout=self.layout, samples=count)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate = self.rate
            yield self._place(frame)
            samples -= count

    def _place(self, frame: av.AudioFrame) -> av.AudioFrame:
        frame.pts = self._written
        frame.time_base = Fraction(1, self.rate)
        self._written += frame.samples
        return frame


def _slice(frame: av.AudioFrame, start: int, count: int) -> av.AudioFrame:
    """`count` samples of the frame from sample `start` on, as a frame of its own."""
    part = av.AudioFrame(format=frame.format.name, layout=frame.layout.name, samples=count)
    width = frame.format.bytes * (1 if frame.format.is_planar else frame.layout.nb_channels)
    for source, target in zip(frame.planes, part.planes, strict=True):
        data = bytes(source)[start * width : (start + count) * width]
        target.update(data.ljust(target.buffer_size, b"\0"))
    part.sample_rate = frame.sample_rate
    return part
