"""Scratch space, where clips are written before they are uploaded.

Each attempt has a folder. Folders without an attempt are deleted at the start and by the sweep.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path


class Scratch:
    """The folder `scratch` in the data folder. `check` raises StorageUnavailable if the data folder was moved."""

    def __init__(self, root: Path, check: Callable[[], None]) -> None:
        self.root = root
        self.check = check

    def prepare(self) -> None:
        """Create the scratch folder if it is missing. Never creates the data folder."""
        self.check()
        self.root.mkdir(mode=0o700, exist_ok=True)

    def free(self) -> int:
        """Return the number of bytes that are free on its disk, or 0 if it was moved."""
        try:
            return shutil.disk_usage(self.root).free
        except FileNotFoundError:
            return 0

    def make(self, clip_id: str, attempt: int) -> Path:
        """Create an empty folder for one attempt, and return its path."""
        self.prepare()
        folder = self.folder(clip_id, attempt)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    def folder(self, clip_id: str, attempt: int) -> Path:
        """Return the path of the attempt's folder, which need not exist."""
        return self.root / f"{clip_id}-{attempt}"

    def lost(self, error: OSError) -> bool:
        """Return True if the error says that a file or folder of the scratch folder is missing."""
        return isinstance(error, FileNotFoundError) and self.root in Path(str(error.filename)).parents

    def remove(self, clip_id: str, attempt: int) -> None:
        shutil.rmtree(self.folder(clip_id, attempt), ignore_errors=True)

    def tidy(self, in_flight: Callable[[], Collection[str]], awaiting: Callable[[], Mapping[str, int]]) -> int:
        """Delete unused folders and return how many were deleted.

        `in_flight` returns the ids of clips in progress, `awaiting` the attempt of each clip that awaits its upload.
        They are called in this order, after the folders were listed, because a clip moves from the first to the second.
        """
        found = list(self.root.iterdir()) if self.root.exists() else []
        if not found:
            return 0
        working = in_flight()
        kept = {self.folder(*each).name for each in awaiting().items()}
        unused = [each for each in found if each.name not in kept and each.name.rpartition("-")[0] not in working]
        for each in unused:
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)
        return len(unused)
