"""One clip through a real server: its ids are fields of the log lines of every job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, RunningServer, running_server


def _log(server: RunningServer) -> list[dict[str, Any]]:
    """Return the lines of the server's log. Call it after the server has stopped."""
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def test_log_lines_of_every_job_carry_the_ids_of_the_clip(film: Path, tmp_path: Path) -> None:
    env = {**LOOPBACK_ALLOWED, "CLIPENGINE_SERVER__LOG_FORMAT": "json"}
    with Receiver() as receiver, running_server(tmp_path / "data", env=env) as server:
        client = server.client()
        recording = client.recordings.upload(film)
        client.recordings.wait(recording.recording_id, timeout=60)
        made = client.clips.create(recording.recording_id, "goal", 1.0, 2.0, webhook_url=receiver.url)
        assert client.clips.wait(made.clip_id, timeout=60).status == "complete"
        receiver.wait_for(1)
        (delivery,) = client.clips.deliveries(made.clip_id).data
        server.stop()
    lines = _log(server)
    engine = {line["engine"] for line in lines if "engine" in line}
    assert len(engine) == 1
    probe, clip = {"recording_id": recording.recording_id}, {"clip_id": made.clip_id}
    wanted = {
        f"recording {recording.recording_id}: complete": probe,
        f"clip {made.clip_id}: attempt 1": probe | clip,
        f"clip {made.clip_id}: complete": probe | clip,
        f"delivery {delivery.delivery_id} of {delivery.event_id}": probe | clip | {"delivery_id": delivery.delivery_id},
    }
    for message, ids in wanted.items():
        (line,) = [line for line in lines if line["message"].startswith(message)]
        fields = {name: line[name] for name in line if name not in ("time", "level", "logger", "message")}
        expected = ids | {"attempt": 1, "engine": next(iter(engine))}
        assert fields == (expected | {"request_id": made.request_id} if "clip_id" in ids else expected), message
