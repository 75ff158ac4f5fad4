"""Clips that are encoded in segments side by side: as exact as with one encoder, and one stream for every decoder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.errors import EncoderFailed
from clipengine.media.bitstream.h264_parameter_sets import parse_sps, read_parameter_sets
from clipengine.media.bitstream.h264_slices import IDR_UNIT, read_idr_pic_id, unit_type
from clipengine.media.bitstream.nal import split_by_lengths
from clipengine.media.output import segmented_video, writer
from clipengine.media.output.segmented_video import Layout, segment_layout
from clipengine.media.video.frame_format import BT709_COLORS, FrameFormat
from clipengine.settings.settings import Encoding
from clipengine.work.children.jobs import probe_job
from tests.films.catalogue import Shelf
from tests.films.cuts import cuts_of
from tests.films.cutting import cut_file, cut_parts
from tests.media.test_exact import faults_of_clip
from tests.media.test_smart_render import planes
from tests.support.gstreamer import decode, need_elements
from tests.support.selection import cases

pytestmark = pytest.mark.proof

_THREADS = 16  # two encoders side by side
_FRAMES = 7  # of a segment
_LEAST_DECIBELS = 30.0


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmented_video, "_MOST_FRAMES", _FRAMES)
    monkeypatch.setattr(segmented_video, "_FEWEST_FRAMES", 2)


def _keyframes(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(packet.is_keyframe for packet in container.demux(video=0) if packet.size)


def _check_order(path: Path) -> None:
    """Assert that packets are in the order of their dts, and that no frame is decoded after it is shown."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    times = [(packet.pts or 0, packet.dts or 0) for packet in packets]
    assert all(before < after for (_, before), (_, after) in pairwise(times))
    assert all(dts <= pts for pts, dts in times)


