"""QuickTime, AVI, FLV and program stream films: editing codecs, PCM, formats without timestamps."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import Packets, film, write
from tests.films.registry import makes

_MS = Fraction(1, 1000)
_BASE = VideoPart(every(25, 4), Fraction(25))
_PCM = AudioPart(codec="pcm_s16le", seconds=Fraction(39, 10))


def _film(path: Path, form: str, video: VideoPart, audio: AudioPart, *, grid: Fraction = Fraction(0)) -> Film:
    write(path, form, video=[video], audio=[audio], edit=_in_order if form == "avi" else None)
    return film(path, video=[video], audio=[audio], grid=grid)


def _in_order(packets: Packets) -> Packets:
    """Set dts to pts: AVI counts frames, so an early dts would become an empty frame."""
    for packet in packets:
        packet.dts = packet.pts
    return packets


@makes("mov")
def mov_prores_pcm(path: Path) -> Film:
    """ProRes 4:2:2 10 bit with PCM."""
    video = replace(_BASE, codec="prores_ks", pix_fmt="yuv422p10le", options={"profile": "0"})
    return _film(path, "mov", video, _PCM)


@makes("mov")
def mov_mjpeg_pcm(path: Path) -> Film:
    """Motion JPEG, full range, with 24-bit PCM."""
    return _film(path, "mov", replace(_BASE, codec="mjpeg", pix_fmt="yuvj420p"), replace(_PCM, codec="pcm_s24le"))


@makes("mov")
def mov_h264_pcm_late(path: Path) -> Film:
    """H.264 with B-frames and PCM that starts 0.4 s late."""
    audio = replace(_PCM, start=Fraction(2, 5), seconds=Fraction(7, 2))
    return _film(path, "mov", replace(_BASE, gop=50, b_frames=2), audio)


@makes("avi")
def avi_mjpeg_pcm(path: Path) -> Film:
    """Motion JPEG with PCM in AVI."""
    video = replace(_BASE, codec="mjpeg", pix_fmt="yuvj422p", time_base=Fraction(1, 25))
    return _film(path, "avi", video, _PCM)


@makes("avi")
def avi_mpeg4_mp3(path: Path) -> Film:
    """MPEG-4 part 2 with MP3 in AVI, the codec delay presented as audio."""
    video = replace(_BASE, codec="mpeg4", gop=50, time_base=Fraction(1, 25))
    audio = AudioPart(codec="libmp3lame", start=Fraction(1105, 48000), seconds=Fraction(38, 10), bit_rate=128_000)
    return _film(path, "avi", video, audio)


def _at_decoding_times(packets: Packets) -> Packets:
    """Number the video packets in decoding order: AVI stores no other time."""
    number = 0
    for packet in packets:
        if packet.stream.type == "video":
            packet.pts = packet.dts = number
            number += 1
    return packets


def _avi_with_b_frames(path: Path, *, x264: str) -> Film:
    options = {"preset": "ultrafast", "x264-params": x264}
    video = replace(_BASE, time_base=Fraction(1, 25), b_frames=3, options=options)
    write(path, "avi", video=[video], audio=[_PCM], edit=_at_decoding_times)
    return film(path, video=[video], audio=[_PCM])


@makes("avi")
def avi_h264_bframes(path: Path) -> Film:
    """H.264 with a pyramid of B-frames in AVI, which stores decoding times only."""
    return _avi_with_b_frames(path, x264="b-pyramid=normal:b-adapt=0")


@makes("avi")
def avi_h264_open_gop(path: Path) -> Film:
    """The same with open GOPs: the first B-frames after a seek cannot be decoded."""
    return _avi_with_b_frames(path, x264="open-gop=1:b-pyramid=normal:b-adapt=0:scenecut=0")


@makes("flv")
def flv_h264_aac(path: Path) -> Film:
    """H.264 and AAC in FLV: milliseconds, the codec delay presented as audio."""
    audio = AudioPart(start=Fraction(1024, 48000), seconds=Fraction(38, 10))
    return _film(path, "flv", replace(_BASE, gop=50), audio, grid=_MS)


@makes("mpg")
def mpeg_program_stream(path: Path) -> Film:
    """MPEG-2 with B-frames and MP2 in a program stream."""
    video = replace(_BASE, codec="mpeg2video", gop=12, b_frames=2, time_base=Fraction(1, 25))
    audio = AudioPart(codec="mp2", start=Fraction(481, 48000), seconds=Fraction(38, 10), bit_rate=192_000)
    return _film(path, "vob", video, audio, grid=Fraction(1, 90000))
