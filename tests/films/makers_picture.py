"""Films about video frames: size, chroma sampling, bit depth, colour, rotation, aspect, interlacing, size changes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tests.films.film import BT601, BT709, BT2020, HLG, PQ, Film, Tags
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import film, write
from tests.films.registry import makes

_MS = Fraction(1, 1000)
_90K = Fraction(1, 90000)
_BASE = VideoPart(every(25, 4), Fraction(25), gop=50)
_SOUND = AudioPart(seconds=Fraction(39, 10))


def _film(path: Path, video: VideoPart, *, form: str = "mp4", audio: AudioPart = _SOUND, traits: str = "") -> Film:
    grid = {"webm": _MS, "matroska": _MS, "mpegts": _90K}.get(form, Fraction(0))
    write(path, form, video=[video], audio=[audio])
    crossings = tuple(part.times[0] for part in video.then)
    return film(path, video=[video], audio=[audio], grid=grid, crossings=crossings, traits=traits)


@makes("mp4")
def odd_size_444(path: Path) -> Film:
    """161 x 91 pixels, 4:4:4."""
    return _film(path, replace(_BASE, width=161, height=91, pix_fmt="yuv444p"))


@makes("webm")
def odd_size_vp9(path: Path) -> Film:
    """161 x 91 pixels, 4:2:0 in VP9."""
    video = replace(_BASE, width=161, height=91, codec="libvpx-vp9")
    return _film(path, video, form="webm", audio=replace(_SOUND, codec="libopus"))


@makes("mp4")
def h264_422(path: Path) -> Film:
    """4:2:2."""
    return _film(path, replace(_BASE, pix_fmt="yuv422p", b_frames=2))


@makes("mp4")
def h264_444(path: Path) -> Film:
    """4:4:4."""
    return _film(path, replace(_BASE, pix_fmt="yuv444p", b_frames=2))


@makes("mp4")
def h264_10bit(path: Path) -> Film:
    """10 bits, 4:2:0."""
    return _film(path, replace(_BASE, pix_fmt="yuv420p10le", tags=BT709))


@makes("mp4")
def full_range(path: Path) -> Film:
    """Full range, BT.709, as screen recorders write it."""
    return _film(path, replace(_BASE, tags=Tags(1, 1, 1, True)))


@makes("mp4")
def tagged_bt601(path: Path) -> Film:
    """BT.601 tags."""
    return _film(path, replace(_BASE, tags=BT601))


@makes("mp4")
def tagged_bt709(path: Path) -> Film:
    """BT.709 tags."""
    return _film(path, replace(_BASE, tags=BT709))


@makes("mp4")
def tagged_bt2020(path: Path) -> Film:
    """BT.2020 tags, standard range, 10 bits."""
    return _film(path, replace(_BASE, pix_fmt="yuv420p10le", tags=BT2020))


@makes("mp4")
def hdr_pq(path: Path) -> Film:
    """HDR10: BT.2020, PQ, 10-bit HEVC."""
    video = replace(_BASE, codec="libx265", pix_fmt="yuv420p10le", tags=PQ, codec_tag="hvc1")
    return _film(path, video, traits="hdr")


@makes("mp4")
def hdr_hlg(path: Path) -> Film:
    """BT.2020, HLG, 10-bit HEVC."""
    video = replace(_BASE, codec="libx265", pix_fmt="yuv420p10le", tags=HLG, codec_tag="hvc1")
    return _film(path, video, traits="hdr")


def _matrix(a: int, b: int, c: int, d: int, x: int = 0, y: int = 0) -> tuple[int, ...]:
    """Return a display matrix: a coded point (x, y) is displayed at (a x + c y, b x + d y), translated by (x, y)."""
    one = 1 << 16
    return (a * one, b * one, 0, c * one, d * one, 0, x * one, y * one, 1 << 30)


@makes("mp4")
def rotated_90(path: Path) -> Film:
    """A portrait recording of a phone: coded in landscape, displayed rotated 90 degrees clockwise."""
    matrix = _matrix(0, 1, -1, 0, x=180)
    video = replace(_BASE, width=320, height=180, shown_as="turned 90 anticlockwise", matrix=matrix, b_frames=1)
    return _film(path, video)


@makes("mp4")
def rotated_180(path: Path) -> Film:
    """Coded upside down, displayed rotated 180 degrees."""
    return _film(path, replace(_BASE, shown_as="turned 180", matrix=_matrix(-1, 0, 0, -1, x=160, y=90)))


@makes("mov")
def rotated_270(path: Path) -> Film:
    """Coded in landscape, displayed rotated 90 degrees anticlockwise, SAR 4:3."""
    matrix = _matrix(0, -1, 1, 0, y=320)
    video = replace(_BASE, width=320, height=180, shown_as="turned 90 clockwise", matrix=matrix, sar=Fraction(4, 3))
    return _film(path, video, form="mov")


@makes("mp4")
def mirrored(path: Path) -> Film:
    """A front camera: coded mirrored, displayed mirrored back."""
    return _film(path, replace(_BASE, shown_as="mirrored left to right", matrix=_matrix(-1, 0, 0, 1, x=160)))


@makes("mp4")
def mirrored_and_rotated(path: Path) -> Film:
    """A front camera in portrait: coded transposed."""
    return _film(path, replace(_BASE, width=320, height=180, shown_as="transposed", matrix=_matrix(0, 1, 1, 0)))


@makes("mp4")
def sar_wide(path: Path) -> Film:
    """Sample aspect ratio 16:11."""
    return _film(path, replace(_BASE, width=176, height=144, sar=Fraction(16, 11)))


@makes("mkv")
def sar_narrow_mkv(path: Path) -> Film:
    """Sample aspect ratio 8:9 in Matroska."""
    return _film(path, replace(_BASE, width=180, height=120, sar=Fraction(8, 9)), form="matroska")


@makes("ts")
def interlaced_h264(path: Path) -> Film:
    """Interlaced H.264 in MPEG-TS."""
    x264 = {"x264-params": "interlaced=1"}
    video = replace(_BASE, width=192, height=128, interlaced=True, options=x264, b_frames=2)
    audio = replace(_SOUND, start=Fraction(1024, 48000), seconds=Fraction(38, 10))
    return _film(path, video, form="mpegts", audio=audio, traits="interlaced")


@makes("ts")
def interlaced_mpeg2(path: Path) -> Film:
    """Interlaced MPEG-2 with MP2 audio and two B-frames, as in television recordings."""
    video = replace(_BASE, codec="mpeg2video", width=192, height=128, interlaced=True, gop=12, b_frames=2)
    video = replace(video, time_base=Fraction(1, 25))  # the codec has frame rates, no time bases
    audio = AudioPart(codec="mp2", start=Fraction(481, 48000), seconds=Fraction(38, 10), bit_rate=192_000)
    return _film(path, video, form="mpegts", audio=audio, traits="interlaced")


def _resizing(codec: str) -> VideoPart:
    small = VideoPart(every(25, 2, start=Fraction(2)), Fraction(25), codec, 240, 136, gop=25, first_number=50)
    again = VideoPart(every(25, 2, start=Fraction(4)), Fraction(25), codec, 160, 90, gop=25, first_number=100)
    return VideoPart(every(25, 2), Fraction(25), codec, 320, 180, gop=25, then=(small, again))


@makes("ts")
def size_changes_ts(path: Path) -> Film:
    """The size changes twice within an H.264 stream."""
    audio = AudioPart(start=Fraction(1024, 48000), seconds=Fraction(58, 10))
    return _film(path, _resizing("libx264"), form="mpegts", audio=audio, traits="resizes")


@makes("webm")
def size_changes_vp8(path: Path) -> Film:
    """The size changes twice within a VP8 stream, as in a call over a slow connection."""
    audio = AudioPart(codec="libopus")
    return _film(path, _resizing("libvpx"), form="webm", audio=audio, traits="resizes")
