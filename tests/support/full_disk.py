"""A disk that can be filled: a small tmpfs, which only root can mount."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

MEGABYTE = 1_000_000


@contextmanager
def disk(folder: Path, megabytes: float) -> Iterator[None]:
    """Mount a tmpfs of this size at `folder`, a new folder. Skip the test if that is not permitted."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={round(megabytes * MEGABYTE)}", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a disk that can be filled is a tmpfs, which only root may mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow(folder: Path, megabytes: float) -> None:
    """Change the size of the disk."""
    size = f"remount,size={round(megabytes * MEGABYTE)}"
    subprocess.run(["mount", "-o", size, str(folder)], check=True)


def fill(folder: Path, leave: int) -> None:
    """Fill the disk except for `leave` bytes."""
    size = max(0, shutil.disk_usage(folder).free - leave)
    # Without a buffer, whose rest would be written by `close`: an engine may have taken the space meanwhile.
    with (folder / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        file.write(bytes(size))


def free(folder: Path) -> None:
    """Free the space taken by `fill`."""
    (folder / "ballast").unlink()
