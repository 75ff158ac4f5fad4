"""Peaks of this process's memory."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_growth_below(mebibytes: int) -> Iterator[None]:
    """Fail if the block increases the peak of this process's resident memory by more."""
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak to the current size
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < mebibytes * 1024  # kibibytes
