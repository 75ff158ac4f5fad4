"""Liveness of one encoder child: its deadline, and how long it has given no sign of life."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Literal

from clipengine.work.encoder.jobs import Job

Overdue = Literal["deadline", "stuck", "suspended"]

# An engine that looks so much later than it should was not running itself: it was stopped, or its host was frozen.
_FROZEN_SECONDS = 2.0
# A child that used less of a core while it gave no sign of life did not run: it was stopped, or waits for ever.
# Its threads may go on for a moment after the last sign of life was noted.
_IDLE_SHARE, _IDLE_SECONDS = 0.05, 0.2
_TICKS = os.sysconf("SC_CLK_TCK")


class Liveness:
    """Call `begin` with the job, `touch` at each sign of life and `check` every `tick` seconds."""

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
        """Note a sign of life. May be called from any thread."""
        self._touched = time.monotonic()

    def check(self) -> Overdue | None:
        """Return why the child has to be killed, None if it has not.

        "deadline": it has used up its time. "stuck": no sign of life for too long, although it ran. "suspended": no
        sign of life, and it did not run, so another attempt may succeed. Time in which this engine itself did not run
        is not counted: the child may have been frozen with it.
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
    """Return the CPU time that all threads of a process have used, 0 if it is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0
