"""A recording put into the watched folder of a real server can be cut without an API call."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from scripts.sample import make_sample
from tests.support.server import running_server
from tests.support.waiting import until


@pytest.mark.outage
def test_new_recording_is_probed_and_named(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    make_sample(film, seconds=2)
    env = {
        "CLIPENGINE_WATCH__PREFIXES": '["recordings/"]',
        "CLIPENGINE_WATCH__NAME": "$folder",
        "CLIPENGINE_WATCH__SETTLE_SECONDS": "0.5",
    }
    with running_server(tmp_path / "data", env=env) as server:
        client = server.client()
        folder = server.data / "store" / "recordings" / "monday"
        folder.mkdir(parents=True)
        shutil.copy(film, folder / "recording.mp4")
        until(lambda: client.recordings.list(status="complete").data)
        found = client.recordings.list(status="complete").data
        assert (found[0].bucket_path, found[0].name) == ("recordings/monday/recording.mp4", "monday")
        clip = client.clips.create(found[0].recording_id, "by itself", 0.0, 1.0).wait().raise_for_error()
        assert clip.bucket_path is not None
        shutil.copy(film, folder / "recording.mp4")  # restored from a backup: the same bytes, another time
        client.clips.create(found[0].recording_id, "restored", 0.0, 1.0).wait().raise_for_error()
        uploaded = client.recordings.upload(film).wait()
    with running_server(tmp_path / "data", env=env) as server:
        time.sleep(1)
        again = {each.recording_id for each in server.client().recordings.each()}
        assert again == {found[0].recording_id, uploaded.recording_id}
        assert server.stop() == 0