# Films that differ in what segments are made of: times, size, format and turn of decoded frames, and audio beside them.
_FILMS = (
    *("mp4_25", "mp4_2997", "mp4_60", "mp4_120", "mp4_bframes", "mp4_vfr_gaps", "mp4_vfr_still", "mp4_vfr_jitter"),
    *("edit_empty_video_late", "edit_long_preroll", "edit_two_parts", "audio_late_ts", "audio_gap_mp4"),
    *("audio_three_tracks", "video_only_mp4", "odd_size_444", "h264_422", "h264_10bit", "full_range", "hdr_pq"),
    *("rotated_90", "sar_wide", "interlaced_h264", "size_changes_ts", "size_changes_vp8", "webm_live_pauses"),
    *("mkv_live_h264", "avi_h264_bframes", "ts_wraps", "ts_gap", "ts_jumps_back", "ts_joined", "raw_h264"),
    *("live_sound_drifts", "live_video_late", "still_at_the_end", "one_frame_a_second", "avi_dropped_frames"),
)


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("name", cases(_FILMS, {"mp4_bframes"}))
def test_every_film_is_exact(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film = shelf.get(name)
    for wanted in cuts_of(film):
        if wanted.name not in ("whole", "off_grid", "across_gap"):
            continue
        clip = cut_file(film.path, wanted.start, wanted.end, tmp_path / "clip.mp4", threads=_THREADS)
        assert faults_of_clip(film, wanted, clip) == []
        if clip.made.frames > 4 * _FRAMES:
            assert _keyframes(clip.path) >= clip.made.frames // _FRAMES
        if clip.made.frames:
            _check_order(clip.path)


def _decoded(path: Path) -> list[tuple[Fraction, Any]]:
    with av.open(str(path)) as container:
        time_base = container.streams.video[0].time_base or Fraction(1)
        return [((frame.pts or 0) * time_base, frame.to_ndarray()) for frame in container.decode(video=0)]


def _decibels(one: Any, other: Any) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize(
    ("name", "profile"),
    [
        pytest.param("mp4_25", Profile(container="mkv"), marks=pytest.mark.exhaustive),
        ("mp4_25", Profile(fps=60)),  # frames are written twice
        ("mp4_vfr_jitter", Profile(container="mkv")),
        pytest.param("mp4_25", Profile(output=Output(fade_seconds=1)), marks=pytest.mark.exhaustive),
        pytest.param("mp4_2997", Profile(output=Output(speed=2)), marks=pytest.mark.exhaustive),
        ("mp4_gop_10s", Profile(preset="ultrafast")),  # without B-frames
        pytest.param("rotated_90", Profile(max_height=120), marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.exhaustive
def test_frames_are_those_of_one_encoder(shelf: Shelf, tmp_path: Path, name: str, profile: Profile) -> None:
    film = shelf.get(name)
    start, end = Fraction(1107, 1000), min(film.duration, Fraction(5))
    alone, beside = (
        cut_file(film.path, start, end, tmp_path / f"{threads}.{profile.container}", profile, threads=threads)
        for threads in (1, _THREADS)
    )
    assert _keyframes(alone.path) < _keyframes(beside.path)
    assert alone.made.frames == beside.made.frames
    frames = list(zip(_decoded(alone.path), _decoded(beside.path), strict=True))
    assert [time for (time, _), _ in frames] == [time for _, (time, _) in frames]
    assert min(_decibels(one, other) for (_, one), (_, other) in frames) > _LEAST_DECIBELS
    if profile.container == "mp4":  # Matroska has no dts
        _check_order(beside.path)


@pytest.mark.usefixtures("short_segments")
def test_parts_are_joined(shelf: Shelf, tmp_path: Path) -> None:
    parts = [(shelf.get(name).path, Fraction(1), Fraction(3)) for name in ("mp4_25", "mkv_live_h264")]
    alone, beside = (cut_parts(parts, tmp_path / f"{threads}.mp4", threads=threads) for threads in (1, _THREADS))
    frames = list(zip(_decoded(alone.path), _decoded(beside.path), strict=True))
    assert [time for (time, _), _ in frames] == [time for _, (time, _) in frames]
    assert min(_decibels(one, other) for (_, one), (_, other) in frames) > _LEAST_DECIBELS


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("name", ["mp4_25", "mp4_vfr_jitter"])
@pytest.mark.typical(1)
def test_openh264_decodes_the_same_frames(shelf: Shelf, tmp_path: Path, name: str) -> None:
    need_elements("qtdemux", "h264parse", "openh264dec")
    film = shelf.get(name)
    profile = Profile(preset="superfast")  # of slower presets it decodes no clip right, with one encoder neither
    clip = cut_file(film.path, Fraction(1), Fraction(5), tmp_path / "clip.mp4", profile, threads=_THREADS)
    with av.open(str(clip.path)) as container:
        expected = [planes(frame) for frame in container.decode(video=0)]
    assert decode(clip.path, len(expected[0]), "h264parse", "openh264dec") == expected


def _scenes(path: Path, length: int) -> None:
    """Write a recording with a new picture at the last frame of each `length` frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.options = 320, 192, {"preset": "ultrafast", "crf": "10"}
        random = np.random.default_rng(1)
        picture = random.integers(0, 255, (192 * 3 // 2, 320), dtype=np.uint8)
        for number in range(4 * length):
            if number % length == length - 1:
                picture = random.integers(0, 255, picture.shape, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "yuv420p")))
        container.mux(stream.encode(None))


def test_idr_frames_that_follow_each_other_have_different_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    length = 40  # more than the frames after which x264 sets a second IDR frame
    monkeypatch.setattr(segmented_video, "_MOST_FRAMES", length)
    monkeypatch.setattr(segmented_video, "_FEWEST_FRAMES", 2)
    _scenes(tmp_path / "scenes.mp4", length)
    clip = cut_file(
        tmp_path / "scenes.mp4", Fraction(0), Fraction(4 * length, 25), tmp_path / "clip.mp4", threads=_THREADS
    )
    with av.open(str(clip.path)) as container:
        _, (sps_unit,), _ = read_parameter_sets(container.streams.video[0].codec_context.extradata or b"")
        sps = parse_sps(sps_unit)
        ids = []
        for packet in container.demux(video=0):
            units = [unit for unit in split_by_lengths(bytes(packet), 4) if unit_type(unit) in (1, IDR_UNIT)]
            ids += [read_idr_pic_id(unit, sps) if unit_type(unit) == IDR_UNIT else None for unit in units]
    assert ids.count(None) < len(ids) - 3
    assert not any(one is not None and one == other for one, other in pairwise(ids))


def _slides(path: Path, seconds: int) -> None:
    """Write a recording of one frame per second, with a tone."""
    rate, samples = 8000, 1000
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=1), container.add_stream("aac", rate=rate)
        video.width, video.height, video.options = 64, 48, {"preset": "ultrafast"}
        audio.layout = "mono"
        tone = np.sin(np.arange(samples) * 2 * np.pi * 400 / rate).astype(np.float32).reshape(1, -1)
        for second in range(seconds):
            picture = np.full((72, 64), 16 + second % 200, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "yuv420p")))
            for number in range(rate // samples):
                frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
                frame.rate, frame.pts = rate, (second * rate // samples + number) * samples
                container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


@pytest.mark.exhaustive
def test_audio_lies_beside_its_video_in_the_file(tmp_path: Path) -> None:
    seconds = 400  # segments of 100 s: far longer than the muxer waits by default
    _slides(tmp_path / "slides.mp4", seconds)
    output = tmp_path / "clip.mp4"
    clip = cut_file(tmp_path / "slides.mp4", Fraction(0), Fraction(seconds), output, threads=_THREADS)
    assert clip.made.frames == seconds
    assert _keyframes(output) >= 4
    with av.open(str(output)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    reached: dict[int, Fraction] = {}
    for packet in sorted(packets, key=lambda packet: packet.pos or 0):
        reached[packet.stream_index] = (packet.dts or 0) * packet.time_base
        assert len(reached) < 2 or abs(reached[0] - reached[1]) < 3


def _encoders() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "encode"]


@pytest.mark.usefixtures("short_segments")
def test_an_encoder_that_fails_fails_the_clip(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    open_beside: Callable[..., Any] = writer.open_beside

    def fail_third(*arguments: Any, **options: Any) -> Any:
        opened.append(1)
        if len(opened) == 3:
            raise ValueError("no encoder")
        return open_beside(*arguments, **options)

    monkeypatch.setattr(writer, "open_beside", fail_third)
    film = shelf.get("mp4_25")
    with pytest.raises(EncoderFailed, match="no encoder"):
        cut_file(film.path, Fraction(1), Fraction(5), tmp_path / "clip.mp4", threads=_THREADS)
    assert not _encoders()


@pytest.mark.usefixtures("short_segments")
def test_an_error_elsewhere_stops_the_encoders(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[threading.Thread] = []

    def fail_later(*arguments: Any) -> None:
        running.extend(_encoders())
        if running:
            raise EncoderFailed("stopped")

    monkeypatch.setattr(writer.ClipWriter, "write_audio", fail_later)
    film = shelf.get("mp4_25")
    with pytest.raises(EncoderFailed, match="stopped"):
        cut_file(film.path, Fraction(1), Fraction(5), tmp_path / "clip.mp4", threads=_THREADS)
    assert running
    assert not _encoders()


def _format(width: int, height: int, pixel_format: str = "yuv420p") -> FrameFormat:
    return FrameFormat(width, height, pixel_format, Fraction(1), BT709_COLORS)


def test_only_long_clips_with_many_threads_have_segments() -> None:
    hd = _format(1920, 1080)
    assert segment_layout(15, 100_000, hd) is None
    assert segment_layout(16, 199, hd) is None
    assert segment_layout(16, 200, hd) == Layout(2, 50)
    assert segment_layout(16, 100_000, _format(640, 360)) == Layout(2, 250)


def test_segments_are_used_only_if_the_settings_ask_for_16_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(64)))
    assert probe_job(Encoding()).threads == 15
    assert probe_job(Encoding(threads_per_clip=16)).threads == 16


@pytest.mark.parametrize("threads", [16, 24, 32, 64])
@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (3840, 2160), (7680, 4320)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_frames_that_wait_for_an_encoder_are_limited(threads: int, size: tuple[int, int], pixel_format: str) -> None:
    layout = segment_layout(threads, 10_000, _format(*size, pixel_format))
    if layout is not None:
        frame = av.VideoFrame(*size, pixel_format)
        waiting = layout.frames * (layout.encoders - 1) / 2
        assert waiting * sum(plane.buffer_size for plane in frame.planes) < 300 << 20
        assert layout.frames >= 50
    else:
        assert size[1] > 1080
