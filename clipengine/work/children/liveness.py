"""Liveness of one child: its deadline, and how long it has given no sign of life.

Both count the time in which the child can run: at a low priority on a busy machine, it may get little CPU time for
minutes.
"""

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
        self._sampled, self._sampled_cpu = self._checked, 0.0
        self._starved = self._seen_starved = 0.0
        self._deadline = self._stall = 0.0

    def begin(self, job: Job) -> None:
        self._touched = self._checked = time.monotonic()
        self._sampled, self._sampled_cpu = self._touched, cpu_seconds(self._pid)
        self._starved = 0.0
        self._deadline, self._stall = self._touched + job.wall_seconds, job.stall_seconds

    def touch(self) -> None:
        """Record a sign of life. Thread-safe."""
        self._touched = time.monotonic()

    def check(self) -> Overdue | None:
        """Return the reason why the child must be killed, or None.

        "deadline": the deadline has passed. "stuck": no sign of life for too long, although the child ran. "suspended":
        no sign of life because the child did not run; a retry may succeed. Time in which the engine itself was
        suspended is not counted, nor time in which the child was ready to run but the machine was busy with others.
        """
        now = time.monotonic()
        late = now - self._checked - self._tick
        self._checked = now
        if late > _FROZEN_SECONDS:
            self._deadline += late
            self._touched += late
            self._sampled += late
        cpu = self._sample(now)
        if self._touched != self._seen:
            self._seen, self._cpu, self._seen_starved = self._touched, cpu, self._starved
        if now - self._starved > self._deadline:
            return "deadline"
        silent = now - self._touched - (self._starved - self._seen_starved)
        if silent <= self._stall:
            return None
        used = cpu - self._cpu
        return "suspended" if used <= _IDLE_SECONDS + _IDLE_SHARE * silent else "stuck"

    def _sample(self, now: float) -> float:
        """Return the CPU time of the child, and add up the time in which it was ready to run but did not."""
        cpu = cpu_seconds(self._pid)
        elapsed = now - self._sampled
        if elapsed >= self._tick:  # CPU time is counted in steps of 10 ms: too coarse for shorter intervals
            if is_runnable(self._pid):
                self._starved += max(0.0, elapsed - (cpu - self._sampled_cpu))
            self._sampled, self._sampled_cpu = now, cpu
        return cpu


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process, or 0 if it does not exist."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def is_runnable(pid: int) -> bool:
    """Return True if a thread of a process runs or waits for a CPU, and False if all sleep or are stopped."""
    with contextlib.suppress(OSError):
        return any(map(_is_runnable, Path(f"/proc/{pid}/task").iterdir()))
    return False


def _is_runnable(task: Path) -> bool:
    with contextlib.suppress(OSError):  # the thread has ended
        return (task / "stat").read_text().rpartition(")")[2].split(maxsplit=1)[0] == "R"
    return False
