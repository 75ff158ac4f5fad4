"""Resource limits of one encoder child: a few from its start, the rest with its job. They only ever get tighter."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

_MAX_DESCRIPTORS = 32
STACK_BYTES = 8 << 20
# Threads, in effect: the filter lets it make no process. The kernel counts those of the whole user.
_MORE_TASKS = 16_384
# The C library reserves address space for each thread and each of its heaps that is never touched.
_RESERVED_BYTES = 1 << 30
_RESERVED_BYTES_PER_THREAD = 256 << 20
# At the hard limit the kernel sends SIGKILL, and nothing would tell it from one that was sent from outside.
_CPU_GRACE_SECONDS = 5


@dataclass(frozen=True)
class JobLimits:
    """What one job may use. `memory_bytes` is what it may have written to; `cpu_seconds` counts all threads."""

    memory_bytes: int
    cpu_seconds: int
    file_bytes: int
    threads: int


def limit_child() -> str:
    """Set the limits of every job and describe them. Raises OSError or ValueError."""
    if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):  # the engine's own, which a child inherits
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with open("/proc/loadavg") as load:
        tasks = int(load.read().split()[3].partition("/")[2])
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _MAX_DESCRIPTORS)
    _lower(resource.RLIMIT_NPROC, tasks + _MORE_TASKS)
    _lower(resource.RLIMIT_STACK, STACK_BYTES)  # of the main thread: RLIMIT_DATA does not count it
    return f"no core file, {_MAX_DESCRIPTORS} descriptors; memory, CPU time and file size with each job"


def limit_job(limits: JobLimits) -> None:
    """The limits of one job. Memory that runs out is a MemoryError, CPU time SIGXCPU, file size EFBIG."""
    reserved = _RESERVED_BYTES + limits.threads * _RESERVED_BYTES_PER_THREAD
    _lower(resource.RLIMIT_DATA, limits.memory_bytes)
    _lower(resource.RLIMIT_AS, limits.memory_bytes + reserved)
    _lower(resource.RLIMIT_CPU, limits.cpu_seconds, hard=limits.cpu_seconds + _CPU_GRACE_SECONDS)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)


def _lower(which: int, value: int, *, hard: int | None = None) -> None:
    """Set it, soft and hard alike where `hard` is not given, unless it is lower already."""
    _, most = resource.getrlimit(which)
    wanted = (value, value if hard is None else hard)
    if most != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], most), min(wanted[1], most))
    resource.setrlimit(which, wanted)
