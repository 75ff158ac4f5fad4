"""The ranges in which every film is cut: named ones, and some that its name chooses."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

import av

from tests.films.film import Film

_F = Fraction


@dataclass(frozen=True)
class Cut:
    """A half-open range in seconds on the recording's timeline, as a client requests it."""

    name: str
    start: Fraction
    end: Fraction

    def __str__(self) -> str:
        return f"{self.name}[{float(self.start):.4f}, {float(self.end):.4f})"


def cuts_of(film: Film) -> list[Cut]:
    """Return the named cuts of this film."""
    end = film.duration
    cuts = [
        Cut("at_0", _F(0), _F(13, 10)),
        Cut("off_grid", *_off_grid(end)),
        Cut("one_frame", *_one_frame(film)),
        Cut("over_end", _ms(end - _F(11, 10)), end + _F(7, 10)),
        Cut("last_100ms", end - _F(1, 10), end),
        Cut("whole", _F(0), end),
    ]
    if len(film.frames) > 2:  # so short that frames of the range are decoded after some that follow it
        cuts.append(Cut("first_frames", _F(0), _ms(film.frames[1][0]) + _F(1, 1000)))
        key = _last_keyframe(film)
        cuts.append(Cut("at_keyframe", film.frames[key][0], _ms(film.frames[key + 1][0]) + _F(1, 1000)))
    if film.gaps:
        low, high = max(film.gaps, key=lambda gap: gap[1] - gap[0])
        cuts.append(Cut("across_gap", _clamp(low - _F(317, 1000), end), _clamp(high + _F(411, 1000), end)))
        cuts.append(Cut("from_gap", _ms(low + (high - low) * _F(6, 10)), _clamp(high + _F(411, 1000), end)))
        cuts.append(Cut("in_gap", _ms(low + (high - low) * _F(4, 10)), _ms(low + (high - low) * _F(8, 10))))
    silences = [span for sound in film.sounds for span in (*sound.silences, *sound.doubtful)]
    if silences and not film.gaps:
        low, high = silences[0]
        cuts.append(Cut("across_silence", _clamp(low - _F(317, 1000), end), _clamp(high + _F(411, 1000), end)))
        cuts.append(Cut("from_silence", _ms((low + high) / 2), _clamp(high + _F(411, 1000), end)))
    for at in film.crossings:
        cuts.append(Cut("before_break", _ms(at - _F(231, 1000)), _ms(at - _F(86, 1000))))
        cuts.append(Cut("across_break", _ms(at - _F(517, 1000)), _ms(at + _F(611, 1000))))
        cuts.append(Cut("after_break", _ms(at + _F(317, 1000)), _ms(at + _F(1217, 1000))))
    return cuts


def other_cuts(film: Film, count: int, seed: str = "") -> list[Cut]:
    """Return ranges in milliseconds, up to 2 s long, that differ by film; their ends may exceed it by up to 1 s."""
    random, cuts = Random(film.name + seed), []
    for number in range(count):
        start = random.randint(0, int(film.duration * 1000) - 50)
        end = min(_F(start + random.randint(20, 2000), 1000), film.duration + _F(9, 10))
        cuts.append(Cut(f"other_{number}", _F(start, 1000), end))
    return cuts


def _off_grid(end: Fraction) -> tuple[Fraction, Fraction]:
    start = _ms(end * _F(37, 100)) + _F(7, 1000)
    return start, start + _F(1403, 1000)


def _one_frame(film: Film) -> tuple[Fraction, Fraction]:
    if not film.frames:
        start = _ms(film.duration / 2)
        return start, start + _F(1, 25)
    index = len(film.frames) * 55 // 100
    return film.frames[index][0], film.frames[index + 1][0]


def _last_keyframe(film: Film) -> int:
    """Return the number of the last keyframe that has frames after it."""
    with av.open(str(film.path)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
    times = sorted(packet.pts or 0 for packet in packets)
    numbers = [times.index(packet.pts or 0) for packet in packets if packet.is_keyframe]
    return max((number for number in numbers if number < len(film.frames) - 2), default=0)


def _ms(time: Fraction) -> Fraction:
    return max(_F(0), _F(round(time * 1000), 1000))


def _clamp(time: Fraction, end: Fraction) -> Fraction:
    return min(_ms(time), end)
