"""System calls that Python's standard library lacks."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38

_AT_RANDOM = 25  # auxiliary vector entry: 16 random bytes that the kernel puts above the main stack

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.getauxval.restype = ctypes.c_ulong


def syscall(number: int, *arguments: object) -> int:
    """Make a system call by its number. Raises OSError."""
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments))


def prctl(option: int, *arguments: int) -> int:
    """Make the prctl system call with 0 for missing arguments. Raises OSError."""
    longs = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc.prctl(option, *longs))


def stack_address() -> int:
    """Return an address within the main thread's stack mapping."""
    return int(_libc.getauxval(ctypes.c_ulong(_AT_RANDOM)))


def environment_strings() -> list[tuple[int, int]]:
    """Return the address and the length of each variable's text in the C library's environment."""
    variables = ctypes.POINTER(ctypes.c_void_p).in_dll(_libc, "environ")
    found: list[tuple[int, int]] = []
    while variables and (address := variables[len(found)]) is not None:
        found.append((address, len(ctypes.string_at(address))))
    return found


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
