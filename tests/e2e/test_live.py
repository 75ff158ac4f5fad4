"""Recordings that are still written: clips of what is there, clips that wait, and their end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipengine.client import ApiError, Client
from tests.films.reader import read_clip
from tests.support.playlists import first_segments, separate_audio, ts_playlist
from tests.support.s3 import S3Server
from tests.support.selection import cases
from tests.support.server import running_server
from tests.support.waiting import until

KEY = "live/index.m3u8"
PACE = {"CLIPENGINE_FAULT": "outage:pace=20"}  # silence of 60 s is over after 3 s


@dataclass
class Recorder:
    """A recorder that writes the segments of finished playlists, one after the other."""

    made: Path
    store: Path
    s3: S3Server | None = None
    bucket: str = ""

    def write(self, count: int, *, ended: bool = False, names: tuple[str, ...] = ("index",)) -> None:
        """Store so many segments of each playlist, and then the playlists that list them."""
        for name in names:
            text = first_segments(self.made / f"{name}.m3u8", count) + ("#EXT-X-ENDLIST\n" if ended else "")
            for line in text.splitlines():
                if line.startswith("#EXT-X-MAP"):
                    self.put(line.split('"')[1])
                elif line and not line.startswith("#"):
                    self.put(line)
            self.put(f"{name}.m3u8", text.encode())

    def put(self, name: str, data: bytes | None = None) -> None:
        data = (self.made / name).read_bytes() if data is None else data
        if self.s3 is not None:
            self.s3.put(self.bucket, f"live/{name}", data)
            return
        path = self.store / "live" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != data:
            path.with_suffix(".tmp").write_bytes(data)
            path.with_suffix(".tmp").replace(path)


@contextmanager
def engine(tmp_path: Path, **env: str) -> Iterator[tuple[Client, Recorder]]:
    with running_server(tmp_path / "data", env=env) as server, server.client() as api:
        yield api, Recorder(tmp_path / "made", tmp_path / "data" / "store")


def frames(api: Client, clip_id: str, path: Path) -> list[tuple[float, int | None]]:
    api.clips.download(clip_id, path)
    return [(float(time), seen.number) for time, seen in read_clip(path).frames]


def test_live_clip_equals_that_after_the_end(tmp_path: Path) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    with engine(tmp_path) as (api, recorder):
        recorder.write(3)
        recording = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300)
        id = recording.recording_id
        assert (recording.status, recording.error, recording.completed_at) == ("recording", None, None)
        safe = recording.duration_seconds
        assert safe is not None
        assert 5.5 < safe < 6

        live = [api.clips.create(id, "live", safe - 3, safe), api.clips.create(id, "last", last_seconds=2)]
        assert live[1].end_seconds == safe
        assert live[1].start_seconds == pytest.approx(safe - 2)
        waiting = api.clips.create(id, "later", 5.0, 9.0)
        assert (waiting.status, waiting.step) == ("processing", "waiting")
        assert all(api.clips.wait(each.clip_id, timeout=300).status == "complete" for each in live)
        assert api.clips.get(waiting.clip_id).step == "waiting"

        recorder.write(5)
        assert api.clips.wait(waiting.clip_id, timeout=60).status == "complete"
        grown = api.recordings.get(id)
        assert grown.revision is not None
        assert recording.revision is not None
        assert grown.revision > recording.revision
        recorder.write(6, ended=True)
        until(lambda: api.recordings.get(id).status == "complete")
        ended = api.recordings.get(id)
        assert ended.duration_seconds == pytest.approx(12, abs=0.05)
        assert ended.pieces == {"count": 6, "runs": 1, "tracks": 1, "bytes": ended.file_size_bytes}
        for each in [*live, waiting]:
            again = api.clips.create(id, "again", each.start_seconds, each.end_seconds)
            assert api.clips.wait(again.clip_id, timeout=300).status == "complete"
            assert frames(api, again.clip_id, tmp_path / "b.mp4") == frames(api, each.clip_id, tmp_path / "a.mp4")
        with pytest.raises(ApiError) as caught:
            api.clips.create(id, "x", 5, 20)
        assert caught.value.code == "invalid_time_range"
