"""Every profile, read back: what is in the file, and whether it is still the recording that it was cut from."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from pydantic import ValidationError

from clipengine.clips.options.profiles import Profile
from clipengine.errors import EncoderFailed
from clipengine.media.output.writer import ClipWriter
from tests.films.catalogue import Shelf
from tests.films.cutting import Clip, cut, cut_file
from tests.films.film import Film
from tests.films.judge import Expected, expectations
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.picture import to_frame
from tests.films.reader import ClipReading, read_clip
from tests.films.reel import film, write
from tests.films.sound import locate
from tests.support.selection import cases

_START, _END = Fraction(1407, 1000), Fraction(4)
_MS = Fraction(1, 1000)
_SOUND_ONLY: dict[str, Any] = {"video": "none"}


@dataclass(frozen=True)
class Case:
    """A profile and what its clips must be."""

    profile: Profile
    video: tuple[str, str, str] | None  # codec, tag (of MP4), pixel format
    audio: str
    rates: tuple[int, ...] = (48000, 44100, 48000)
    tracks: int = 3

    @property
    def extension(self) -> str:
        return self.profile.container


CASES = {
    "default": Case(Profile(), ("h264", "avc1", "yuv420p"), "aac"),
    "hevc": Case(Profile(video="hevc"), ("hevc", "hvc1", "yuv420p"), "aac"),
    "av1": Case(Profile(video="av1"), ("av1", "av01", "yuv420p"), "aac"),
    "vp9": Case(Profile(video="vp9"), ("vp9", "vp09", "yuv420p"), "aac"),
    "h264_opus": Case(Profile(audio="opus"), ("h264", "avc1", "yuv420p"), "opus", (48000,) * 3),
    "h264_mp3": Case(Profile(audio="mp3"), ("h264", "avc1", "yuv420p"), "mp3"),
    "webm_vp9": Case(
        Profile(container="webm", video="vp9", audio="opus"), ("vp9", "", "yuv420p"), "opus", (48000,) * 3
    ),
    "webm_vp8": Case(
        Profile(container="webm", video="vp8", audio="opus"), ("vp8", "", "yuv420p"), "opus", (48000,) * 3
    ),
    "webm_av1": Case(
        Profile(container="webm", video="av1", audio="opus"), ("av1", "", "yuv420p"), "opus", (48000,) * 3
    ),
    "mkv": Case(Profile(container="mkv"), ("h264", "", "yuv420p"), "aac"),
    "hevc_10bit": Case(Profile(video="hevc", pixel_format="yuv420p10le"), ("hevc", "hvc1", "yuv420p10le"), "aac"),
    "m4a": Case(Profile(container="m4a", **_SOUND_ONLY), None, "aac"),
    "mp3": Case(Profile(container="mp3", audio="mp3", **_SOUND_ONLY), None, "mp3", (48000,), 1),
    "second_track": Case(Profile(audio_tracks=1), ("h264", "avc1", "yuv420p"), "aac", (44100,), 1),
    "no_sound": Case(Profile(audio="none"), ("h264", "avc1", "yuv420p"), "", (), 0),
}


@pytest.mark.parametrize(
    "name", cases(CASES, {"default", "hevc_10bit", "av1", "webm_vp9", "m4a", "mp3", "second_track"})
)
@pytest.mark.typical(2)
def test_file_matches_the_profile(name: str, shelf: Shelf, tmp_path: Path) -> None:
    case, recording = CASES[name], shelf.get("audio_three_tracks")
    clip = cut(recording, _START, _END, tmp_path / f"clip.{case.extension}", case.profile)
    reading = read_clip(clip.path)

    assert reading.errors == []
    assert reading.faststart is (True if case.extension in ("mp4", "m4a") else None)
    assert [track.codec for track in reading.tracks] == [case.audio] * case.tracks
    assert [track.rate for track in reading.tracks] == list(case.rates)
    if case.video is None:
        assert (clip.made.frames, reading.frames) == (0, [])
    else:
        codec, tag, pix_fmt = case.video
        assert (reading.video_codec, reading.pix_fmt, reading.first_is_key) == (codec, pix_fmt, True)
        assert reading.codec_tag == tag or case.extension != "mp4"
        assert faults_of_frames(reading, expectations(recording, _START, _END)[0]) == []
    if case.extension != "mp3":
        chosen = recording.sounds[1:2] if case.tracks == 1 else recording.sounds
        assert [t.language for t in reading.tracks] == [s.language for s in chosen[: case.tracks]]
        assert [t.channels for t in reading.tracks] == [s.channels for s in chosen[: case.tracks]]
        for track, sound in zip(reading.tracks, chosen, strict=False):
            origin = Fraction(clip.made.actual_start)
            assert_sound(track, sound.seed, origin, (Fraction(1, 5), Fraction(1)))


def faults_of_frames(reading: ClipReading, expected: Expected) -> list[str]:
    """Frames that are not the expected ones, or more than 1 ms off their time."""
    seen = [(time, sight.number) for time, sight in reading.frames]
    wanted = list(expected.frames)
    if len(wanted) - expected.optional <= len(seen) < len(wanted):
        wanted = wanted[: len(seen)]
    if [number for _, number in seen] != [number for _, number in wanted]:
        return [f"frames {[number for _, number in seen]}, must be {[number for _, number in wanted]}"]
    off = max(abs(a - b) for (a, _), (b, _) in zip(seen, wanted, strict=True))
    return [f"a frame is {float(off) * 1000:.2f} ms off"] if off > _MS else []


def assert_sound(track: Any, seed: int, origin: Fraction, moments: tuple[Fraction, ...], least: float = 0.8) -> None:
    for moment in moments:
        heard = track.between(moment, moment + Fraction(1, 4))
        found = locate(heard, track.rate, float(origin + moment), seed=seed)
        assert found.peak > least, f"seed {seed} at {float(moment)}: correlation {found.peak:.2f}"
        assert abs(found.offset) < 0.003


def test_mp3_starts_at_its_time(shelf: Shelf, tmp_path: Path) -> None:
    profile = Profile(container="mp3", audio="mp3", **_SOUND_ONLY)
    recording = shelf.get("audio_three_tracks")
    (track,) = read_clip(cut(recording, _START, _END, tmp_path / "clip.mp3", profile).path).tracks
    # FFmpeg counts the encoder's delay, which it skips, as the time at which an MP3 starts.
    assert_sound(track, 1, _START - track.start, tuple(track.start + second for second in range(3)))
    assert abs(track.end - track.start - (_END - _START)) < _MS / 10


# ---- pictures per second


@pytest.mark.parametrize("fps", [1, 10, 12.5, 25, 29.97, 50])
@pytest.mark.typical(1)
def test_constant_rate_shows_the_frame_on_screen(fps: float, shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get("mp4_25")
    clip = cut(recording, _START, _END, tmp_path / "clip.mp4", Profile(fps=fps, audio="none"))
    reading = read_clip(clip.path)
    assert_grid(reading, recording, Fraction(str(fps)), clip)


def test_constant_rate_repeats_held_frames(shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get("mp4_vfr_gaps")
    clip = cut(recording, Fraction(3, 10), Fraction(34, 10), tmp_path / "clip.mp4", Profile(fps=15))
    assert_grid(read_clip(clip.path), recording, Fraction(15), clip)


def assert_grid(reading: ClipReading, recording: Film, fps: Fraction, clip: Clip) -> None:
    origin, length = clip.made.actual_start, clip.made.actual_end - clip.made.actual_start
    assert len(reading.frames) == -(-length * fps // 1) == clip.made.frames
    assert reading.duration is not None
    assert abs(reading.duration - length) < 2 * _MS
    assert recording.frame_seconds is not None
    early = min(recording.frame_seconds, 1 / fps) / 2
    for count, (time, seen) in enumerate(reading.frames):
        assert abs(time - count / fps) < _MS / 10
        # On screen, or about to be: the frame that begins within half a frame counts.
        moment = origin + count / fps
        assert seen.number in (recording.on_screen(moment), recording.on_screen(moment + early))
        begun = next(begin for begin, number in recording.frames if number == seen.number)
        assert begun <= moment + early


@pytest.mark.parametrize("name", ["webm_vp8", "mkv"])
def test_last_frame_of_less_than_a_millisecond_is_shown_for_one_in_matroska(
    shelf: Shelf, tmp_path: Path, name: str
) -> None:
    """Its duration would be rounded to none, which players take for that of other frames: 40 ms more."""
    profile = CASES[name].profile if name in CASES else Profile(container="mkv")
    made = cut(shelf.get("mp4_25"), Fraction(1), Fraction(30003, 10000), tmp_path / "clip", profile)
    with av.open(str(made.path)) as container:
        ends = [packet.pts + packet.duration for packet in container.demux(video=0) if packet.pts is not None]
    assert (len(ends), max(ends)) == (51, 2001)


def test_recordings_own_rate_changes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get("sar_narrow_mkv")  # its times are rounded to milliseconds
    clip = cut(recording, Fraction(1), Fraction(3), tmp_path / "clip.mp4", Profile(fps=25))
    numbers = [seen.number for _, seen in read_clip(clip.path).frames]
    assert numbers == list(range(25, 75))


# ---- size and rate control


@pytest.mark.parametrize(("name", "size"), [("rotated_90", (52, 90)), ("sar_wide", (110, 90)), ("mp4_25", (160, 90))])
def test_max_height_keeps_the_aspect_ratio(name: str, size: tuple[int, int], shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get(name)
    clip = cut(recording, Fraction(1), Fraction(2), tmp_path / "clip.mp4", Profile(max_height=90))
    reading = read_clip(clip.path)
    assert (reading.width, reading.height) == size
    shown = reading.sar * reading.width / reading.height
    was = recording.sar * recording.width / recording.height
    assert abs(shown / was - 1) <= Fraction(2, reading.width)  # to the pixel, made even
    assert [seen.number for _, seen in reading.frames] == list(range(25, 50))


@pytest.mark.exhaustive
@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8", "vp9", "av1"])
def test_crf_and_bitrate_are_applied(codec: Any, shelf: Shelf, tmp_path: Path) -> None:
    def bits_per_second(**settings: Any) -> float:
        profile = Profile(video=codec, audio="none", container="webm" if codec == "vp8" else "mp4", **settings)
        made = cut(recording, Fraction(0), Fraction(5), tmp_path / "clip.mp4", profile).made
        return made.size_bytes * 8 / 5

    recording = shelf.get("mp4_25")
    fine, usual, coarse = (bits_per_second(crf=crf) for crf in (15, 28, 45))
    least = 1.1 if codec == "vp8" else 1.4  # VP8's crf is a limit of the quality, not its goal
    assert fine > least * usual > least * least * coarse
    for wanted in (100_000, 300_000):
        # crf is there too, at its default: the bit rate wins.
        assert 0.6 < bits_per_second(video_bitrate=wanted) / wanted < 1.5


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.typical(1)
def test_short_encoded_clips_have_decoding_times(shelf: Shelf, tmp_path: Path, frames: int) -> None:
    """An encoder that delays more frames than it gets leaves their decoding times undefined."""
    start = Fraction(1)
    for _ in range(3):
        made = cut(
            shelf.get("mp4_25"), start, start + Fraction(frames, 25), tmp_path / "clip.mp4", Profile(video="hevc")
        )
        assert made.made.frames == frames
        with av.open(str(made.path)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        assert all(packet.dts is not None and packet.dts <= (packet.pts or 0) for packet in packets)


# ---- sound


@pytest.mark.exhaustive
def test_mix_has_every_track_and_does_not_clip(shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get("audio_three_tracks")
    clip = cut(recording, _START, _END, tmp_path / "clip.mp4", Profile(audio_tracks="mix"))
    (track,) = read_clip(clip.path).tracks
    assert (track.rate, track.channels) == (48000, 2)
    for sound in recording.sounds:
        # Three like signals correlate with their sum by 1 / sqrt(3) each.
        assert_sound(track, sound.seed, clip.made.actual_start, (Fraction(1, 5), Fraction(1)), 0.35)
    for sound in recording.sounds[:2]:  # the third has ended
        assert_sound(track, sound.seed, clip.made.actual_start, (Fraction(21, 10),), 0.4)
    assert abs(track.end - (clip.made.actual_end - clip.made.actual_start)) < Fraction(1, 20)
    assert np.abs(np.concatenate([chunk.samples for chunk in track.chunks])).max() < 1


@pytest.mark.exhaustive
def test_mix_of_loud_tracks_does_not_clip(tmp_path: Path) -> None:
    # The tracks are one sound twenty times: its peaks add up to several times full scale.
    tracks = [AudioPart(seed=1, seconds=Fraction(3)) for _ in range(20)]
    video = [VideoPart(every(25, 3), Fraction(25))]
    path = tmp_path / "film.mp4"
    write(path, "mp4", video=video, audio=tracks)
    clip = cut(
        film(path, video=video, audio=tracks), Fraction(1), Fraction(2), tmp_path / "c.mp4", Profile(audio_tracks="mix")
    )
    (track,) = read_clip(clip.path).tracks
    samples = track.between(Fraction(1, 10), Fraction(9, 10))
    assert 0.9 < np.abs(samples).max() < 1.1  # what AAC makes of a peak at the limit
    assert np.mean(np.abs(samples) > 0.999) < 0.001
    assert_sound(track, 1, Fraction(1), (Fraction(1, 5),), 0.5)


def test_single_track_is_mixed_too(shelf: Shelf, tmp_path: Path) -> None:
    clip = cut(shelf.get("mp4_25"), _START, _END, tmp_path / "clip.mp4", Profile(audio_tracks="mix"))
    (track,) = read_clip(clip.path).tracks
    assert_sound(track, shelf.get("mp4_25").sounds[0].seed, clip.made.actual_start, (Fraction(0), Fraction(2)))


# ---- fields


@pytest.mark.parametrize("name", ["interlaced_h264", "interlaced_mpeg2"])
def test_interlaced_frames_keep_number_and_time(name: str, shelf: Shelf, tmp_path: Path) -> None:
    recording = shelf.get(name)
    clip = cut(recording, Fraction(1), Fraction(2), tmp_path / "clip.mp4")
    assert faults_of_frames(read_clip(clip.path), expectations(recording, Fraction(1), Fraction(2))[0]) == []


def test_deinterlaced_frames_show_one_field(tmp_path: Path) -> None:
    recording = _moving_bar(tmp_path / "bar.mp4")
    start, end = Fraction(1), Fraction(2)
    clean = _edges(cut(recording, start, end, tmp_path / "auto.mp4").path)
    as_is = _edges(cut(recording, start, end, tmp_path / "off.mp4", Profile(deinterlace="off")).path)
    assert len(clean) == len(as_is) == 25
    for number, (edges, toothed) in enumerate(zip(clean, as_is, strict=True), 25):
        assert np.abs(edges - _bar_at(2 * number)).max() <= 1  # where the earlier field has it, in every line
        assert np.ptp(toothed) >= 6


def _bar_at(field: int) -> int:
    return 8 * field % 224


def _moving_bar(path: Path) -> Film:
    """An upright bar that moves on from field to field, 50 of them each second, the lower ones first."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "12"})
        context: Any = stream.codec_context
        context.width, context.height, context.pix_fmt = 320, 192, "yuv420p"
        context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        for number in range(75):
            levels = np.zeros((3, 192, 320), np.float32)
            for first_line, field in ((1, 2 * number), (0, 2 * number + 1)):
                levels[0, first_line::2, _bar_at(field) : _bar_at(field) + 96] = 0.8
            frame = to_frame(levels, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames = tuple((Fraction(number, 25), number) for number in range(75))
    return Film("bar", path, frames, Fraction(1, 25), (), Fraction(3), 320, 192)


def _edges(path: Path) -> list[Any]:
    """For each frame where the bar begins, per line."""
    with av.open(str(path)) as container:
        return [(frame.to_ndarray(format="gray") > 100).argmax(axis=1) for frame in container.decode(video=0)]


# ---- impossible combinations


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"container": "webm"}, 'container "webm" cannot hold video "h264"; it holds av1, vp8, vp9'),
        ({"container": "webm", "video": "vp9"}, 'container "webm" cannot hold audio "aac"; it holds opus'),
        ({"container": "m4a"}, 'container "m4a" cannot hold video "h264"; it holds "none"'),
        ({"container": "m4a", "video": "none", "audio": "opus"}, 'container "m4a" cannot hold audio "opus"'),
        ({"container": "mp3", "video": "none"}, 'container "mp3" cannot hold audio "aac"; it holds mp3'),
        ({"video": "none", "audio": "none"}, "video and audio are both"),
        ({"crf": None}, "crf or video_bitrate"),
        ({"crf": 60}, 'crf of video "h264" must be between 0 and 51'),
        ({"video": "av1", "crf": 0}, 'crf of video "av1" must be between 1 and 63'),
        ({"video": "vp9", "pixel_format": "yuv420p10le"}, "pixel_format"),
        ({"video": "vp9", "hdr": "keep"}, 'hdr "tonemap"'),
        ({"video": "vp8"}, 'container "mp4" cannot hold video "vp8"'),
        ({"container": "webm", "video": "vp8", "audio": "opus", "crf": 3}, "must be between 4 and 63"),
        ({"container": "webm", "video": "vp8", "audio": "opus", "hdr": "keep"}, 'video "vp8" is encoded with 8 bits'),
        ({"preset": "sofast"}, 'preset "sofast"'),
        ({"audio": "mp3", "audio_bitrate": 400_000}, "audio_bitrate"),
        ({"container": "webm", "video": "vp9", "audio": "opus", "audio_bitrate": 600_000}, "audio_bitrate"),
        ({"audio_tracks": -1}, "audio_tracks"),
        ({"audio_tracks": "both"}, "audio_tracks"),
        ({"max_height": 8}, "max_height"),
        ({"fps": 0}, "fps"),
        ({"pixel_format": "yuv444p"}, "pixel_format"),
        ({"deinterlace": "always"}, "deinterlace"),
        ({"bitrate": 1_000_000}, "bitrate"),
    ],
)
def test_impossible_profile_is_rejected_by_field(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Profile(**settings)
    assert named in str(refusal.value)


@pytest.mark.parametrize(("width", "height"), [(36, 64), (48, 64), (34, 128)])
@pytest.mark.typical(1)
def test_narrow_hevc_does_not_corrupt_memory(tmp_path: Path, width: int, height: int) -> None:
    """In a process of its own: the C library aborts it if its heap is damaged."""
    program = """
import sys
from fractions import Fraction
import av
from clipengine.clips.options.profiles import Profile
from clipengine.media.output.writer import open_writer
from clipengine.media.video.frame_format import BT709_COLORS, FrameFormat

width, height = int(sys.argv[1]), int(sys.argv[2])
with open(sys.argv[3], "w+b") as file:
    profile = Profile(video="hevc", preset="ultrafast")
    with open_writer(file.fileno(), profile, threads=1) as writer:
        writer.add_video(FrameFormat(width, height, "yuv420p", Fraction(1), BT709_COLORS), Fraction(30))
        for number in range(15):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes((number * 37 + byte * byte) % 256 for byte in range(plane.buffer_size)))
            writer.write_frame(frame, Fraction(number, 30), Fraction(1, 30))
        writer.finish()
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, str(width), str(height), str(tmp_path / "clip.mp4")],
        env={"MALLOC_CHECK_": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.exhaustive
def test_av1_is_encoded_again_if_its_encoder_returns_wrong_times(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SVT-AV1 does that rarely, on a busy machine, if it has several threads."""
    mux, refused = ClipWriter._mux_video, []

    def mux_or_refuse(self: ClipWriter, packet: Any) -> None:
        if not refused:
            refused.append(packet)
            raise av.ArgumentError(22, "Application provided invalid, non monotonically increasing dts")
        mux(self, packet)

    monkeypatch.setattr(ClipWriter, "_mux_video", mux_or_refuse)
    source, output = shelf.get("mp4_bframes").path, tmp_path / "clip.mp4"
    clip = cut_file(source, _START, _END, output, Profile(video="av1"), threads=2)
    assert (len(refused), len(read_clip(output).frames)) == (1, clip.made.frames)
    for profile, threads in ((Profile(video="av1"), 1), (Profile(), 2)):
        refused.clear()
        with pytest.raises(EncoderFailed):
            cut_file(source, _START, _END, output, profile, threads=threads)
