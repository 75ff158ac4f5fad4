"""The parts of a film: what a video or an audio stream holds, on the recording's timeline (seconds, exact)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from tests.films.film import UNTAGGED, Sound, Span, Tags

# Samples that a coder puts before the first one it was given; the container may or may not say so.
_CODEC_DELAY = {"aac": 1024, "libopus": 312, "libmp3lame": 1105, "ac3": 256, "mp2": 481, "nellymoser": 256}
_FRAME_SAMPLES = {"libopus": 960, "libmp3lame": 1152, "ac3": 1536, "mp2": 1152, "nellymoser": 256}


@dataclass(frozen=True)
class VideoPart:
    """One video stream. Frame i is shown at `times[i]` and shows the number `first_number` + i.

    The last frame ends at `end`, or after 1 / `fps`. `width` and `height` are of the stored picture; `shown_as` is how
    a reader finds that turned, before `matrix` (a display matrix of nine 16.16/2.30 integers) makes it upright again.
    `then` are parts that follow in the same stream with an encoder of their own (another size).
    """

    times: tuple[Fraction, ...]
    fps: Fraction
    codec: str = "libx264"
    width: int = 160
    height: int = 90
    time_base: Fraction | None = None
    pix_fmt: str = "yuv420p"
    gop: int = 25
    b_frames: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    tags: Tags = UNTAGGED
    sar: Fraction = Fraction(1)
    shown_as: str = "upright"
    matrix: tuple[int, ...] | None = None
    interlaced: bool = False
    codec_tag: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    first_number: int = 0
    end: Fraction | None = None
    then: tuple[VideoPart, ...] = ()

    @property
    def base(self) -> Fraction:
        """The encoder's time base."""
        return self.time_base or 1 / (self.fps * 512)

    @property
    def sideways(self) -> bool:
        """Whether the upright picture is as wide as the stored one is high."""
        return "90" in self.shown_as or "transposed" in self.shown_as

    @property
    def shown_size(self) -> tuple[int, int]:
        return (self.height, self.width) if self.sideways else (self.width, self.height)

    @property
    def full_range(self) -> bool:
        return bool(self.tags.full_range) or self.pix_fmt.startswith("yuvj")

    def frames(self) -> list[tuple[Fraction, int]]:
        """(time, number) of this part and of those that follow it."""
        own = [(time, self.first_number + index) for index, time in enumerate(self.times)]
        return own + [entry for part in self.then for entry in part.frames()]


@dataclass(frozen=True)
class AudioPart:
    """One audio stream with `seconds` of sound, the first sample heard at `start`.

    `gaps` are breaks in the stream, moved to the codec's packet borders; sound goes on after them as if it had run.
    What is heard at time t is `sound(seed, t + lead)`.
    """

    start: Fraction = Fraction(0)
    seconds: Fraction = Fraction(59, 10)
    codec: str = "aac"
    rate: int = 48000
    layout: Literal["mono", "stereo", "5.1"] = "stereo"
    seed: int = 1
    gaps: tuple[Span, ...] = ()
    language: str | None = None
    bit_rate: int = 96_000
    lead: Fraction = Fraction(0)

    @property
    def frame_samples(self) -> int:
        return _FRAME_SAMPLES.get(self.codec, 1024)

    @property
    def delay(self) -> Fraction:
        """Seconds of nothing that the coder puts before `start`."""
        return Fraction(_CODEC_DELAY.get(self.codec, 0), self.rate)

    @property
    def channels(self) -> int:
        return {"mono": 1, "stereo": 2, "5.1": 6}[self.layout]

    @property
    def count(self) -> int:
        """How many samples there are without the gaps."""
        return int(self.seconds * self.rate)

    def moves(self) -> list[tuple[int, Fraction]]:
        """For each gap the first sample after it, counted without gaps and on a packet border, and the gap's length."""
        delay, found, before = int(self.delay * self.rate), [], Fraction(0)
        for low, high in self.gaps:
            packet = round(((low - before - self.start) * self.rate + delay) / self.frame_samples)
            found.append((packet * self.frame_samples - delay, high - low))
            before += high - low
        return found

    def time_of(self, sample: int) -> Fraction:
        """When a sample, counted without gaps, is heard."""
        return self.start + Fraction(sample, self.rate) + sum(length for at, length in self.moves() if sample >= at)

    def packet_border(self, time: Fraction) -> Fraction:
        """The border of two packets that is nearest to `time` (for a track without gaps)."""
        packet = self.frame_samples / Fraction(self.rate)
        return self.start - self.delay + round((time - self.start + self.delay) / packet) * packet

    def truth(self) -> Sound:
        """What is heard of this part."""
        tick = Fraction(1, self.rate)
        silences = tuple((self.time_of(at - 1) + tick, self.time_of(at)) for at, _ in self.moves())
        end = self.time_of(self.count - 1) + tick
        leads = ((self.start, self.lead),) if self.lead else ()
        heard = Sound(self.seed, self.start, end, self.rate, self.channels, self.codec, self.language, silences)
        return replace(heard, leads=leads)


def every(fps: Fraction | int, seconds: int | Fraction, *, start: Fraction = Fraction(0)) -> tuple[Fraction, ...]:
    """The times of a constant rate: `seconds` long, from `start` on."""
    return tuple(start + i / Fraction(fps) for i in range(round(seconds * fps)))
