"""Folders of cameras through the whole engine: registered by a pattern, probed, cut by the clock, over midnight."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from clipengine.client import Client
from tests.films.parts import every
from tests.films.reader import read_clip
from tests.support.cameras import AUDIO, FRIGATE, VIDEO, frigate, segments
from tests.support.server import running_server
from tests.support.stored import Objects, objects
from tests.support.waiting import until

__all__ = ["objects"]  # a fixture

BEFORE_MIDNIGHT = datetime(2026, 11, 28, 23, 59, 33, 700_000, UTC)


@pytest.mark.exhaustive
def test_camera_is_cut_by_the_clock_over_midnight(tmp_path: Path, objects: Objects) -> None:
    frigate(tmp_path / "made", started=BEFORE_MIDNIGHT)
    shutil.rmtree(tmp_path / "made" / "raw")
    objects.put_files(tmp_path / "made", "frigate")
    with running_server(tmp_path / "data", env=objects.env) as server, server.client() as api:
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
        assert {each["key"] for each in listed.pieces} <= {*objects.keys("frigate")}


def frames(api: Client, clip_id: str, path: Path) -> list[tuple[float, int | None]]:
    clip = api.clips.wait(clip_id, timeout=300)
    assert clip.status == "complete", clip.error
    api.clips.download(clip_id, path)
    return [(float(time), seen.number) for time, seen in read_clip(path).frames]


@pytest.mark.exhaustive
def test_folder_of_a_rule_is_cut_while_it_is_written(tmp_path: Path, objects: Objects) -> None:
    today = (datetime.now(UTC) + timedelta(hours=1)).replace(hour=12, minute=0, second=0)  # is not over in the test
    frigate(tmp_path / "made", started=today)
    written = sorted((tmp_path / "made").glob("2*/*/front/*.mp4"))
    keys = [f"frigate/{path.relative_to(tmp_path / 'made')}" for path in written]
    env = {
        "CLIPENGINE_WATCH__SETTLE_SECONDS": "1",
        "CLIPENGINE_WATCH__SECONDS": "1",
        "CLIPENGINE_FAULT": "outage:pace=10",
        "CLIPENGINE_FOLDERS": f'[{{folder = "frigate/", pattern = "{FRIGATE}"}}]',
    }

    def put(number: int, data: bytes | None = None) -> None:
        objects.put(keys[number], written[number].read_bytes() if data is None else data)

    with running_server(tmp_path / "data", env=env | objects.env) as server, server.client() as api:
        for number in range(3):
            put(number)
        until(lambda: api.recordings.list(series="front").data)
        (made,) = api.recordings.list().data
        id = made.recording_id
        assert made.name == f"front {today:%Y-%m-%d}"
        until(lambda: (api.recordings.get(id).pieces or {}).get("count") == 3)
        recording = api.recordings.get(id)
        assert (recording.status, recording.error) == ("recording", None)
        safe = recording.duration_seconds
        assert safe is not None
        live = [api.clips.create(id, "live", 8, safe), api.clips.create(id, "last", last_seconds=3)]
        waiting = api.clips.create(id, "later", safe - 2, safe + 20)
        assert waiting.step == "waiting"
        assert (waiting.start_time, waiting.end_time) != (None, None)
        (timed,) = api.clips.by_time(["front"], "timed", waiting.start_time or "", waiting.end_time or "")
        assert (timed.step, timed.parts) == ("waiting", None)
        first = [frames(api, each.clip_id, tmp_path / "a.mp4") for each in live]
        if objects.kind == "folder":
            put(3, b"begun")
        for number in (3, 4):
            put(number)
        first.append(frames(api, waiting.clip_id, tmp_path / "a.mp4"))
        assert frames(api, timed.clip_id, tmp_path / "a.mp4") == first[-1]
        put(5)
        until(lambda: (api.recordings.get(id).pieces or {}).get("count") == 6)
        grown = api.recordings.get(id)
        assert (grown.status, grown.gaps) == ("recording", [])
        assert grown.clock is not None
        assert grown.clock["source"] == "name"
        api.recordings.end(id)
        until(lambda: api.recordings.get(id).status == "complete")

        assert len(api.recordings.list().data) == 1
        whole = api.recordings.wait(api.recordings.add_folder("frigate/", FRIGATE, camera="front").recording_id)
        ended = api.recordings.get(id)
        assert ended.duration_seconds == whole.duration_seconds
        for clip, seen in zip([*live, waiting], first, strict=True):
            for other in (id, whole.recording_id):
                again = api.clips.create(other, "again", clip.start_seconds, clip.end_seconds)
                assert frames(api, again.clip_id, tmp_path / "b.mp4") == seen
        clip = api.clips.get(again.clip_id)
        assert clip.result is not None
        keys.append(f"{keys[0].rpartition('/')[0]}/59.59.mp4")  # of the same hour
        written.append(written[1])
        put(6)
        until(lambda: (api.recordings.get(id).pieces or {}).get("left_out") == 1)
        assert (api.recordings.get(id).pieces or {})["count"] == 6
        assert f"the last of them {keys[6]}" in server.log.read_text()
        assert clip.result.bytes_read < sum(path.stat().st_size for path in written)
        if objects.kind == "s3":
            objects.remove(keys[1])
            missed, kept = api.clips.create(id, "missed", 12, 14), api.clips.create(id, "kept", 2, 4)
            failed = api.clips.wait(missed.clip_id, timeout=300).error
            assert failed is not None
            assert failed.code == "piece_missing"
            assert len(frames(api, kept.clip_id, tmp_path / "b.mp4")) in (50, 51)


@pytest.mark.exhaustive
def test_day_of_8640_files_is_a_recording(tmp_path: Path, objects: Objects) -> None:
    """Reads it from the folder store, and its last hours, of more objects than a page of a listing has, from S3."""
    count = 8640 if objects.kind == "folder" else 1080
    audio = replace(AUDIO, bit_rate=16_000, layout="mono")
    video = replace(VIDEO, times=every(5, 60), fps=Fraction(5), gop=10)
    made = segments(tmp_path / "made", video=video, audio=audio)[1:5]
    midnight = datetime(2026, 11, 29, tzinfo=UTC)
    times = [midnight - timedelta(seconds=10 * number) for number in range(count, 0, -1)]
    names = [time.strftime(FRIGATE.replace("{camera}", "front")) for time in times]
    objects.put_many({f"frigate/{name}": made[number % 4].path for number, name in enumerate(names)})
    rule = f'[{{folder = "frigate/", pattern = "{FRIGATE}"}}]'
    env = {"CLIPENGINE_FOLDERS": rule, "CLIPENGINE_WATCH__SETTLE_SECONDS": "1"}
    with running_server(tmp_path / "data", env=env | objects.env) as server, server.client() as api:
        until(lambda: api.recordings.list().data)
        id = api.recordings.list().data[0].recording_id
        api.recordings.wait(id, timeout=1500)
        until(lambda: api.recordings.get(id).status != "recording")  # its files were stored just now
        recording = api.recordings.get(id)
        assert recording.status == "complete", recording.error
        assert (recording.pieces or {})["count"] == count
        assert recording.gaps == []
        assert recording.duration_seconds == pytest.approx(10 * count, abs=20)
        assert (tmp_path / "data" / "ledger.db").stat().st_size < 3 << 20
        clip = api.clips.create(recording.recording_id, "late", 9 * count, 9 * count + 30)
        seen = frames(api, clip.clip_id, tmp_path / "clip.mp4")
        assert len(seen) == pytest.approx(150, abs=1)
        result = api.clips.get(clip.clip_id).result
        assert result is not None
        assert result.bytes_read < 10 * max(each.path.stat().st_size for each in made)
