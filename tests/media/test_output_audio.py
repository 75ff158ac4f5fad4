"""Output options that change the audio, and fades of the picture, read back from clips."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.clips.options.effects import Effects
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.warnings import code_of
from clipengine.media.audio.effects import AudioEffects
from tests.films.catalogue import Shelf
from tests.films.cutting import Clip, cut, cut_file
from tests.films.reader import TrackReading, read_clip
from tests.support.loudness import measured_loudness
from tests.support.ramp import read_pictures, write_ramp

_RATE = 48_000
_START, _END = Fraction(1), Fraction(7)
_MS = 0.001


def _profile(options: dict[str, Any], **profile: Any) -> Profile:
    return Profile(**profile).rendered(profile.get("render"), Output.model_validate(options))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording with a quiet, a dynamic and a silent track."""
    path = tmp_path_factory.mktemp("sound") / "sound.mka"
    time = np.arange(9 * _RATE) / _RATE
    noise = np.random.default_rng(1).normal(0, 1, time.size)
    tone = np.sin(2 * np.pi * 440 * time)
    quiet = 0.02 * tone * (1 + 0.5 * np.sin(2 * np.pi * 0.7 * time)) + 0.002 * noise
    peaks = 0.01 * tone + 0.9 * (time % 1 < 0.002) * tone
    _write(path, [quiet, peaks, 0 * tone])
    return path


