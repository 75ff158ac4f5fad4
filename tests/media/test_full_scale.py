"""Sound above full scale in recordings: limited if the clip's encoder does not hold it, at a constant level."""

from __future__ import annotations

import math
from array import array
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.warnings import code_of
from clipengine.media.audio.limiter import Limiter
from tests.films.cutting import Clip, cut_file, cut_parts
from tests.films.reader import TrackReading, read_clip
from tests.support.loudness import measured_loudness

_RATE = 48_000
_SECONDS = 5
_START, _END = Fraction(1), Fraction(4)
_WINDOW = Fraction(1, 20)
_LOUDEST = 6.0  # +15.6 dB
_CODECS = {"aac": ("mp4", "fltp"), "pcm_f32le": ("matroska", "flt"), "libmp3lame": ("matroska", "fltp")}


def _gated(gain: float) -> Any:
    """Return the tone in bursts: FFmpeg's AAC encoder lowers each window differently, so that more than 1.0 is left."""
    sound = _sound(gain)
    return sound * np.where(np.arange(sound.size) / _RATE % 0.05 < 0.025, 1, 0.05)


def _sound(gain: float, *, rate: int = _RATE) -> Any:
    """Return a tone that swells twice a second, from a third of its peak on."""
    time = np.arange(_SECONDS * rate) / rate
    tone = 0.7 * np.sin(2 * np.pi * 220 * time) + 0.3 * np.sin(2 * np.pi * 660 * time)
    return gain * tone * (2 - np.cos(2 * np.pi * 2 * time)) / 2.7


