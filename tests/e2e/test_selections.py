"""Variants and deletions by a filter on a real server, which is killed while it carries them out."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

import pytest

from clipengine.client import Client, ServerUnreachable
from tests.support.invariants import check_invariants
from tests.support.server import running_server

pytestmark = [pytest.mark.outage, pytest.mark.proof]


def _begin(api: Client, point: str) -> None:
    if point == "made":
        api.clips.variants({"output": {"aspect": "1:1"}}, filter={"tag": ["auto"]})
    else:
        selected = api.clips.try_delete_matching({"tag": ["auto"]})
        api.clips.delete_matching({"tag": ["auto"]}, selected.selection)


@pytest.mark.parametrize("point", ["made", "deleting", "deleted"])
def test_batch_is_carried_out_once_although_the_engine_is_killed(point: str, film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data, env={"CLIPENGINE_FAULT": f"{point}:kill9"}) as server, server.client() as api:
        recording = api.recordings.upload(film).wait(timeout=300)
        made = [api.clips.create(recording.recording_id, f"clip {at}", at, at + 1, tags=["auto"]) for at in (0, 1)]
        ids = {clip.wait(timeout=300).raise_for_error().clip_id for clip in made}
        with suppress(ServerUnreachable):  # the engine may die before it has answered
            _begin(api, point)
        assert server.process.wait(300) == -signal.SIGKILL
    with running_server(data) as server:
        with server.client() as api:
            (begun,) = api.batches.list().data
            batch = api.batches.wait(begun.batch_id, timeout=300)
            assert (batch.state, batch.made, batch.total) == ("complete", 2, 2)
            clips = [api.clips.wait(clip.clip_id, timeout=300) for clip in api.clips.each()]
            assert {clip.variant_of for clip in clips if clip.variant_of} == (ids if point == "made" else set())
            assert len(clips) == (4 if point == "made" else 0)
            assert {clip.status for clip in clips} <= {"complete"}
        server.stop()
    assert len(check_invariants(data)) == len(clips)
