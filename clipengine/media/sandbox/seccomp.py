"""The system call filter: an allow-list in the kernel (seccomp-BPF), for all threads, for good.

What is not allowed fails with EPERM, so that a library which only tries goes on without. New processes, new programs,
sockets, paths, executable memory and signals to others are not on the list.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

from clipengine.media.sandbox import syscalls
from clipengine.media.sandbox.kernel import syscall

_SET_MODE_FILTER, _ALL_THREADS = 1, 1

# Classic BPF: (code, jump if true, jump if false, constant)
Instruction = tuple[int, int, int, int]
_LOAD, _AND, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments are u64, little-endian

_PROT_EXEC = 0x4
# What pthread_create passes to clone (glibc; musl adds CLONE_DETACHED): a thread of this process, in no new namespace.
_THREAD_FLAGS, _DETACHED = 0x3D0F00, 0x400000
_PR_SET_NAME, _PR_GET_NAME = 15, 16
_FIONBIO = 0x5421


def install_filter() -> str:
    """Filter every thread of this process; says how. Needs NO_NEW_PRIVS. Raises OSError where it cannot be done."""
    column, architecture = syscalls.this_machine()
    program = build(column, architecture, os.getpid())
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    instructions = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):  # struct sock_fprog
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    whole = Program(len(program), ctypes.addressof(instructions))
    syscall(syscalls.SECCOMP[column], ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_ALL_THREADS), ctypes.byref(whole))
    return f"{len(syscalls.ALLOWED)} system calls and harmless forms of {len(_examined(column, 0))} others"


def build(column: int, architecture: int, pid: int) -> list[Instruction]:
    """The filter of one architecture for the process `pid`."""
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        # Newer calls, and on x86_64 those of the x32 interface.
        (_GREATER, 0, 1, syscalls.NEWEST_KNOWN),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for numbers in syscalls.ALLOWED.values():
        if (number := numbers[column]) is not None:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    for number, checks in _examined(column, pid).items():
        program += [(_EQUAL, 0, len(checks), number), *checks]
    # Its arguments lie in memory, where no filter can look: the C library then uses clone.
    program += [(_EQUAL, 0, 1, syscalls.CLONE3[column]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    program.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
    return program


def _examined(column: int, pid: int) -> dict[int, list[Instruction]]:
    """Calls that are allowed with some arguments: number -> a block that returns."""
    no_exec = [_load(2), (_ANY_BIT, 1, 0, _PROT_EXEC), *_VERDICT]
    return {
        syscalls.MMAP[column]: no_exec,
        syscalls.MPROTECT[column]: no_exec,
        syscalls.CLONE[column]: [_load(0), (_AND, 0, 0, 0xFFFFFFFF ^ _DETACHED), *_only(_THREAD_FLAGS)],
        syscalls.TGKILL[column]: [_load(0), *_only(pid)],
        syscalls.PRCTL[column]: [_load(0), *_one_of((_PR_SET_NAME, _PR_GET_NAME))],
        syscalls.IOCTL[column]: [_load(1), *_only(_FIONBIO)],
        syscalls.PRLIMIT[column]: [_load(0), *_only(0)],  # 0: of itself
        syscalls.SETPRIORITY[column]: [_load(0), (_EQUAL, 0, 3, 0), _load(1), *_only(0)],
    }


_VERDICT: list[Instruction] = [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _load(argument: int) -> Instruction:
    """The lower half of an argument; the kernel reads no more of those that are looked at here."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)


def _only(value: int) -> list[Instruction]:
    return [(_EQUAL, 0, 1, value), *_VERDICT]


def _one_of(values: Sequence[int]) -> list[Instruction]:
    tests: list[Instruction] = [(_EQUAL, len(values) - 1 - n, 0, value) for n, value in enumerate(values[:-1])]
    return [*tests, (_EQUAL, 0, 1, values[-1]), *_VERDICT]
