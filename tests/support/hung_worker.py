"""The program that watches a worker of xdist, and kills it with all that it started if a test hangs.

Another process keeps the time, because a test may hang in a call that holds the interpreter. Servers and children have
sessions of their own, so that they are found by their parents and not by their process group.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

from tests.support.process_tree import process_tree

_PIPE_BYTES = 1 << 16


def watch(worker: int, seconds: float) -> None:
    """Read the name of each test from stdin when it begins, and an empty line when it ends."""
    test = ""
    while True:
        if not select.select([0], [], [], seconds if test else None)[0]:
            print(f"\n{test} has run for {seconds:g} seconds: killing its worker", file=sys.stderr, flush=True)
            kill_tree(worker)
            return
        data = os.read(0, _PIPE_BYTES)
        if not data:
            return
        test = data.decode(errors="replace").split("\n")[-2]


def kill_tree(root: int) -> None:
    """Kill a process and its descendants. They are stopped first, so that none starts others meanwhile."""
    stopped = {os.getpid()}
    while found := process_tree(root).keys() - stopped:
        for pid in found:
            _signal(pid, signal.SIGSTOP)
        stopped |= found
    for pid in stopped - {os.getpid()}:
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):  # it has ended, or belongs to another user
        os.kill(pid, number)


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]))
