"""A data folder that is moved while the server runs: it reports this, creates no second folder and loses nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from clipengine.client import Client
from clipengine.stores.folder import FolderStore
from tests.support.invariants import check_invariants
from tests.support.server import RunningServer, run_command, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage

SECONDS = 300


def env_of(root: Path | None) -> dict[str, str]:
    paced = {"CLIPENGINE_ENCODING__NICE": "0", "CLIPENGINE_FAULT": "outage:pace=20"}
    return paced | ({"CLIPENGINE_STORAGE__FOLDER": str(root)} if root else {})


def read(server: RunningServer, path: str) -> httpx.Response:
    return httpx.get(server.url + path, headers={"Authorization": f"Bearer {server.key}"}, timeout=300)


def failing(server: RunningServer) -> dict[str, str]:
    """Return the failing checks of `/readyz` with their messages, empty where the server could not check the key."""
    checks = read(server, "/readyz").json()["checks"]
    return {each["name"]: each.get("detail", "") for each in checks if not each["ok"]}


def recording_of(api: Client, film: Path) -> str:
    recording = api.recordings.wait(api.recordings.upload(film).recording_id, timeout=SECONDS)
    assert recording.status == "complete", recording.error
    return recording.recording_id


def refusals(server: RunningServer, recording: str, film: Path) -> list[httpx.Response]:
    """Return the responses to all requests that would write."""
    key = {"Authorization": f"Bearer {server.key}"}
    clip = {"label": "refused", "start_seconds": 1, "end_seconds": 2}
    v1 = f"{server.url}/v1"
    return [
        httpx.post(f"{v1}/recordings/{recording}/clips", json=clip, headers=key, timeout=300),
        httpx.put(f"{v1}/recordings/upload?name=a.mp4", content=film.read_bytes(), headers=key, timeout=300),
        httpx.post(f"{v1}/webhooks", json={"url": "https://example.com/"}, headers=key, timeout=300),
        httpx.delete(f"{v1}/recordings/{recording}", headers=key, timeout=300),
    ]


def away(data: Path, left: str) -> Path:
    aside = data.with_name("aside")
    data.rename(aside)
    if left == "empty folder":
        data.mkdir()
    elif left == "another's":
        assert run_command("keys", "create", "other", "--data", str(data)).returncode == 0
    return aside


def tree(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*")}


@pytest.mark.parametrize("elsewhere", [False, True], ids=["store inside", "store elsewhere"])
@pytest.mark.parametrize("left", ["nothing", "empty folder", "another's"])
def test_server_recovers_after_the_folder_is_put_back(tmp_path: Path, film: Path, left: str, elsewhere: bool) -> None:
    data, root = tmp_path / "data", tmp_path / "store" if elsewhere else None
    with running_server(data, env=env_of(root)) as server, server.client() as api:
        recording = recording_of(api, film)
        clips = [
            api.clips.create(recording, label=label, start_seconds=1.0, end_seconds=3.0).clip_id for label in "abcd"
        ]
        until(lambda: any(api.clips.get(each).step != "queued" for each in clips), SECONDS)
        aside = away(data, left)
        before = tree(data)
        until(lambda: {"database", "disk"} <= set(failing(server)), SECONDS)
        said = {"disk": ""}
        # The key is checked over an open connection: requests that need another one get no messages.
        until(lambda: said.update(failing(server)) or said["disk"], SECONDS)
        assert str(data) in said["disk"]
        assert "Move the data folder back" in said["disk"]
        for answer in refusals(server, recording, film):
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable"), answer.text
            assert "Move the data folder back" in answer.json()["hint"]
        until(lambda: read(server, "/metrics").status_code == 200, SECONDS)
        until(lambda: "the sweep cannot use the ledger" in server.log.read_text(), SECONDS)
        assert tree(data) == before, tree(data) ^ before
        assert "Traceback" not in server.log.read_text()
        shutil.rmtree(data, ignore_errors=True)
        aside.rename(data)
        for each in clips:
            clip = api.clips.wait(each, timeout=SECONDS)
            assert clip.status == "complete", clip.error
        until(lambda: not failing(server), SECONDS)
        assert server.stop() == 0
    assert len(check_invariants(data, store=FolderStore(root or data / "store"))) == 4


def test_clip_whose_scratch_files_disappear_is_cut_again(tmp_path: Path, film: Path) -> None:
    """As if the data folder was moved away and back before the runner looked for the reason."""
    data = tmp_path / "data"
    env = env_of(None)
    go = tmp_path / "go"
    env["CLIPENGINE_FAULT"] += f",encoding:until={go}"
    with running_server(data, env=env) as server, server.client() as api:
        recording = recording_of(api, film)
        clip = api.clips.create(recording, label="a", start_seconds=1.0, end_seconds=3.0).clip_id
        until(lambda: "fault point encoding" in server.log.read_text(), SECONDS)
        [folder] = (data / "scratch").iterdir()
        shutil.rmtree(folder)
        go.touch()
        done = api.clips.wait(clip, timeout=SECONDS)
        assert (done.status, done.attempt) == ("complete", 2), done.error
        assert "disappeared while the clip was cut" in server.log.read_text()
        assert server.stop() == 0
    assert len(check_invariants(data)) == 1


def test_server_restarts_at_the_new_location(tmp_path: Path, film: Path) -> None:
    """The server stops cleanly and another one continues at the new location, which is rejected until then."""
    data = tmp_path / "data"
    with running_server(data, env=env_of(None)) as server, server.client() as api:
        recording = recording_of(api, film)
        clip = api.clips.create(recording, label="a", start_seconds=1.0, end_seconds=3.0).clip_id
        aside = away(data, "nothing")
        second = run_command("serve", "--port", "0", "--data", str(aside))
        assert second.returncode == 1
        assert "data_folder_in_use" in second.stderr
        until(lambda: "disk" in failing(server), SECONDS)
        assert server.stop() == 0
    assert not data.exists()
    with running_server(aside, env=env_of(None)) as server, server.client() as api:
        assert api.clips.wait(clip, timeout=SECONDS).status == "complete"
        server.stop()
    assert len(check_invariants(aside)) == 1


def test_copy_at_the_old_location_is_not_used(tmp_path: Path, film: Path) -> None:
    """As after a move to another disk and back: open descriptors refer to deleted files."""
    data = tmp_path / "data"
    with running_server(data, env=env_of(None)) as server, server.client() as api:
        recording = recording_of(api, film)
        aside = away(data, "nothing")
        shutil.copytree(aside, data)
        shutil.rmtree(aside)
        until(lambda: {"database", "disk"} <= set(failing(server)), SECONDS)
        for answer in refusals(server, recording, film):
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable"), answer.text
        assert server.stop() == 0
    with running_server(data, env=env_of(None)) as server, server.client() as api:
        clip = api.clips.create(recording, label="a", start_seconds=1.0, end_seconds=2.0).clip_id
        assert api.clips.wait(clip, timeout=SECONDS).status == "complete"
        server.stop()
    assert len(check_invariants(data)) == 1
