"""Growth of the CPU time of a call with the size of its input: a limit that does not depend on the machine."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_RUNS = 5
_SHORT_SECONDS = 0.003  # a call that takes less is not slow, and cannot be measured
_STOP_SECONDS = 1.0  # linear calls take a few milliseconds
_MARGIN = 2.2  # a linear cost grows as its input, a quadratic one by the square of that


class _Stopped(Exception):
    pass


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    """Raise _Stopped after so much CPU time: `re` looks for signals while it matches."""

    def stop(*_: object) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of the fastest of some runs in this thread, or _STOP_SECONDS if it was stopped."""
    best = _STOP_SECONDS
    for _ in range(_RUNS):
        began = time.thread_time()
        try:
            with _stopped_after(_STOP_SECONDS):
                call()
        except _Stopped:
            return _STOP_SECONDS
        best = min(best, time.thread_time() - began)
        if best < _SHORT_SECONDS:
            break
    return best


def growth(call: Callable[[T], object], make: Callable[[int], T], small: int, large: int) -> float:
    """Return how many times more CPU time the larger input takes, or 1 if it takes too little to be measured.

    It is infinite if the call has to be stopped.
    """
    big = make(large)
    taken = _cpu_seconds(lambda: call(big))
    if taken < _SHORT_SECONDS:
        return 1.0
    if taken == _STOP_SECONDS:
        return float("inf")
    little = make(small)
    return taken / max(_cpu_seconds(lambda: call(little)), _SHORT_SECONDS / 100)


def is_linear(call: Callable[[T], object], make: Callable[[int], T], small: int, large: int) -> bool:
    """Return True if the CPU time grows about as the input does, rather than with its square."""
    return growth(call, make, small, large) < _MARGIN * large / small
