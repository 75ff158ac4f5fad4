"""The encoder children of an engine, found in /proc: those at work, and those that hold a recording."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def working(engine: int) -> list[int]:
    """The children of the process that are at work: they have threads."""
    return [pid for pid, fields in _children(engine) if int(fields[17]) > 1]


def holding(engine: int, path: Path) -> list[int]:
    """The children of the process that have been given this recording."""
    found = []
    for pid, _ in _children(engine):
        with suppress(OSError):
            if any(os.readlink(each) == str(path.resolve()) for each in Path(f"/proc/{pid}/fd").iterdir()):
                found.append(pid)
    return found


def _children(parent: int) -> Iterator[tuple[int, list[str]]]:
    """Each with the fields of its stat from the third one on."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                yield int(entry.parent.name), fields
