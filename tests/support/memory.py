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
    before = peak_mebibytes(process)
    yield
    assert peak_mebibytes(process) - before < mebibytes


def peak_mebibytes(process: int | str = "self") -> float:
    """Return the peak of the resident memory of a process since its program began, unlike `ru_maxrss`."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def resident_mebibytes(process: int) -> float:
    """Return the resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