def _write(path: Path, tracks: list[Any], *, codec: str = "aac", rate: int = _RATE, video: bool = False) -> Path:
    container_format, sample_format = _CODECS[codec]
    with av.open(str(path), "w", format=container_format) as container:
        pictures: Any = container.add_stream("libx264", rate=25, options={"g": "25"}) if video else None
        streams: list[Any] = [container.add_stream(codec, rate=rate, layout="mono") for _ in tracks]
        for stream in streams:
            stream.codec_context.format, stream.bit_rate = sample_format, 192_000
        if pictures is not None:
            pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
            for number in range(25 * _SECONDS):
                frame = av.VideoFrame(64, 64, "yuv420p")
                for plane in frame.planes:
                    plane.update(bytes([number % 200 + 20]) * plane.buffer_size)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(pictures.encode(frame))
            container.mux(pictures.encode(None))
        for stream, samples in zip(streams, tracks, strict=True):
            for first in range(0, samples.size, rate // 10):
                block = samples[None, first : first + rate // 10].astype(np.float32)
                sound = av.AudioFrame.from_ndarray(block, format=sample_format, layout="mono")
                sound.sample_rate, sound.pts, sound.time_base = rate, first, Fraction(1, rate)
                container.mux(stream.encode(sound))
            container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording with video and sound of up to six times full scale."""
    path = tmp_path_factory.mktemp("loud") / "loud.mkv"
    return _write(path, [_sound(_LOUDEST)], codec="pcm_f32le", video=True)


def _profile(options: dict[str, Any] | None = None, **values: Any) -> Profile:
    values = {"audio_bitrate": 192_000, **values}
    return Profile(**values).rendered(values.get("render"), Output.model_validate(options or {}))


def _limited(recording: Path, start: Fraction = _START, end: Fraction = _END) -> Any:
    """Return the samples of a range of the recording as a player plays them."""
    return np.clip(read_clip(recording).tracks[0].between(start, end), -1, 1)


def _levels(track: TrackReading, wanted: Any, first: Fraction = Fraction(0)) -> list[float]:
    """Return the level of each window of the track, from `first` on, beside that of the wanted samples, in decibels."""
    step, found = int(_WINDOW * track.rate), list[float]()
    for number in range(1, wanted.size // step - 1):
        window = wanted[number * step : (number + 1) * step]
        heard = track.between(first + number * _WINDOW, first + (number + 1) * _WINDOW)
        found.append(20 * math.log10(max(1e-9, float(np.dot(window, heard) / np.dot(window, window)))))
    return found


def _delay(track: TrackReading, wanted: Any) -> float:
    """Return the seconds by which the track is later than the wanted samples."""
    most = track.rate // 100
    middle = wanted[most:-most]
    heard = track.between(Fraction(0), Fraction(wanted.size, track.rate))
    lags = range(2 * most + 1)
    return (max(lags, key=lambda lag: float(np.dot(middle, heard[lag : lag + middle.size]))) - most) / track.rate


def _seconds(clip: Clip, number: int = 0) -> float:
    """Return the seconds that the only warning states."""
    (text,) = clip.made.warnings
    assert code_of(text) == "audio_clipped"
    assert f"audio track {number}: " in text
    return float(text.split("audio track")[1].split()[1])


def _assert_level(track: TrackReading, wanted: Any, **place: Any) -> None:
    levels = _levels(track, wanted, **place)
    assert -1.2 < min(levels) <= max(levels) < 0.6, levels
    assert float(np.std(levels)) < 0.4


@pytest.mark.parametrize("codec", list(_CODECS))
@pytest.mark.typical(1)
def test_level_is_that_of_the_limited_recording(codec: str, tmp_path: Path) -> None:
    recording = _write(tmp_path / "loud", [_gated(_LOUDEST) if codec == "aac" else _sound(_LOUDEST)], codec=codec)
    assert np.abs(read_clip(recording).tracks[0].between(_START, _END)).max() > 2
    clip = cut_file(recording, _START, _END, tmp_path / "clip.mp4", _profile(video="none"))
    (track,) = read_clip(clip.path).tracks
    _assert_level(track, _limited(recording))
    assert abs(_delay(track, _limited(recording))) < 0.001
    assert (0.1 if codec == "aac" else 1) < _seconds(clip) <= 3


@pytest.mark.parametrize("render", ["encode", "smart"])
def test_sound_beside_encoded_and_copied_video_is_limited(render: str, loud: Path, tmp_path: Path) -> None:
    clip = cut_file(loud, _START, _END, tmp_path / "clip.mp4", _profile(render=render))
    assert clip.made.render == render
    (track,) = read_clip(clip.path).tracks
    _assert_level(track, _limited(loud))
    assert abs(_delay(track, _limited(loud))) < 0.001
    assert 1 < _seconds(clip) <= 3


@pytest.mark.parametrize(("codec", "container"), [("opus", "mkv"), ("mp3", "mp3")])
@pytest.mark.typical(1)
def test_encoders_that_hold_more_keep_it(codec: str, container: str, tmp_path: Path) -> None:
    levels, profile = [], _profile(video="none", audio=codec, container=container)
    for gain in (0.5, _LOUDEST):
        recording = _write(tmp_path / "sound.mkv", [_sound(gain)], codec="pcm_f32le")
        clip = cut_file(recording, _START, _END, tmp_path / f"clip.{container}", profile)
        (track,) = read_clip(clip.path).tracks
        assert clip.made.warnings == ()
        levels.append(_levels(track, read_clip(recording).tracks[0].between(_START, _END)))
    assert levels[1] == pytest.approx(levels[0], abs=0.2)


@pytest.mark.parametrize("gain", [0.25, 0.9])
def test_sound_in_range_is_not_limited(gain: float, tmp_path: Path) -> None:
    recording = _write(tmp_path / "sound.mkv", [_sound(gain)], codec="pcm_f32le")
    clip = cut_file(recording, _START, _END, tmp_path / "clip.mp4", _profile(video="none"))
    assert clip.made.warnings == ()
    _assert_level(read_clip(clip.path).tracks[0], _limited(recording))


def test_only_the_range_counts(tmp_path: Path) -> None:
    sound = np.where(np.arange(_SECONDS * _RATE) < 3 * _RATE, _sound(0.5), _sound(_LOUDEST))
    recording = _write(tmp_path / "sound.mkv", [sound, _sound(0.5)], codec="pcm_f32le")
    before = cut_file(recording, Fraction(1), Fraction(29, 10), tmp_path / "a.mp4", _profile(video="none"))
    assert before.made.warnings == ()
    across = cut_file(recording, Fraction(1), Fraction(4), tmp_path / "b.mp4", _profile(video="none"))
    assert 0.7 < _seconds(across) <= 1.1


@pytest.mark.parametrize("rate", [_RATE, 44_100])
def test_each_part_is_limited_and_named(rate: int, tmp_path: Path) -> None:
    quiet = _write(tmp_path / "quiet.mkv", [_sound(0.5)], codec="pcm_f32le")
    loud = _write(tmp_path / "loud.mkv", [_sound(_LOUDEST, rate=rate)], codec="pcm_f32le", rate=rate)
    parts = [(quiet, Fraction(1), Fraction(3)), (loud, Fraction(1), Fraction(3))]
    clip = cut_parts(parts, tmp_path / "clip.mp4", _profile(video="none"))
    (track,) = read_clip(clip.path).tracks
    _assert_level(track, _limited(quiet, Fraction(1), Fraction(3)))
    wanted = np.clip(_sound(_LOUDEST), -1, 1)[_RATE : 3 * _RATE]
    _assert_level(track, wanted, first=Fraction(2))
    assert _seconds(clip) > 1
    assert "part 2" in clip.made.warnings[0]


def test_fades_begin_at_full_scale(loud: Path, tmp_path: Path) -> None:
    clip = cut_file(loud, _START, _END, tmp_path / "clip.mp4", _profile({"fade_seconds": 1.0}, video="none"))
    places = np.arange(3 * _RATE) / _RATE
    wanted = _limited(loud) * np.minimum(1, np.minimum(places, 3 - places))
    _assert_level(read_clip(clip.path).tracks[0], wanted)


@pytest.mark.parametrize("speed", [0.5, 2.0])
@pytest.mark.typical(1)
def test_speed_stays_below_full_scale(speed: float, loud: Path, tmp_path: Path) -> None:
    clip = cut_file(loud, _START, _END, tmp_path / "clip.mp4", _profile({"speed": speed}, video="none"))
    (track,) = read_clip(clip.path).tracks
    plain = read_clip(cut_file(loud, _START, _END, tmp_path / "plain.mp4", _profile(video="none")).path).tracks[0]
    for number in range(1, 10):
        at = Fraction(number, 4)  # each swell of the tone, and each low between
        level, wanted = (
            float(np.sqrt(np.mean(each.between(place - _WINDOW / 2, place + _WINDOW / 2) ** 2)))
            for each, place in ((track, at / Fraction(speed)), (plain, at))
        )
        assert level == pytest.approx(wanted, rel=0.12)
    assert _seconds(clip) > 1


def test_loudness_needs_no_limit(loud: Path, tmp_path: Path) -> None:
    clip = cut_file(loud, _START, _END, tmp_path / "clip.mp4", _profile({"loudness_lufs": -20.0}, video="none"))
    integrated, peak = measured_loudness(clip.path, 0)
    assert integrated == pytest.approx(-20, abs=0.5)
    assert peak <= -1
    assert clip.made.warnings == ()
    levels = _levels(read_clip(clip.path).tracks[0], read_clip(loud).tracks[0].between(_START, _END))
    assert max(levels) - min(levels) < 1  # one gain: its dynamics stay


def test_a_loud_track_does_not_lower_the_others_of_a_mix(tmp_path: Path) -> None:
    time = np.arange(_SECONDS * _RATE) / _RATE
    other = 0.3 * np.sin(2 * np.pi * 3000 * time)
    recording = _write(tmp_path / "two.mkv", [other, np.where(time < 2.5, 0, _sound(_LOUDEST))], codec="pcm_f32le")
    clip = cut_file(recording, _START, _END, tmp_path / "clip.mp4", _profile(video="none", audio_tracks="mix"))
    (track,) = read_clip(clip.path).tracks
    tone = np.exp(-2j * np.pi * 3000 * np.arange(int(0.4 * _RATE)) / _RATE)
    alone, beside = (
        abs(np.dot(track.between(start, start + Fraction(2, 5)), tone)) for start in (Fraction(1, 2), Fraction(2))
    )
    assert beside > alone / 2
    assert 0.7 < _seconds(clip, 1) <= 1.6


@pytest.mark.parametrize(("format", "layout"), [("fltp", "stereo"), ("flt", "stereo"), ("fltp", "5.1")])
@pytest.mark.parametrize(
    ("sample", "limited"),
    [
        (0.0, None),
        (-0.0, None),
        (0.5, None),
        (1.0, None),
        (-1.0, None),
        (1.0000001, 1.0),
        (-1.0000001, -1.0),
        (1.5, 1.0),
        (-2.0, -1.0),
        (2.5, 1.0),
        (1e30, 1.0),
        (math.inf, 1.0),
        (-math.inf, -1.0),
    ],
)
def test_one_sample_is_found_at_each_place(format: str, layout: str, sample: float, limited: float | None) -> None:
    frame = av.AudioFrame(format=format, layout=layout, samples=40)
    frame.sample_rate, frame.pts, frame.time_base = _RATE, 7, Fraction(1, _RATE)
    limiter = Limiter(format, layout, _RATE)
    values = array("f", [0.25] * (40 if frame.format.is_planar else 80))
    for place in (0, 17, len(values) - 1):
        changed = values[:]
        changed[place] = sample
        for plane in frame.planes:
            plane.update(values.tobytes().ljust(plane.buffer_size, b"\x7f"))  # no sample, and above full scale
        frame.planes[-1].update(changed.tobytes().ljust(frame.planes[-1].buffer_size, b"\x7f"))
        found = limiter.apply(frame)
        assert (found is frame) is (limited is None)
        assert (found.samples, found.pts, found.time_base) == (40, 7, Fraction(1, _RATE))
        heard = array("f", bytes(found.planes[-1])[: 4 * len(values)])
        changed[place] = sample if limited is None else limited
        assert heard == changed
    assert limiter.limited_samples == (0 if limited is None else 120)
