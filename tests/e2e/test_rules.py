"""A rule of the settings on a real server, which is killed in each state of a batch."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.support.invariants import check_invariants
from tests.support.server import running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage

RULES = '[{name = "Start", ranges = {kind = "first", seconds = 1.5}, clip = {label = "$name", profile = "default"}}]'


@pytest.mark.parametrize("point", ["expanding", "expanded", "made"])
def test_clip_of_a_rule_is_made_once_although_the_engine_is_killed(point: str, film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data, env={"CLIPENGINE_RULES": RULES, "CLIPENGINE_FAULT": f"{point}:kill9"}) as server:
        target = data / "store" / "h_01" / "meeting.mp4"
        target.parent.mkdir(parents=True)
        shutil.copy(film, target)
        with server.client() as api:
            recording_id = api.recordings.add("h_01/meeting.mp4").recording_id
            assert server.process.wait(300) == -signal.SIGKILL
    with running_server(data, env={"CLIPENGINE_RULES": RULES}) as server:
        with server.client() as api:
            (rule,) = api.rules.list().data
            until(lambda: any(batch.state == "complete" for batch in api.rules.batches(rule.rule_id).data), 300)
            (batch,) = api.rules.batches(rule.rule_id).data
            (clip,) = api.clips.each()
            clip = api.clips.wait(clip.clip_id, timeout=300)
            assert (clip.status, clip.label, clip.recording_id) == ("complete", "meeting", recording_id)
            assert [item["clip_id"] for item in batch.items] == [clip.clip_id]
            assert api.rules.get(rule.rule_id).made == 1
        server.stop()
    assert [clip.label for clip in check_invariants(data)] == ["meeting"]
