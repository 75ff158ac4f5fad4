"""Snapped cuts of films: the moments that are found near a cut, and the frames of the clips."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.snap import Snap, SnapTarget
from clipengine.clips.snap_moments import Found
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.snap import snap_part
from clipengine.work.children.jobs import snap_values
from tests.films.catalogue import Shelf
from tests.films.cutting import SMART, cut_file, facts_of, probed
from tests.films.judge import judge
from tests.films.reader import read_clip
from tests.support.moments_film import FPS, SCENES, SILENCES, make_moments_film

F = Fraction


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_moments_film(tmp_path_factory.mktemp("moments") / "film.mp4")


def _find(
    path: Path,
    to: SnapTarget,
    start: str | Fraction,
    end: str | Fraction,
    *,
    within: float = 2.0,
    profile: Profile = Profile(),
    indexed: bool = True,
) -> tuple[Found, int]:
    snap = Snap(to=to, within_seconds=within)
    part = PlannedPart(facts_of(path), F(start), F(end))
    index = probed(path).seek_index if indexed else None
    near = index and index.near(part.start, part.end).model_dump(mode="json")
    with path.open("rb") as file:
        source = DescriptorSource(file.fileno())
        return snap_part(source, part.facts, {**snap_values(snap, part, profile), "seek_index": near}, threads=1)


def _keyframes(path: Path) -> list[Fraction]:
    """Return the times of all keyframes on the recording's timeline, from the container."""
    with av.open(str(path)) as container:
        packets = list(container.demux(video=0))
    origin = facts_of(path).origin
    return sorted(
        each.pts * F(each.time_base) - origin for each in packets if each.is_keyframe and each.pts is not None
    )


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "mp4_bframes",
        "mp4_2997",
        "mkv_live_h264",
        "webm_live_vp8_keyframes",
        "ts_bframes",
        "rotated_90",
        "mp4_fragmented",
    ],
)
@pytest.mark.typical(1)
def test_nearest_keyframes_are_those_of_the_container(shelf: Shelf, name: str, indexed: bool) -> None:
    film = shelf.get(name)
    known = _keyframes(film.path)
    assert len(known) > 1
    for start, end in (("0.3", "2.1"), ("1.15", "2.9"), ("2.6", "3.7")):
        found, _ = _find(film.path, "keyframe", start, end, indexed=indexed)
        assert found.start == min(known, key=lambda time: (abs(time - F(start)), time))
        ends = [*known, facts_of(film.path).duration]
        assert found.end == min(ends, key=lambda time: (abs(time - F(end)), time))


def test_cuts_on_keyframes_are_copied_whole(shelf: Shelf, tmp_path: Path) -> None:
    film = shelf.get("mp4_bframes")
    found, _ = _find(film.path, "keyframe", "1.3", "4.5")
    assert found == (F("1.6"), F("4.8"))
    assert found.start is not None
    assert found.end is not None
    clip = cut_file(film.path, found.start, found.end, tmp_path / "clip.mp4", SMART)
    assert (clip.made.render, clip.made.encoded_seconds) == ("smart", 0)
    reading = read_clip(clip.path)
    assert [seen.number for _, seen in reading.frames] == list(range(40, 120))
    assert judge(film, reading, found.start, found.end, copied=True) == []


def test_end_of_the_recording_ends_its_last_gop_and_scene(moments: Path) -> None:
    assert _find(moments, "keyframe", "8.9", "11.5")[0] == (F(8), facts_of(moments).duration)
    assert _find(moments, "scene", "0.4", "11.5")[0] == (F(0), facts_of(moments).duration)
    assert _find(moments, "scene", "4.9", "11.5", within=0.2)[0] == (None, None)


def test_cut_moves_to_the_first_frame_of_a_scene(moments: Path, tmp_path: Path) -> None:
    (_, _), (second, _), (third, _), _ = SCENES
    found, _ = _find(moments, "scene", "2.0", "7.3")
    assert found == (second, third)
    clip = cut_file(moments, second, third, tmp_path / "clip.mp4")
    numbers = [frame.number for _, frame in read_clip(clip.path).frames]
    assert numbers == list(range(int(second * FPS), int(third * FPS)))


@pytest.mark.parametrize("within", [0.05, 0.5, 1.5])
def test_scene_is_found_wherever_the_search_begins(moments: Path, within: float) -> None:
    scene = SCENES[2][0]
    found, _ = _find(moments, "scene", scene - F(within) * F(9, 10), scene + F(within) * F(9, 10), within=within)
    assert found == (scene, scene)


def test_cut_moves_into_the_silence_beside_the_sound(moments: Path) -> None:
    (first_start, first_end), _, (second_start, second_end) = SILENCES
    found, _ = _find(moments, "silence", "2.4", "6.8")
    assert found.start == pytest.approx(first_end - F(1, 10), abs=0.03)
    assert found.end == pytest.approx(second_start + F(1, 10), abs=0.03)
    found, _ = _find(moments, "silence", "10.2", "1.5", within=1.0)
    assert found.start == pytest.approx(second_end - F(1, 10), abs=0.03)
    assert found.end == pytest.approx(first_start + F(1, 10), abs=0.03)
    assert _find(moments, "silence", "8.2", "8.3", within=0.5)[0] == (F("8.2"), F("8.3"))  # inside it


def test_short_pause_is_no_silence(moments: Path) -> None:
    assert _find(moments, "silence", "5.1", "5.1", within=1.0)[0] == (None, None)


def test_gap_of_the_audio_is_silence(shelf: Shelf) -> None:
    film = shelf.get("live_sound_late_blocks_and_gap")
    (start, end) = film.sounds[0].silences[0]
    middle = (start + end) / 2
    found, _ = _find(film.path, "silence", middle, middle)
    assert found.start == pytest.approx(end - F(1, 10), abs=0.06)
    assert found.end == pytest.approx(start + F(1, 10), abs=0.06)


def test_recording_without_such_streams_has_no_moments(shelf: Shelf) -> None:
    silent, unseen = shelf.get("video_only_mp4").path, shelf.get("audio_only_m4a").path
    assert _find(silent, "silence", "1", "2")[0] == (None, None)
    assert _find(unseen, "keyframe", "1", "2", within=0.5)[0] == (None, None)


def test_only_the_neighbourhood_of_the_cuts_is_read(shelf: Shelf) -> None:
    film = shelf.get("mov_mjpeg_pcm")
    _, read = _find(film.path, "keyframe", "3", "3.1", within=0.1)
    assert read < film.path.stat().st_size / 4
