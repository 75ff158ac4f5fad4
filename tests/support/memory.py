"""Resident memory of a process, and its peaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_growth_below(mebibytes: int, process: int | str = "self") -> Iterator[None]:
    """Fail if the block increases the peak of the process's resident memory by more."""
    folder = Path(f"/proc/{process}")
    (folder / "clear_refs").write_text("5")  # sets the peak to the current size
    before = _peak(folder)
    yield
    assert _peak(folder) - before < mebibytes * 1024


def _peak(folder: Path) -> int:
    """Return the peak of the resident memory in kibibytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", (folder / "status").read_text())
    assert found is not None
    return int(found[1])


def resident_mebibytes(process: int) -> float:
    """Return the resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
