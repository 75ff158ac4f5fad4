"""Check that the ledger is on a local file system."""

from __future__ import annotations

import re
from pathlib import Path

from clipengine.errors import StartupError

_MOUNTS = Path("/proc/self/mounts")
_REMOTE = re.compile(r"nfs\d?|cifs|smb3?|smbfs|afs|ceph|glusterfs|fuse\.(sshfs|s3fs|rclone|glusterfs)|lustre|beegfs")


def check_local(folder: Path, mounts: Path = _MOUNTS) -> None:
    """Raise StartupError if the folder is on a network file system, where SQLite's locks and its WAL do not work."""
    kind = file_system(folder, mounts)
    if _REMOTE.fullmatch(kind):
        raise StartupError(
            f"the data folder {folder} is on {kind}, a network file system, where SQLite's locks do not work",
            hint="Choose a folder on a local disk with data.folder or --data. Recordings and clips may be elsewhere, "
            "see storage.folder.",
        )


def file_system(folder: Path, mounts: Path = _MOUNTS) -> str:
    """Return the type of the folder's file system as the kernel names it, or an empty string if it is unknown."""
    folder = folder.resolve()
    deepest, kind = "", ""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        mount_point, mount_kind = line.split(" ")[1:3]
        mount_point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount_point)
        if len(mount_point) >= len(deepest) and folder.is_relative_to(mount_point):
            deepest, kind = mount_point, mount_kind
    return kind
