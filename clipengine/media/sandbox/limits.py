"""Resource limits of a child: some are set at its start, the rest with its job. They are only ever lowered."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

MAX_DESCRIPTORS = 32
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
    lower_limit(resource.RLIMIT_CORE, 0)
    lower_limit(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)
    lower_limit(resource.RLIMIT_NPROC, tasks + _MORE_TASKS)
    lower_limit(resource.RLIMIT_STACK, STACK_BYTES)  # of the main thread: RLIMIT_DATA does not count it
    return f"no core file, {MAX_DESCRIPTORS} descriptors; memory, CPU time and file size with each job"


def limit_job(limits: JobLimits) -> None:
    """Set the limits of one job. Exceeding them raises MemoryError, SIGXCPU (CPU time) or EFBIG (file size)."""
    for which, value in soft_limits(limits).items():
        lower_limit(which, value, grace=_CPU_GRACE_SECONDS if which == resource.RLIMIT_CPU else 0)


def soft_limits(limits: JobLimits) -> dict[int, int]:
    """Return the soft limits of one job, by their number."""
    reserved = _RESERVED_BYTES + limits.threads * _RESERVED_BYTES_PER_THREAD
    return {
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_AS: limits.memory_bytes + reserved,
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_FSIZE: limits.file_bytes,
    }


def lower_limit(which: int, value: int, *, grace: int = 0, pid: int = 0) -> None:
    """Lower the soft limit to `value`, and the hard limit to `grace` more. Lower existing limits stay.

    `pid` is a child of this process; 0 is the process itself.
    """
    _, current = resource.prlimit(pid, which)
    wanted = (value, value + grace)
    if current != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], current), min(wanted[1], current))
    resource.prlimit(pid, which, wanted)


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if the error means that memory ran out. FFmpeg's ENOMEM is a MemoryError too."""
    # Missing memory for a thread's stack: FFmpeg reports it as EAGAIN, Python only in the message.
    if isinstance(error, (MemoryError, BlockingIOError)):
        return True
    return isinstance(error, RuntimeError) and "start new thread" in str(error)
