"""The next and the previous keyframe, silence and scene, searched in films whose moments are known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.snap import next_moment
from tests.films.catalogue import Shelf
from tests.films.cutting import facts_of, probed
from tests.media.test_snap import _keyframes, moments
from tests.support.moments_film import FPS, SCENES, SILENCES

pytestmark = pytest.mark.proof

F = Fraction
__all__ = ["moments"]  # a fixture


def _next(path: Path, to: str, at: Fraction, until: Fraction | None = None) -> Fraction | None:
    """Return the next moment after `at`, up to the end of the recording or to `until`."""
    facts, index = facts_of(path), probed(path).seek_index
    near = index and index.model_dump(mode="json")
    until = facts.duration if until is None else until
    with path.open("rb") as file:
        job = {"to": to, "at": str(at), "until": str(until), "seek_index": near}
        return next_moment(DescriptorSource(file.fileno()), facts, job, threads=1)


def _walk(path: Path, to: str, at: Fraction, until: Fraction | None = None) -> list[Fraction]:
    """Return all moments from `at` on, each found from the one before."""
    found: list[Fraction] = []
    while (moment := _next(path, to, at, until)) is not None:
        found.append(moment)
        at = moment
        assert len(found) < 200
    return found


@pytest.mark.parametrize("name", ["mp4_bframes", "mkv_live_h264", "webm_live_vp8_keyframes", "ts_bframes"])
def test_every_keyframe_is_reached_in_both_directions(shelf: Shelf, name: str) -> None:
    path = shelf.get(name).path
    known = [time for time in _keyframes(path) if 0 <= time < facts_of(path).duration]
    assert len(known) > 1
    assert _walk(path, "keyframe", F(0)) == [time for time in known if time > F(1, 100)]
    assert _walk(path, "keyframe", facts_of(path).duration, F(0)) == known[::-1]


def test_every_frame_of_an_intra_recording_is_a_keyframe(shelf: Shelf) -> None:
    path = shelf.get("mov_mjpeg_pcm").path
    frame = facts_of(path).video
    assert frame is not None
    assert _next(path, "keyframe", F(1)) == pytest.approx(1 + frame.frame_seconds, abs=0.001)


def test_every_scene_is_reached_in_both_directions(moments: Path) -> None:
    scenes = [start for start, _ in SCENES]
    assert _walk(moments, "scene", F(0)) == scenes[1:]
    assert _walk(moments, "scene", facts_of(moments).duration, F(0)) == scenes[::-1]
    second = scenes[1]
    assert _next(moments, "scene", second - F(1, FPS)) == second
    assert _next(moments, "scene", second + F(1, 3 * FPS)) == scenes[2]  # not the one whose frame is on screen
    assert _next(moments, "scene", second + F(1, FPS), F(0)) == second


def test_silences_are_reached_at_both_ends(moments: Path) -> None:
    ends = [moment for start, end in (SILENCES[0], SILENCES[2]) for moment in (start + F(1, 10), end - F(1, 10))]
    assert _walk(moments, "silence", F(0)) == pytest.approx(ends, abs=0.03)
    assert _walk(moments, "silence", facts_of(moments).duration, F(0)) == pytest.approx(ends[::-1], abs=0.03)


def test_search_ends_at_its_limit_and_goes_on_from_there(moments: Path) -> None:
    scene = SCENES[2][0]
    assert _next(moments, "scene", SCENES[1][0], scene - F(1, 2)) is None
    assert _next(moments, "scene", scene - F(1, 2)) == scene
    assert _next(moments, "scene", SCENES[1][0], scene) == scene
    for at in (F(0), facts_of(moments).duration):  # nothing is left there
        assert _next(moments, "keyframe", at, at) is None


def test_recording_without_such_streams_has_no_next_moment(shelf: Shelf) -> None:
    assert _next(shelf.get("video_only_mp4").path, "silence", F(0)) is None
    assert _next(shelf.get("audio_only_m4a").path, "scene", F(0)) is None
