"""Faults: a crash around a commit, threads that die, repeated restarts, and a clock that jumps."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from clipengine.client import Client
from clipengine.clips.request import ClipRequest
from clipengine.ledger.ledger import Ledger
from scripts.sample import make_sample
from tests.support.invariants import check_invariants, children_of
from tests.support.receiver import Answer, Receiver, Request
from tests.support.server import RunningServer, run_command, running_server
from tests.support.waiting import until

pytestmark = [pytest.mark.outage, pytest.mark.proof]


def _endpoint(receiver: Receiver) -> dict[str, str]:
    return {"CLIPENGINE_WEBHOOKS__ENDPOINTS": f'[{{url = "{receiver.url}", secret = "a secret of tests"}}]'}


def _recording(api: Client, data: Path, film: Path) -> str:
    target = data / "store" / "h_01" / "meeting.mp4"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(film, target)
    return api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=300).recording_id


def _post(server: RunningServer, recording: str, key: str) -> httpx.Response:
    """Request a clip with this API key; always the same request."""
    return httpx.post(
        f"{server.url}/v1/recordings/{recording}/clips",
        json={"label": "a", "start_seconds": 1, "end_seconds": 2},
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "once"},
        timeout=300,
    )


@pytest.mark.parametrize("point", ["accepting", "accepted"])
def test_request_repeated_after_a_crash_creates_one_clip(point: str, film: Path, tmp_path: Path) -> None:
    """Before the commit there is no clip; after it there is one without a response sent or a worker woken."""
    data = tmp_path / "data"
    with running_server(data, env={"CLIPENGINE_FAULT": f"{point}:kill9"}) as server:
        with server.client() as api:
            recording, key = _recording(api, data, film), server.key
            with pytest.raises(httpx.HTTPError):
                _post(server, recording, key)
        assert server.process.wait(300) == -signal.SIGKILL
    left = check_invariants(data, settled=False)
    assert len(left) == (1 if point == "accepted" else 0)
    with running_server(data) as server:
        with server.client() as api:
            answer = _post(server, recording, key)
            assert answer.status_code == 202
            assert ("idempotent-replayed" in answer.headers) == (point == "accepted")
            clip = api.clips.wait(answer.json()["clip_id"], timeout=300)
            assert (clip.status, clip.attempt) == ("complete", 1), clip.error
        server.stop()
    assert [clip.clip_id for clip in check_invariants(data)] == [clip.clip_id]


def test_dead_threads_are_replaced_and_their_work_is_repeated(film: Path, tmp_path: Path) -> None:
    """The sweep also finds a clip for which no worker was woken."""
    data = tmp_path / "data"
    with running_server(data, env={"CLIPENGINE_FAULT": "encoding:die,uploaded:die"}) as server:
        with server.client() as api:
            recording = _recording(api, data, film)
            clip_id = api.clips.create(recording, label="a", start_seconds=0.0, end_seconds=2.0).clip_id
            clip = api.clips.wait(clip_id, timeout=300)
            assert (clip.status, clip.attempt) == ("complete", 2), clip.error
            assert "fault point uploaded: die" in server.log.read_text()
            until(lambda: not children_of(data))

            ledger = Ledger.open(
                data / "ledger.db", key_prefix="relay_live", organisation_id="org_local", max_queued=10
            )
            unheard = ledger.clips.create(ledger.recordings.get(recording), ClipRequest("b", 1.0, 2.0), extension="mp4")
            ledger.close()
            assert api.clips.wait(unheard.clip_id, timeout=300).status == "complete"
        server.stop()
    check_invariants(data)


def test_repeated_restarts_cost_no_attempts(film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    clips: list[str] = []
    # No clip can complete here, however fast it is encoded: each engine dies while it holds the first one.
    held = {"CLIPENGINE_ENCODING__WORKERS": "1", "CLIPENGINE_FAULT": "verifying:sleep=600"}
    for number in range(7):
        with running_server(data, env=held) as server, server.client() as api:
            if not clips:
                recording = _recording(api, data, film)
                clips = [api.clips.create(recording, f"{n}", 0.0, 10.0).clip_id for n in range(5)]
            until(lambda: any(clip.step in ("encoding", "verifying") for clip in api.clips.each(status="processing")))
            time.sleep(0.1 * number)
            server.process.kill()
            server.process.wait()
        check_invariants(data, settled=False)
    with running_server(data) as server, server.client() as api:
        ended = [api.clips.wait(clip_id, timeout=300) for clip_id in clips]
        assert [clip.status for clip in ended] == ["complete"] * 5
        assert sum(clip.attempt for clip in ended) == 5 + 7
        server.stop()
    check_invariants(data)


# A clip of it is being cut for long enough to be noticed.
_SLOW_PROFILE = {"CLIPENGINE_PROFILES__SLOW__PRESET": "veryslow", "CLIPENGINE_PROFILES__SLOW__FPS": "240"}


def test_clip_that_kills_its_engine_three_times_fails_and_the_others_complete(film: Path, tmp_path: Path) -> None:
    """It kills the engine in each attempt; the other clips share engines with it until it is cut alone."""
    data = tmp_path / "data"
    env = {"CLIPENGINE_ENCODING__WORKERS": "3", **_SLOW_PROFILE}
    clips: list[str] = []
    for _ in range(3):
        with running_server(data, env=env) as server, server.client() as api:
            if not clips:
                recording = _recording(api, data, film)
                clips = [api.clips.create(recording, "poison", 0.0, 10.0, priority=9, profile="slow").clip_id]
                clips += [api.clips.create(recording, f"{n}", 0.0, 10.0).clip_id for n in range(4)]
            until(lambda first=clips[0]: api.clips.get(first).step in ("reading", "encoding", "verifying"))
            server.process.kill()
            server.process.wait()
        check_invariants(data, settled=False)
    with running_server(data, env=env) as server, server.client() as api:
        poison, *others = [api.clips.wait(clip_id, timeout=300) for clip_id in clips]
        assert [clip.status for clip in others] == ["complete"] * 4
        assert poison.error is not None
        assert (poison.attempt, poison.error.code) == (3, "decoder_crashed")
        server.stop()
    assert "died 3 times in a row while it cut this clip" in server.log.read_text()
    check_invariants(data)


def test_server_stop_costs_no_attempt(tmp_path: Path) -> None:
    data, film = tmp_path / "data", tmp_path / "long.mp4"
    make_sample(film, seconds=40)
    slow = {"CLIPENGINE_PROFILES__DEFAULT__PRESET": "veryslow", "CLIPENGINE_PROFILES__DEFAULT__FPS": "240"}
    for number in range(4):
        with running_server(data, env=slow) as server:
            with server.client() as api:
                if not number:
                    recording = _recording(api, data, film)
                    api.clips.create(recording, "long", 0.0, 40.0)
                until(lambda: any(clip.step == "encoding" for clip in api.clips.each(status="processing")))
            assert server.stop() == 0
            assert "ERROR" not in server.log.read_text()
    with sqlite3.connect(data / "ledger.db") as ledger:
        assert list(ledger.execute("SELECT state, attempt, crashes FROM clips")) == [("queued", 4, 0)]
    ledger.close()


def test_unrecorded_delivery_is_repeated_with_the_same_id(film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Receiver() as receiver:
        with running_server(data, env=_endpoint(receiver)) as server:

            def kill(request: Request) -> Answer:
                server.process.kill()
                return Answer()

            receiver.answer = kill
            with server.client() as api:
                recording = _recording(api, data, film)
                clip_id = api.clips.create(recording, "a", 1.0, 2.0).clip_id
                assert server.process.wait(300) == -signal.SIGKILL
        receiver.answer = lambda request: Answer()
        with running_server(data, env=_endpoint(receiver)) as server:
            first, second = receiver.wait_for(2, timeout=300)
            server.stop()
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        assert [clip.clip_id for clip in check_invariants(data)] == [clip_id]


# The upload of a finished clip begins while its cutter is still held.
STEPS = [("claimed",), ("reading",), ("encoding",), ("verifying",), ("finished", "uploading"), ("uploaded",)]


@pytest.mark.parametrize("points", STEPS, ids=[points[-1] for points in STEPS])
@pytest.mark.parametrize("action", ["cancel", "delete"])
def test_clip_can_be_cancelled_or_deleted_at_every_step(
    action: str, points: tuple[str, ...], film: Path, tmp_path: Path
) -> None:
    """Three requests run in parallel with an open stream: one succeeds, with one event and one webhook.

    Each step has its own server: a cancelled clip goes on to later points before it notices, and each acts once.
    """
    data, go = tmp_path / "data", tmp_path / "go"
    with Receiver() as receiver:
        faults = {"CLIPENGINE_FAULT": ",".join(f"{point}:until={go}" for point in points)}
        with running_server(data, env={**_endpoint(receiver), **faults}) as server, server.client() as api:
            recording = _recording(api, data, film)
            headers = {"Authorization": f"Bearer {server.key}"}
            with httpx.stream("GET", f"{server.url}/v1/events", headers=headers, timeout=300) as stream:
                assert stream.status_code == 200
                clip_id = api.clips.create(recording, "undone", 0.0, 3.0).clip_id
                for point in points:
                    until(lambda point=point: f"fault point {point}: until" in server.log.read_text())
                answers = _three_times(server, clip_id, action, headers)
                go.touch()
                assert sorted(answers) == ([200, 409, 409] if action == "cancel" else [204, 404, 404])
                # An upload may add objects, which are then deleted.
                end = f"upload of clip {clip_id}: " if points[-1].startswith("upload") else f"clip {clip_id}: cancelled"
                until(lambda: end in server.log.read_text())
            if action == "cancel":
                error = api.clips.get(clip_id).error
                assert error is not None
                assert error.code == "cancelled"
            else:
                gone = httpx.get(f"{server.url}/v1/clips/{clip_id}", headers=headers, timeout=300)
                assert gone.status_code == 404
            until(lambda: not list((data / "store").glob("h_01/clips/*")))
            until(lambda: not list((data / "scratch").iterdir()))
            kept = api.clips.create(recording, "kept", 0.0, 1.0).clip_id
            assert api.clips.wait(kept, timeout=300).status == "complete"
            receiver.wait_for(2, timeout=300)
            server.stop()
        assert len(receiver.requests) == 2
    check_invariants(data)


def _three_times(server: RunningServer, clip_id: str, action: str, headers: dict[str, str]) -> list[int]:
    def once(_: int) -> int:
        url = f"{server.url}/v1/clips/{clip_id}"
        if action == "cancel":
            return httpx.post(f"{url}/cancel", headers=headers, timeout=300).status_code
        return httpx.delete(url, headers=headers, timeout=300).status_code

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(once, range(3)))


def test_clock_jumps_do_not_disturb_work(film: Path, tmp_path: Path) -> None:
    """One day forward and two back, while a clip is cut, another is queued and webhooks are sent."""
    [library, *_] = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None]
    if library is None:
        pytest.skip("libfaketime is not installed (apt install libfaketime)")
    data, clock = tmp_path / "data", tmp_path / "clock"

    def step(days: int) -> None:
        fresh = clock.with_suffix(".new")
        fresh.write_text(f"{days:+d}d\n")
        fresh.rename(clock)

    step(0)
    with Receiver() as receiver:
        env = {
            **_endpoint(receiver),
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "CLIPENGINE_FAULT": f"encoding:until={tmp_path / 'a day on'},uploading:until={tmp_path / 'two days back'}",
        }
        with running_server(data, env=env) as server, server.client() as api:
            recording = _recording(api, data, film)
            clips = [api.clips.create(recording, f"{n}", 0.0, 3.0).clip_id for n in range(3)]
            until(lambda: "fault point encoding" in server.log.read_text())
            step(1)
            (tmp_path / "a day on").touch()
            until(lambda: "fault point uploading" in server.log.read_text())
            step(-1)
            (tmp_path / "two days back").touch()
            for clip_id in clips:
                clip = api.clips.wait(clip_id, timeout=300)
                assert (clip.status, clip.attempt) == ("complete", 1), clip.error
            receiver.wait_for(3, timeout=300)
            last = api.clips.create(recording, "last", 0.0, 1.0).clip_id
            assert api.clips.wait(last, timeout=300).status == "complete"
            request = receiver.wait_for(4, timeout=300)[-1]
            told = int(request.headers["webhook-timestamp"])
            assert abs(told - (time.time() - 24 * 3600)) < 300  # by the current clock of the engine
            assert httpx.get(f"{server.url}/readyz", timeout=300).status_code == 200
            assert "queued again" not in server.log.read_text()
            server.stop()
    check_invariants(data)


@pytest.mark.skipif(os.getuid() != 0, reason="a folder that cannot be written is a read-only mount, for root alone")
def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(data)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        with running_server(data) as server:
            server.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(data)], check=True)
        done = run_command("serve", "--port", "0", "--data", str(data))
        assert done.returncode == 1
        assert f"the data folder {data} cannot be written: Read-only file system" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def test_damaged_ledger_is_rejected_and_left_unchanged(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "ledger.db").write_bytes(b"garbage" * 1000)
    done = run_command("serve", "--port", "0", "--data", str(data))
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert "Restore the file from a backup" in done.stderr
    assert "Traceback" not in done.stderr
    assert (data / "ledger.db").read_bytes() == b"garbage" * 1000


def test_deleted_wal_is_noticed(tmp_path: Path) -> None:
    """Without the WAL, SQLite opens the file without an error; with it, all commits are there."""
    data = tmp_path / "data"
    wal, mark = data / "ledger.db-wal", data / "ledger.db-mark"
    with running_server(data) as server:
        (data / "store" / "a.mp4").write_bytes(b"no video")
        made = server.client().recordings.add("a.mp4")
        until(mark.exists)
        server.process.kill()
        server.process.wait()
    aside = wal.rename(tmp_path / "wal")
    (data / "ledger.db-shm").unlink()
    done = run_command("serve", "--port", "0", "--data", str(data))
    assert done.returncode == 1
    assert "is missing its latest commits" in done.stderr
    assert "Traceback" not in done.stderr
    doctor = run_command("doctor", "--data", str(data))
    assert "PROBLEM ledger" in doctor.stdout
    aside.rename(wal)
    with running_server(data) as server:
        assert server.client().recordings.get(made.recording_id).bucket_path == "a.mp4"
        server.stop()
