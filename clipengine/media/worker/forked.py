"""Children that are forked instead of started as programs, for a command that cuts one recording.

The command imports the modules of its maker and its inspector once. All three processes then have the same address
layout, unlike separate programs: an attacker who controls the maker knows the address layout of the inspector. The
children also begin with a copy of the command's memory: fork them before it reads settings, credentials or files.
`lock_down` erases the environment.
"""

from __future__ import annotations

import faulthandler
import os
import threading
import traceback
from typing import Literal

from clipengine.media.memory import log_library_errors
from clipengine.media.worker import inspector, maker
from clipengine.media.worker.process import run_child

_JOBS = {"maker": maker.do_job, "inspector": inspector.do_job}


def is_single_threaded() -> bool:
    """Return True if this process has one thread, which a fork needs: other threads may hold locks."""
    return threading.active_count() == 1 and len(os.listdir("/proc/self/task")) == 1


def fork_child(program: Literal["maker", "inspector"], control: int, ranges: int, stderr: int) -> int:
    """Fork a child with these sockets and return its pid. Call it in a process with one thread."""
    parent = os.getpid()
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        os.read(reading, 1)  # until the child has its own process group, which can be killed
        os.close(reading)
        return pid
    status = 1
    try:
        detach(stderr)
        os.close(writing)
        run_child(_JOBS[program], control, ranges, parent, sandbox=True, when_locked=log_library_errors)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)  # without the exit handlers of the parent


def detach(stderr: int) -> None:
    """Leave the terminal, the working folder and the standard streams of the parent."""
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number, source in enumerate((null, null, stderr)):
        os.dup2(source, number)
    faulthandler.enable()
