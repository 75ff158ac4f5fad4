"""Waiting for the state of another process."""

from __future__ import annotations

import time
from collections.abc import Callable

_LEAST_PAUSE, _LONGEST_PAUSE = 0.005, 0.05


def until(condition: Callable[[], object], seconds: float = 300) -> None:
    """Wait until the condition holds; fail after `seconds`.

    The pause between two checks grows with the time of a check, for example of a request: frequent requests would slow
    down the server that the test waits for.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        assert now < deadline
        time.sleep(min(max(_LEAST_PAUSE, 4 * (now - began)), _LONGEST_PAUSE))
