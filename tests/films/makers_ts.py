"""MPEG-TS films: clocks that start anywhere, wrap, jump back and ahead, and real gaps.

AAC in MPEG-TS cannot declare its delay: 1024 samples of priming are presented first. In these films video starts with
them, at 0, so that both streams have a packet border every 0.32 s.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import film, write
from tests.films.registry import makes
from tests.films.ts_bytes import move_clock, renumber

_90K = Fraction(1, 90000)
_DELAY = Fraction(1024, 48000)
_VIDEO = VideoPart(every(25, 6), Fraction(25), gop=32, options={"x264-params": "scenecut=0"})
_AUDIO = AudioPart(start=_DELAY, seconds=Fraction(58, 10))
_BREAK = Fraction(16, 5)
_ONE_FRAME_PER_PES = {"pes_payload_size": "0"}


def _ts(
    path: Path,
    video: VideoPart,
    audio: AudioPart,
    *,
    offset: Fraction = Fraction(0),
    crossings: tuple[Fraction, ...] = (),
) -> Film:
    write(path, "mpegts", video=[video], audio=[audio], offset=offset)
    return film(path, video=[video], audio=[audio], grid=_90K, crossings=crossings)


@makes("ts")
def ts_bframes(path: Path) -> Film:
    """MPEG-TS with B-frames; audio starts first."""
    audio = replace(_AUDIO, seconds=Fraction(59, 10))
    return _ts(path, replace(_VIDEO, times=every(25, 6, start=Fraction(1, 25)), b_frames=2, gop=50), audio)


@makes("ts")
def ts_starts_at_one_hour(path: Path) -> Film:
    """The clock starts at 3600 s."""
    return _ts(path, replace(_VIDEO, b_frames=2, gop=75), _AUDIO, offset=Fraction(3600))


@makes("ts")
def ts_wraps(path: Path) -> Film:
    """The 33-bit clock wraps after 3.2 s."""
    return _ts(path, _VIDEO, _AUDIO, offset=Fraction(2**33, 90000) - _BREAK, crossings=(_BREAK,))


@makes("ts")
def ts_open_gop(path: Path) -> Film:
    """Open GOPs in MPEG-TS: no seek lands at its declared time."""
    x264 = {"x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
    return _ts(path, replace(_VIDEO, b_frames=3, gop=24, options=x264), _AUDIO)


@makes("ts")
def ts_hevc(path: Path) -> Film:
    """HEVC in MPEG-TS, open GOPs."""
    return _ts(path, VideoPart(every(25, 6), Fraction(25), "libx265", gop=40, b_frames=3), _AUDIO)


@makes("ts")
def ts_gap(path: Path) -> Film:
    """Three seconds without packets in both streams: a gap, not a jump."""
    gap = (Fraction(64, 25), Fraction(64, 25) + 3)
    video = replace(_VIDEO, times=every(25, Fraction(64, 25)) + every(25, Fraction(64, 25), start=gap[1]))
    audio = replace(_AUDIO, seconds=Fraction(48, 10), gaps=(gap,))
    write(path, "mpegts", video=[video], audio=[audio], options=_ONE_FRAME_PER_PES)
    return film(path, video=[video], audio=[audio], grid=_90K)


def _jumping(path: Path, by: Fraction) -> Film:
    """Return a film in which both streams jump at 3.2 s, where both have a packet border."""
    write(path, "mpegts", video=[_VIDEO], audio=[_AUDIO], offset=Fraction(10), options=_ONE_FRAME_PER_PES)
    path.write_bytes(move_clock(path.read_bytes(), int((10 + _BREAK) * 90000), int(by * 90000)))
    return film(path, video=[_VIDEO], audio=[_AUDIO], grid=_90K, crossings=(_BREAK,), traits="jumps")


@makes("ts")
def ts_jumps_back(path: Path) -> Film:
    """The clock jumps back by 12 s after 3.2 s: times appear twice."""
    return _jumping(path, Fraction(-12))


@makes("ts")
def ts_jumps_back_a_little(path: Path) -> Film:
    """The clock jumps back by 1.28 s after 3.2 s."""
    return _jumping(path, Fraction(-32, 25))


@makes("ts")
def ts_jumps_ahead(path: Path) -> Film:
    """The clock jumps ahead by 1000 s after 3.2 s."""
    return _jumping(path, Fraction(1000))


@makes("ts")
def ts_joined(path: Path) -> Film:
    """Two recordings in one file, each with B-frames and its own clock, continuity counters renumbered."""
    half = _BREAK
    first = replace(_VIDEO, times=every(25, half), b_frames=2)
    second = replace(first, first_number=80)
    sound = replace(_AUDIO, seconds=Fraction(1024 * 148, 48000))
    parts: list[bytes] = []
    for video, shift in ((first, Fraction(0)), (second, half)):
        # The clock of the second recording is `half` behind the timeline on which its audio is generated.
        part = path.with_suffix(f".{len(parts)}")
        write(
            part,
            "mpegts",
            video=[replace(video, times=tuple(t + shift for t in video.times))],
            audio=[replace(sound, start=_DELAY + shift)],
            offset=1 - shift,
        )
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(renumber(b"".join(parts)))
    whole = film(
        path,
        video=[replace(first, times=every(25, 2 * half))],
        audio=[sound],
        grid=_90K,
        crossings=(_BREAK,),
        traits="jumps",
    )
    heard = whole.sounds[0]
    between = ((heard.end, half + _DELAY),)
    return replace(whole, sounds=(replace(heard, end=half + heard.end, doubtful=between),))
