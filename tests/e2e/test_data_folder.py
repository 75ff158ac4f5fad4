"""A data folder that the engine cannot work in: it says so at the start, in one line, and touches nothing."""

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

NOBODY = 65534


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A data folder that was in use."""
    data = tmp_path / "data"
    with running_server(data) as server:
        assert server.key
        server.stop()
    return data


def refused(data: Path, *before: str) -> str:
    """What `serve` says on its standard error before it ends with 1."""
    command = [*before, COMMAND, "serve", "--port", "0"]
    env = clean_environ({"CLIPENGINE_DATA__FOLDER": str(data)})
    done = subprocess.run(command, env=env, cwd="/", timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def as_another(data: Path) -> str:
    """The same of root without its powers, for whom a file of somebody else is what it is for everybody."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.getuid() != 0:
        pytest.skip("only root can give files to somebody else")
    return refused(data, setpriv, "--bounding-set=-all", "--inh-caps=-all")


class TestAnotherOwner:
    def test_of_the_folder(self, made: Path) -> None:
        os.chown(made, NOBODY, NOBODY)
        assert f"the data folder {made} cannot be written: Permission denied" in as_another(made)

    def test_of_the_ledger(self, made: Path) -> None:
        ledger = made / "ledger.db"
        os.chown(ledger, NOBODY, NOBODY)
        said = as_another(made)
        assert f"the ledger {ledger} cannot be opened: Permission denied" in said
        assert "belongs to this user" in said
        ledger.chmod(0o666)  # that all may write is not enough: it holds secrets, and is to be closed to others
        assert f"the ledger {ledger} cannot be opened: Operation not permitted" in as_another(made)

    def test_of_the_key_of_its_secrets(self, made: Path) -> None:
        os.chown(made / "secrets.key", NOBODY, NOBODY)
        said = as_another(made)
        assert "secrets.key" in said
        assert "Permission denied" in said

    def test_of_where_it_is_to_be_made(self, tmp_path: Path) -> None:
        os.chown(tmp_path, NOBODY, NOBODY)
        assert f"cannot create the data folder {tmp_path / 'data'}: Permission denied" in as_another(tmp_path / "data")
        assert not (tmp_path / "data").exists()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A folder that is mounted through FUSE, under the name of a file system of another machine."""
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


def test_on_another_machines_disk(far: Path, tmp_path: Path) -> None:
    assert f"the data folder {far} lies on fuse.sshfs, a disk of another machine" in refused(far)
    assert not list((tmp_path / "near").glob("ledger*"))
    doctor = run_command("doctor", "--data", str(far))
    assert "PROBLEM data folder" in doctor.stdout


def test_objects_may_lie_on_another_machines_disk(far: Path, tmp_path: Path) -> None:
    with running_server(tmp_path / "data", env={"CLIPENGINE_STORAGE__FOLDER": str(far)}) as server:
        (far / "a.mp4").write_bytes(b"no video")
        assert server.client().recordings.add("a.mp4").bucket_path == "a.mp4"
        server.stop()
