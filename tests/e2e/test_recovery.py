"""kill -9 at every step of a clip, stops by signal, and two engines on one folder: nothing is lost or duplicated."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections import Counter
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from clipengine.client import Client, ServerUnreachable
from tests.support.children import is_child
from tests.support.invariants import check_invariants
from tests.support.receiver import Receiver
from tests.support.selection import cases
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.proof


def _endpoint(receiver: Receiver) -> dict[str, str]:
    return {"CLIPENGINE_WEBHOOKS__ENDPOINTS": f'[{{url = "{receiver.url}", secret = "a secret of tests"}}]'}


def _recording(api: Client, data: Path, film: Path) -> str:
    target = data / "store" / "h_01" / "meeting.mp4"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(film, target)
    recording = api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=300)
    assert recording.status == "complete", recording.error
    return recording.recording_id


def _wait_for_death(server: RunningServer) -> None:
    assert server.process.wait(300) == -signal.SIGKILL


def _complete(api: Client, clip_ids: list[str]) -> None:
    for clip_id in clip_ids:
        clip = api.clips.wait(clip_id, timeout=300)
        assert clip.status == "complete", clip.error


@pytest.mark.parametrize(
    "point",
    cases(
        ["nudged", "claimed", "reading", "encoding", "verifying", "finished", "uploading", "uploaded", "committed"],
        ("encoding",),
    ),
)
def test_every_clip_survives_kill_9(point: str, film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Receiver() as receiver:
        clip_ids = []
        with running_server(data, env={"CLIPENGINE_FAULT": f"{point}:kill9", **_endpoint(receiver)}) as server:
            with server.client() as api:
                recording = _recording(api, data, film)
                try:
                    for number in range(3):
                        made = api.clips.create(recording, label=f"cut {number}", start_seconds=number, end_seconds=4.0)
                        clip_ids.append(made.clip_id)
                except ServerUnreachable:
                    pass  # the engine may have died before its first response; every committed request is a clip
            _wait_for_death(server)
        with running_server(data, env=_endpoint(receiver)) as server:
            with server.client() as api:
                committed = [clip.clip_id for clip in api.clips.each()]
                assert committed
                assert set(committed) >= set(clip_ids)
                _complete(api, committed)
            receiver.wait_for(len(committed), timeout=300)
            time.sleep(0.3)
            assert server.stop() == 0
        clips = check_invariants(data)
        assert {clip.clip_id for clip in clips} == set(committed)
        ready = Counter(request.headers["webhook-id"] for request in receiver.requests)
        assert len(ready) == len(clips)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("point", "attempts", "objects"),
    [
        ("encoding", 2, 0),
        ("verifying", 2, 0),
        ("finished", 1, 0),
        ("uploading", 1, 0),
        ("uploaded", 1, 1),
        ("committed", 1, 1),
    ],
)
def test_verified_clip_is_not_cut_or_uploaded_again(
    point: str, attempts: int, objects: int, film: Path, tmp_path: Path
) -> None:
    """The store has verified clips only, and no object is uploaded twice."""
    data = tmp_path / "data"
    with running_server(data, env={"CLIPENGINE_FAULT": f"{point}:kill9"}) as server:
        with server.client() as api:
            recording = _recording(api, data, film)
            with suppress(ServerUnreachable):
                api.clips.create(recording, label="a", start_seconds=1.0, end_seconds=4.0, poster=False)
        _wait_for_death(server)
    stored = {path.name: path.stat() for path in (data / "store" / "h_01" / "clips").glob("*.mp4")}
    assert len(stored) == objects
    left = [path.name for path in (data / "scratch").iterdir()]
    assert len(left) == (0 if point == "committed" else 1)
    with running_server(data) as server:
        with server.client() as api:
            [clip] = api.clips.each()
            ended = api.clips.wait(clip.clip_id, timeout=300)
            assert (ended.status, ended.attempt) == ("complete", attempts), ended.error
        until(lambda: not list((data / "scratch").iterdir()))
        server.stop()
    check_invariants(data)
    for path in (data / "store" / "h_01" / "clips").glob("*.mp4"):
        if path.name in stored:
            now, before = path.stat(), stored[path.name]
            assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


_SLOW = {"CLIPENGINE_PROFILES__DEFAULT__PRESET": "veryslow", "CLIPENGINE_PROFILES__DEFAULT__FPS": "240"}


@pytest.mark.outage
@pytest.mark.parametrize("sig", cases([signal.SIGTERM, signal.SIGINT], (signal.SIGTERM,)))
def test_server_stop_requeues_running_clips(sig: signal.Signals, film: Path, tmp_path: Path) -> None:
    """Three running clips, one queued and five event streams: all end within the documented time."""
    data = tmp_path / "data"
    with running_server(data, env={"CLIPENGINE_ENCODING__WORKERS": "3", **_SLOW}) as server, ExitStack() as streams:
        with server.client() as api:
            recording = _recording(api, data, film)
            headers = {"Authorization": f"Bearer {server.key}"}
            followed = [
                streams.enter_context(httpx.stream("GET", f"{server.url}/v1/events", headers=headers, timeout=300))
                for _ in range(5)
            ]
            clip_ids = [
                api.clips.create(recording, label="long", start_seconds=0.0, end_seconds=12.0).clip_id for _ in range(4)
            ]
            until(lambda: [api.clips.get(clip_id).step for clip_id in clip_ids].count("encoding") == 3)
        assert server.stop(sig) == 0
        assert _stop_seconds(server.log.read_text()) < 10
        assert " ERROR " not in server.log.read_text()
        for stream in followed:
            assert b"clip.updated" in stream.read()  # the stream ends properly
    waiting = [clip for clip in check_invariants(data, settled=False) if not clip.ended]
    assert len(waiting) == 4
    assert {clip.state for clip in waiting} == {"queued"}
    assert not list((data / "store").glob("h_01/clips/*"))
    with running_server(data) as server:
        with server.client() as api:
            _complete(api, clip_ids)
        server.stop()
    check_invariants(data)


def _stop_seconds(log: str) -> float:
    """Return the seconds from the signal to the last log line, by the log's own times, as this machine may be busy."""
    times = dict(re.findall(r"^(\S+)Z INFO +clipengine[.\w]+: (stopping|stopped)$", log, re.MULTILINE))
    moments = {word: datetime.fromisoformat(time) for time, word in times.items()}
    return (moments["stopped"] - moments["stopping"]).total_seconds()


