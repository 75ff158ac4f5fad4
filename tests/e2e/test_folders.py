"""Folders of cameras through the whole engine: registered by a pattern, probed, cut by the clock, over midnight."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from clipengine.client import Client
from tests.films.reader import read_clip
from tests.support.cameras import FRIGATE, frigate
from tests.support.server import running_server
from tests.support.waiting import until

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


def frames(api: Client, clip_id: str, path: Path) -> list[tuple[float, int | None]]:
    clip = api.clips.wait(clip_id, timeout=300)
    assert clip.status == "complete", clip.error
    api.clips.download(clip_id, path)
    return [(float(time), seen.number) for time, seen in read_clip(path).frames]


def test_folder_is_cut_while_it_is_written(tmp_path: Path) -> None:
    store, today = tmp_path / "data" / "store", datetime.now(UTC).replace(hour=12, minute=0, second=0)
    frigate(tmp_path / "made", started=today)
    written = sorted((tmp_path / "made").glob("2*/*/front/*.mp4"))
    env = {"CLIPENGINE_WATCH__SETTLE_SECONDS": "1", "CLIPENGINE_FAULT": "outage:pace=10"}

    def write(count: int) -> None:
        for path in written[:count]:
            target = store / "frigate" / path.relative_to(tmp_path / "made")
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copyfile(path, target)

    with running_server(tmp_path / "data", env=env) as server, server.client() as api:
        write(3)
        day = today.strftime("%Y-%m-%d")
        made = api.recordings.add_folder("frigate/", FRIGATE, camera="front", day=day, live=True)
        id = made.recording_id
        until(lambda: (api.recordings.get(id).pieces or {}).get("count") == 3, seconds=60)
        recording = api.recordings.get(id)
        assert (recording.status, recording.error) == ("recording", None)
        safe = recording.duration_seconds
        assert safe is not None
        live = [api.clips.create(id, "live", 8, safe), api.clips.create(id, "last", last_seconds=3)]
        waiting = api.clips.create(id, "later", safe - 2, safe + 20)
        assert waiting.step == "waiting"
        first = [frames(api, each.clip_id, tmp_path / "a.mp4") for each in live]
        (store / "frigate" / written[3].relative_to(tmp_path / "made")).write_bytes(b"begun")
        write(5)
        written_late = store / "frigate" / written[3].relative_to(tmp_path / "made")
        written_late.write_bytes(written[3].read_bytes())
        first.append(frames(api, waiting.clip_id, tmp_path / "a.mp4"))
        write(6)
        until(lambda: (api.recordings.get(id).pieces or {}).get("count") == 6, seconds=60)
        grown = api.recordings.get(id)
        assert grown.status == "recording"
        assert grown.gaps == []
        assert grown.clock is not None
        assert grown.clock["source"] == "name"
        api.recordings.end(id)
        until(lambda: api.recordings.get(id).status == "complete", seconds=60)

        whole = api.recordings.wait(api.recordings.add_folder("frigate/", FRIGATE, camera="front").recording_id)
        ended = api.recordings.get(id)
        assert ended.duration_seconds == whole.duration_seconds
        for clip, seen in zip([*live, waiting], first, strict=True):
            for other in (id, whole.recording_id):
                again = api.clips.create(other, "again", clip.start_seconds, clip.end_seconds)
                assert frames(api, again.clip_id, tmp_path / "b.mp4") == seen
