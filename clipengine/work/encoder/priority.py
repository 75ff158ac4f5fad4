"""CPU and out-of-memory priority of child processes."""

from __future__ import annotations

import contextlib
import os

_OOM_SCORE_ADJUST = 500  # of at most 1000, in thousandths of the memory of the machine; see proc(5)


def lower_priority(pid: int, nice: int) -> None:
    """Have a child leave the cores to the API and to the box's other work, from its start-up on.

    Where the kernel groups tasks by session (sched(7), "autogroup"), nice counts inside the child's own session only;
    between sessions the group's nice counts, so it is set as well.
    """
    if not nice:
        return
    with contextlib.suppress(OSError):  # it may be gone, and not every kernel has groups
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        with open(f"/proc/{pid}/autogroup", "w") as group:
            group.write(str(nice))


def prefer_as_oom_victim(pid: int) -> None:
    """Where the machine is out of memory, have the kernel end a child and not the engine, which would lose them all."""
    with contextlib.suppress(OSError):  # it may be gone
        path = f"/proc/{pid}/oom_score_adj"
        with open(path) as score:
            wanted = max(_OOM_SCORE_ADJUST, int(score.read()))
        with open(path, "w") as score:
            score.write(str(wanted))
