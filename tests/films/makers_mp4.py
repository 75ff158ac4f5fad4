"""MP4 films: frame rates, GOPs, variable frame rate, fragments."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import film, write
from tests.films.registry import makes

_MS = Fraction(1, 1000)


def _plain(path: Path, video: VideoPart, audio: AudioPart | None, *, options: dict[str, str] | None = None) -> Film:
    tracks = [audio] if audio else []
    write(path, "mp4", video=[video], audio=tracks, options=options)
    return film(path, video=[video], audio=tracks)


@makes("mp4")
def mp4_24(path: Path) -> Film:
    """Constant 24 frames per second."""
    return _plain(path, VideoPart(every(24, 6), Fraction(24), gop=48), AudioPart())


@makes("mp4")
def mp4_25(path: Path) -> Film:
    """Constant 25 frames per second."""
    return _plain(path, VideoPart(every(25, 6), Fraction(25), gop=50), AudioPart())


@makes("mp4")
def mp4_30(path: Path) -> Film:
    """Constant 30 frames per second, with the index in front."""
    return _plain(path, VideoPart(every(30, 6), Fraction(30), gop=60), AudioPart(), options={"movflags": "faststart"})


@makes("mp4")
def mp4_2997(path: Path) -> Film:
    """Constant 30000/1001 frames per second."""
    rate = Fraction(30000, 1001)
    return _plain(path, VideoPart(every(rate, 6), rate, gop=60, time_base=Fraction(1, 30000)), AudioPart())


@makes("mp4")
def mp4_60(path: Path) -> Film:
    """Constant 60 frames per second."""
    return _plain(path, VideoPart(every(60, 4), Fraction(60), gop=90), AudioPart(seconds=Fraction(39, 10)))


@makes("mp4")
def mp4_bframes(path: Path) -> Film:
    """Three B-frames in a pyramid."""
    x264 = {"x264-params": "b-pyramid=normal:scenecut=0:b-adapt=0"}
    return _plain(path, VideoPart(every(25, 6), Fraction(25), gop=40, b_frames=3, options=x264), AudioPart())


@makes("mp4")
def mp4_open_gop(path: Path) -> Film:
    """Open GOPs: the B-frames before a keyframe need the previous GOP."""
    x264 = {"x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
    return _plain(path, VideoPart(every(25, 6), Fraction(25), gop=24, b_frames=3, options=x264), AudioPart())


@makes("mp4")
def mp4_gop_10s(path: Path) -> Film:
    """A keyframe every ten seconds."""
    video = VideoPart(every(25, 12), Fraction(25), gop=250, b_frames=2, options={"x264-params": "scenecut=0"})
    return _plain(path, video, AudioPart(seconds=Fraction(119, 10)))


@makes("mp4")
def mp4_one_keyframe(path: Path) -> Film:
    """A single keyframe at the start."""
    video = VideoPart(every(30, 8), Fraction(30), gop=9999, b_frames=2, options={"x264-params": "scenecut=0"})
    return _plain(path, video, AudioPart(seconds=Fraction(79, 10)))


@makes("mp4")
def mp4_vfr_gaps(path: Path) -> Film:
    """Variable rate: bursts of 25 fps with gaps of one second."""
    times: list[Fraction] = []
    for burst in range(4):
        times += every(25, Fraction(4, 5), start=burst * Fraction(9, 5))
    video = VideoPart(tuple(times), Fraction(25), gop=40, time_base=Fraction(1, 90000))
    return _plain(path, video, AudioPart(seconds=Fraction(61, 10)))


@makes("mp4")
def mp4_vfr_still(path: Path) -> Film:
    """A still frame of 20 seconds between two seconds of motion."""
    times = every(25, 2) + every(25, 2, start=Fraction(22))
    video = VideoPart(times, Fraction(25), gop=250, time_base=Fraction(1, 90000))
    return _plain(path, video, AudioPart(seconds=Fraction(239, 10)))


@makes("mp4")
def mp4_vfr_jitter(path: Path) -> Film:
    """A phone camera: about 30 fps, each frame off by a few milliseconds, with B-frames."""
    times = tuple(i * Fraction(100, 3) * _MS + (i * 7 % 11 - 5) * _MS for i in range(1, 180))
    times = (Fraction(0), *(Fraction(round(t * 90000), 90000) for t in times))
    video = VideoPart(times, Fraction(30), gop=60, b_frames=2, time_base=Fraction(1, 90000))
    return _plain(path, video, AudioPart())


@makes("mp4")
def mp4_fragmented(path: Path) -> Film:
    """Fragments without an edit list: the codec delay is presented as audio."""
    audio = AudioPart(start=Fraction(1024, 48000), seconds=Fraction(58, 10))
    video = VideoPart(every(25, 6), Fraction(25), gop=50)
    return _plain(path, video, audio, options={"movflags": "frag_keyframe+empty_moov+default_base_moof"})


@makes("mp4")
def mp4_fragmented_edits(path: Path) -> Film:
    """Fragments with a late index, edit lists and B-frames."""
    video = VideoPart(every(25, 6), Fraction(25), gop=50, b_frames=2)
    return _plain(path, video, AudioPart(), options={"movflags": "frag_keyframe+delay_moov+default_base_moof"})


@makes("mp4")
def hevc_mp4(path: Path) -> Film:
    """HEVC as hvc1, open GOPs with leading pictures."""
    video = VideoPart(every(25, 5), Fraction(25), codec="libx265", gop=30, b_frames=3, codec_tag="hvc1")
    return _plain(path, video, AudioPart(seconds=Fraction(49, 10)))


@makes("mp4")
def av1_mp4(path: Path) -> Film:
    """AV1 in MP4."""
    video = VideoPart(every(25, 5), Fraction(25), codec="libsvtav1", gop=50)
    return _plain(path, video, AudioPart(seconds=Fraction(49, 10)))
