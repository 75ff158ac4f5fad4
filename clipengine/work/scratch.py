"""Scratch space: where clips are made before they are published. Wiped at every start; nothing in it is precious."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Scratch:
    """The folder `scratch` of the data folder, with one folder for each attempt."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def wipe(self) -> None:
        """Remove what a killed engine left behind."""
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def folder(self, clip_id: str, attempt: int) -> Iterator[Path]:
        """A new, empty folder for one attempt; it is gone afterwards."""
        folder = self._root / f"{clip_id}-{attempt}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
