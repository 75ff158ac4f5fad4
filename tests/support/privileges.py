"""Privileges of the test process."""

from __future__ import annotations

import ctypes

_PR_CAPBSET_DROP = 24
_CAP_SYS_NICE = 23
_VERSION = 0x20080522


def give_up_real_time_priority() -> None:
    """Give up the right to real-time priority, which SVT-AV1 takes in a process of root, for children too.

    It would take the processors away from all other tests, and started servers would inherit it.
    """
    libc = ctypes.CDLL(None)
    header, sets = (
        (ctypes.c_uint32 * 2)(_VERSION, 0),
        (ctypes.c_uint32 * 6)(),
    )  # effective, permitted, inheritable; twice
    libc.prctl(_PR_CAPBSET_DROP, _CAP_SYS_NICE, 0, 0, 0)
    if libc.capget(header, sets) == 0:
        for number in range(3):
            sets[number] &= ~(1 << _CAP_SYS_NICE)
        libc.capset(header, sets)
