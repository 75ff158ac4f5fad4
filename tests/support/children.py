"""The children of an engine, found in /proc: the busy ones, and those that have a recording open."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


def is_child(process: Path, program: str = "") -> bool:
    """Return True if a process, by its folder in /proc, runs the program of a child. Raises OSError if it has ended."""
    command, name = (process / "cmdline").read_bytes(), (process / "comm").read_text()
    return f"clipengine.media.worker.{program}".encode() in command or name.startswith(f"child-{program}")


def working(engine: int) -> list[int]:
    """Return the children of the process that have a job: they have threads."""
    return [pid for pid, fields in _children(engine) if int(fields[17]) > 1]


def holding(engine: int, path: Path) -> list[int]:
    """Return the children of the process that have this recording open.

    A child that is being started has the descriptors of the engine until its program runs.
    """
    found = []
    for pid, _ in _children(engine):
        with suppress(OSError):
            process = Path(f"/proc/{pid}")
            opened = (os.readlink(each) for each in (process / "fd").iterdir())
            if is_child(process) and str(path.resolve()) in opened:
                found.append(pid)
    return found


@dataclass
class Weight:
    """Peak resident memory in bytes: of the engine, and of any single child."""

    engine: int = 0
    child: int = 0


@contextmanager
def weighed(engine: int) -> Iterator[Weight]:
    """Sample the peak memory that the kernel reports for each process, twenty times a second."""
    weight, over = Weight(), threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            weight.engine = max(weight.engine, _peak(engine))
            weight.child = max([weight.child, *(_peak(pid) for pid, _ in _children(engine))])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield weight
    finally:
        over.set()
        thread.join()


def _peak(pid: int) -> int:
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10
    return 0


def _children(parent: int) -> Iterator[tuple[int, list[str]]]:
    """Return each child with the fields of its stat from the third one on."""
    for pid in _pids_of_children(parent):
        with suppress(OSError):
            yield pid, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _pids_of_children(parent: int) -> list[int]:
    """Return the children that the kernel lists for each thread. Reading the stat of all processes takes longer."""
    found: list[int] = []
    for listed in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, listed.read_text().split())
    return found
