"""A rule of the settings on a real server, which is killed in each state of a batch."""

from __future__ import annotations

import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from clipengine.client import ServerUnreachable
from tests.support.invariants import check_invariants
from tests.support.server import running_server
from tests.support.waiting import until

pytestmark = [pytest.mark.outage, pytest.mark.proof]

RANGES = {
    "recording.complete": '{kind = "first", seconds = 1.5}',
    "transcript.ready": '{kind = "words", words = ["price"], after = 0.5}',
    "marker.added": '{kind = "markers", after = 1.5}',
}
CLIP = 'label = "$name", subtitles = {mode = "none"}'
SIDECARS = {
    "meeting.en.vtt": "WEBVTT\n\n00:01.000 --> 00:02.500\nThe price is high.\n",
    "meeting.markers.json": '{"markers": [{"at_seconds": 1, "label": "goal"}]}',
}


@pytest.mark.parametrize("point", ["expanding", "expanded", "made"])
@pytest.mark.parametrize("event", RANGES)
def test_clip_of_a_rule_is_made_once_although_the_engine_is_killed(
    event: str, point: str, film: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    rule = f'{{name = "Start", when = {{event = "{event}"}}, ranges = {RANGES[event]}, clip = {{{CLIP}}}}}'
    env = {"CLIPENGINE_RULES": f"[{rule}]"}
    folder = data / "store" / "h_01"
    folder.mkdir(parents=True)
    shutil.copy(film, folder / "meeting.mp4")
    for name, text in SIDECARS.items():
        (folder / name).write_text(text)
    with running_server(data, env={**env, "CLIPENGINE_FAULT": f"{point}:kill9"}) as server, server.client() as api:
        with suppress(ServerUnreachable):  # the engine may die before it has answered
            api.recordings.add("h_01/meeting.mp4")
        assert server.process.wait(300) == -signal.SIGKILL
    with running_server(data, env=env) as server:
        with server.client() as api:
            (recording,) = api.recordings.list().data
            (found,) = api.rules.list().data
            until(lambda: any(batch.state == "complete" for batch in api.rules.batches(found.rule_id).data), 300)
            (batch,) = api.rules.batches(found.rule_id).data
            (clip,) = api.clips.each()
            clip = api.clips.wait(clip.clip_id, timeout=300)
            assert (clip.status, clip.label, clip.recording_id) == ("complete", "meeting", recording.recording_id)
            assert [item["clip_id"] for item in batch.items] == [clip.clip_id]
            assert api.rules.get(found.rule_id).made == 1
        server.stop()
    assert [clip.label for clip in check_invariants(data)] == ["meeting"]
