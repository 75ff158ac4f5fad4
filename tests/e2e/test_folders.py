"""Folders of cameras through the whole engine: registered by a pattern, probed, cut by the clock, over midnight."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.films.reader import read_clip
from tests.support.cameras import FRIGATE, frigate
from tests.support.server import running_server

BEFORE_MIDNIGHT = datetime(2026, 11, 28, 23, 59, 33, 700_000, UTC)


def test_camera_is_cut_by_the_clock_over_midnight(tmp_path: Path) -> None:
    store = tmp_path / "data" / "store"
    frigate(store / "frigate", started=BEFORE_MIDNIGHT)
    shutil.rmtree(store / "frigate" / "raw")
    with running_server(tmp_path / "data") as server, server.client() as api:
        days = [
            api.recordings.add_folder("frigate/", FRIGATE, camera="front", day=day)
            for day in ("2026-11-28", "2026-11-29")
        ]
        first, second = (api.recordings.wait(each.recording_id, timeout=300) for each in days)
        assert (first.status, second.status) == ("complete", "complete"), (first.error, second.error)
        assert first.clock is not None
        assert first.clock["source"] == "name"
        assert first.pieces is not None
        assert second.pieces is not None
        assert first.pieces["count"] + second.pieces["count"] == 6
        assert (first.gaps, second.gaps) == ([], [])
        (clip,) = api.clips.by_time(["front"], "midnight", "2026-11-28T23:59:54Z", "2026-11-29T00:00:14Z")
        clip = api.clips.wait(clip.clip_id, timeout=300)
        assert clip.status == "complete", clip.error
        assert clip.result is not None
        assert clip.result.warnings == []
        assert clip.parts is not None
        assert [part["recording_id"] for part in clip.parts] == [first.recording_id, second.recording_id]
        assert clip.bucket_path is not None
        assert clip.bucket_path.startswith("frigate/clips/midnight-clip_")
        target = tmp_path / "clip.mp4"
        api.clips.download(clip.clip_id, target)
        numbers = [seen.number for _, seen in read_clip(target).frames]
        assert numbers == sorted(numbers)
        assert numbers[-1] - numbers[0] == pytest.approx(500, abs=8)
        assert max(after - before for before, after in pairwise(numbers)) <= 2
        api.recordings.frame(first.recording_id, tmp_path / "frame.jpg", 12.0)
        listed = api.recordings.pieces(second.recording_id)
        assert all(each["key"].startswith("frigate/2026-11-29/00/front/") for each in listed.pieces)
        api.recordings.delete(second.recording_id, object=True)
        assert all((store / each["key"]).exists() for each in listed.pieces)
