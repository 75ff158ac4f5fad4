"""Smart render: clips with copied packets are as exact as encoded ones, and what cannot be copied is encoded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.warnings import code_of
from clipengine.errors import ClipEngineError, VerificationFailed
from clipengine.media.input.containers import kept_source
from clipengine.media.output.packet_verifier import PacketVerifier
from clipengine.media.output.verify import verify
from clipengine.settings.settings import Settings
from tests.films.catalogue import VIDEO_FILMS, Shelf
from tests.films.cuts import Cut, cuts_of
from tests.films.cutting import SMART, Clip, cut, cut_file, facts_of
from tests.films.film import Film
from tests.films.judge import judge
from tests.films.likeness import faults_of
from tests.films.mp4_bytes import lengths
from tests.films.reader import read_clip
from tests.films.reference import watch
from tests.support.selection import cases

pytestmark = pytest.mark.proof

# Films of H.264 of which nothing can be copied, and the reason.
FALLBACKS = {
    "avi_h264_bframes": "its packets have no presentation times",
    "avi_h264_open_gop": "its packets have no presentation times",
    "edit_two_parts": "packets of the range are damaged, or are never shown",
    "h264_10bit": "the profile changes the size, the format or the colours of its frames",
    "h264_422": "the profile changes the size, the format or the colours of its frames",
    "h264_444": "the profile changes the size, the format or the colours of its frames",
    "interlaced_h264": "it is interlaced",
    "odd_size_444": "the profile changes the size, the format or the colours of its frames",
    "raw_h264": "the recording's timestamps jump",
    "size_changes_ts": "its parameter sets change",
    "tagged_bt2020": "the profile changes the size, the format or the colours of its frames",
    "ts_joined": "the recording's timestamps jump",
    "ts_jumps_ahead": "the recording's timestamps jump",
    "ts_jumps_back": "the recording's timestamps jump",
    "ts_jumps_back_a_little": "the recording's timestamps jump",
}
# Of the fallbacks, these have ranges that are copied.
_COPIED_IN_PART = ("edit_two_parts", "size_changes_ts")
_OF_OTHER_CODECS = (
    *("hevc_mp4", "av1_mp4", "odd_size_vp9", "hdr_pq", "hdr_hlg", "interlaced_mpeg2", "size_changes_vp8"),
    *("webm_live_vp8", "webm_live_vp8_keyframes", "webm_live_pauses", "webm_vp8_hidden_frames", "webm_vp9", "webm_av1"),
    *("mov_prores_pcm", "mov_mjpeg_pcm", "avi_mjpeg_pcm", "avi_mpeg4_mp3", "mpeg_program_stream", "ts_hevc"),
    *("audio_only_with_cover", "raw_hevc", "live_sound_jitters", "live_sound_late_blocks", "live_video_late"),
    *("live_sound_late_blocks_and_gap", "still_with_sound", "mpeg4_all_are_keyframes", "avi_dropped_frames"),
)
_COPIED = [
    name for name in VIDEO_FILMS if name not in _OF_OTHER_CODECS and (name not in FALLBACKS or name in _COPIED_IN_PART)
]
# Recordings of many makers: fragments, edit lists, a variable rate, MPEG-TS, Matroska, rotation.
RECORDINGS = (
    "bbb_720p_aac51.mp4",
    "editlist_positive_shift_av.mp4",
    "flower_fragmented.mp4",
    "frag_multiple_sidx_gop250.mp4",
    "gopro_max_tmcd_gpmd.mp4",
    "handheld_vfr_h264_videoonly.mp4",
    "hls_gap_720p60_joined.ts",
    "lecture_1fps_audio_late.mov",
    "lecture_slides_vfr_av.mov",
    "long_persons_139s_10fps.mp4",
    "mkv_attachment.mkv",
    "nasa_multitrack_2v2a_subs.mp4",
    "phone_rot180_vfr_mono.mp4",
    "ts_no_initial_keyframe.ts",
)
_LEAST_DECIBELS = 38.0  # of an encoded frame beside copied ones


def reason_of(clip: Clip) -> str | None:
    """Return why all of the clip was encoded, or None if packets were copied."""
    found = [each for each in clip.made.warnings if code_of(each) == "encoded_instead"]
    assert (clip.made.render == "smart") is not bool(found)
    assert len(found) <= 1
    return found[0].split("encoded: ", 1)[1] if found else None


def faults(film: Film, wanted: Cut, clip: Clip) -> list[str]:
    """Return everything that is not exact in the clip of this range."""
    made = clip.made
    reading = read_clip(clip.path, upright=True)
    smart = made.render == "smart"
    actual = float(made.actual_start), float(made.actual_end)
    found = judge(film, reading, wanted.start, wanted.end, *actual, copied=smart)
    if made.frames != len(reading.frames):
        found.append(f"the result says {made.frames} frames, the clip has {len(reading.frames)}")
    if (made.width or 0, made.height or 0) != (reading.width, reading.height):
        found.append(f"the result says {made.width}x{made.height}")
    if abs(made.copied_seconds + made.encoded_seconds - (actual[1] - actual[0])) > 1e-5:
        found.append(f"{made.copied_seconds} s copied, {made.encoded_seconds} s encoded")
    return [f"{wanted}: {fault}" for fault in found]


@pytest.mark.parametrize("name", cases(_COPIED, ("mp4_bframes",)))
def test_named_cuts_are_exact(shelf: Shelf, tmp_path: Path, name: str) -> None:
    found = []
    for each in cuts_of(film := shelf.get(name)):
        clip = cut(film, each.start, each.end, tmp_path / "clip.mp4", SMART)
        found += faults(film, each, clip)
        if each.name == "whole" and reason_of(clip) != FALLBACKS.get(name):
            found.append(f"{each}: encoded because {reason_of(clip)}")
    assert not found, "\n".join(found)


@pytest.mark.exhaustive
def test_films_of_which_nothing_can_be_copied_are_encoded(shelf: Shelf, tmp_path: Path) -> None:
    """Other cuts of them are in `test_exact`, because the profile changes nothing else."""
    found = []
    for name in (*_OF_OTHER_CODECS, *FALLBACKS):
        film = shelf.get(name)
        wanted = next(each for each in cuts_of(film) if each.name == ("whole" if name in FALLBACKS else "one_frame"))
        try:
            clip = cut(film, wanted.start, wanted.end, tmp_path / "clip.mp4", SMART)
        except ClipEngineError as error:
            found.append(f"{name}: {wanted}: {error}")
            continue
        found += [f"{name}: {fault}" for fault in faults(film, wanted, clip)]
        if (reason := reason_of(clip)) is None or reason != FALLBACKS.get(name, reason):
            found.append(f"{name}: {wanted}: encoded because {reason}")
    assert not found, "\n".join(found)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["mp4_bframes", "mp4_vfr_jitter", "ts_bframes", "mkv_live_h264"])
def test_cuts_into_matroska_are_exact(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film, copied = shelf.get(name), 0
    profile = Profile(container="mkv", render="smart")
    for each in cuts_of(film):
        clip = cut(film, each.start, each.end, tmp_path / "clip.mkv", profile)
        copied += clip.made.render == "smart"
        encoded = cut(film, each.start, each.end, tmp_path / "encoded.mkv", Profile(container="mkv"))
        # Matroska has no edit lists, and no duration of the last frame where packets were copied.
        found = {fault for fault in faults(film, each, clip) if "the picture ends" not in fault}
        assert found <= set(faults(film, each, encoded))
    assert copied


def planes(frame: av.VideoFrame) -> bytes:
    """Return the samples of a frame without the padding of its lines."""
    parts, sample_bytes = [], (frame.format.components[0].bits + 7) // 8
    for plane in frame.planes:
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        parts.append(lines[:, : plane.width * sample_bytes].tobytes())
    return b"".join(parts)


def decode(path: Path, since: Fraction, until: Fraction) -> Iterator[tuple[Fraction, bytes]]:
    """Yield time and samples of each frame between two times, decoded from the first byte."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            time = frame.pts * Fraction(frame.time_base)
            if time >= until:
                return
            if time > since:
                yield time, planes(frame)