@pytest.mark.exhaustive
def test_second_engine_is_rejected(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        running_server(data) as server,
        pytest.raises(AssertionError, match=f"in use by clipengine with the pid {server.process.pid}"),
        running_server(data),
    ):
        pass


@pytest.mark.exhaustive
def test_cancelled_clip_leaves_nothing(film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    go = tmp_path / "go"
    with running_server(data, env={"CLIPENGINE_FAULT": f"uploaded:until={go}", **_SLOW}) as server:
        with server.client() as api:
            recording = _recording(api, data, film)
            running = api.clips.create(recording, label="a", start_seconds=0.0, end_seconds=1.0)
            # The object is in the store, but not yet in the row.
            until(lambda: "fault point uploaded" in server.log.read_text())
            cancelled = api.clips.cancel(running.clip_id)
            assert cancelled.status == "failed"
            assert cancelled.error is not None
            assert cancelled.error.code == "cancelled"
            again = api.clips.create(recording, label="b", start_seconds=0.0, end_seconds=12.0)
            until(lambda: api.clips.get(again.clip_id).step == "encoding")
            api.clips.cancel(again.clip_id)
            go.touch()
            until(lambda: f"upload of clip {running.clip_id}: " in server.log.read_text())
            until(lambda: not list((data / "store").glob("h_01/clips/*")))
            until(lambda: not list((data / "scratch").iterdir()))
        server.stop()
    clips = check_invariants(data)
    assert [clip.state for clip in clips] == ["failed", "failed"]


@pytest.mark.exhaustive
def test_clip_is_cut_again_after_its_child_is_killed(film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data, env=_SLOW) as server:
        with server.client() as api:
            recording = _recording(api, data, film)
            clip_id = api.clips.create(recording, label="a", start_seconds=0.0, end_seconds=3.0).clip_id
            until(lambda: api.clips.get(clip_id).step == "encoding")
            for pid in _children(server.process.pid):
                os.kill(pid, signal.SIGKILL)
            clip = api.clips.wait(clip_id, timeout=300)
            assert (clip.status, clip.attempt) == ("complete", 2), clip.error
        server.stop()
    check_invariants(data)


def _children(parent: int) -> list[int]:
    """Return the children of the process, including the warm one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            encoder = is_child(entry, "maker")
        except OSError:
            continue
        if encoder and int(stat.rpartition(")")[2].split()[1]) == parent:
            found.append(int(entry.name))
    return found
