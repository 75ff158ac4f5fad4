"""Scratch space: where clips are made, and where they wait for the store once they are.

One folder for each attempt. What no row of the ledger names and no thread works on is removed, at every start and
while the engine runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path


class Scratch:
    """The folder `scratch` of the data folder. `check` raises StorageUnavailable where that was moved away."""

    def __init__(self, root: Path, check: Callable[[], None]) -> None:
        self.root = root
        self.check = check

    def prepare(self) -> None:
        """The folder is there, in the data folder that there is."""
        self.check()
        self.root.mkdir(mode=0o700, exist_ok=True)

    def make(self, clip_id: str, attempt: int) -> Path:
        """A new, empty folder for one attempt. The data folder is never made anew."""
        self.prepare()
        folder = self.folder(clip_id, attempt)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    def folder(self, clip_id: str, attempt: int) -> Path:
        """Where the attempt's folder is, if there is one."""
        return self.root / f"{clip_id}-{attempt}"

    def remove(self, clip_id: str, attempt: int) -> None:
        shutil.rmtree(self.folder(clip_id, attempt), ignore_errors=True)

    def tidy(self, busy: Callable[[], Collection[str]], waiting: Callable[[], Mapping[str, int]]) -> int:
        """Remove what is neither worked on nor waits for its upload; how many folders those were.

        `busy` gives the ids of clips, `waiting` the attempt of each. They are asked in this order, after the folders
        were listed: a clip goes from being worked on to waiting, so that it is never in neither.
        """
        found = list(self.root.iterdir()) if self.root.exists() else []
        if not found:
            return 0
        working = busy()
        kept = {self.folder(*each).name for each in waiting().items()}
        left = [each for each in found if each.name not in kept and each.name.rpartition("-")[0] not in working]
        for each in left:
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)
        return len(left)
