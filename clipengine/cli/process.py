"""What this process may use and how it treats its memory: set once, before the engine's threads begin."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys

OPEN_FILES = 65536
_SWITCH_SECONDS = 0.001  # how long a busy thread may hold up the one that answers; Python's default is 5 ms
# mallopt(3) of glibc.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_MAPPED_BYTES = 128 * 1024


def prepare() -> None:
    """For a process that runs for months: call it before threads are started."""
    _allow_open_files()
    _keep_memory_whole()


def quicken() -> None:
    """Keep answers even: what lives as long as the process is never searched for garbage; threads take short turns."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)


def _allow_open_files() -> None:
    """Take as many open files as this process may have, up to OPEN_FILES: each connection needs one.

    The soft limit of a shell is often 1024, for programs that use select(2); nothing here does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _keep_memory_whole() -> None:
    """One heap for all threads, and none of the large blocks in it: so what is freed is used again, or given back.

    glibc gives threads heaps of their own and, once a large block was freed, takes the next ones from a heap as well.
    With some thirty threads that pass buffers on, each heap slowly fills with holes: the process grew by 4 KB a clip.
    Other C libraries have no such settings and no such habit.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
