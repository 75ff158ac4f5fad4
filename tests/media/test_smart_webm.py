"""Smart render of VP8 and VP9 into WebM and Matroska."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.clips.options.profiles import Profile
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.previews.clip_plan import clip_plan
from clipengine.settings.settings import Settings
from tests.films.catalogue import Shelf
from tests.films.cuts import Cut, cuts_of
from tests.films.cutting import Clip, cut, cut_file, facts_of
from tests.films.film import Film
from tests.films.likeness import faults_of
from tests.films.parts import VideoPart, every
from tests.films.reel import film, write
from tests.films.reference import watch
from tests.media.test_smart_render import assert_copied_frames_are_equal, faults, reason_of
from tests.support.selection import cases
from tests.support.two_pass import encode_in_two_passes

pytestmark = pytest.mark.proof

VP8: dict[str, Any] = {"container": "webm", "video": "vp8", "audio": "opus"}
VP9: dict[str, Any] = {"container": "webm", "video": "vp9", "audio": "opus"}
_MS = Fraction(1, 1000)
# Film, profile, and the reason if nothing of all of it can be copied.
FILMS = {
    "webm_live_pauses": (VP8, None),
    "webm_live_vp8": (VP8, None),
    "webm_live_vp8_keyframes": (VP8, None),
    "webm_vp8_hidden_frames": (VP8, None),
    "size_changes_vp8": (VP8, "the size or format of its frames changes"),
    "webm_vp9": (VP9, None),
    "odd_size_vp9": (VP9, "the profile changes the size, the format or the colours of its frames"),
}
_CUT = [*((name, "webm") for name in FILMS), ("webm_vp9", "mkv")]  # one film is enough for the other container
RECORDINGS = {
    "gnome_screencast_15fps.webm": (VP8, None),
    "mediarecorder_chrome57_vp8_opus.webm": (VP8, "time"),  # several frames have the same
    "mediarecorder_firefox55_vp8_opus.webm": (VP8, None),
    "noduration_vp9_opus.webm": (VP9, None),
    "screencast_1080p_vfr_vp8.webm": (VP8, None),
    "vp9_alpha.webm": (VP9, None),
    "vp9_profile2_10bit_duppts.webm": (VP9, "it has hidden frames outside of superframes"),
}


def smart(profile: dict[str, Any], **changes: Any) -> Profile:
    return Profile(**{**profile, "render": "smart", **changes})


@pytest.mark.parametrize("case", cases(_CUT, [("webm_vp8_hidden_frames", "webm")]), ids="-".join)
def test_named_cuts_are_as_exact_as_encoded_ones(shelf: Shelf, tmp_path: Path, case: tuple[str, str]) -> None:
    name, container = case
    film, (profile, reason) = shelf.get(name), FILMS[name]
    copied = 0
    for each in cuts_of(film):
        clip = cut(film, each.start, each.end, tmp_path / f"clip.{container}", smart(profile, container=container))
        found = faults(film, each, clip)
        copied += reason_of(clip) is None
        if each.name == "whole":
            assert reason_of(clip) == reason
        assert [fault for fault in found if not _is_about_mp4(fault)] == []
        assert_ends_exactly(clip)
    assert copied or reason


def _is_about_mp4(fault: str) -> bool:
    """Return True for what MP4 and its index have, and what follows from it: the reader guesses the last duration."""
    return any(text in fault for text in ("not faststart", "video is vp", "H.264 ", "the picture ends"))


def assert_ends_exactly(clip: Clip) -> None:
    """The file has one packet per frame, and the last frame lasts until the clip's end."""
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        assert sum(packet.size > 0 for packet in container.demux(stream)) == clip.made.frames
        stated = stream.metadata["DURATION"]  # FFmpeg writes no durations of video packets
    hours, minutes, seconds = stated.split(":")
    length = clip.made.actual_end - clip.made.actual_start
    assert abs(Fraction(hours) * 3600 + Fraction(minutes) * 60 + Fraction(seconds) - length) <= _MS


