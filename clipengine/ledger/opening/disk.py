"""What the ledger's files need of the disk beside SQLite, which looks after its own."""

from __future__ import annotations

import re
from pathlib import Path

from clipengine.errors import StartupError

_MOUNTS = Path("/proc/self/mounts")
_REMOTE = re.compile(r"nfs\d?|cifs|smb3?|smbfs|afs|ceph|glusterfs|fuse\.(sshfs|s3fs|rclone|glusterfs)|lustre|beegfs")


def check_local(folder: Path, mounts: Path = _MOUNTS) -> None:
    """Raises StartupError where the folder lies on another machine's disk: SQLite's locks and its WAL fail there."""
    kind = file_system(folder, mounts)
    if _REMOTE.fullmatch(kind):
        raise StartupError(
            f"the data folder {folder} lies on {kind}, a disk of another machine: SQLite's locks do not hold there",
            hint="Give the engine a folder on a disk of this machine, with data.folder or --data; recordings and "
            "clips may lie elsewhere, with storage.folder.",
        )


def file_system(folder: Path, mounts: Path = _MOUNTS) -> str:
    """The kind of file system that a folder lies on, as the kernel names it; empty where it does not say."""
    folder = folder.resolve()
    best, kind = "", ""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        place, named = line.split(" ")[1:3]
        place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place)
        if len(place) >= len(best) and folder.is_relative_to(place):
            best, kind = place, named
    return kind
