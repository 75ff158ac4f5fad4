"""Recordings of OBS Studio under Xvfb: finished, growing and killed ones. Run by `make obs`: CI has no OBS."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_producers import check_clip, films, server
from tests.support.obs import OBS, recording
from tests.support.producers import Producer
from tests.support.server import RunningServer
from tests.support.waiting import until

__all__ = ["films", "server"]  # fixtures

pytestmark = [
    pytest.mark.outage,
    pytest.mark.skipif("CLIPENGINE_TEST_OBS" not in os.environ, reason="OBS is tested by make obs"),
]


@pytest.mark.parametrize("producer", OBS, ids=str)
def test_clips_of_a_finished_recording_are_exact(
    producer: Producer, films: Callable[..., Path], server: RunningServer, tmp_path: Path
) -> None:
    folder = server.data / "store" / f"obs-{OBS.index(producer)}"
    folder.mkdir(parents=True)
    producer.record(films("H.264"), folder)
    whole = folder / producer.key
    with server.client() as api:
        added = api.recordings.add(f"{folder.name}/{producer.key}")
        found = api.recordings.wait(added.recording_id, timeout=300)
        assert (found.status, found.error) == ("complete", None)
        first = check_clip(api, found.recording_id, 3.1, 8.3, tmp_path / "a.mp4", whole=whole)
        assert check_clip(api, found.recording_id, 3.1, 8.3, tmp_path / "b.mp4", render="smart", whole=whole) == first


@pytest.mark.parametrize(
    ("form", "key"),
    [("hybrid_mp4", "index.mp4"), ("fragmented_mp4", "index.mp4"), ("mkv", "index.mkv")],
)
def test_recording_that_grows_until_obs_is_killed_is_cut(
    form: str, key: str, films: Callable[..., Path], server: RunningServer, tmp_path: Path
) -> None:
    folder = server.data / "store" / f"obs-{form}"
    folder.mkdir(parents=True)
    with server.client() as api, recording(films("H.264", 60), folder, form) as obs:
        until(lambda: (folder / key).exists() and sum(each.stat().st_size for each in folder.iterdir()) > 300_000)
        added = api.recordings.add(f"{folder.name}/{key}", live=True)
        id = api.recordings.wait(added.recording_id, timeout=300).recording_id
        assert api.recordings.get(id).status == "recording"
        until(lambda: (api.recordings.get(id).duration_seconds or 0) > 8)
        first = check_clip(api, id, 3.1, 7.1, tmp_path / "a.mp4", whole=folder / key)
        obs.kill()
        obs.wait()
        api.recordings.end(id)
        until(lambda: api.recordings.get(id).status == "complete")
        cut_off = ["recording_cut_off"] if key.endswith("mp4") else []  # unless it was killed between two fragments
        assert check_clip(api, id, 3.1, 7.1, tmp_path / "b.mp4", may_warn=cut_off, whole=folder / key) == first
