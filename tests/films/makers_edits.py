"""MP4 films whose edit lists present something else than what is stored."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tests.films.film import Film
from tests.films.mp4_bytes import Edit, movie_timescale, rewrite_edits
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import film, write
from tests.films.registry import makes

_RATE = 48000


@makes("mp4")
def edit_empty_video_late(path: Path) -> Film:
    """Video starts 0.8 s late, by an empty edit; audio starts at 0."""
    video = VideoPart(every(25, 5, start=Fraction(4, 5)), Fraction(25), gop=50, b_frames=2)
    audio = AudioPart(seconds=Fraction(57, 10))
    write(path, "mp4", video=[video], audio=[audio])
    return film(path, video=[video], audio=[audio])


@makes("mp4")
def edit_negative_start(path: Path) -> Film:
    """Both streams are stored from -0.6 s on; the edit lists start at 0, inside a GOP."""
    return _stored_before(path, Fraction(3, 5))


@makes("mp4")
def edit_long_preroll(path: Path) -> Film:
    """Both streams are stored from -2.4 s on: more than a GOP is never presented."""
    return _stored_before(path, Fraction(12, 5))


def _stored_before(path: Path, before: Fraction) -> Film:
    video = VideoPart(every(25, before + 5, start=-before), Fraction(25), gop=50, b_frames=2)
    audio = AudioPart(start=-before, seconds=before + Fraction(49, 10))
    write(path, "mp4", video=[video], audio=[audio])
    return _from_zero(film(path, video=[video], audio=[audio]))


def _from_zero(stored: Film) -> Film:
    sounds = tuple(replace(s, start=max(s.start, Fraction(0))) for s in stored.sounds)
    return replace(stored, frames=tuple(f for f in stored.frames if f[0] >= 0), sounds=sounds)


@makes("mp4")
def edit_inside_packets(path: Path) -> Film:
    """The audio edit starts 500 samples into a packet, the video edit at a frame that is no keyframe."""
    video, audio = VideoPart(every(25, 6), Fraction(25), gop=50), AudioPart()
    write(path, "mp4", video=[video], audio=[audio])
    skipped = Fraction(1, 5)
    scale = movie_timescale(path)
    samples = int(skipped * _RATE) + 1024  # stored audio starts with the codec delay
    picture = [Edit(round((6 - skipped) * scale), int(skipped * video.fps * 512))]
    sound = [Edit(round((audio.seconds - skipped) * scale), samples)]
    rewrite_edits(path, {0: picture, 1: sound})
    moved = replace(video, times=tuple(time - skipped for time in video.times))
    return _from_zero(film(path, video=[moved], audio=[replace(audio, start=-skipped, lead=skipped)]))


@makes("mp4")
def edit_two_parts(path: Path) -> Film:
    """Two edits: two seconds in the middle of the media are not presented."""
    video, audio = VideoPart(every(25, 7), Fraction(25), gop=40), AudioPart(seconds=Fraction(69, 10))
    write(path, "mp4", video=[video], audio=[audio])
    scale = movie_timescale(path)
    cut_from, cut_to = Fraction(256, 100), Fraction(448, 100)  # packet borders of both streams
    ticks = 25 * 512
    picture = [
        Edit(round(cut_from * scale), 0),
        Edit(round((7 - cut_to) * scale), int(cut_to * ticks)),
    ]
    sound = [
        Edit(round(cut_from * scale), 1024),
        Edit(round((audio.seconds - cut_to) * scale), int(cut_to * _RATE) + 1024),
    ]
    rewrite_edits(path, {0: picture, 1: sound})
    stored = film(path, video=[video], audio=[audio], crossings=(cut_from,))
    left_out = cut_to - cut_from
    frames = [(t if t < cut_from else t - left_out, n) for t, n in stored.frames if not cut_from <= t < cut_to]
    shown = replace(stored, frames=tuple(frames), duration=stored.duration - left_out)
    heard = stored.sounds[0]
    overlap = (cut_from - Fraction(1, 1000), cut_from + Fraction(2048, _RATE))  # AAC overlaps with the part left out
    led = replace(heard, end=heard.end - left_out, doubtful=(overlap,), leads=((cut_from, left_out),))
    return replace(shown, sounds=(led,))
