"""Rolling upgrade on PostgreSQL: engines of two schema versions work on the same queue."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.ledger.database.migrations import MIGRATIONS
from tests.support import newer_engine
from tests.support.postgres import database_url, postgres, skip_without_postgres  # noqa: F401 - fixtures
from tests.support.server import RunningServer, clean_environ, running_server, running_worker, shared_folder
from tests.support.waiting import until

pytestmark = pytest.mark.outage

skip_without_postgres()
SECONDS = 300
CLIPS = 16
NEXT = len(MIGRATIONS) + 1


def _newer(kind: str) -> list[str]:
    """Return the command of a later version. -P: the folder of the script is not on the module path."""
    return [sys.executable, "-P", str(Path(newer_engine.__file__)), kind]


def _schema(server: RunningServer) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = httpx.get(f"{server.url}/readyz", headers=headers, trust_env=False, timeout=300).json()
    return next(each for each in answer["checks"] if each["name"] == "schema")


def test_newer_engine_joins_while_clips_are_cut(tmp_path: Path, film: Path, database_url: str) -> None:  # noqa: F811
    env = shared_folder(tmp_path, database_url)
    newer_data = tmp_path / "newer"
    with running_server(tmp_path / "old", env=env) as server:
        api = server.client()
        recording = api.recordings.wait(api.recordings.upload(film).recording_id, timeout=SECONDS)
        made: list[str] = []
        enough = threading.Event()

        def create() -> None:
            while not enough.is_set() or len(made) < CLIPS:
                clip = api.clips.create(recording.recording_id, label="cut", start_seconds=1, end_seconds=4)
                made.append(clip.clip_id)
                api.clips.wait(clip.clip_id, timeout=SECONDS)

        load = [threading.Thread(target=create) for _ in range(3)]
        for thread in load:
            thread.start()
        refused = subprocess.run(
            [*_newer("contract"), "worker", "--port", "0", "--data", str(newer_data)],
            env=clean_environ(env),
            timeout=300,
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 1
        assert f"do not support version {NEXT}" in refused.stderr
        assert f"pid {server.process.pid}" in refused.stderr
        assert _schema(server) == {"name": "schema", "ok": True, "detail": f"version {NEXT - 1}"}
        with running_worker(newer_data, env=env, command=_newer("expand")) as newer:
            until(lambda: f"version {NEXT} of a newer engine" in _schema(server)["detail"], SECONDS)
            assert _schema(server)["ok"]
            until(lambda: ": attempt" in newer.log.read_text(), SECONDS)
            enough.set()
            for thread in load:
                thread.join(SECONDS)
            clips = [api.clips.get(clip_id) for clip_id in made]
            assert {clip.status for clip in clips} == {"complete"}
            assert len(clips) >= CLIPS
            assert server.stop() == 0
            with running_server(tmp_path / "old", env=env) as again:  # for example after a crash
                assert again.client().clips.get(made[0]).status == "complete"
    log = (tmp_path / "old.log").read_text() + newer.log.read_text()
    assert "Traceback" not in log
