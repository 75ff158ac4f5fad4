"""Smart render of several parts: GOPs of each are copied, and every frame and the audio are as exact as if encoded."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from clipengine.clips.options.profiles import Profile
from clipengine.clips.warnings import code_of
from clipengine.media.bitstream.h264_stream import H264Stream
from tests.films.catalogue import Shelf
from tests.films.cutting import SMART, Clip, cut_parts
from tests.films.film import Film
from tests.films.judge import judge_part
from tests.films.parts import VideoPart, every
from tests.films.reader import read_clip
from tests.films.reel import film as read_film
from tests.films.reel import write
from tests.media.test_chapters import CHAPTERS, shown, with_chapters
from tests.media.test_subtitles import TRACKS
from tests.support.ffmpeg import run_ffmpeg
from tests.support.selection import cases

pytestmark = pytest.mark.proof

F = Fraction
HEVC = Profile(container="mp4", video="hevc", render="smart")
VP9 = Profile(container="webm", video="vp9", audio="opus", render="smart")
VP8 = Profile(container="webm", video="vp8", audio="opus", render="smart")
MKV = Profile(container="mkv", render="smart")
# Two with frames to encode at their start and, with B-frames, at their end; then two that meet at a keyframe.
SPANS = ((F("1.01"), F("4.5")), (F("0.3"), F("3.1")), (F("1.6"), F("4.02")), (F("3.2"), F("5.3")))


def faults(parts: list[tuple[Film, Fraction, Fraction]], clip: Clip) -> list[str]:
    """Return everything that is not exact in the clip of these parts."""
    reading = read_clip(clip.path, upright=True)
    offset, found = Fraction(0), []
    for number, ((film, start, end), made) in enumerate(zip(parts, clip.made.parts, strict=True), 1):
        found += [f"part {number}: {fault}" for fault in judge_part(film, reading, start, end, offset)]
        offset += made.seconds
    if clip.made.frames != len(reading.frames):
        found.append(f"the result says {clip.made.frames} frames, the clip has {len(reading.frames)}")
    # WebM does not say how long the last frame lasts.
    if abs(reading.video_end - offset) > (F(1, 25) if clip.path.suffix == ".webm" else F(1, 1000)):
        found.append(f"the video ends at {float(reading.video_end)}, expected {float(offset)}")
    found += [f"audio ends at {float(track.end)}" for track in reading.tracks if abs(track.end - offset) > F(1, 40)]
    if abs(clip.made.copied_seconds + clip.made.encoded_seconds - float(offset)) > 1e-5:
        found.append(f"{clip.made.copied_seconds} s copied, {clip.made.encoded_seconds} s encoded")
    return found + complaints(clip.path)


def complaints(path: Path) -> list[str]:
    """Return what FFmpeg says while it decodes the file strictly, without what its output cannot hold."""
    options = ["-v", "warning", "-xerror", "-err_detect", "explode"]
    said = run_ffmpeg(*options, "-i", path, "-f", "null", "-", check=False).stderr.decode().splitlines()
    return [line for line in said if not line.startswith("[null @")]


def joined(
    shelf: Shelf, path: Path, parts: list[tuple[str, Fraction, Fraction]], profile: Profile = SMART, **options: bool
) -> Clip:
    films = [(shelf.get(name), start, end) for name, start, end in parts]
    clip = cut_parts([(film.path, *span) for film, *span in films], path, profile, **options)
    assert faults(films, clip) == []
    return clip


def reasons(clip: Clip) -> list[str]:
    return [each.partition(": ")[2] for each in clip.made.warnings if code_of(each) == "encoded_instead"]


@pytest.mark.parametrize("full_proof", cases([True, False], [False]))
@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("mp4_bframes", SMART),
        pytest.param("mp4_bframes", MKV, marks=pytest.mark.exhaustive),
        ("webm_vp9", VP9),
        *(
            pytest.param(name, profile, marks=pytest.mark.exhaustive)
            for name, profile in (
                ("mp4_25", SMART),
                ("mp4_vfr_jitter", SMART),
                ("ts_bframes", SMART),
                ("rotated_90", SMART),
                ("mkv_live_h264", MKV),
                ("hevc_mp4", HEVC),
                ("ts_hevc", HEVC),
                ("webm_live_vp8_keyframes", VP8),
            )
        ),
    ],
)
@pytest.mark.typical(1)
def test_parts_of_one_recording_are_exact(
    shelf: Shelf, tmp_path: Path, name: str, profile: Profile, full_proof: bool
) -> None:
    parts = [(name, *span) for span in SPANS]
    clip = joined(shelf, tmp_path / f"clip.{profile.container}", parts, profile, full_proof=full_proof)
    assert clip.made.render == "smart"
    assert clip.made.copied_seconds > 3
    if name == "mp4_bframes":
        assert reasons(clip) == []


@pytest.mark.exhaustive
def test_part_that_cannot_be_copied_is_encoded(shelf: Shelf, tmp_path: Path) -> None:
    spans = [(F("1.01"), F("4.5")), (F("1.7"), F("3.1")), (F("3.2"), F("5.3"))]
    clip = joined(shelf, tmp_path / "clip.mp4", [("mp4_bframes", *span) for span in spans])
    assert reasons(clip) == ["part 2: all of the part was encoded: no GOP begins in the range"]
    assert clip.made.render == "smart"


def test_first_part_that_cannot_be_copied_is_encoded_to_fit_the_others(shelf: Shelf, tmp_path: Path) -> None:
    spans = [(F("1.7"), F("3.1")), (F("1.01"), F("4.5"))]
    clip = joined(shelf, tmp_path / "clip.mp4", [("mp4_bframes", *span) for span in spans])
    assert reasons(clip) == ["part 1: all of the part was encoded: no GOP begins in the range"]
    assert clip.made.copied_seconds == 2.9


@pytest.mark.parametrize(
    ("name", "profile", "reason"),
    [("mp4_bframes", SMART, None), ("ts_hevc", HEVC, "it begins with the frame with which the part before it ends")],
)
@pytest.mark.typical(1)
def test_part_of_one_keyframe_is_repeated(
    shelf: Shelf, tmp_path: Path, name: str, profile: Profile, reason: str | None
) -> None:
    """A decoder would take two keyframes with one number for one. All other parts are copied."""
    spans = [(F("1.6"), F("1.64")), (F("1.6"), F("1.64")), (F("0.3"), F("3.1")), (F("3.2"), F("3.28"))]
    clip = joined(shelf, tmp_path / "clip.mp4", [(name, *span) for span in spans], profile)
    assert clip.made.render == "smart"
    assert clip.made.copied_seconds > 1.4
    assert reasons(clip) == ([] if reason is None else [f"part 2: all of the part was encoded: {reason}"])


@pytest.mark.parametrize("container", cases(["mp4", "mkv"], ["mp4"]))
@pytest.mark.exhaustive
def test_recording_of_keyframes_only_is_copied(tmp_path: Path, container: str) -> None:
    path = tmp_path / "recording.mp4"
    video = VideoPart(every(25, 6), F(25), gop=1)
    write(path, "mp4", video=[video])
    recording = read_film(path, video=[video])
    profile = Profile(container=container, render="smart", audio="none")
    parts = [(recording, *span) for span in (*SPANS, (F("1"), F("1.04")), (F("1"), F("1.04")), (F("1"), F("1.08")))]
    clip = cut_parts([(path, *span) for _, *span in parts], tmp_path / f"clip.{container}", profile)
    assert reasons(clip) == []
    assert clip.made.copied_seconds == pytest.approx(sum(float(end - start) for _, start, end in parts), abs=0.2)
    assert [fault for fault in faults(parts, clip) if "audio" not in fault] == []
    with av.open(str(clip.path)) as made:
        assert all(packet.is_keyframe for packet in made.demux(video=0) if packet.size)


@pytest.mark.exhaustive
def test_part_of_other_parameter_sets_is_encoded(shelf: Shelf, tmp_path: Path) -> None:
    parts = [("mp4_bframes", F("1.01"), F("5")), ("mp4_25", F("1"), F("3")), ("mp4_bframes", F("0.3"), F("3.1"))]
    clip = joined(shelf, tmp_path / "clip.mp4", parts)
    assert reasons(clip) == ["part 2: all of the part was encoded: its parameter sets are not those of the first part"]


@pytest.mark.exhaustive
def test_all_is_encoded_if_most_of_it_cannot_be_copied(shelf: Shelf, tmp_path: Path) -> None:
    parts = [("mp4_bframes", F("3.2"), F("5.3")), ("mp4_25", F("1"), F("4"))]
    clip = joined(shelf, tmp_path / "clip.mp4", parts)
    assert clip.made.render == "encode"
    assert reasons(clip) == [
        "nothing was copied, all of the clip was encoded: less than half of it could be copied; "
        "part 2: its parameter sets are not those of the first part"
    ]


@pytest.mark.exhaustive
def test_all_is_encoded_if_pictures_of_parts_have_different_sizes(shelf: Shelf, tmp_path: Path) -> None:
    parts = [(shelf.get(name).path, F(0), F(3)) for name in ("mp4_25", "sar_wide")]
    clip = cut_parts(parts, tmp_path / "clip.mp4", SMART)
    assert reasons(clip) == [
        "nothing was copied, all of the clip was encoded: the parts have pictures of different sizes"
    ]


@pytest.mark.parametrize("spans", [[("1", "2"), ("1", "2")], [("1", "2.04"), ("1", "2")], [("1", "1.04")] * 5])
@pytest.mark.typical(1)
def test_keyframes_that_meet_have_different_numbers(shelf: Shelf, tmp_path: Path, spans: list[tuple[str, str]]) -> None:
    """Decoders take the slices of two IDR frames of one number for those of one frame."""
    parts = [("mp4_all_are_keyframes", F(start), F(end)) for start, end in spans]
    clip = joined(shelf, tmp_path / "clip.mp4", parts)
    ids = keyframe_ids(clip.path)
    assert all(a != b for a, b in pairwise(ids) if None not in (a, b))


def keyframe_ids(path: Path) -> list[int | None]:
    """Return the number of each IDR frame, and None for other frames, in the order of decoding."""
    with av.open(path) as file:
        stream = file.streams.video[0]
        bitstream = H264Stream(bytes(stream.codec_context.extradata or b""))
        return [bitstream.copied(bytes(packet)).keyframe_id for packet in file.demux(stream) if packet.size]


@pytest.mark.exhaustive
def test_long_part_that_is_encoded_has_keyframes(shelf: Shelf, tmp_path: Path) -> None:
    """Players need them to seek."""
    parts = [("mp4_25", F(0), F("5.9"))] * 3 + [("mp4_gop_10s", F(0), F("11.8"))]
    clip = joined(shelf, tmp_path / "clip.mp4", parts)
    assert len(reasons(clip)) == 1
    ids = keyframe_ids(clip.path)
    assert [number for number, each in enumerate(ids[-295:]) if each is not None] == [0, 250]


@pytest.mark.exhaustive
def test_copied_parts_have_chapters_and_texts(shelf: Shelf, tmp_path: Path) -> None:
    """The file is held to its plan, which has the cues of each part."""
    recording = with_chapters(shelf.get("mp4_bframes").path, tmp_path / "recording.mkv", CHAPTERS)
    parts = [(recording, *span) for span in SPANS]
    smart, encoded = (
        cut_parts(parts, tmp_path / f"{each.render}.mp4", each, texts=TRACKS) for each in (SMART, Profile())
    )
    assert (smart.made.render, reasons(smart)) == ("smart", [])
    assert shown(smart.path) == shown(encoded.path) != []


@pytest.mark.exhaustive
def test_sound_and_times_are_those_of_the_encoded_clip(shelf: Shelf, tmp_path: Path) -> None:
    parts = [(shelf.get("mp4_bframes").path, *span) for span in SPANS]
    smart, encoded = (cut_parts(parts, tmp_path / f"{each.render}.mp4", each) for each in (SMART, Profile()))
    assert (smart.made.render, encoded.made.render) == ("smart", "encode")
    assert smart.made.ranges == encoded.made.ranges
    assert sounds(smart.path) == sounds(encoded.path)
    times, expected = (sorted(time for time, _ in read_clip(each.path).frames) for each in (smart, encoded))
    assert len(times) == len(expected)
    assert max(abs(a - b) for a, b in zip(times, expected, strict=True)) <= F(1, 90_000)


def sounds(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(path) as file:
        return [(packet.pts, bytes(packet)) for packet in file.demux(audio=0) if packet.size]
