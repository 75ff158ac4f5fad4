"""An unusable data folder: the engine reports it on start in one line and changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipengine.ledger.opening.disk import file_system
from tests.support.server import COMMAND, clean_environ, run_command, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage

NOBODY = 65534


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return a data folder that has been used."""
    data = tmp_path / "data"
    with running_server(data) as server:
        assert server.key
        server.stop()
    return data


def refused(data: Path, *before: str) -> str:
    """Return the standard error of a `serve` that exits with 1."""
    command = [*before, COMMAND, "serve", "--port", "0"]
    env = clean_environ({"CLIPENGINE_DATA__FOLDER": str(data)})
    done = subprocess.run(command, env=env, cwd="/", timeout=300, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def as_another(data: Path) -> str:
    """Do the same as root without capabilities, so that file permissions apply to it."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.getuid() != 0:
        pytest.skip("only root can give files to somebody else")
    return refused(data, setpriv, "--bounding-set=-all", "--inh-caps=-all")


class TestForeignOwner:
    def test_folder_of_another_user_is_reported(self, made: Path) -> None:
        os.chown(made, NOBODY, NOBODY)
        assert f"the data folder {made} cannot be written: Permission denied" in as_another(made)

    def test_ledger_of_another_user_is_reported(self, made: Path) -> None:
        ledger = made / "ledger.db"
        os.chown(ledger, NOBODY, NOBODY)
        said = as_another(made)
        assert f"the ledger {ledger} cannot be opened: Permission denied" in said
        assert "belongs to this user" in said
        ledger.chmod(
            0o666
        )  # write permission for all is not enough: the engine must restrict access, because it holds secrets
        assert f"the ledger {ledger} cannot be opened: Operation not permitted" in as_another(made)

    def test_secrets_key_of_another_user_is_reported(self, made: Path) -> None:
        os.chown(made / "secrets.key", NOBODY, NOBODY)
        said = as_another(made)
        assert "secrets.key" in said
        assert "Permission denied" in said

    def test_unwritable_parent_folder_is_reported(self, tmp_path: Path) -> None:
        os.chown(tmp_path, NOBODY, NOBODY)
        assert f"cannot create the data folder {tmp_path / 'data'}: Permission denied" in as_another(tmp_path / "data")
        assert not (tmp_path / "data").exists()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder mounted through FUSE under the type of a network file system."""
    bindfs = shutil.which("bindfs")
    if bindfs is None or os.getuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("nothing can be mounted here (apt install bindfs, as root)")
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    mount = [bindfs, "-o", "subtype=sshfs", str(near), str(far)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("FUSE cannot be mounted here")
    try:
        until(lambda: file_system(far) == "fuse.sshfs")
        yield far
    finally:
        subprocess.run(["umount", "--lazy", str(far)], check=True)


def test_data_folder_on_a_network_file_system_is_rejected(far: Path, tmp_path: Path) -> None:
    assert f"the data folder {far} is on fuse.sshfs, a network file system" in refused(far)
    assert not list((tmp_path / "near").glob("ledger*"))
    doctor = run_command("doctor", "--data", str(far))
    assert "PROBLEM data folder" in doctor.stdout


def test_folder_store_may_be_on_a_network_file_system(far: Path, tmp_path: Path) -> None:
    with running_server(tmp_path / "data", env={"CLIPENGINE_STORAGE__FOLDER": str(far)}) as server:
        (far / "a.mp4").write_bytes(b"no video")
        assert server.client().recordings.add("a.mp4").bucket_path == "a.mp4"
        server.stop()
