"""Liveness of one child: its deadline, and how long it has given no sign of life."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Literal

from clipengine.work.children.jobs import Job

Overdue = Literal["deadline", "stuck", "suspended"]

# If a check is late by this much, the engine itself was suspended.
_FROZEN_SECONDS = 2.0
# A silent child that used less CPU time than this did not run: it was suspended, or waits forever. The constant covers
# the threads that run on for a moment after the last sign of life.
_IDLE_SHARE, _IDLE_SECONDS = 0.05, 0.2
_TICKS = os.sysconf("SC_CLK_TCK")


class Liveness:
    """Watchdog: call `begin` with the job, `touch` at each sign of life and `check` every `tick` seconds."""

    def __init__(self, pid: int, *, tick: float) -> None:
        self._pid = pid
        self._tick = tick
        self._touched = self._seen = self._checked = time.monotonic()
        self._cpu = 0.0
        self._deadline = self._stall = 0.0

    def begin(self, job: Job) -> None:
        self._touched = self._checked = time.monotonic()
        self._deadline, self._stall = self._touched + job.wall_seconds, job.stall_seconds

    def touch(self) -> None:
        """Record a sign of life. Thread-safe."""
        self._touched = time.monotonic()

    def check(self) -> Overdue | None:
        """Return the reason why the child must be killed, or None.

        "deadline": the deadline has passed. "stuck": no sign of life for too long, although the child ran. "suspended":
        no sign of life because the child did not run; a retry may succeed. Time in which the engine itself was
        suspended is not counted.
        """
        now = time.monotonic()
        late = now - self._checked - self._tick
        self._checked = now
        if late > _FROZEN_SECONDS:
            self._deadline += late
            self._touched += late
        if self._touched != self._seen:
            self._seen, self._cpu = self._touched, cpu_seconds(self._pid)
        if now > self._deadline:
            return "deadline"
        silent = now - self._touched
        if silent <= self._stall:
            return None
        used = cpu_seconds(self._pid) - self._cpu
        return "suspended" if used <= _IDLE_SECONDS + _IDLE_SHARE * silent else "stuck"


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process, or 0 if it does not exist."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0