def _write(path: Path, tracks: list[Any]) -> None:
    with av.open(str(path), "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=_RATE, layout="stereo") for _ in tracks]
        for stream, samples in zip(streams, tracks, strict=True):
            for first in range(0, samples.size, 4800):
                block = np.rint(samples[first : first + 4800] * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(np.repeat(block, 2)[None, :], format="s16", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = _RATE, first, Fraction(1, _RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def _cut(recording: Path, tmp_path: Path, options: dict[str, Any], **profile: Any) -> tuple[Clip, list[TrackReading]]:
    values: dict[str, Any] = {"video": "none", "audio_bitrate": 256_000, **profile}
    clip = cut_file(recording, _START, _END, tmp_path / "clip.mp4", _profile(options, **values))
    return clip, read_clip(clip.path).tracks


def _level(track: TrackReading, start: float, end: float) -> float:
    """Return the root mean square of the track between two times of the clip."""
    return float(np.sqrt(np.mean(track.between(Fraction(start), Fraction(end)) ** 2)))


def test_muted_ranges_are_silent_and_nothing_else_is(recording: Path, tmp_path: Path) -> None:
    options = {"mute": [[3.5, 4.0], [1.0, 2.0], [1.5, 2.25], [5.9, 99.0]]}
    clip, tracks = _cut(recording, tmp_path, options, audio_tracks=0)
    (plain,) = _cut(recording, tmp_path, {}, audio_tracks=0)[1]
    (track,) = tracks
    for start, end in ((1.0, 2.25), (3.5, 4.0), (5.9, 6.0)):
        assert _level(track, start + 25 * _MS, end - 25 * _MS) < 0.0002
        assert _level(track, start - 60 * _MS, start - 5 * _MS) > 0.3 * _level(plain, start - 60 * _MS, start - 5 * _MS)
    for start, end in ((0.0, 0.95), (2.3, 3.45), (4.05, 5.85)):
        assert _level(track, start, end) == pytest.approx(_level(plain, start, end), rel=0.02)
    assert track.end == pytest.approx(6, abs=0.03)
    assert clip.made.warnings == ()


@pytest.mark.parametrize("profile", [{}, {"audio": "opus", "container": "mkv"}, {"audio_tracks": "mix"}])
@pytest.mark.typical(1)
def test_audio_fades_linearly_at_both_ends(profile: dict[str, Any], recording: Path, tmp_path: Path) -> None:
    _, tracks = _cut(recording, tmp_path, {"fade_seconds": 2.0}, **profile)
    _, plain = _cut(recording, tmp_path, {}, **profile)
    for start, factor in ((0.15, 0.1), (0.95, 0.5), (1.85, 0.95), (3.0, 1.0), (4.05, 0.95), (4.95, 0.5), (5.75, 0.1)):
        wanted = factor * _level(plain[0], start, start + 0.1)
        assert _level(tracks[0], start, start + 0.1) == pytest.approx(wanted, rel=0.06)


def test_fade_is_at_most_half_of_the_clip(recording: Path, tmp_path: Path) -> None:
    _, (track,) = _cut(recording, tmp_path, {"fade_seconds": 50.0}, audio_tracks=0)
    assert _level(track, 0, 0.1) < 0.05 * _level(track, 2.95, 3.05)
    assert _level(track, 5.9, 6) < 0.05 * _level(track, 2.95, 3.05)


@pytest.mark.parametrize("target", [-16.0, -23.0, -45.0])
@pytest.mark.parametrize("options", [{}, {"fade_seconds": 1.0, "mute": [[2.0, 4.0]]}])
@pytest.mark.typical(2)
def test_loudness_is_within_half_a_unit(
    target: float, options: dict[str, Any], recording: Path, tmp_path: Path
) -> None:
    clip, _ = _cut(recording, tmp_path, options | {"loudness_lufs": target}, audio_tracks=0)
    integrated, peak = measured_loudness(clip.path, 0)
    assert integrated == pytest.approx(target, abs=0.5)
    assert peak <= -1
    assert clip.made.warnings == ()


def test_true_peak_limits_the_gain_and_silence_is_left_alone(recording: Path, tmp_path: Path) -> None:
    clip, tracks = _cut(recording, tmp_path, {"loudness_lufs": -16.0})
    quiet, dynamic = measured_loudness(clip.path, 0), measured_loudness(clip.path, 1)
    assert quiet[0] == pytest.approx(-16, abs=0.5)
    assert dynamic[0] < -20
    assert -3 < dynamic[1] <= -1
    assert _level(tracks[2], 0, 6) == 0
    missed = [each for each in clip.made.warnings if code_of(each) == "loudness_missed"]
    assert missed == list(clip.made.warnings)
    assert "track 1 has -" in missed[0]
    assert missed[1] == "loudness_missed: audio track 2 is silent, or too short to be measured"


def test_mixed_tracks_are_measured_together(recording: Path, tmp_path: Path) -> None:
    clip, _ = _cut(recording, tmp_path, {"loudness_lufs": -40.0}, audio_tracks="mix")
    assert measured_loudness(clip.path, 0)[0] == pytest.approx(-40, abs=0.5)


def test_audio_options_keep_smart_render(shelf: Shelf, tmp_path: Path) -> None:
    film, options = shelf.get("mp4_bframes"), {"loudness_lufs": -30.0, "mute": [[0.5, 1.0]]}
    clip = cut(film, Fraction(1), Fraction(5), tmp_path / "clip.mp4", _profile(options, render="smart"))
    assert clip.made.render == "smart"
    assert measured_loudness(clip.path, 0)[0] == pytest.approx(-30, abs=0.5)
    assert _level(read_clip(clip.path).tracks[0], 0.55, 0.95) < 0.0005
    faded = cut(film, Fraction(1), Fraction(5), tmp_path / "c.mp4", _profile({"fade_seconds": 1.0}, render="smart"))
    assert "fade_seconds of the output changes the picture" in faded.made.warnings[0]


@pytest.mark.parametrize(("pixel_format", "black"), [("yuv420p", 16), ("yuvj420p", 0)])
def test_picture_fades_linearly_at_both_ends(pixel_format: str, black: int, tmp_path: Path) -> None:
    write_ramp(tmp_path / "ramp.mp4", 160, 90, seconds=3, pixel_format=pixel_format)
    profile = _profile({"fade_seconds": 0.5, "crop": {"x": 0.0, "y": 0.0, "width": 0.5, "height": 1.0}}, audio="none")
    clip = cut_file(tmp_path / "ramp.mp4", Fraction(12, 25), Fraction(62, 25), tmp_path / "clip.mp4", profile)
    pictures = read_pictures(clip.path)
    assert len(pictures) == clip.made.frames == 50
    luma = {round(float(time), 2): picture.levels(0.8, 0.5) for time, picture in pictures}
    full = luma[1.0]
    for time, levels in luma.items():
        factor = min(1.0, time / 0.5, (2.0 - time) / 0.5)
        assert levels[0] == pytest.approx(black + factor * (full[0] - black), abs=2.5), time
        assert levels[1] == pytest.approx(128 + factor * (full[1] - 128), abs=2.5), time


def test_held_frame_fades_too(tmp_path: Path) -> None:
    path = tmp_path / "slide.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for pts in (0, 40, 80, 4000, 4040):
            frame = av.VideoFrame(160, 90, "yuv420p")
            for plane, level in zip(frame.planes, (200, 128, 128), strict=True):
                plane.update(bytes([level]) * plane.buffer_size)
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip = cut_file(path, Fraction(1), Fraction(3), tmp_path / "clip.mp4", _profile({"fade_seconds": 0.5}))
    pictures = read_pictures(clip.path)
    assert [float(time) for time, _ in pictures] == sorted({float(time) for time, _ in pictures})
    for time, picture in pictures:
        factor = min(1.0, float(time) / 0.5, (2.0 - float(time)) / 0.5)
        assert picture.levels(0.5, 0.5)[0] == pytest.approx(16 + factor * 184, abs=3), time
    assert len(pictures) > 20


@pytest.mark.parametrize("speed", [0.5, 0.8, 3.0])
@pytest.mark.typical(1)
def test_speed_keeps_pitch_and_sync(speed: float, tmp_path: Path) -> None:
    time = np.arange(9 * _RATE) / _RATE
    low, high = np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 1760 * time)
    _write(tmp_path / "steps.mka", [0.3 * np.where(time % 2 < 1, low, high)])  # a step every second
    options = {"speed": speed, "mute": [[0.1, 0.2]], "loudness_lufs": -20.0}
    clip, (track,) = _cut(tmp_path / "steps.mka", tmp_path, options)
    length = 6 / speed
    assert float(track.end) == pytest.approx(length, abs=0.03)
    assert _level(track, 0.11, 0.19) < 0.001
    for second in range(6):
        middle = (second + 0.5) / speed
        samples = track.between(Fraction(middle) - Fraction(1, 20), Fraction(middle) + Fraction(1, 20))
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
        pitch = float(np.argmax(spectrum)) * track.rate / samples.size
        assert pitch == pytest.approx(1760 if second % 2 == 0 else 440, abs=25)  # the clip begins with the second 1
    for second in range(1, 6):  # the step is where it belongs, up to the window of the filter
        at = Fraction(second / speed)
        before, after = (
            track.between(at + low, at + low + Fraction(1, 50)) for low in (-Fraction(1, 20), Fraction(3, 100))
        )
        assert (_crossings(before) > _crossings(after)) is (second % 2 == 1)
    assert measured_loudness(clip.path, 0)[0] == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize("rate", [48000, 16000])
@pytest.mark.parametrize("speed", [0.25, 0.5, 0.9, 2.0])
@pytest.mark.typical(2)
def test_sound_at_a_speed_is_in_time(speed: float, rate: int) -> None:
    """Within half a frame of 25 frames a second: bursts of noise are found by their envelope."""
    time, dice = np.arange(8 * rate) / rate, np.random.default_rng(3)
    envelope = np.sum([np.exp(-(((time - at) / 0.02) ** 2)) for at in np.cumsum(dice.uniform(0.3, 0.6, 14))], axis=0)
    heard = _stretched(0.2 * envelope * dice.normal(0, 1, time.size), speed, rate)
    step = round(rate / 1000)
    found = np.sqrt(np.mean(heard[: heard.size // step * step].reshape(-1, step) ** 2, axis=1))
    wanted = np.interp(np.arange(found.size) / 1000 * speed, time, envelope)
    late = max(range(-150, 151), key=lambda shift: float(np.dot(np.roll(wanted, shift), found)))
    assert abs(late) <= 20


def _stretched(sound: Any, speed: float, rate: int) -> Any:
    effects = Effects(length=Fraction(sound.size, rate) / Fraction(speed), tempo=Fraction(speed))
    changed, heard = AudioEffects(effects, format="fltp", layout="mono", rate=rate), []
    for first in range(0, sound.size, 1024):
        frame = av.AudioFrame.from_ndarray(sound[None, first : first + 1024].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
        heard += [each.to_ndarray()[0] for each in changed.apply(frame)]
    return np.concatenate([*heard, *(each.to_ndarray()[0] for each in changed.finish())])


def _crossings(samples: Any) -> int:
    return int(np.count_nonzero(np.diff(np.signbit(samples))))