def decibels(one: bytes, other: bytes, bits: int = 8) -> float:
    if one == other:
        return math.inf
    kind = np.dtype(np.uint8 if bits == 8 else "<u2")
    difference = np.frombuffer(one, kind).astype(np.float64) - np.frombuffer(other, kind)
    return 10 * math.log10((2**bits - 1) ** 2 / float(np.mean(difference**2)))


@pytest.mark.parametrize("name", cases(RECORDINGS, ("mkv_attachment.mkv",)))
def test_copied_frames_of_real_recordings_are_equal(recordings: Path, tmp_path: Path, name: str) -> None:
    path = recordings / name
    if not path.exists():
        pytest.skip("this recording is not here")
    facts = facts_of(path)
    assert facts.video is not None
    seen, copied = watch(path, None), 0
    third = round(facts.duration * 37) / Fraction(100) + Fraction(7, 1000)
    for start, end in ((Fraction(0), min(facts.duration, Fraction(8))), (third, min(facts.duration, third + 12))):
        clip = cut_file(path, start, end, tmp_path / "clip.mp4", SMART)
        assert faults_of(seen, watch(clip.path), start, end) == []
        if clip.made.render != "smart":
            continue
        copied += 1
        assert_copied_frames_are_equal(path, facts.origin, facts.video.frame_seconds, clip)
    assert copied


