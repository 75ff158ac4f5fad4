"""Films as captured live: clocks that jitter and drift, streams that start late or stop early."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import Edit, Packets, film, write
from tests.films.registry import makes

_MS = Fraction(1, 1000)
_OPUS = AudioPart(codec="libopus")
_VP8 = VideoPart(every(25, 6), Fraction(25), "libvpx", gop=60)


def _moved(move: list[int] | int) -> Edit:
    """Delay audio packet i by `move[i]`, or by i * `move`, in microseconds."""

    def edit(packets: Packets) -> Packets:
        for number, packet in enumerate(p for p in packets if p.stream.type == "audio"):
            by = number * move if isinstance(move, int) else move[number % len(move)]
            packet.pts += round(Fraction(by, 1_000_000) / packet.time_base)
            packet.dts = packet.pts
        return packets

    return edit


@makes("webm")
def live_sound_jitters(path: Path) -> Film:
    """Each audio packet is up to 4 ms early or late, as with wall-clock timestamps."""
    jitter = [0, *((i * 5 % 9 - 4) * 1000 for i in range(9))]
    write(path, "webm", video=[_VP8], audio=[_OPUS], edit=_moved(jitter))
    return film(path, video=[_VP8], audio=[_OPUS], grid=_MS, traits="loose_sound")


@makes("webm")
def live_sound_late_blocks(path: Path) -> Film:
    """Every few audio packets, up to three in a row are stamped 13 to 30 ms late; no audio is missing."""
    late = [0, 0, 0, 0, 0, 0, 0, 24_000, 13_000, 0, 0, 0, 0, 0, 0, 0, 30_000, 22_000, 14_000, 0, 0, 0, 0]
    write(path, "webm", video=[_VP8], audio=[_OPUS], edit=_moved(late))
    return film(path, video=[_VP8], audio=[_OPUS], grid=_MS, traits="loose_sound")


@makes("webm")
def live_sound_late_blocks_and_gap(path: Path) -> Film:
    """Some audio packets are stamped late, and half a second of audio is missing."""
    audio = replace(_OPUS, seconds=Fraction(54, 10), gaps=((Fraction(23, 10), Fraction(28, 10)),))
    late = [0, 0, 0, 0, 0, 0, 0, 24_000, 13_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    write(path, "webm", video=[_VP8], audio=[audio], edit=_moved(late))
    return film(path, video=[_VP8], audio=[audio], grid=_MS)


@makes("mkv")
def live_sound_drifts(path: Path) -> Film:
    """The audio clock is slow by 0.3 %: packets of 20 ms arrive every 20.06 ms and are stamped so."""
    write(path, "matroska", video=[replace(_VP8, codec="libx264")], audio=[_OPUS], edit=_moved(60))
    made = film(path, video=[replace(_VP8, codec="libx264")], audio=[_OPUS], grid=_MS, traits="loose_sound")
    stretched = Fraction(2006, 2000)
    heard = made.sounds[0]
    step = Fraction(1, 4)
    leads = tuple((i * step, (i + Fraction(1, 2)) * step * (1 / stretched - 1)) for i in range(24))
    return replace(made, sounds=(replace(heard, end=heard.end * stretched, leads=leads),))


@makes("webm")
def live_video_late(path: Path) -> Film:
    """The camera starts 1.24 s after the microphone."""
    video = replace(_VP8, times=every(25, 5, start=Fraction(31, 25)))
    audio = replace(_OPUS, seconds=Fraction(61, 10))
    write(path, "webm", video=[video], audio=[audio])
    return film(path, video=[video], audio=[audio], grid=_MS)


@makes("mp4")
def still_at_the_end(path: Path) -> Film:
    """Two seconds of motion, then the last frame lasts five seconds more."""
    video = VideoPart(every(25, 2), Fraction(25), gop=50, end=Fraction(7))
    write(path, "mp4", video=[video])
    return replace(film(path, video=[video]), duration=Fraction(7))


@makes("webm")
def still_with_sound(path: Path) -> Film:
    """A shared screen without motion after two seconds, while somebody speaks."""
    video = replace(_VP8, times=every(25, 2))
    audio = replace(_OPUS, seconds=Fraction(7))
    write(path, "webm", video=[video], audio=[audio], options={"live": "1"})
    return film(path, video=[video], audio=[audio], grid=_MS)


@makes("mp4")
def one_frame_a_second(path: Path) -> Film:
    """Slides: one frame per second, B-frames, audio."""
    video = VideoPart(every(1, 12), Fraction(1), gop=6, b_frames=2)
    audio = AudioPart(seconds=Fraction(119, 10))
    write(path, "mp4", video=[video], audio=[audio])
    return film(path, video=[video], audio=[audio])


@makes("mp4")
def mp4_120(path: Path) -> Film:
    """Constant 120 frames per second."""
    video, audio = VideoPart(every(120, 4), Fraction(120), gop=240, b_frames=2), AudioPart(seconds=Fraction(39, 10))
    write(path, "mp4", video=[video], audio=[audio])
    return film(path, video=[video], audio=[audio])
