"""Several hosts: a server and workers that share one PostgreSQL and one S3 store, each with its own data folder."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Client
from clipengine.ledger.ledger import Ledger
from clipengine.stores.s3 import S3Store
from tests.support.hosts import NO_CUTS, SECONDS, Hosts
from tests.support.postgres import PostgresServer, database_url, postgres, running_postgres, skip_without_postgres  # noqa: F401 - fixtures
from tests.support.receiver import Receiver
from tests.support.s3 import S3Server, deletions
from tests.support.s3_faults import FaultyS3
from tests.support.server import RunningServer, RunningWorker, run_command
from tests.support.waiting import until

pytestmark = [pytest.mark.outage, pytest.mark.proof]

skip_without_postgres()


class Listener:
    """A client that follows the events of several servers in turn, resuming where the last stream ended."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._last: str | None = "0"

    def follow(self, api: Client, enough: int) -> None:
        """Read events until this number of clips was announced."""
        deadline = time.monotonic() + SECONDS
        if len(self.ready()) >= enough:
            return
        for event in api.events(last_event_id=self._last):
            assert time.monotonic() < deadline
            self.events.append(event)
            self._last = event.last_event_id
            if len(self.ready()) >= enough:
                return

    def ready(self) -> list[str]:
        return [event.clip.clip_id for event in self.events if event.event == "clip.ready"]


def _cuts(engine: RunningServer | RunningWorker) -> int:
    return len(re.findall(r"clip \S+: attempt", engine.log.read_text()))


def _create(api: Client, recording: str, count: int) -> list[str]:
    return [
        api.clips.create(recording, label=f"cut {number}", start_seconds=number % 4, end_seconds=9.0).clip_id
        for number in range(count)
    ]


@pytest.mark.parametrize("point", ["encoding", "uploading", "uploaded"])
def test_clips_of_a_killed_worker_complete_elsewhere(hosts: Hosts, film: Path, point: str) -> None:
    """Two servers without cutting, and two workers: one dies while it cuts, uploads or right after."""
    doomed = hosts.worker("doomed", CLIPENGINE_FAULT=f"{point}:sleep=600")
    server = hosts.server("server", **NO_CUTS)
    listener = Listener()
    with server.client() as api:
        recording = hosts.recording(api, film)
        clip_ids = _create(api, recording, 4)
        until(lambda: f"fault point {point}" in doomed.log.read_text(), SECONDS)
        died = time.monotonic()
        doomed.kill()
        rescuer = hosts.worker("rescuer")
        listener.follow(api, 2)
        other = hosts.server("other", **NO_CUTS)
        with other.client() as elsewhere:
            listener.follow(elsewhere, 4)  # resumed by Last-Event-ID on another host
        assert time.monotonic() - died < SECONDS
        hosts.receiver.wait_for(4, timeout=300)
    assert sorted(listener.ready()) == sorted(clip_ids)
    assert _cuts(rescuer) >= 1
    hosts.check(clip_ids)


def test_frozen_host_loses_its_attempt(hosts: Hosts, film: Path) -> None:
    """It freezes during an upload for longer than its lease, then resumes: nothing is published twice."""
    server = hosts.server("server", **NO_CUTS)
    go = hosts.folder / "go"
    frozen = hosts.worker("frozen", CLIPENGINE_FAULT=f"uploading:until={go}")
    with server.client() as api:
        recording = hosts.recording(api, film)
        (clip_id,) = _create(api, recording, 1)
        until(lambda: "fault point uploading" in frozen.log.read_text(), SECONDS)
        frozen.process.send_signal(signal.SIGSTOP)
        rescuer = hosts.worker("rescuer")
        clip = api.clips.wait(clip_id, timeout=SECONDS)
        assert (clip.status, clip.attempt) == ("complete", 2)
        go.touch()
        frozen.process.send_signal(signal.SIGCONT)
        until(lambda: "the claim was lost" in frozen.log.read_text(), SECONDS)
        assert _cuts(rescuer) == 1
    hosts.check([clip_id])


def test_database_restart_delays_clips_and_loses_none(s3: S3Server, bucket: str, film: Path, tmp_path: Path) -> None:
    with running_postgres() as own, own.database() as url, Receiver() as receiver, ExitStack() as running:
        hosts = Hosts(tmp_path, url, s3, bucket, receiver, running)
        server = hosts.server("server", CLIPENGINE_ENCODING__WORKERS="1")
        worker = hosts.worker("worker", CLIPENGINE_ENCODING__WORKERS="1")
        listener = Listener()
        with server.client() as api:
            recording = hosts.recording(api, film)
            clip_ids = _create(api, recording, 6)
            following = threading.Thread(target=listener.follow, args=(api, 6))
            following.start()
            until(lambda: any(api.clips.get(each).step == "encoding" for each in clip_ids), SECONDS)
            own.stop("immediate")
            status, problem = _ask(server, f"/v1/clips/{clip_ids[0]}")
            assert (status, problem["code"]) == (503, "storage_unavailable")
            assert "PostgreSQL" in problem["hint"]
            time.sleep(3)
            own.start()
            for clip_id in clip_ids:
                assert api.clips.wait(clip_id, timeout=SECONDS).attempt == 1
            following.join(SECONDS)
            receiver.wait_for(6, timeout=300)
        assert sorted(set(listener.ready())) == sorted(clip_ids)
        assert _cuts(server) + _cuts(worker) == 6
        hosts.check(clip_ids)
        running.close()


