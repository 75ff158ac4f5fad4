"""Wall time, CPU and peak memory of a command and its descendants, in paired runs.

CPU is the kernel's accounting (`wait4`) of the command and of all descendants that were waited for. Memory is sampled
for the whole process tree; shared pages count once per process, so it is never underestimated.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO

_SAMPLE_SECONDS = 0.02
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Cost of a run: wall time in seconds, CPU seconds (user and system), peak memory in bytes."""

    wall: float
    cpu: float
    memory: float


@dataclass(frozen=True)
class Runs:
    """Results of runs in turn, round by round: `usages[name]` has one entry per round."""

    usages: Mapping[str, Sequence[Usage]]

    def middle(self, name: str) -> Usage:
        """Return the median of each quantity separately."""
        return _middle(self.usages[name])

    def with_sum(self, name: str, *parts: str) -> Runs:
        """Return the runs with one more that stands for all of these, one after the other."""
        rounds = zip(*(self.usages[part] for part in parts), strict=True)
        return Runs({**self.usages, name: [_sum(each) for each in rounds]})

    def ratio(self, ours: str, theirs: str) -> Usage:
        """Return the medians of the ratios of the two, each over two rounds with opposite orders."""
        pairs = zip(_by_two(self.usages[ours]), _by_two(self.usages[theirs]), strict=True)
        return _middle([Usage(a.wall / b.wall, a.cpu / b.cpu, a.memory / b.memory) for a, b in pairs])


def _by_two(usages: Sequence[Usage]) -> list[Usage]:
    """Return the sums of every two usages, and a last single one."""
    return [_sum(usages[first : first + 2]) for first in range(0, len(usages), 2)]


def _sum(usages: Sequence[Usage]) -> Usage:
    wall, cpu, memory = (sum(getattr(usage, name) for usage in usages) for name in ("wall", "cpu", "memory"))
    return Usage(wall, cpu, memory)


def _middle(usages: Sequence[Usage]) -> Usage:
    wall, cpu, memory = (median(getattr(usage, name) for usage in usages) for name in ("wall", "cpu", "memory"))
    return Usage(wall, cpu, memory)


def run(command: Sequence[str], *, stdout: IO[bytes] | int = subprocess.DEVNULL, **environment: str) -> Usage:
    """Run a command to its end, with further environment variables. Raises CalledProcessError if it fails."""
    # As installed packages, whose bytecode is compiled: otherwise each run compiles the modules of the command.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, env=inherited | environment
    )
    said: list[bytes] = []
    assert process.stderr is not None
    listening = threading.Thread(target=lambda stream: said.append(stream.read()), args=(process.stderr,))
    listening.start()
    with MemorySampler(process.pid) as memory:
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    listening.join()
    process.stderr.close()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said[0].decode(errors="replace"))
    # Not `ru_maxrss`: it includes the memory of this program at the fork.
    return Usage(wall, usage.ru_utime + usage.ru_stime, memory.peak)


def in_turn(things: Mapping[str, Callable[[], Usage]], *, rounds: int) -> Runs:
    """Run the functions alternately (A B, B A, A B …), so that drift of the machine's speed affects all equally."""
    usages: dict[str, list[Usage]] = {name: [] for name in things}
    for number in range(rounds):
        for name in list(things) if number % 2 == 0 else reversed(list(things)):
            usages[name].append(things[name]())
    return Runs(usages)


class MemorySampler:
    """Samples the memory of a process tree while the block runs; `peak` is in bytes."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> MemorySampler:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, sum(map(resident_bytes, _tree(self._pid))))
            if self._stop.wait(_SAMPLE_SECONDS):
                return


def _tree(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def resident_bytes(pid: int) -> int:
    """Return the memory of a process without its children, 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a running process and all its threads have used so far."""
    spent = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9
