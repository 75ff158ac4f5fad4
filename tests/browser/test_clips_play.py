"""Clips in a real browser: they open, seek to the right frame, play, and have the right audio.

Films encode frame number and time in video and audio, so decoded output shows which part of the recording it is.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from clipengine.clips.options.profiles import Profile
from tests.films.catalogue import Shelf
from tests.films.cutting import Clip, cut
from tests.films.film import Film
from tests.films.judge import Expected, expectations
from tests.films.picture import BLACK_LEVEL, COLOURS, WHITE_LEVEL
from tests.films.sound import LEVEL, locate
from tests.support.player import Loaded, Painted, Player, Stage
from tests.support.selection import cases

_START, _END = Fraction(1407, 1000), Fraction(4)
_MS = Fraction(1, 1000)
_BT601, _BT709 = (0.299, 0.114), (0.2126, 0.0722)
_COLOUR_CELLS = ((0, 4), (6, 4), (7, 4))
_SYNC = 0.003  # seconds
_SOUND_ONLY: dict[str, Any] = {"video": "none"}
_WEBM: dict[str, Any] = {"container": "webm", "audio": "opus"}

# Each with the MIME type that a page would test.
PICTURES = {
    "default": (Profile(), 'video/mp4; codecs="avc1.640028, mp4a.40.2"'),
    "hevc": (Profile(video="hevc"), 'video/mp4; codecs="hvc1.1.6.L93.B0, mp4a.40.2"'),
    "av1_mp4": (Profile(video="av1"), 'video/mp4; codecs="av01.0.04M.08, mp4a.40.2"'),
    "vp9_mp4": (Profile(video="vp9"), 'video/mp4; codecs="vp09.00.10.08, mp4a.40.2"'),
    "vp9_webm": (Profile(video="vp9", **_WEBM), 'video/webm; codecs="vp9, opus"'),
    "av1_webm": (Profile(video="av1", **_WEBM), 'video/webm; codecs="av01.0.04M.08, opus"'),
    "mix": (Profile(audio_tracks="mix"), 'video/mp4; codecs="avc1.640028, mp4a.40.2"'),
    "second_track": (Profile(audio_tracks=1), 'video/mp4; codecs="avc1.640028, mp4a.40.2"'),
    "opus_in_mp4": (Profile(audio="opus"), 'video/mp4; codecs="avc1.640028, opus"'),
    "silent": (Profile(audio="none"), 'video/mp4; codecs="avc1.640028"'),
}
SOUNDS = {
    "m4a": (Profile(container="m4a", **_SOUND_ONLY), 'audio/mp4; codecs="mp4a.40.2"'),
    "mp3": (Profile(container="mp3", audio="mp3", **_SOUND_ONLY), "audio/mpeg"),
}


def _cut(stage: Stage, film: Film, start: Fraction, end: Fraction, profile: Profile) -> tuple[str, Clip]:
    name = f"clip.{profile.container}"
    return name, cut(film, start, end, stage.folder / name, profile)


@pytest.mark.parametrize("name", cases(PICTURES, ("default",)))
@pytest.mark.exhaustive
def test_clip_of_each_profile_plays(name: str, stage: Stage, shelf: Shelf) -> None:
    profile, mime = PICTURES[name]
    film, player = shelf.get("audio_three_tracks"), stage.player
    answer = player.can_play(mime)
    if name == "hevc" and answer == "":
        pytest.skip(f"this Chromium says that it cannot play {mime}")
    assert answer == "probably"

    file, clip = _cut(stage, film, _START, _END, profile)
    expected = expectations(film, _START, _END)[0]
    loaded = player.load(file)
    _assert_length(loaded, clip, Fraction(1, 50))
    assert (loaded.width, loaded.height) == (film.width, film.height)
    _assert_painted(player, expected, (0.02, 1.0, 1.99, 0.22, 2.58, 0.041))
    assert player.play(0.5) >= 0.8
    assert abs(player.play_to_end() - loaded.duration) < 0.1
    if profile.audio != "none":
        # Chromium removes the delay of Opus in MP4 twice, by its header and by the edit list: 6.5 ms.
        sync = 0.0095 if name == "opus_in_mp4" else _SYNC
        _assert_sound(player, file, film, clip, profile.audio_tracks, sync)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", SOUNDS)
def test_audio_only_clip_plays(name: str, stage: Stage, shelf: Shelf) -> None:
    profile, mime = SOUNDS[name]
    film, player = shelf.get("audio_three_tracks"), stage.player
    assert player.can_play(mime) == "probably"
    file, clip = _cut(stage, film, _START, _END, profile)
    loaded = player.load(file, kind="audio")
    _assert_length(loaded, clip, Fraction(1024, 2 * 44100))
    assert player.play(0.5) >= 0.8
    assert abs(player.play_to_end() - loaded.duration) < 0.1
    _assert_sound(player, file, film, clip, "all")


def _assert_length(loaded: Loaded, clip: Clip, slack: Fraction) -> None:
    assert abs(loaded.duration - float(clip.made.actual_end - clip.made.actual_start)) <= slack + _MS


def _assert_painted(player: Player, expected: Expected, times: tuple[float, ...]) -> Painted:
    """Check that a seek paints the frame on screen at that time, with its own timestamp."""
    for time in times:
        begun, number = [frame for frame in expected.frames if frame[0] <= time + 0.001][-1]
        painted = player.paint(time, float(begun))
        assert painted.seen.number == number, f"at {time}: {painted.seen.number}, must be {number}"
        assert painted.seen.upright
        assert abs(painted.time - float(begun)) <= 0.001 + 1e-6
    return painted


def _assert_sound(player: Player, file: str, film: Film, clip: Clip, tracks: str | int, sync: float = _SYNC) -> None:
    channels = player.sound(file)
    origin, length = float(clip.made.actual_start), float(clip.made.actual_end - clip.made.actual_start)
    assert abs(channels[0].size / 48000 - length) < 0.03
    audible = film.sounds if tracks == "mix" else (film.sounds[tracks if isinstance(tracks, int) else 0],)
    for time in (0.1, 1.2):
        heard = channels[0][round(time * 48000) : round((time + 0.25) * 48000)]
        assert np.sqrt(np.mean(heard**2)) > LEVEL / 2
        for sound in audible:
            place = locate(heard, 48000, origin + time, seed=sound.seed)
            assert place.peak > (0.35 if tracks == "mix" else 0.8)
            assert abs(place.offset) < sync


@pytest.mark.exhaustive
def test_fps_resamples_to_a_constant_rate(stage: Stage, shelf: Shelf) -> None:
    film = shelf.get("mp4_25")
    file, clip = _cut(stage, film, _START, _END, Profile(fps=10))
    _assert_length(stage.player.load(file), clip, Fraction(1, 20))
    for time in (0.01, 0.45, 1.0, 1.13, 2.55):
        point = Fraction(int(time * 10 + 1e-6), 10)
        moment = clip.made.actual_start + point
        painted = stage.player.paint(time, float(point))
        assert painted.seen.number in (film.on_screen(moment), film.on_screen(moment + Fraction(1, 50)))
        assert abs(painted.time - float(point)) <= 0.001
    assert stage.player.play(0.5) >= 0.8


@pytest.mark.exhaustive
def test_max_height_keeps_the_aspect_ratio(stage: Stage, shelf: Shelf) -> None:
    film = shelf.get("rotated_90")
    file, _ = _cut(stage, film, Fraction(1), Fraction(2), Profile(max_height=90))
    loaded = stage.player.load(file)
    assert (loaded.width, loaded.height) == (52, 90)
    _assert_painted(stage.player, expectations(film, Fraction(1), Fraction(2))[0], (0.02, 0.5))


# Film, start, end, times to check.
SHAPES: dict[str, tuple[float, float, tuple[float, ...]]] = {
    "mp4_vfr_still": (1.507, 23.1, (0.02, 0.4, 0.49, 7.0, 15.0, 20.4, 20.52, 21.5)),
    "rotated_90": (1.007, 2.6, (0.02, 0.9, 1.5)),
    "mirrored": (1.007, 2.6, (0.02, 0.9, 1.5)),
    "sar_wide": (1.007, 2.6, (0.02, 0.9, 1.5)),
    "odd_size_444": (1.007, 2.6, (0.02, 0.9, 1.5)),
    "h264_10bit": (1.007, 2.6, (0.02, 0.9, 1.5)),
    "full_range": (1.007, 2.6, (0.02, 0.9, 1.5)),
    "tagged_bt601": (1.007, 2.6, (0.02, 0.9, 1.5)),
    "tagged_bt709": (1.007, 2.6, (0.02, 0.9, 1.5)),
    "interlaced_h264": (1.007, 2.6, (0.02, 0.9, 1.5)),
    "audio_late_mp4": (1.207, 3.6, (0.02, 0.9, 2.3)),
    "edit_empty_video_late": (0.3, 2.6, (0.52, 0.9, 2.2)),
}


@pytest.mark.parametrize("name", cases(SHAPES, ("rotated_90",)))
@pytest.mark.exhaustive
def test_clip_of_each_kind_of_recording_plays(name: str, stage: Stage, shelf: Shelf) -> None:
    low, high, times = SHAPES[name]
    start, end = Fraction(str(low)), Fraction(str(high))
    film, player = shelf.get(name), stage.player
    file, clip = _cut(stage, film, start, end, Profile())
    loaded = player.load(file)
    assert film.frame_seconds is not None
    _assert_length(loaded, clip, film.frame_seconds / 2)
    shape = film.sar * film.width / film.height
    assert abs(loaded.width / loaded.height / shape - 1) < Fraction(2, loaded.height)
    _assert_levels(_assert_painted(player, expectations(film, start, end)[0], times), film)
    assert player.play(float(times[0])) >= times[0] + 0.3


def _assert_levels(painted: Painted, film: Film) -> None:
    """Check that black, white and colours are neither clipped nor washed out, and use the right matrix."""
    assert abs(painted.seen.black - BLACK_LEVEL) < 0.03
    assert abs(painted.seen.white - WHITE_LEVEL) < 0.03
    own, other = (_BT709, _BT601) if film.tags.matrix == 1 else (_BT601, _BT709)
    height, width, _ = painted.pixels.shape
    off = {own: 0.0, other: 0.0}
    for colour, (column, row) in zip(COLOURS, _COLOUR_CELLS, strict=True):
        rows = slice(round((row + 0.35) * height / 5), round((row + 0.65) * height / 5))
        columns = slice(round((column + 0.35) * width / 8), round((column + 0.65) * width / 8))
        shown = painted.pixels[rows, columns].reshape(-1, 3).mean(axis=0) / 255
        assert np.abs(shown - _rgb(colour, own)).max() < 0.12
        for matrix in off:
            off[matrix] += float(np.sum((shown - _rgb(colour, matrix)) ** 2))
    assert off[own] < off[other]


def _rgb(colour: tuple[float, float, float], matrix: tuple[float, float]) -> Any:
    """Convert (luma, Cb, Cr) to RGB with a matrix given by its weights of red and blue."""
    (luma, cb, cr), (kr, kb) = colour, matrix
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    return np.array([red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue])


@pytest.mark.exhaustive
def test_late_audio_keeps_its_offset(stage: Stage, shelf: Shelf) -> None:
    film = shelf.get("audio_late_mp4")
    file, clip = _cut(stage, film, Fraction(1207, 1000), Fraction(36, 10), Profile())
    samples = stage.player.sound(file)[0]
    begins = float(film.sounds[0].start - clip.made.actual_start)
    assert np.abs(samples[: round((begins - 0.05) * 48000)]).max() < 0.01
    heard = samples[round((begins + 0.1) * 48000) :][:12000]
    place = locate(heard, 48000, float(film.sounds[0].start) + 0.1, seed=film.sounds[0].seed)
    assert place.peak > 0.8
    assert abs(place.offset) < _SYNC