def _ask(server: RunningServer, path: str) -> tuple[int, dict[str, Any]]:
    command = ["curl", "-s", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {server.key}", server.url + path]
    body, _, status = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_stopped_worker_releases_its_clips_immediately(hosts: Hosts, film: Path) -> None:
    server = hosts.server("server", **NO_CUTS)
    leaving = hosts.worker("leaving", CLIPENGINE_FAULT="uploading:sleep=600")
    with server.client() as api:
        recording = hosts.recording(api, film)
        (clip_id,) = _create(api, recording, 1)
        until(lambda: "fault point uploading" in leaving.log.read_text(), SECONDS)
        leaving.process.terminate()
        assert leaving.process.wait(300) == 0
        with closing(hosts.ledger()) as ledger:
            assert ledger.engines.count() == 1  # without waiting for its lease
        hosts.worker("staying")
        assert api.clips.wait(clip_id, timeout=SECONDS).attempt == 2
        hosts.receiver.wait_for(1, timeout=300)
    hosts.check([clip_id])


def test_four_engines_together_delete_each_object_twice(hosts: Hosts, film: Path) -> None:
    """40 clips with posters, deleted through one of the engines."""
    # The second deletion follows after 3 s instead of 3 minutes.
    quick = NO_CUTS["CLIPENGINE_FAULT"] + ",outage:pace=60"
    with FaultyS3(hosts.s3.endpoint) as proxy:
        hosts.s3 = replace(hosts.s3, endpoint=proxy.endpoint)
        env = {**NO_CUTS, "CLIPENGINE_FAULT": quick}
        server = hosts.server("server", **env)
        for number in range(3):
            hosts.worker(f"worker{number}", **env)
        with closing(hosts.ledger()) as ledger, server.client() as api:
            keys = hosts.complete_clips(ledger, hosts.recording(api, film), 40)
            looks: list[int] = []
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(api.clips.delete, [clip.clip_id for clip in api.clips.each()]))
            until(lambda: not _looks(ledger, looks), SECONDS)
        assert deletions(proxy) == dict.fromkeys(keys, 2)
        assert min(looks) == 1
        store = S3Store(hosts.s3.location(hosts.bucket), journal=hosts.folder / "uploads")
        assert list(store.list("h_01/clips/")) == []


def _looks(ledger: Ledger, seen: list[int]) -> list[int]:
    """Return how often each object is still to be deleted, and add it to `seen`."""
    found = [looks for (looks,) in ledger.database.run("SELECT looks FROM removals")]
    seen += found
    return found


def test_mounted_folder_works_as_a_shared_store(hosts: Hosts, film: Path, tmp_path: Path) -> None:
    shared = {"CLIPENGINE_STORAGE__KIND": "folder", "CLIPENGINE_STORAGE__FOLDER": str(tmp_path / "mounted")}
    (tmp_path / "mounted" / "h_01").mkdir(parents=True)
    shutil.copy(film, tmp_path / "mounted" / "h_01" / "meeting.mp4")
    server = hosts.server("server", **NO_CUTS, **shared)
    hosts.worker("worker", **shared)
    with server.client() as api:
        recording = api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=SECONDS)
        (clip_id,) = _create(api, recording.recording_id, 1)
        clip = api.clips.wait(clip_id, timeout=SECONDS)
        assert clip.status == "complete", clip.error
        clip.download(tmp_path / "clip.mp4")
    assert clip.result is not None
    assert hashlib.sha256((tmp_path / "clip.mp4").read_bytes()).hexdigest() == clip.result.sha256


def test_worker_rejects_a_configuration_that_cannot_be_shared(database_url: str, tmp_path: Path) -> None:  # noqa: F811
    alone = run_command("worker", "--data", str(tmp_path / "a"), cwd=tmp_path)
    assert alone.returncode == 1
    assert "SQLite cannot be shared" in alone.stderr
    shared = {"CLIPENGINE_DATABASE__URL": database_url}
    own_store = run_command("worker", "--data", str(tmp_path / "a"), env=shared, cwd=tmp_path)
    assert "a store that all hosts share" in own_store.stderr
    (tmp_path / "kept.bak").write_bytes(b"")
    for command, file in (("backup", "new.bak"), ("restore", "kept.bak")):
        refused = run_command(command, str(tmp_path / file), "--data", str(tmp_path / "a"), env=shared, cwd=tmp_path)
        assert refused.returncode == 1
        assert "PostgreSQL" in refused.stderr
    made = run_command("keys", "create", "k", "--data", str(tmp_path / "a"), env=shared, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    elsewhere = run_command("keys", "list", "--data", str(tmp_path / "b"), env=shared, cwd=tmp_path)
    assert "secrets_key_lost" in elsewhere.stderr
    assert "copy it from the host" in elsewhere.stderr
    doctor = run_command("doctor", "--json", "--data", str(tmp_path / "a"), env=shared, cwd=tmp_path)
    (ledger,) = [each for each in json.loads(doctor.stdout) if each["name"] == "ledger"]
    assert ledger["status"] == "ok"
    assert "PostgreSQL" in ledger["detail"]
    away = {"CLIPENGINE_DATABASE__URL": "postgresql://u:hidden@127.0.0.1:1/clips"}
    doctor = run_command("doctor", "--json", "--data", str(tmp_path / "a"), env=away, cwd=tmp_path)
    (ledger,) = [each for each in json.loads(doctor.stdout) if each["name"] == "ledger"]
    assert ledger["status"] == "problem"
    assert "hidden" not in doctor.stdout
    reset = run_command("reset-secrets", "--data", str(tmp_path / "b"), env=shared, cwd=tmp_path)
    assert reset.returncode == 0, reset.stderr
