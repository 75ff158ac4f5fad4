"""Resource limits and memory settings of a server process."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys

OPEN_FILES = 65536
_SWITCH_SECONDS = 0.001  # Python's default of 5 ms lets busy threads delay responses
# Options of mallopt(3).
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_MMAP_THRESHOLD_BYTES = 128 * 1024


def prepare() -> None:
    """Set the limit of open files and the allocator's options. Call it before threads are started."""
    _raise_open_files()
    _limit_fragmentation()


def reduce_latency() -> None:
    """Exclude existing objects from garbage collection and shorten the thread switch interval."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)


def _raise_open_files() -> None:
    """Raise the soft limit of open files up to OPEN_FILES: each connection needs one.

    It is often 1024 for the sake of programs that use select(2), which nothing here does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _limit_fragmentation() -> None:
    """Use one malloc arena for all threads, and mmap for large blocks.

    By default, glibc uses an arena per thread and raises the mmap threshold once a large block is freed. With some
    thirty threads that pass buffers to each other, the arenas fragment and the process grew by 4 KB a clip. Other C
    libraries lack this function and the problem.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
