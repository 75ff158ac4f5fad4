"""Smart render of HEVC: clips with copied packets are as exact as encoded ones, also in another decoder (libde265)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.clips.options.profiles import Profile
from clipengine.media.bitstream.hevc_parameter_sets import unit_type
from clipengine.media.bitstream.nal import split_by_lengths
from clipengine.settings.settings import Settings
from tests.films.catalogue import Shelf
from tests.films.cuts import Cut, cuts_of
from tests.films.cutting import cut, cut_file, facts_of
from tests.films.film import Film
from tests.films.likeness import faults_of
from tests.films.parts import VideoPart, every
from tests.films.reel import film, write
from tests.films.reference import watch
from tests.media.test_smart_render import assert_copied_frames_are_equal, faults, planes, reason_of
from tests.support.gstreamer import decode, need_elements
from tests.support.selection import cases

pytestmark = pytest.mark.proof

SMART = Profile(video="hevc", render="smart", preset="ultrafast")
FILMS = ("hevc_mp4", "ts_hevc")
SEAMS = Cut("seams", Fraction(1107, 1000), Fraction(402, 100))
_ELEMENTS = ("h265parse", "libde265dec")
_PLAIN = "log-level=none:pools=none:frame-threads=1"
# Options of x265 for recordings whose frames are divided into blocks in other ways, or refer to others.
RECORDINGS = {
    "small blocks": "ctu=16:max-tu-size=16",
    "large blocks": "min-cu-size=16",
    "asymmetric": "rect=1:amp=1:sao=0",
    "deep transforms": "tu-inter-depth=3:tu-intra-depth=2:strong-intra-smoothing=0",
    "default scaling lists": "scaling-list=default",
    "closed GOPs": "open-gop=0",
    "pyramid": "bframes=4:b-pyramid=1",
    "several references": "ref=4:temporal-mvp=0",
}
# Start and end in seconds, and the bits of samples. The first one is stored with more lines than are shown.
REAL = {
    "iphone_hevc_hdr_editlist_rot90.mp4": (Fraction(3, 2), Fraction(11, 5), 10),
    "hevc_1080p_fullrange_icc.mp4": (Fraction(0), Fraction(2), 8),
    "hevc_51_start1.ts": (Fraction(0), Fraction(2), 8),
}


def faults_beside_mp4(recording: Film, wanted: Cut, clip: Any) -> list[str]:
    """Return the faults, without those that say that the clip is not H.264."""
    found = faults(recording, wanted, clip)
    return [fault for fault in found if "video is hevc (hvc1)" not in fault and "H.264 Main" not in fault]


@pytest.mark.parametrize("container", cases(["mp4", "mkv"], ("mp4",)))
@pytest.mark.parametrize("name", cases(FILMS, ("hevc_mp4",)))
def test_named_cuts_are_exact(shelf: Shelf, tmp_path: Path, name: str, container: str) -> None:
    recording, copied = shelf.get(name), 0
    profile = SMART.model_copy(update={"container": container})
    for each in [SEAMS, *cuts_of(recording)]:
        clip = cut(recording, each.start, each.end, tmp_path / f"clip.{container}", profile)
        copied += clip.made.render == "smart"
        found = faults_beside_mp4(recording, each, clip)
        if container == "mkv":
            found = [text for text in found if not any(s in text for s in ("faststart", "ends at", "hevc", "H.264"))]
        assert found == []
    assert copied


@pytest.mark.parametrize("kind", cases(RECORDINGS, ("pyramid",)))
@pytest.mark.exhaustive
def test_recordings_of_other_encoders_are_copied_and_decode_alike_elsewhere(tmp_path: Path, kind: str) -> None:
    need_elements("qtdemux", *_ELEMENTS)
    path = tmp_path / "recording.mp4"
    options = {"preset": "ultrafast", "x265-params": f"{_PLAIN}:{RECORDINGS[kind]}"}
    video = VideoPart(
        every(25, 4), Fraction(25), codec="libx265", gop=30, b_frames=3, codec_tag="hvc1", options=options
    )
    write(path, "mp4", video=[video])
    recording, facts = film(path, video=[video]), facts_of(path)
    assert facts.video is not None
    profile = SMART.model_copy(update={"audio": "none"})
    for start, end in ((SEAMS.start, Fraction(39, 10)), (Fraction(3, 10), Fraction(217, 100))):
        clip = cut_file(path, start, end, tmp_path / "clip.mp4", profile, threads=3)
        assert reason_of(clip) is None
        assert faults_beside_mp4(recording, Cut(kind, start, end), clip) == []
        assert_copied_frames_are_equal(path, facts.origin, facts.video.frame_seconds, clip)
        with av.open(str(clip.path)) as container:
            expected = [planes(frame) for frame in container.decode(video=0)]
        assert decode(clip.path, len(expected[0]), *_ELEMENTS) == expected


def test_first_copied_picture_is_a_broken_link_without_leading_pictures(shelf: Shelf, tmp_path: Path) -> None:
    clip = cut(shelf.get("hevc_mp4"), SEAMS.start, SEAMS.end, tmp_path / "clip.mp4", SMART)
    assert reason_of(clip) is None
    with av.open(str(clip.path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    types = [{unit_type(unit) for unit in split_by_lengths(bytes(packet))} - {39, 40} for packet in packets]
    head = round(clip.made.encoded_seconds * 25)
    assert types[0] & {19, 20}
    at = types.index({18})
    assert 1 <= at <= head
    assert types[at + 1] & set(range(6))
    assert [packet.is_keyframe for packet in packets[: at + 1]] == [True] + [False] * (at - 1) + [True]


@pytest.mark.parametrize("name", cases(REAL, ()))
def test_copied_frames_of_real_recordings_are_equal(recordings: Path, tmp_path: Path, name: str) -> None:
    path = recordings / name
    if not path.exists():
        pytest.skip("this recording is not here")
    facts = facts_of(path)
    assert facts.video is not None
    start, end, bits = REAL[name]
    profile = SMART.model_copy(update={"hdr": "keep"})
    clip = cut_file(path, start, end, tmp_path / "clip.mp4", profile)
    assert reason_of(clip) is None
    assert faults_of(watch(path, None), watch(clip.path), start, end) == []
    assert_copied_frames_are_equal(path, facts.origin, facts.video.frame_seconds, clip, bits=bits)


@pytest.mark.exhaustive
def test_sandboxed_child_copies(shelf: Shelf, tmp_path: Path) -> None:
    recording, output = shelf.get("hevc_mp4"), tmp_path / "clip.mp4"
    settings = Settings.model_validate({"encoding": {"sandbox": "required"}, "profiles": {"hevc": {"video": "hevc"}}})
    arguments: dict[str, Any] = {"on_progress": lambda part: None}
    ranges = [(SEAMS.start, SEAMS.end)]
    result = cut_once(settings, str(recording.path), output, LocalClip(ranges, "hevc", "smart"), **arguments)
    assert (result.render, result.video_codec) == ("smart", "hevc")
    assert result.copied_seconds > 2 > result.encoded_seconds > 0
