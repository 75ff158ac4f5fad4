"""Timelapses: each frame of the clip is the last keyframe before its moment if that is near, else the exact frame."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.settings.settings import Settings
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_file, cut_parts
from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reader import ClipReading, read_clip
from tests.films.reel import film, write
from tests.support.playlists import ts_playlist
from tests.support.selection import cases

F = Fraction
_SECONDS = 30
_FORMATS = {"mp4": "mp4", "mkv": "matroska", "ts": "mpegts"}


def _made(folder: Path, extension: str, gop: int, seconds: int = _SECONDS) -> Film:
    path = folder / f"camera.{extension}"
    video = VideoPart(every(25, seconds), F(25), gop=gop, b_frames=2, options={"x264-params": "scenecut=0"})
    audio = AudioPart(start=F(1024, 48000) if extension == "ts" else F(0), seconds=F(seconds) - F(1, 10))
    write(path, _FORMATS[extension], video=[video], audio=[audio])
    return film(path, video=[video], audio=[audio], grid=F(1, 1000) if extension == "mkv" else F(0))


def _profile(speed: float, fps: float, **options: object) -> Profile:
    return Profile().rendered(None, Output.model_validate({"speed": speed, "fps": fps, **options}))


def _numbers(reading: ClipReading) -> list[int]:
    """Return the numbers in the pictures, -1 if one cannot be read."""
    return [-1 if seen.number is None else seen.number for _, seen in reading.frames]


def _expected(camera: Film, moment: Fraction, gop: int, near: Fraction) -> set[int]:
    """Return the last keyframe before the moment, if it is near enough, and else the frame on screen.

    Where the two times differ by rounding only, both are allowed.
    """
    allowed = set()
    for tolerance in (F(19, 1000), F(21, 1000)):
        exact = [number for time, number in camera.frames if time <= moment + tolerance][-1]
        keyframe = exact // gop * gop
        allowed.add(keyframe if moment - camera.frames[keyframe][0] < near else exact)
    return allowed


_SPEEDS = [(30, 10), (17, 25), (200, 25)]
# Each pair of a container, a GOP and a speed.
_CASES = [
    (extension, gop, *_SPEEDS[(container + 2 * length + 2) % 3])
    for (container, extension), (length, gop) in itertools.product(
        enumerate(["mp4", "mkv", "ts"]), enumerate([1, 25, 110, 350])
    )
]
_TYPICAL = [("ts", 25, 30, 10), ("mkv", 110, 17, 25)]


@pytest.mark.parametrize("case", cases(_CASES, _TYPICAL), ids=str)
@pytest.mark.exhaustive
def test_frames_are_keyframes_if_they_are_near(case: tuple[str, int, int, int], tmp_path: Path) -> None:
    extension, gop, speed, fps = case
    camera = _made(tmp_path, extension, gop)
    start, end = F(2), F(28)
    made = cut_file(camera.path, start, end, tmp_path / "clip.mp4", _profile(speed, fps)).made
    reading = read_clip(tmp_path / "clip.mp4")
    step, length = F(speed, fps), (end - start) / speed
    assert (made.audio_codec, reading.tracks, made.warnings) == (None, [], ())
    assert made.frames == len(reading.frames) == -(-length * fps // 1)
    assert abs(reading.video_end - length) < F(1, 1000)
    for at, ((time, _), number) in enumerate(zip(reading.frames, _numbers(reading), strict=True)):
        assert abs(time - F(at, fps)) < F(1, 1000)
        near = step if step > 1 else F(0)  # closer frames are exact
        assert number in _expected(camera, start + at * step, gop, near), at


@pytest.mark.exhaustive
def test_timelapse_of_many_files_seeks_in_their_pieces(tmp_path: Path) -> None:
    video, audio = VideoPart(every(25, 100), F(25), gop=50, b_frames=2), AudioPart(seconds=F(100))
    camera = ts_playlist(tmp_path / "camera.m3u8", video=video, audio=audio)
    options = Output.model_validate({"speed": 20, "fps": 10})
    clip = LocalClip([(F(0), F(100))], options=options)
    made = cut_once(Settings(), str(camera.path), tmp_path / "clip.mp4", clip, on_progress=lambda done: None)
    numbers = _numbers(read_clip(tmp_path / "clip.mp4"))
    assert (made.frames, made.duration_seconds, made.warnings) == (50, 5, [])
    for at, number in enumerate(numbers):
        assert at * 2 * 25 - 50 <= number <= at * 2 * 25, (at, number)


@pytest.mark.exhaustive
def test_damage_in_the_pieces_of_a_timelapse_has_a_warning(tmp_path: Path) -> None:
    video, audio = VideoPart(every(25, 60), F(25), gop=50, b_frames=2), AudioPart(seconds=F(60))
    camera = ts_playlist(tmp_path / "camera.m3u8", video=video, audio=audio)
    piece = sorted(tmp_path.glob("*.ts"))[2]
    keyframe = b"\0\0\1\x65"
    data = piece.read_bytes()
    assert keyframe in data
    at = data.index(keyframe) + len(keyframe)
    piece.write_bytes(data[:at] + b"\1\x55" + data[at + 2 :])  # the slice begins after the end of the picture
    clip = LocalClip([(F(0), F(60))], options=Output.model_validate({"speed": 20, "fps": 10}))
    made = cut_once(Settings(), str(camera.path), tmp_path / "clip.mp4", clip, on_progress=lambda done: None)
    assert made.frames == 30
    assert made.warnings == ["packets_damaged: 1 damaged packets were skipped"]


@pytest.mark.exhaustive
def test_parts_of_a_timelapse_keep_its_rate(tmp_path: Path) -> None:
    camera = _made(tmp_path, "mp4", 50, 60)
    parts = [(camera.path, F(3), F(23)), (camera.path, F(30), F(51))]
    made = cut_parts(parts, tmp_path / "clip.mp4", _profile(20, 10)).made
    reading = read_clip(tmp_path / "clip.mp4")
    assert made.frames == len(reading.frames) == 21
    assert [round(float(time), 3) for time, _ in reading.frames] == [at / 10 for at in range(21)]
    # The parts are 1 s and 1.05 s long. The frame at 1.0 s is that of 30 s.
    assert _numbers(reading)[10] == 750


@pytest.mark.exhaustive
def test_options_draw_on_a_timelapse_in_clip_time(tmp_path: Path) -> None:
    camera = _made(tmp_path, "mp4", 50, 60)
    blur = [{"x": 0, "y": 0, "width": 1, "height": 1, "from_seconds": 1, "to_seconds": 2}]
    profile = _profile(20, 10, blur=blur, fade_seconds=0.2)
    cut_file(camera.path, F(0), F(60), tmp_path / "clip.mp4", profile)
    readable = [number >= 0 for number in _numbers(read_clip(tmp_path / "clip.mp4"))]
    assert len(readable) == 30
    assert not any(readable[10:20])
    assert all(readable[4:10])


@pytest.mark.parametrize("name", cases(["interlaced_h264", "interlaced_mpeg2"], ["interlaced_mpeg2"]))
def test_interlaced_frames_are_deinterlaced_alone(name: str, shelf: Shelf, tmp_path: Path) -> None:
    camera = shelf.get(name)
    made = cut_file(camera.path, F(0), F(4), tmp_path / "clip.mp4", _profile(40, 30)).made
    with av.open(str(tmp_path / "clip.mp4")) as file:
        assert [frame.interlaced_frame for frame in file.decode(video=0)] == [False] * 3
    assert (made.frames, made.warnings) == (3, ())
    assert _numbers(read_clip(tmp_path / "clip.mp4"))[0] == 0
