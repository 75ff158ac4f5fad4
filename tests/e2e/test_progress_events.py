"""An endpoint that asks for it learns of the progress of a clip before the clip is ready."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, running_server


@pytest.mark.outage
def test_progress_is_sent_before_the_clip_is_ready(film: Path, tmp_path: Path) -> None:
    slow = {"CLIPENGINE_PROFILES__SLOW__PRESET": "veryslow", "CLIPENGINE_PROFILES__SLOW__FPS": "240"}
    with Receiver() as receiver, running_server(tmp_path / "data", env=LOOPBACK_ALLOWED | slow) as server:
        client = server.client()
        client.webhooks.create(receiver.url, events=["clip.progress", "clip.ready"])
        recording = client.recordings.upload(film).wait()
        client.clips.create(recording.recording_id, "slow", 1.0, 9.0, profile="slow").wait().raise_for_error()
        bodies = [json.loads(request.body) for request in receiver.wait_for(2)]
        assert bodies[0]["event"] == "clip.progress"
        assert 0.25 <= bodies[0]["data"]["progress"] < 1
        assert (bodies[0]["data"]["status"], bodies[0]["data"]["step"]) == ("processing", "encoding")
        server.stop()
    received = [json.loads(request.body) for request in receiver.requests]
    shares = [body["data"]["progress"] for body in received]
    assert shares == sorted(shares)
    assert len(received) <= 4
