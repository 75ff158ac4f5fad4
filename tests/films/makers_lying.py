"""Films with wrong container data: keyframe flags, positions, or a start that cannot be decoded."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import Packets, film, write
from tests.films.registry import makes
from tests.films.webm_bytes import cue_positions

_MS = Fraction(1, 1000)
_90K = Fraction(1, 90000)
_VIDEO = VideoPart(every(25, 6), Fraction(25), gop=50)
_REFRESH = replace(_VIDEO, gop=40, options={"preset": "ultrafast", "x264-params": "intra-refresh=1:scenecut=0"})


@makes("mp4")
def mp4_all_are_keyframes(path: Path) -> Film:
    """No keyframe table, so that every frame counts as one; only every fiftieth is."""
    audio = AudioPart()
    write(path, "mp4", video=[_VIDEO], audio=[audio])
    path.write_bytes(path.read_bytes().replace(b"stss", b"free", 1))
    return film(path, video=[_VIDEO], audio=[audio])


@makes("mp4")
def mpeg4_all_are_keyframes(path: Path) -> Film:
    """The same with MPEG-4 part 2, whose decoder outputs frames from any start."""
    video, audio = replace(_VIDEO, codec="mpeg4"), AudioPart()
    write(path, "mp4", video=[video], audio=[audio])
    path.write_bytes(path.read_bytes().replace(b"stss", b"free", 1))
    return film(path, video=[video], audio=[audio])


@makes("mp4")
def mp4_intra_refresh(path: Path) -> Film:
    """One keyframe, then a moving column of intra blocks; recovery points are flagged as keyframes."""
    audio = AudioPart()
    write(path, "mp4", video=[_REFRESH], audio=[audio])
    return film(path, video=[_REFRESH], audio=[audio])


@makes("ts")
def ts_intra_refresh(path: Path) -> Film:
    """Intra refresh in MPEG-TS."""
    audio = AudioPart(start=Fraction(1024, 48000), seconds=Fraction(58, 10))
    write(path, "mpegts", video=[_REFRESH], audio=[audio])
    return film(path, video=[_REFRESH], audio=[audio], grid=_90K)


@makes("mkv")
def mkv_lying_cues(path: Path) -> Film:
    """Each cue points to the cluster of the next: a seek lands after its target."""
    video, audio = replace(_VIDEO, gop=25, b_frames=2), AudioPart()
    write(path, "matroska", video=[video], audio=[audio], options={"cluster_time_limit": "900"})
    data = bytearray(path.read_bytes())
    places = cue_positions(bytes(data))
    for (at, size, _), (_, following, position) in itertools.pairwise(places):
        if size == following:
            data[at : at + size] = position.to_bytes(size, "big")
    path.write_bytes(data)
    return film(path, video=[video], audio=[audio], grid=_MS)


@makes("ts")
def ts_begins_inside_a_group(path: Path) -> Film:
    """Cut from a broadcast: the first 22 frames lack their reference; audio starts at 0."""
    video = replace(_VIDEO, gop=32, options={"x264-params": "scenecut=0"})
    audio = AudioPart(start=Fraction(1024, 48000), seconds=Fraction(58, 10))

    def edit(packets: Packets) -> Packets:
        pictures = sorted((p for p in packets if p.stream.type == "video"), key=lambda p: p.pts)
        lost = {id(p) for p in pictures[:10]}
        return [p for p in packets if id(p) not in lost]

    write(path, "mpegts", video=[video], audio=[audio], edit=edit)
    whole = film(path, video=[video], audio=[audio], grid=_90K)
    return replace(whole, frames=whole.frames[32:])


@makes("avi")
def avi_dropped_frames(path: Path) -> Film:
    """AVI of a screen recorder: empty chunks, up to a second of them, where there was no motion."""
    times = tuple(t for i, t in enumerate(every(25, 7)) if not (31 < i < 57 or 100 < i < 111 or i % 7 == 3))
    video = VideoPart(times, Fraction(25), "mpeg4", gop=50, time_base=Fraction(1, 25))
    audio = AudioPart(codec="pcm_s16le", seconds=Fraction(69, 10))
    write(path, "avi", video=[video], audio=[audio])
    return film(path, video=[video], audio=[audio])