def assert_copied_frames_are_equal(
    path: Path, origin: Fraction, frame_seconds: Fraction, clip: Clip, *, bits: int = 8
) -> None:
    made = clip.made
    near_clip = (made.actual_start - 1 + origin, made.actual_end + 1 + origin)
    source = {round((time - origin) * 1000): samples for time, samples in decode(path, *near_clip)}
    different = head = 0
    for time, samples in decode(clip.path, Fraction(-1), made.actual_end - made.actual_start + 1):
        at = round((time + made.actual_start) * 1000)
        near = [source[each] for each in (at, at - 1, at + 1) if each in source]
        best = max((decibels(samples, each, bits) for each in near), default=math.nan)
        if math.isnan(best):  # the frame on screen at the start, which began before it
            assert time == 0
            best = _LEAST_DECIBELS
        assert best >= _LEAST_DECIBELS, f"{float(time):.3f}: {best:.1f} dB"
        different += best < math.inf
        head += time < made.encoded_seconds
    assert different <= max(head, made.encoded_seconds / float(frame_seconds)) + 1.5


def test_clip_ends_without_hidden_frames(shelf: Shelf, tmp_path: Path) -> None:
    """The file has exactly the frames of the range, and its edit list hides none of them at the end."""
    film = shelf.get("mp4_bframes")
    start, end = Fraction(7, 10), Fraction(53, 10)
    clip = cut(film, start, end, tmp_path / "clip.mp4", SMART)
    assert reason_of(clip) is None
    with av.open(str(clip.path), options={"ignore_editlist": "1"}) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert len(packets) == clip.made.frames == sum(clip.made.actual_start <= time < end for time, _ in film.frames)
    movie, tracks = lengths(clip.path)
    assert abs((tracks[0] or 0) - (clip.made.actual_end - clip.made.actual_start)) < Fraction(1, 1000)
    assert movie is not None


