"""Parts of a film: the content of video and audio streams on the recording's timeline (exact seconds)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from tests.films.film import UNTAGGED, Sound, Span, Tags

# Priming samples that an encoder inserts; the container may or may not declare them.
_CODEC_DELAY = {"aac": 1024, "libopus": 312, "libmp3lame": 1105, "ac3": 256, "mp2": 481, "nellymoser": 256}
_FRAME_SAMPLES = {"libopus": 960, "libmp3lame": 1152, "ac3": 1536, "mp2": 1152, "nellymoser": 256}


@dataclass(frozen=True)
class VideoPart:
    """One video stream. Frame i is presented at `times[i]` and shows the number `first_number` + i.

    The last frame ends at `end`, or after 1 / `fps`. `width` and `height` are of the coded frame; `shown_as` is the
    orientation in which a reader finds it before `matrix` (a display matrix, nine 16.16/2.30 integers) is applied.
    `then` are parts that follow in the same stream with separate encoders (another size).
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
        """Return the time base of the encoder."""
        return self.time_base or 1 / (self.fps * 512)

    @property
    def sideways(self) -> bool:
        """Return True if the upright frame is as wide as the coded one is high."""
        return "90" in self.shown_as or "transposed" in self.shown_as

    @property
    def shown_size(self) -> tuple[int, int]:
        return (self.height, self.width) if self.sideways else (self.width, self.height)

    @property
    def full_range(self) -> bool:
        return bool(self.tags.full_range) or self.pix_fmt.startswith("yuvj")

    def frames(self) -> list[tuple[Fraction, int]]:
        """Return (time, number) of this part and those that follow it."""
        own = [(time, self.first_number + index) for index, time in enumerate(self.times)]
        return own + [entry for part in self.then for entry in part.frames()]


@dataclass(frozen=True)
class AudioPart:
    """One audio stream with `seconds` of audio, the first sample presented at `start`.

    `gaps` are breaks in the stream, aligned to packet borders; after them audio continues as if it had run on. Audio at
    time t is `sound(seed, t + lead)`.
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
        """Return the seconds of priming that the encoder inserts before `start`."""
        return Fraction(_CODEC_DELAY.get(self.codec, 0), self.rate)

    @property
    def channels(self) -> int:
        return {"mono": 1, "stereo": 2, "5.1": 6}[self.layout]

    @property
    def count(self) -> int:
        """Return the number of samples without the gaps."""
        return int(self.seconds * self.rate)

    def moves(self) -> list[tuple[int, Fraction]]:
        """Return for each gap the first sample after it, aligned and counted without gaps, and the gap's length."""
        delay, found, before = int(self.delay * self.rate), [], Fraction(0)
        for low, high in self.gaps:
            packet = round(((low - before - self.start) * self.rate + delay) / self.frame_samples)
            found.append((packet * self.frame_samples - delay, high - low))
            before += high - low
        return found

    def time_of(self, sample: int) -> Fraction:
        """Return the presentation time of a sample, counted without gaps."""
        return self.start + Fraction(sample, self.rate) + sum(length for at, length in self.moves() if sample >= at)

    def packet_border(self, time: Fraction) -> Fraction:
        """Return the packet border that is nearest to `time` (for a track without gaps)."""
        packet = self.frame_samples / Fraction(self.rate)
        return self.start - self.delay + round((time - self.start + self.delay) / packet) * packet

    def truth(self) -> Sound:
        """Return the declared audio of this part."""
        tick = Fraction(1, self.rate)
        silences = tuple((self.time_of(at - 1) + tick, self.time_of(at)) for at, _ in self.moves())
        end = self.time_of(self.count - 1) + tick
        leads = ((self.start, self.lead),) if self.lead else ()
        heard = Sound(self.seed, self.start, end, self.rate, self.channels, self.codec, self.language, silences)
        return replace(heard, leads=leads)


def every(fps: Fraction | int, seconds: int | Fraction, *, start: Fraction = Fraction(0)) -> tuple[Fraction, ...]:
    """Return the frame times of a constant rate, for `seconds` from `start`."""
    return tuple(start + i / Fraction(fps) for i in range(round(seconds * fps)))
