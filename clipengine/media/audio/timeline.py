"""Audio timeline of a clip: samples trimmed at both ends, real gaps filled with silence.

Stored timestamps jitter: by rounding in Matroska, by tens of milliseconds if a writer stamped blocks on arrival.
Samples are therefore joined end to end, and a timestamp that differs counts as a gap or an overlap only if most of the
audio after it confirms the difference. Lasting drift is corrected, which keeps sync within 3 ms without a click in
every frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import NamedTuple

import av
from av.audio.resampler import AudioResampler

from clipengine.errors import UnsupportedMedia
from clipengine.media.audio.samples import silence, slice_of
from clipengine.media.input.timing.repeated_times import REPEATED_SECONDS
from clipengine.media.input.timing.timeline import Clock

_JUMP_SECONDS = Fraction(1, 100)  # a larger difference is jitter, a gap or an overlap; a smaller one is drift
_START_SECONDS = Fraction(1, 2)  # the first frame's position is derived from this much audio, or from _JITTER_FRAMES
_OUTLIER_SECONDS = Fraction(1, 10)  # a larger error of that frame's timestamp means that a gap follows the frame
_CONFIRM_SECONDS = 1  # a jump is confirmed or refuted by this much of the audio that follows
_CONFIRM_FRAMES = 4  # and by at least this many frames
_CONFIRM_PART = Fraction(3, 4)  # part of that audio which must agree
_RETURNED_FRAMES = 3  # consecutive frames without the jump that refute it
_MAX_PENDING = 2000  # frames held until the decision
_DRIFT_SECONDS = Fraction(3, 2000)  # drift above this is corrected when it lasts
_DRIFT_FRAMES = 8
_STEADY_SECONDS = Fraction(1, 200)  # timestamps that scatter by more than this have moved
_JITTER_PART = Fraction(1, 5)  # of the jitter is no drift
_JITTER_FRAMES = 24  # frames to average when timestamps scatter to both sides of the true time
_LARGE_JITTER_FRAMES = 96  # the same where jumps turned out to be jitter


class _Pending(NamedTuple):
    """A converted frame and the sample position of its timestamp."""

    frame: av.AudioFrame
    position: int


class AudioTimeline:
    """Produces contiguous frames of one audio track from 0 to the clip's end, in `format` and `layout`.

    The frames have the recording's sample rate; their pts count samples from 0. Silence before the first frame is a
    gap if the track `has_begun` before the clip does.
    """

    def __init__(
        self, *, format: str, layout: str, rate: int, origin: Fraction, end: Fraction, has_begun: bool = False
    ) -> None:
        self.format, self.layout, self.rate = format, layout, rate
        self._clock = Clock(Fraction(1, rate), origin)
        self.total = round((end - origin) * rate)
        # In samples, as integers, because every frame is compared with them.
        self._jump = int(_JUMP_SECONDS * rate)
        self._least_repeated = int(REPEATED_SECONDS * rate)
        self._allowed_drift = int(_DRIFT_SECONDS * rate)
        self._drift_limit = self._allowed_drift
        self._time_base = Fraction(1, rate)
        self.decoded_samples = 0  # samples from the recording
        self.filled_samples = 0  # samples of silence in gaps of the recording
        self.repeated_samples = 0  # samples that were left out because their times were already heard
        self._repeats = False  # the samples of the overlap are such
        self._next: int | None = None  # where the next sample belongs
        self._overlap = 0  # samples still to be dropped because they lie before `_next`
        self._written = 0
        self._has_begun = has_begun
        self._drift: deque[int] = deque(maxlen=_LARGE_JITTER_FRAMES)
        self._pending: deque[_Pending] = deque()  # frames since a jump that is not confirmed yet
        self._pending_samples = 0
        self._refuted = 0  # the largest jump so far that turned out to be jitter
        self._converter: AudioResampler | None = None
        self._input: tuple[str, str, int] | None = None

    @property
    def done(self) -> bool:
        return self._written >= self.total

    @property
    def _follows_audio(self) -> bool:
        """True if the recording has audio before the next sample, so that silence there is a gap."""
        return self._written > 0 or self._has_begun

    @property
    def audio_end(self) -> Fraction:
        """End of the recording's audio, in seconds of clip time."""
        return Fraction(max(self._next or 0, 0), self.rate)

    def feed(self, frame: av.AudioFrame, time: Fraction) -> Iterator[av.AudioFrame]:
        """Add a decoded frame presented at `time` (recording time) and yield frames whose positions are final."""
        position = self._clock.stamp(time)
        for piece in self._convert(frame):
            self._pending.append(_Pending(piece, position))
            self._pending_samples += piece.samples
            position += piece.samples
        yield from self._settle(ended=False)

    def finish(self, *, resumes: bool) -> Iterator[av.AudioFrame]:
        """Yield the pending frames, then silence up to the clip's end; a gap if the audio `resumes` later."""
        yield from self._settle(ended=True)
        missing = self.total - self._written
        if resumes and self._follows_audio and missing > self._jump:
            self.filled_samples += missing
        yield from self._silence(missing)

    def _convert(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        frame.pts = None
        converted: list[av.AudioFrame] = []
        try:
            if self._converter is None or shape != self._input:
                if self._converter is not None:
                    converted = self._converter.resample(None)  # the samples that it holds back
                self._converter = AudioResampler(self.format, self.layout, self.rate)
                self._input = shape
            return converted + self._converter.resample(frame)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            format, layout, rate = shape
            raise UnsupportedMedia(f"audio as {format} in {layout} at {rate} Hz cannot be converted") from error

    def _settle(self, *, ended: bool) -> Iterator[av.AudioFrame]:
        """Yield the pending frames in order, up to a jump that is neither confirmed nor refuted yet."""
        while self._pending:
            if self._next is None:
                if not ended and not self._can_start():
                    return
                self._next = self._first_position()
            frame, position = self._pending[0]
            difference = position - self._expected()
            if abs(difference) <= self._jump:
                correction = self._drift_correction(difference)
            elif ended or self._can_confirm():
                correction = self._jump_correction(difference, ended=ended)
            else:
                return
            self._pending.popleft()
            self._pending_samples -= frame.samples
            yield from self._write(frame, correction)

    def _expected(self) -> int:
        """Return the position of the next frame if it follows the previous one without a gap."""
        return (self._next or 0) - self._overlap

    def _can_start(self) -> bool:
        return self._pending_samples >= _START_SECONDS * self.rate or len(self._pending) >= _JITTER_FRAMES

    def _first_position(self) -> int:
        """Return the position of the first frame, also using later timestamps because its own may jitter."""
        expected = first = self._pending[0].position
        differences = []
        for frame, position in self._pending:
            differences.append(position - expected)
            expected += frame.samples
        if len(differences) < _DRIFT_FRAMES:
            return first
        half = len(differences) // 2
        middle = _middle(differences)
        steady = abs(_middle(differences[:half]) - _middle(differences[half:])) <= _STEADY_SECONDS * self.rate
        near = sum(abs(difference - middle) <= self._jump for difference in differences)
        jitters = self._allowed_drift < abs(middle) <= _OUTLIER_SECONDS * self.rate
        return first + middle if jitters and (steady or near >= _CONFIRM_PART * len(differences)) else first

    def _can_confirm(self) -> bool:
        enough = self._pending_samples >= _CONFIRM_SECONDS * self.rate and len(self._pending) >= _CONFIRM_FRAMES
        return enough or len(self._pending) >= _MAX_PENDING

    def _jump_correction(self, jump: int, *, ended: bool) -> int:
        """Return the number of samples to move the first pending frame, whose timestamp differs by `jump`.

        The jump is real if most of the pending audio differs in the same direction, without three consecutive frames
        that do not. Otherwise it is jitter, and the frame is not moved.
        """
        expected, confirming, confirmed_samples, returned = self._expected(), [], 0, 0
        for frame, position in self._pending:
            difference = position - expected
            expected += frame.samples
            if abs(difference) > self._jump and (difference > 0) == (jump > 0):
                confirming.append(difference)
                confirmed_samples += frame.samples
                returned = 0
            else:
                returned += 1
            if returned == _RETURNED_FRAMES:  # a later jump is a separate one
                break
        jitters = returned == _RETURNED_FRAMES or confirmed_samples < _CONFIRM_PART * self._pending_samples
        if ended and not self._can_confirm():  # too little audio follows: decide by the jitter seen so far
            jitters = jitters or abs(jump) <= self._refuted
        if jitters:
            self._refuted = max(self._refuted, abs(jump))
            self._drift_limit = max(self._allowed_drift, int(self._refuted * _JITTER_PART))
            return self._drift_correction(jump)
        self._drift.clear()
        first = confirming[:3]
        steady = max(first) - min(first) <= self._allowed_drift
        likely = sorted(first if steady else confirming[:_DRIFT_FRAMES])
        return likely[len(likely) // 2]

    def _drift_correction(self, difference: int) -> int:
        """Return the number of samples to move the next frame because of drift; usually 0."""
        self._drift.append(difference)
        limit = self._drift_limit
        if max(self._drift) <= limit and min(self._drift) >= -limit:  # so is each mean
            return 0
        recent = sorted(list(self._drift)[-_DRIFT_FRAMES:])
        if len(recent) == _DRIFT_FRAMES and not self._refuted and (recent[0] > limit or recent[-1] < -limit):
            middle = recent[_DRIFT_FRAMES // 2]
        elif len(self._drift) >= (_LARGE_JITTER_FRAMES if self._refuted else _JITTER_FRAMES):
            middle = _middle(self._drift)
        else:
            return 0
        if abs(middle) <= limit:
            return 0
        self._drift.clear()
        return middle

    def _write(self, piece: av.AudioFrame, correction: int) -> Iterator[av.AudioFrame]:
        """Yield the frame moved by `correction` samples: after silence if positive, trimmed if negative."""
        assert self._next is not None
        if not (correction or self._overlap) and self._next == self._written <= self.total - piece.samples:
            yield self._stamp(piece)  # the usual frame
            self.decoded_samples += piece.samples
            self._next += piece.samples
            return
        returned = min(max(correction, 0), self._overlap)  # the rest of the overlap does not follow
        self._next += max(correction, 0) - returned
        self._overlap += max(-correction, 0) - returned
        self._repeats |= -correction > self._least_repeated
        skip = min(self._overlap, piece.samples)
        self._overlap -= skip
        if self._repeats and 0 <= self._next < self.total:
            self.repeated_samples += skip
        self._repeats &= self._overlap > 0
        before_clip = min(max(0, -self._next), piece.samples - skip)
        self._next += before_clip
        skip += before_clip
        if skip == piece.samples:
            return
        gap = self._next - self._written
        if self._follows_audio and gap > (0 if self._written else self._jump):
            self.filled_samples += min(gap, self.total - self._written)
        yield from self._silence(min(gap, self.total - self._written))
        count = min(piece.samples - skip, self.total - self._written)
        if count > 0:
            yield self._stamp(piece if (skip, count) == (0, piece.samples) else slice_of(piece, skip, count))
            self.decoded_samples += count
        self._next += piece.samples - skip

    def _silence(self, samples: int) -> Iterator[av.AudioFrame]:
        for frame in silence(self.format, self.layout, self.rate, samples):
            yield self._stamp(frame)

    def _stamp(self, frame: av.AudioFrame) -> av.AudioFrame:
        frame.pts = self._written
        frame.time_base = self._time_base
        self._written += frame.samples
        return frame


def _middle(differences: Collection[int]) -> int:
    """Return the mean of the middle half: single outliers have no part in it."""
    quarter = len(differences) // 4
    inner = sorted(differences)[quarter : len(differences) - quarter]
    return round(sum(inner) / len(inner))