@pytest.mark.exhaustive
def test_rotated_recording_keeps_its_display_matrix(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("rotated_90")
    clip = cut(film, Fraction(0), Fraction(3), tmp_path / "clip.mp4", SMART)
    assert reason_of(clip) is None
    assert (clip.made.width, clip.made.height) == (film.width, film.height)
    reading = read_clip(clip.path)
    assert (reading.width, reading.height) == (film.height, film.width)
    assert reading.rotation % 360 == 270


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        (Profile(render="smart", video="hevc"), "the profile asks for hevc"),
        (Profile(render="smart", fps=25), "a frame rate is set"),
        (Profile(render="smart", max_height=48), "the profile changes the size"),
        (Profile(render="smart", pixel_format="yuv420p10le"), "the profile changes the size, the format"),
        (Profile(render="smart", container="webm", video="vp9", audio="opus"), "h264 into webm is always encoded"),
        (Profile(render="smart", container="m4a", video="none"), "the clip has no video"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.exhaustive
def test_profile_that_changes_frames_encodes_all(shelf: Shelf, tmp_path: Path, profile: Profile, reason: str) -> None:
    clip = cut(shelf.get("mp4_bframes"), Fraction(1), Fraction(5), tmp_path / "clip", profile)
    assert reason in (reason_of(clip) or "")


def test_default_profile_copies_nothing(shelf: Shelf, tmp_path: Path) -> None:
    made = cut(shelf.get("mp4_bframes"), Fraction(0), Fraction(4), tmp_path / "clip.mp4").made
    assert (made.render, made.copied_seconds, made.encoded_seconds) == ("encode", 0, 4)
    assert not made.warnings


def test_auto_copies_where_it_is_possible_and_warns_of_nothing_else(shelf: Shelf, tmp_path: Path) -> None:
    auto, film = SMART.model_copy(update={"render": "auto"}), shelf.get("mp4_bframes")
    copied = cut(film, Fraction(17, 10), Fraction(58, 10), tmp_path / "clip.mp4", auto).made
    assert (copied.render, copied.warnings) == ("smart", ())
    assert copied.copied_seconds > 2
    encoded = cut(film, Fraction(17, 10), Fraction(18, 10), tmp_path / "short.mp4", auto).made
    assert (encoded.render, encoded.warnings) == ("encode", ())
    held = cut(shelf.get("mp4_vfr_gaps"), Fraction(0), Fraction(4), tmp_path / "gaps.mp4", auto).made
    assert {code_of(each) for each in held.warnings} == {"video_gap"}


def test_cut_in_a_child_process_copies_too(shelf: Shelf, tmp_path: Path) -> None:
    film, output = shelf.get("mp4_bframes"), tmp_path / "clip.mp4"
    wanted = Cut("child", Fraction(17, 10), Fraction(58, 10))
    arguments: dict[str, Any] = {"on_progress": lambda part: None}
    result = cut_once(
        Settings(), str(film.path), output, LocalClip([(wanted.start, wanted.end)], "default", "smart"), **arguments
    )
    assert result.render == "smart"
    assert result.copied_seconds > 2 > result.encoded_seconds > 0
    reading = read_clip(output)
    actual = result.actual_start_seconds, result.actual_end_seconds
    assert judge(film, reading, wanted.start, wanted.end, *actual, copied=True) == []


@pytest.mark.parametrize("name", cases(["interlaced_h264", "size_changes_ts"], ["size_changes_ts"]))
@pytest.mark.exhaustive
def test_sandboxed_child_encodes_what_it_cannot_copy(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film, output = shelf.get(name), tmp_path / "clip.mp4"
    arguments: dict[str, Any] = {"on_progress": lambda part: None}
    start, end = Fraction(1, 2), film.duration - Fraction(1, 2)
    settings = Settings.model_validate({"encoding": {"sandbox": "required"}})
    result = cut_once(settings, str(film.path), output, LocalClip([(start, end)], "default", "smart"), **arguments)
    assert (result.render, result.copied_seconds) == ("encode", 0)
    assert FALLBACKS[name] in next(each for each in result.warnings if code_of(each) == "encoded_instead")
    actual = result.actual_start_seconds, result.actual_end_seconds
    assert judge(film, read_clip(output), start, end, *actual) == []


@pytest.fixture
def damaged(shelf: Shelf, tmp_path: Path) -> Path:
    """A film with damaged bytes in the last of its GOPs."""
    film = shelf.get("mp4_bframes")
    data = bytearray(film.path.read_bytes())
    with av.open(str(film.path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    packet = packets[-8]
    assert packet.pos is not None
    data[packet.pos + 5 : packet.pos + 14] = bytes(9)  # its slice header
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("full_proof", [True, False], ids=["full", "seams"])
@pytest.mark.typical(1)
def test_packets_with_a_damaged_header_are_not_copied(damaged: Path, tmp_path: Path, full_proof: bool) -> None:
    clip = cut_file(damaged, Fraction(0), Fraction(6), tmp_path / "clip.mp4", SMART, full_proof=full_proof)
    assert "a code has more than 32 bits" in (reason_of(clip) or "")
    assert clip.made.bytes_read <= damaged.stat().st_size  # it is decided and encoded from one reading


@pytest.mark.exhaustive
def test_clip_that_is_encoded_says_why_after_it_was_made_smaller(shelf: Shelf, tmp_path: Path) -> None:
    path, output = shelf.get("mp4_intra_refresh").path, Output(max_bytes=70_000)
    profile = Profile(render="smart", output=output)
    clip = cut_file(path, Fraction(1), Fraction(4), tmp_path / "clip.mp4", profile)
    assert clip.made.size_bytes <= 70_000
    assert reason_of(clip) == "no GOP begins in the range"


@pytest.mark.parametrize("name", ["mp4_bframes", "mp4_intra_refresh", "size_changes_ts"])
@pytest.mark.exhaustive
def test_a_range_that_is_larger_than_expected_is_decided_while_it_is_copied(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path, start, end = shelf.get(name).path, Fraction(1), Fraction(53, 10)
    known = cut_file(path, start, end, tmp_path / "known.mp4", SMART)
    assert known.made.bytes_read <= path.stat().st_size
    monkeypatch.setattr(kept_source, "MAX_KEPT_BYTES", 100_000)
    clip = cut_file(path, start, end, tmp_path / "clip.mp4", SMART)
    differ = {"bytes_read", "encode_seconds", "size_bytes"}
    assert clip.made.model_dump(exclude=differ) == known.made.model_dump(exclude=differ)


@pytest.mark.parametrize("change", [lambda data: data[:-9], lambda data: b"\0" + data[1:]], ids=["shorter", "other"])
def test_file_with_other_packets_is_rejected(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
) -> None:
    """The verifier of one clip does not accept the file of another one."""
    verifiers: list[PacketVerifier] = []
    enter = PacketVerifier.__enter__

    def keep(self: PacketVerifier) -> PacketVerifier:
        verifiers.append(self)
        return enter(self)

    monkeypatch.setattr(PacketVerifier, "__enter__", keep)
    film = shelf.get("mp4_bframes")
    clip = cut_file(film.path, Fraction(1), Fraction(6), tmp_path / "clip.mp4", SMART)
    assert reason_of(clip) is None
    packet = _largest_packet(clip.path)
    data = bytearray(clip.path.read_bytes())
    start, end = packet
    data[start:end] = change(bytes(data[start:end])).ljust(end - start, b"\1")
    clip.path.write_bytes(data)
    with clip.path.open("rb") as file, pytest.raises(VerificationFailed):
        verify(file.fileno(), clip.made.frames, verifiers[0], lambda: None, threads=1, spliced=True)


def _largest_packet(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        packet = max((packet for packet in container.demux(video=0) if packet.size), key=lambda packet: packet.size)
        assert packet.pos is not None
        return packet.pos + 64, packet.pos + packet.size
