"""Progress of a step that takes long: one line every five seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERVAL_SECONDS = 5.0


@contextmanager
def reported(line: Callable[[], str], *, interval: float = INTERVAL_SECONDS) -> Iterator[None]:
    """Print `line()` with the seconds since the start at each interval until the block ends."""
    ended, began = threading.Event(), time.monotonic()

    def report() -> None:
        while not ended.wait(interval):
            print(f"{line()} ({time.monotonic() - began:.0f} s)", flush=True)

    reporter = threading.Thread(target=report)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()
