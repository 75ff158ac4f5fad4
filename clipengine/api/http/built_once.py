"""Values that are built at the first request for them, in a thread, because that takes too long for the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import TypeVar

T = TypeVar("T")


def built_once(build: Callable[[], T]) -> Callable[[], T]:
    """Return a function that builds the value at its first call. Call it in threads: others wait for the first."""
    lock, built = threading.Lock(), cache(build)

    def value() -> T:
        with lock:
            return built()

    return value
