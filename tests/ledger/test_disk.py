"""Detection of network file systems by the deepest mount in the kernel's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipengine.errors import StartupError
from clipengine.ledger.opening.disk import check_local, file_system

TABLE = """\
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/local xfs rw 0 0
//server/share /mnt/a\\040share cifs rw 0 0
tmpfs /mnt/a\\040share/fast tmpfs rw 0 0
me@server: /mnt/ssh fuse.sshfs rw 0 0
bucket /mnt/bucket fuse.rclone rw 0 0
over /var/lib/docker/overlay2/x/merged overlay rw 0 0
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    table = tmp_path / "mounts"
    table.write_text(TABLE)
    return table


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me/data", "nfs4"),
        ("/mnt/a share/data", "cifs"),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/mnt/bucket/x", "fuse.rclone"),
    ],
)
def test_network_file_system_is_rejected(mounts: Path, folder: str, kind: str) -> None:
    with pytest.raises(StartupError, match=f"{folder} is on {kind}, a network file system") as caught:
        check_local(Path(folder), mounts)
    assert "storage.folder" in caught.value.hint


@pytest.mark.parametrize(
    "folder", ["/srv/data", "/home/local/data", "/home2", "/mnt/a share/fast/data", "/var/lib/docker/overlay2/x/merged"]
)
def test_local_file_system_is_accepted(mounts: Path, folder: str) -> None:
    check_local(Path(folder), mounts)


def test_symbolic_link_is_followed(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/mnt/ssh")
    assert file_system(tmp_path / "link", mounts) == "fuse.sshfs"


def test_folder_is_accepted_if_the_mounts_are_unknown(tmp_path: Path) -> None:
    check_local(Path("/home/me/data"), tmp_path / "none")
