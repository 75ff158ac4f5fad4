"""CPU and out-of-memory priority of child processes."""

from __future__ import annotations

import contextlib
import os

MAX_NICE = 19
_OOM_SCORE_ADJUST = 500  # of at most 1000, in thousandths of the memory of the machine; see proc(5)


def lower_priority(pid: int, nice: int) -> None:
    """Lower the CPU priority of a child, in favour of the API and of other programs.

    If the kernel groups tasks by session (sched(7), "autogroup"), nice counts within the session of the child
    only, so the nice value of the group is set as well.
    """
    if not nice:
        return
    with contextlib.suppress(OSError):  # the child has exited, or the kernel has no autogroups
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        with open(f"/proc/{pid}/autogroup", "w") as group:
            group.write(str(nice))


def prefer_as_oom_victim(pid: int) -> None:
    """Make the kernel kill a child rather than the engine if the machine runs out of memory."""
    with contextlib.suppress(OSError):  # the child has exited
        path = f"/proc/{pid}/oom_score_adj"
        with open(path) as score:
            wanted = max(_OOM_SCORE_ADJUST, int(score.read()))
        with open(path, "w") as score:
            score.write(str(wanted))
