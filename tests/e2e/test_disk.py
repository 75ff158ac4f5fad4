"""A full disk: no accepted clip is lost, only the affected clip fails, and work resumes when there is space.

The disk is a small tmpfs, so these tests need root.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from clipengine.client import Client
from clipengine.stores.folder import FolderStore
from tests.support.full_disk import MEGABYTE, disk, fill, free, grow
from tests.support.hosts import NO_CUTS, SECONDS, Hosts
from tests.support.invariants import check_invariants
from tests.support.postgres import database_url, kinds_of_ledger, postgres  # noqa: F401 - fixtures
from tests.support.server import RunningServer, run_command, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage


def prepare(data: Path, api: Client, film: Path) -> str:
    target = data / "store" / "h_01" / "meeting.mp4"
    target.parent.mkdir(parents=True)
    shutil.copy(film, target)
    return api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=300).recording_id


def checks(server: RunningServer) -> dict[str, bool]:
    return {each["name"]: each["ok"] for each in httpx.get(f"{server.url}/readyz", timeout=300).json()["checks"]}


def post(server: RunningServer, recording: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/recordings/{recording}/clips",
        json={"label": "a", "start_seconds": 0, "end_seconds": 2},
        headers={"Authorization": f"Bearer {server.key}", **headers},
        timeout=300,
    )


def test_low_disk_space_delays_clips(film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    env = {"CLIPENGINE_LIMITS__MIN_FREE_BYTES": str(20 * MEGABYTE), "CLIPENGINE_ENCODING__NICE": "0"}
    with disk(data, 100):
        with running_server(data, env=env) as server, server.client() as api:
            recording = prepare(data, api, film)
            assert server.key
            # Space for a short clip, but not for a long one and the reserve.
            fill(data, leave=23 * MEGABYTE)
            long = api.clips.create(recording, label="long", start_seconds=0.0, end_seconds=12.0).clip_id
            short = api.clips.create(recording, label="short", start_seconds=0.0, end_seconds=1.0).clip_id
            assert api.clips.wait(short, timeout=300).status == "complete"
            assert api.clips.get(long).step == "queued"
            assert checks(server)["disk"]
            # Below the reserve no clip is started or accepted.
            free(data)
            fill(data, leave=15 * MEGABYTE)
            answer = post(server, recording)
            assert (answer.status_code, answer.json()["code"]) == (503, "disk_low")
            assert int(answer.headers["retry-after"]) > 0
            until(lambda: not checks(server)["disk"])
            assert api.clips.get(long).step == "queued"
            free(data)
            assert api.clips.wait(long, timeout=300).status == "complete"
            assert post(server, recording).status_code == 202
            until(lambda: not api.clips.list(status="processing").data)
            server.stop()
        check_invariants(data)


def test_full_scratch_disk_fails_only_the_affected_clip(film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    env = {"CLIPENGINE_LIMITS__MIN_FREE_BYTES": "0", "CLIPENGINE_ENCODING__WORKERS": "1"}
    with disk(data / "scratch", 0.12):
        with running_server(data, env=env) as server, server.client() as api:
            recording = prepare(data, api, film)
            long = api.clips.create(recording, label="long", start_seconds=0.0, end_seconds=12.0).clip_id
            short = api.clips.create(recording, label="short", start_seconds=0.0, end_seconds=1.0).clip_id
            failed = api.clips.wait(long, timeout=300)
            assert failed.error is not None
            assert (failed.status, failed.error.code, failed.error.retryable) == ("failed", "disk_full", True)
            assert api.clips.wait(short, timeout=300).status == "complete"
            assert api.clips.retry(long).status == "processing"
            assert api.clips.wait(long, timeout=300).status == "failed"
            until(lambda: not list((data / "scratch").iterdir()))
            server.stop()
        check_invariants(data)


@pytest.mark.skipif("postgres" not in kinds_of_ledger(), reason="needs PostgreSQL")
def test_clip_that_fills_the_disk_of_one_engine_is_cut_by_another(hosts: Hosts, film: Path) -> None:
    server = hosts.server("server", **NO_CUTS)
    with server.client() as api, disk(hosts.folder / "full" / "scratch", 0.12):
        recording = hosts.recording(api, film)
        full = hosts.worker("full", CLIPENGINE_LIMITS__MIN_FREE_BYTES="0")
        clip_id = api.clips.create(recording, label="long", start_seconds=0.0, end_seconds=12.0).clip_id
        until(lambda: "no space left" in full.log.read_text(), SECONDS)
        hosts.worker("empty")
        clip = api.clips.wait(clip_id, timeout=SECONDS)
        assert (clip.status, clip.attempt) == ("complete", 2), clip.error
    hosts.check([clip_id])


@pytest.mark.skipif("postgres" not in kinds_of_ledger(), reason="needs PostgreSQL")
def test_clip_that_filled_the_disk_is_cut_when_the_disk_has_more_space(hosts: Hosts, film: Path) -> None:
    server = hosts.server("server", **NO_CUTS)
    scratch = hosts.folder / "full" / "scratch"
    with server.client() as api, disk(scratch, 0.12):
        recording = hosts.recording(api, film)
        full = hosts.worker("full", CLIPENGINE_LIMITS__MIN_FREE_BYTES="0")
        clip_id = api.clips.create(recording, label="long", start_seconds=0.0, end_seconds=12.0).clip_id
        until(lambda: "no space left" in full.log.read_text(), SECONDS)
        grow(scratch, 40)
        clip = api.clips.wait(clip_id, timeout=SECONDS)
        assert (clip.status, clip.attempt) == ("complete", 2), clip.error
    hosts.check([clip_id])


def test_cut_names_the_folder_whose_disk_is_full(film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    with disk(folder, 0.12):
        done = run_command("cut", str(film), str(folder / "clip.mp4"), "--start", "0", "--end", "12")
        assert done.returncode == 1
        assert f"no space is left in the folder {folder} (disk_full)" in done.stderr
        assert "give an OUTPUT on another disk" in done.stderr
        assert not list(folder.iterdir())


def test_engine_survives_a_full_disk_under_the_ledger(film: Path, tmp_path: Path) -> None:
    """Running clips retry writing their outcome, requests are rejected, and work resumes by itself."""
    data, elsewhere = tmp_path / "data", tmp_path / "scratch"  # the log is beside the data, on another disk
    env = {
        "CLIPENGINE_LIMITS__MIN_FREE_BYTES": "0",
        "CLIPENGINE_STORAGE__FOLDER": str(tmp_path / "store"),
        "CLIPENGINE_FAULT": f"verifying:until={tmp_path / 'go'}",  # until the WAL is full
    }
    with disk(data, 30):
        elsewhere.mkdir()
        (data / "scratch").symlink_to(elsewhere)
        (tmp_path / "store" / "h_01").mkdir(parents=True)
        shutil.copy(film, tmp_path / "store" / "h_01" / "meeting.mp4")
        with running_server(data, env=env) as server, server.client() as api:
            made = api.recordings.add("h_01/meeting.mp4").recording_id
            recording = api.recordings.wait(made, timeout=300).recording_id
            clip_id = api.clips.create(recording, label="a", start_seconds=0.0, end_seconds=2.0).clip_id
            until(lambda: api.clips.get(clip_id).step in ("encoding", "verifying"))
            fill(data, leave=0)
            # The WAL file has free space for a while.
            refused: list[httpx.Response] = []

            def one_is_refused() -> bool:
                answer = post(server, recording)
                if answer.status_code != 202:
                    refused.append(answer)
                return bool(refused)

            until(one_is_refused)
            # SQLite reports a full disk, or that it cannot extend its files.
            found = (refused[0].status_code, refused[0].json()["code"])
            assert found in ((507, "disk_full"), (503, "storage_unavailable")), refused[0].text
            assert int(refused[0].headers["retry-after"]) > 0
            (tmp_path / "go").touch()
            until(lambda: "cannot be recorded yet" in server.log.read_text())
            assert api.clips.get(clip_id).status == "processing"

            def ledger_is_full() -> bool:
                post(server, recording)  # uses the space that a checkpoint of the WAL file leaves
                return not checks(server)["database"]

            until(ledger_is_full)
            free(data)
            assert post(server, recording).status_code == 202
            clip = api.clips.wait(clip_id, timeout=300)
            assert (clip.status, clip.attempt) == ("complete", 1), clip.error
            until(lambda: not api.clips.list(status="processing").data)
            until(lambda: all(checks(server).values()))  # a check is kept for a second
            server.stop()
        check_invariants(data, store=FolderStore(tmp_path / "store"))
