"""A recording is fetched from a URL although its engine is killed: it continues, and is probed and cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.invariants import check_invariants
from tests.support.origin_server import origin_server
from tests.support.server import LOOPBACK_ALLOWED, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage


def test_stuck_fetches_are_freed_by_deletion(tmp_path: Path, film: Path) -> None:
    """Row 83 of the faults: two silent servers hold both slots until their recordings are deleted."""
    data = tmp_path / "data"
    body = film.read_bytes()
    with (
        origin_server(body, pause_after=0) as silent,
        origin_server(body, pause_after=131_072) as stalled,
        origin_server(body) as good,
        running_server(data, env=LOOPBACK_ALLOWED) as server,
    ):
        api = server.client()
        stuck = [api.recordings.fetch(f"{origin.url}/a.mp4") for origin in (silent, stalled)]
        assert silent.paused.wait(300)
        assert stalled.paused.wait(300)
        waiting = api.recordings.fetch(f"{good.url}/b.mp4")
        assert api.recordings.get(waiting.recording_id).fetched_bytes == 0
        for recording in stuck:
            api.recordings.delete(recording.recording_id)
        assert api.recordings.wait(waiting.recording_id, timeout=300).status == "complete"
        until(lambda: not list((data / "fetches").iterdir()))
        server.stop()
    check_invariants(data)


def test_fetch_survives_the_death_of_its_engine(tmp_path: Path, film: Path) -> None:
    data = tmp_path / "data"
    body = film.read_bytes()
    with origin_server(body, pause_after=131_072) as origin:
        with running_server(data, env=LOOPBACK_ALLOWED) as server:
            api = server.client()
            recording = api.recordings.fetch(f"{origin.url}/Board%20meeting.mp4")
            assert origin.paused.wait(300)
            state = data / "fetches" / f"{recording.recording_id}.json"
            until(state.exists)
            server.process.kill()
            server.process.wait()
        origin.go.set()
        origin.pause_after = None
        with running_server(data, env=LOOPBACK_ALLOWED) as server:
            api = server.client()
            ended = api.recordings.wait(recording.recording_id, timeout=300)
            assert ended.status == "complete", ended.error
            assert (ended.name, ended.fetched_bytes) == ("Board meeting", len(body))
            clip = api.clips.create(ended.recording_id, "key-moment", 1.0, 2.0).wait().raise_for_error()
            assert clip.bucket_path is not None
            assert clip.bucket_path.startswith(f"recordings/{ended.recording_id}/clips/")
            server.stop()
    assert (data / "store" / ended.bucket_path).read_bytes() == body
    assert list((data / "fetches").iterdir()) == []
    check_invariants(data)
