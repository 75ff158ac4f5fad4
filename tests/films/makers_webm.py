"""WebM and Matroska films: live recordings without duration or index, hidden frames, a late start."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import film, write
from tests.films.registry import makes

_MS = Fraction(1, 1000)
_OPUS = AudioPart(codec="libopus")


class _Pipe:
    """A file that can only be written forwards, so that the muxer cannot go back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return self._file.write(data)


def _live(path: Path, video: VideoPart, audio: AudioPart, form: str = "webm") -> Film:
    with path.open("wb") as file:
        write(path, form, video=[video], audio=[audio], options={"live": "1"}, target=_Pipe(file))
    return film(path, video=[video], audio=[audio], grid=_MS, traits="live")


@makes("webm")
def webm_live_vp8(path: Path) -> Film:
    """A browser recording: VP8 + Opus, variable rate, no duration, no cues, one keyframe."""
    times = tuple(i * Fraction(100, 3) * _MS + (i * 7 % 13) * _MS for i in range(180))
    video = VideoPart(times, Fraction(30), "libvpx", gop=9999, time_base=_MS)
    return _live(path, video, replace(_OPUS, bit_rate=64_000))


@makes("webm")
def webm_live_vp8_keyframes(path: Path) -> Film:
    """A browser recording with a keyframe every 40 frames: VP8 + Opus, variable rate, no duration, no cues."""
    times = tuple(i * Fraction(100, 3) * _MS + (i * 5 % 11) * _MS for i in range(170))
    video = VideoPart(times, Fraction(30), "libvpx", gop=40, time_base=_MS)
    return _live(path, video, replace(_OPUS, bit_rate=64_000, seconds=Fraction(28, 5)))


@makes("webm")
def webm_live_pauses(path: Path) -> Film:
    """A browser recording of a static page: few frames, pauses up to 1.5 s."""
    times, now = [Fraction(0)], Fraction(0)
    for index in range(59):
        now += Fraction(index * 37 % 29 * 5 + 17, 1000) + (Fraction(3, 2) if index % 17 == 11 else 0)
        times.append(now)
    video = VideoPart(tuple(times), Fraction(12), "libvpx", gop=9999, time_base=_MS)
    return _live(path, video, replace(_OPUS, seconds=times[-1]))


@makes("mkv")
def mkv_live_h264(path: Path) -> Film:
    """H.264 + Opus in Matroska as recorded by Chromium: no duration, no cues."""
    video = VideoPart(every(30, 6), Fraction(30), gop=100, time_base=_MS)
    return _live(path, video, _OPUS, "matroska")


@makes("webm")
def webm_vp8_hidden_frames(path: Path) -> Film:
    """VP8 with alternate references: packets that are not displayed."""
    hidden = {"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "12", "arnr-maxframes": "0", "b": "800k"}
    video = VideoPart(every(25, 6), Fraction(25), "libvpx", gop=60, options=hidden)
    write(path, "webm", video=[video], audio=[_OPUS])
    return film(path, video=[video], audio=[_OPUS], grid=_MS)


@makes("webm")
def webm_vp9(path: Path) -> Film:
    """VP9 + Opus with hidden frames, 30 fps rounded to milliseconds."""
    hidden = {"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "12"}
    video = VideoPart(every(30, 6), Fraction(30), "libvpx-vp9", gop=80, options=hidden)
    write(path, "webm", video=[video], audio=[_OPUS])
    return film(path, video=[video], audio=[_OPUS], grid=_MS)


@makes("webm")
def webm_av1(path: Path) -> Film:
    """AV1 + Opus, 30000/1001 fps rounded to milliseconds."""
    rate = Fraction(30000, 1001)
    video = VideoPart(every(rate, 5), rate, "libsvtav1", gop=60, time_base=Fraction(1, 30000))
    audio = replace(_OPUS, seconds=Fraction(49, 10))
    write(path, "webm", video=[video], audio=[audio])
    return film(path, video=[video], audio=[audio], grid=_MS)


@makes("mkv")
def mkv_starts_at_5s(path: Path) -> Film:
    """The clock starts at 5 s; H.264 with B-frames, AAC from 0.1 s on."""
    video = VideoPart(every(25, 6), Fraction(25), gop=60, b_frames=2)
    audio = AudioPart(start=Fraction(1, 10), seconds=Fraction(58, 10))
    write(path, "matroska", video=[video], audio=[audio], offset=Fraction(5))
    return film(path, video=[video], audio=[audio], grid=_MS)


@makes("mkv")
def mkv_flac_60(path: Path) -> Film:
    """59.94 fps with FLAC in Matroska: frames 16 and 17 ms apart."""
    rate = Fraction(60000, 1001)
    video = VideoPart(every(rate, 4), rate, gop=100, time_base=Fraction(1, 60000))
    audio = AudioPart(codec="flac", seconds=Fraction(39, 10))
    write(path, "matroska", video=[video], audio=[audio])
    return film(path, video=[video], audio=[audio], grid=_MS)
