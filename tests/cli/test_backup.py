"""`clipengine backup` and `clipengine restore`."""

from __future__ import annotations

import io
import itertools
import json
import stat
import tarfile
import threading
from pathlib import Path

import httpx
import pytest

from clipengine.ledger.database.migrations import MIGRATIONS
from clipengine.ledger.ledger import Ledger
from tests.support.server import run_command, running_server
from tests.support.waiting import until


def open_ledger(folder: Path) -> Ledger:
    return Ledger.open(folder / "ledger.db", key_prefix="relay_live", organisation_id="org_local", max_queued=100)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a key and a webhook in its ledger."""
    ledger = open_ledger(tmp_path / "data")
    ledger.keys.create("laptop")
    ledger.endpoints.create("https://a.test", ["clip.ready"], "secret of an endpoint")
    ledger.close()
    return tmp_path / "data"


@pytest.mark.outage
def test_backup_under_load_contains_everything_accepted_before(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        store = server.data / "store"
        answered: list[str] = []
        stopping = threading.Event()

        def register(worker: int) -> None:
            with httpx.Client(headers={"Authorization": f"Bearer {server.key}"}, trust_env=False, timeout=300) as http:
                for number in itertools.count(worker, 3):
                    if stopping.is_set():
                        return
                    (store / f"r{number}.mp4").write_bytes(b"no video")
                    made = http.post(f"{server.url}/v1/recordings", json={"bucket_path": f"r{number}.mp4"})
                    assert made.status_code == 202
                    answered.append(made.json()["recording_id"])

        assert server.key
        workers = [threading.Thread(target=register, args=(worker,)) for worker in range(3)]
        for worker in workers:
            worker.start()
        before: list[set[str]] = []
        for number in range(3):
            known = len(answered)
            until(lambda known=known: len(answered) > known)  # the backup before did not block the server
            before.append(set(answered))
            done = run_command("backup", str(tmp_path / f"{number}.backup"), "--data", str(server.data))
            assert done.returncode == 0, done.stderr
        stopping.set()
        for worker in workers:
            worker.join(300)
        refused = run_command("restore", str(tmp_path / "0.backup"), "--replace", "--data", str(server.data))
        assert (refused.returncode, "(data_folder_in_use)" in refused.stderr) == (1, True)
        key = server.key
    for number, known in enumerate(before):
        folder = tmp_path / f"restored-{number}"
        done = run_command("restore", str(tmp_path / f"{number}.backup"), "--data", str(folder))
        assert done.returncode == 0, done.stderr
        ledger = open_ledger(folder)
        assert ledger.keys.verify(key)
        for recording_id in known:
            ledger.recordings.get(recording_id)
        ledger.close()
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()} == {0o600}


def test_restore_includes_the_secrets(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    done = run_command("backup", str(file), "--data", str(data))
    assert "keep it private" in done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = run_command("backup", str(file), "--data", str(data))
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    assert run_command("restore", str(file), "--data", str(tmp_path / "new")).returncode == 0
    ledger = open_ledger(tmp_path / "new")
    assert ledger.endpoints.list()[0].secret == "secret of an endpoint"
    ledger.close()


@pytest.mark.exhaustive
def test_restore_keeps_an_existing_ledger(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    run_command("backup", str(file), "--data", str(data))
    assert run_command("keys", "create", "later", "--data", str(data)).returncode == 0
    refused = run_command("restore", str(file), "--data", str(data))
    assert (refused.returncode, "--replace" in refused.stderr) == (1, True)
    assert "later" in run_command("keys", "list", "--data", str(data)).stdout
    restored = run_command("restore", str(file), "--replace", "--data", str(data))
    assert restored.returncode == 0
    assert "later" not in run_command("keys", "list", "--data", str(data)).stdout
    (aside,) = data.glob("replaced-*")
    assert f"The previous ledger is kept in {aside}." in restored.stderr
    assert "recordings import" in restored.stderr
    assert "later" in run_command("keys", "list", "--data", str(aside)).stdout


def _members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar.getmembers()}


def _write(file: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.mark.exhaustive
def test_damaged_backup_is_rejected_without_changes(data: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    assert run_command("backup", str(good), "--data", str(data)).returncode == 0
    members = _members(good)
    about = json.loads(members["backup.json"])
    broken = tmp_path / "broken"
    newer = json.dumps(about | {"schema_version": len(MIGRATIONS) + 1}).encode()
    wrong: list[bytes | dict[str, bytes]] = [
        b"",
        b"no tar",
        good.read_bytes()[: good.stat().st_size // 2],
        {**members, "ledger.db": members["ledger.db"][:-1] + b"x"},
        {**members, "secrets.key": b"A" * 43 + b"="},
        {**members, "../../etc/passwd": b"x"},
        {"backup.json": members["backup.json"], "ledger.db": members["ledger.db"]},
        {**members, "backup.json": b"[]"},
        {**members, "backup.json": newer},
    ]
    for content in wrong:
        broken.unlink(missing_ok=True)
        if isinstance(content, bytes):
            broken.write_bytes(content)
        else:
            _write(broken, content)
        refused = run_command("restore", str(broken), "--data", str(tmp_path / "new"))
        assert (refused.returncode, "(backup_unusable)" in refused.stderr) == (1, True), refused.stderr
    assert not (tmp_path / "new").exists()


def test_missing_ledger_or_backup_is_an_error(tmp_path: Path) -> None:
    assert "has no ledger" in run_command("backup", str(tmp_path / "b"), "--data", str(tmp_path / "none")).stderr
    missing = run_command("restore", str(tmp_path / "b"), "--data", str(tmp_path / "new"))
    assert missing.returncode == 2
    assert f"there is no file '{tmp_path / 'b'}': give the path of a file that `backup` has written" in missing.stderr
