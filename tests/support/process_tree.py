"""A process and its descendants, with their CPU time."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def process_tree(root: int) -> dict[int, float]:
    """Return the CPU seconds of the process and its descendants by pid, each with its children that have ended."""
    parents, seconds = {}, {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            pid, fields = int(each.parent.name), each.read_text("utf-8", "replace").rpartition(")")[2].split()
            parents[pid] = int(fields[1])
            seconds[pid] = sum(map(int, fields[11:15])) / _TICKS
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return {pid: seconds[pid] for pid in found if pid in seconds}