@pytest.mark.parametrize("name", cases(RECORDINGS, ()))
def test_copied_frames_of_real_recordings_are_equal(recordings: Path, tmp_path: Path, name: str) -> None:
    path = recordings / name
    if not path.exists():
        pytest.skip("this recording is not here")
    profile, reason = RECORDINGS[name]
    facts = facts_of(path)
    assert facts.video is not None
    seen, copied = watch(path, None), 0
    third = round(facts.duration * 37) / Fraction(100) + Fraction(7, 1000)
    for start, end in ((Fraction(0), min(facts.duration, Fraction(8))), (third, min(facts.duration, third + 12))):
        clip = cut_file(path, start, end, tmp_path / "clip.webm", smart(profile))
        assert reason is None or reason in (reason_of(clip) or "")
        if clip.made.render != "smart":
            continue
        assert faults_of(seen, watch(clip.path), start, end) == []
        copied += 1
        assert_copied_frames_are_equal(path, facts.origin, facts.video.frame_seconds, clip)
    assert bool(copied) is (reason is None)


@pytest.mark.parametrize(("name", "profile"), [("webm_live_vp8_keyframes", VP8), ("webm_vp9", VP9)])
@pytest.mark.typical(1)
def test_head_is_encoded_and_the_rest_is_copied(
    shelf: Shelf, tmp_path: Path, name: str, profile: dict[str, Any]
) -> None:
    film = shelf.get(name)
    clip = cut(film, Fraction(1), Fraction(5), tmp_path / "clip.webm", smart(profile))
    assert reason_of(clip) is None
    assert 0 < clip.made.encoded_seconds < 2 < clip.made.copied_seconds
    facts = facts_of(film.path)
    assert facts.video is not None
    assert_copied_frames_are_equal(film.path, facts.origin, facts.video.frame_seconds, clip)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("codec", "profile", "reason"), [("vp8", VP8, "it has hidden frames"), ("vp9", VP9, None)])
def test_hidden_frames_are_copied_within_packets_only(
    shelf: Shelf, tmp_path: Path, codec: str, profile: dict[str, Any], reason: str | None
) -> None:
    path = tmp_path / "hidden.webm"
    encode_in_two_passes(shelf.get("mp4_25").path, path, codec)
    facts = facts_of(path)
    assert facts.video is not None
    for start, end in ((Fraction(0), Fraction(3)), (Fraction(2), Fraction(26, 5)), (Fraction(12, 5), Fraction(4))):
        clip = cut_file(path, start, end, tmp_path / "clip.webm", smart(profile))
        assert reason_of(clip) == reason
        assert faults_of(watch(path, None), watch(clip.path), start, end) == []
        assert_ends_exactly(clip)
        if reason is None:
            assert_copied_frames_are_equal(path, facts.origin, facts.video.frame_seconds, clip)


def copied_bytes(film: Film, clip: Clip) -> int:
    """Return the number of packets of the clip that are the film's."""
    with av.open(str(film.path)) as container:
        packets = {bytes(packet) for packet in container.demux(video=0) if packet.size}
    with av.open(str(clip.path)) as container:
        return sum(bytes(packet) in packets for packet in container.demux(video=0) if packet.size)


@pytest.mark.parametrize(("name", "profile"), [("webm_live_vp8_keyframes", VP8), ("webm_vp9", VP9)])
@pytest.mark.exhaustive
def test_packets_of_the_copied_part_are_the_recordings(
    shelf: Shelf, tmp_path: Path, name: str, profile: dict[str, Any]
) -> None:
    film = shelf.get(name)
    clip = cut(film, Fraction(1), Fraction(5), tmp_path / "clip.webm", smart(profile))
    begin = clip.made.actual_start + Fraction(str(clip.made.encoded_seconds))
    assert copied_bytes(film, clip) == sum(begin - _MS <= time < 5 for time, _ in film.frames)


