"""Heads of the audit log, and the file with the newest head that this host has seen.

The file is in the data folder, not in the database. A log that somebody has replaced in the database does not contain
the head in the file, which shows the replacement.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

HEAD_FILE = "audit-head"
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)
_MOST_BYTES = 100


@dataclass(frozen=True)
class Link:
    """A position in the chain: the number of a batch and its seal. The chain begins with batch 0."""

    number: int
    head: str
    unverifiable: int = 0  # batches up to this one were sealed with a lost key; of an anchor

    def __str__(self) -> str:
        return f"{self.number}:{self.head}"

    @classmethod
    def parse(cls, text: str) -> Link:
        """Return the head that `str` has written. Raises ValueError."""
        match = _HEAD.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:100]!r} is not a head, such as 12:3fa9…")
        return cls(int(match[1]), match[2])


class HeadFile:
    """The newest head that the engine of a data folder has sealed or seen."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / HEAD_FILE

    def read(self) -> Link | None:
        """Return the head, or None if there is no file. Raises OSError, and ValueError if it is damaged."""
        try:
            with self.path.open("rb") as file:
                return Link.parse(file.read(_MOST_BYTES).decode("ascii", "replace").rstrip("\n"))
        except FileNotFoundError:
            return None

    def write(self, head: Link) -> None:
        """Replace the head atomically. Raises OSError."""
        draft = self.path.with_name(f"{HEAD_FILE}.new")
        with open(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(f"{head}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
