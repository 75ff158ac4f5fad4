"""Resource limits of a child: some are set at its start, the rest with its job. They are only ever lowered."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

_MAX_DESCRIPTORS = 32
STACK_BYTES = 8 << 20
# RLIMIT_NPROC counts all threads of the user. The child itself can start only threads.
_MORE_TASKS = 16_384
# Address space that the C library reserves for thread stacks and heaps without using it.
_RESERVED_BYTES = 1 << 30
_RESERVED_BYTES_PER_THREAD = 256 << 20
# At the hard limit the kernel sends SIGKILL, which looks like a kill from outside; SIGXCPU must come first.
_CPU_GRACE_SECONDS = 5


@dataclass(frozen=True)
class JobLimits:
    """Limits of one job. `memory_bytes` limits writable memory; `cpu_seconds` counts all threads."""

    memory_bytes: int
    cpu_seconds: int
    file_bytes: int
    threads: int


def limit_child() -> str:
    """Set the limits that apply to every job and describe them. Raises OSError or ValueError."""
    if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):  # inherited from the engine
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with open("/proc/loadavg") as load:
        tasks = int(load.read().split()[3].partition("/")[2])
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _MAX_DESCRIPTORS)
    _lower(resource.RLIMIT_NPROC, tasks + _MORE_TASKS)
    _lower(resource.RLIMIT_STACK, STACK_BYTES)  # of the main thread: RLIMIT_DATA does not count it
    return f"no core file, {_MAX_DESCRIPTORS} descriptors; memory, CPU time and file size with each job"


def limit_job(limits: JobLimits) -> None:
    """Set the limits of one job. Exceeding them raises MemoryError, SIGXCPU (CPU time) or EFBIG (file size)."""
    reserved = _RESERVED_BYTES + limits.threads * _RESERVED_BYTES_PER_THREAD
    _lower(resource.RLIMIT_DATA, limits.memory_bytes)
    _lower(resource.RLIMIT_AS, limits.memory_bytes + reserved)
    _lower(resource.RLIMIT_CPU, limits.cpu_seconds, hard=limits.cpu_seconds + _CPU_GRACE_SECONDS)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)


def _lower(which: int, value: int, *, hard: int | None = None) -> None:
    """Lower the soft and the hard limit (`hard`, or `value` by default). Lower existing limits stay."""
    _, current = resource.getrlimit(which)
    wanted = (value, value if hard is None else hard)
    if current != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], current), min(wanted[1], current))
    resource.setrlimit(which, wanted)