@pytest.mark.parametrize(
    ("name", "profile", "reason"),
    [
        ("webm_vp9", Profile(**VP8, render="smart"), "the recording is vp9, the profile asks for vp8"),
        ("webm_vp9", Profile(video="vp9", render="smart"), "vp9 into mp4 is always encoded"),
        pytest.param(
            "webm_vp9",
            Profile(**VP9, render="smart", max_height=48),
            "the profile changes the size",
            marks=pytest.mark.exhaustive,
        ),
        ("webm_av1", Profile(container="webm", video="av1", audio="opus", render="smart"), "av1 into webm is always"),
        ("webm_live_vp8", Profile(**VP8, render="smart"), "no GOP begins in the range"),
    ],
    ids=["codec", "container", "size", "av1", "no keyframe"],
)
@pytest.mark.typical(1)
def test_what_cannot_be_copied_is_encoded(
    shelf: Shelf, tmp_path: Path, name: str, profile: Profile, reason: str
) -> None:
    clip = cut(shelf.get(name), Fraction(1), Fraction(5), tmp_path / "clip", profile)
    assert reason in (reason_of(clip) or "")


def test_single_encoded_frame_is_taken_out_of_all_decoder_threads(tmp_path: Path) -> None:
    """With frame threads a decoder returns the first frames only when it is flushed."""
    path = tmp_path / "short_gops.webm"
    video = VideoPart(every(25, 4), Fraction(25), "libvpx", gop=2)
    write(path, "webm", video=[video])
    short = film(path, video=[video], grid=_MS)
    start, end = Fraction(1), Fraction(4)  # the second frame of a GOP
    clip = cut_file(path, start, end, tmp_path / "clip.webm", smart(VP8, audio="none"), threads=4)
    assert reason_of(clip) is None
    assert clip.made.frames == sum(start <= time < end for time, _ in short.frames)
    assert [fault for fault in faults(short, Cut("frame", start, end), clip) if not _is_about_mp4(fault)] == []


def test_sandboxed_child_copies(shelf: Shelf, tmp_path: Path) -> None:
    film, output = shelf.get("webm_live_vp8_keyframes"), tmp_path / "clip.webm"
    settings = Settings.model_validate({"encoding": {"sandbox": "required"}, "profiles": {"vp8": VP8}})
    arguments: dict[str, Any] = {"on_progress": lambda part: None}
    result = cut_once(
        settings, str(film.path), output, LocalClip([(Fraction(1), Fraction(5))], "vp8", "smart"), **arguments
    )
    assert (result.render, result.video_codec) == ("smart", "vp8")
    assert result.copied_seconds > 2 > result.encoded_seconds > 0


@pytest.mark.parametrize("render", ["smart", "encode"])
def test_plan_says_what_would_be_copied(shelf: Shelf, render: str) -> None:
    recording = shelf.get("webm_vp9")
    with recording.path.open("rb") as file:
        plan = clip_plan(
            DescriptorSource(file.fileno()),
            facts_of(recording.path),
            Profile(**{**VP9, "render": render}),
            start=Fraction(1),
            end=Fraction(5),
            threads=1,
        )
    kinds = ["encode", "copy"] if render == "smart" else ["encode"]
    assert [each["kind"] for each in plan["segments"]] == kinds
    assert plan["segments"][-1]["end_seconds"] == 5
    assert plan["segments"][0]["end_seconds"] == (2.667 if render == "smart" else 5)
    assert plan["warnings"] == []


@pytest.mark.parametrize(
    ("name", "settings", "beyond"),
    [
        ("webm_vp9", {"container": "webm", "video": "vp9", "audio": "opus"}, "0.0006"),
        ("mp4_bframes", {"container": "mkv"}, "0.0002"),
    ],
)
def test_last_copied_frame_ends_with_the_clip(
    shelf: Shelf, tmp_path: Path, name: str, settings: dict[str, Any], beyond: str
) -> None:
    """Its duration would be rounded to none, or not be written, which players take for that of other frames."""
    film = shelf.get(name)
    profile = Profile(render="smart", **settings)
    made = cut(film, film.frames[0][0], film.frames[-3][0] + Fraction(beyond), tmp_path / "clip", profile)
    assert made.made.render == "smart"
    with av.open(str(made.path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    assert max((packet.pts, packet.duration) for packet in packets)[1] == 1
