"""System call filter of a child (seccomp-BPF): an allow-list for all its threads.

Other calls fail with EPERM, so that libraries which try them can fall back. Starting processes or programs, sockets,
paths, executable memory and signals to other processes are not allowed.

The filter sees arguments as two 32-bit halves. It reads only the lower half if the kernel takes an int or ignores the
upper bits of an unsigned long, and both halves of a pointer.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from clipengine.media.sandbox import syscalls
from clipengine.media.sandbox.kernel import stack_address, syscall
from clipengine.media.sandbox.limits import STACK_BYTES

# Scopes of `landlock.SCOPES` that the filter denies on every kernel: no allowed call takes a path, an address or
# another process, and sockets cannot be created or connected.
REPLACES = frozenset({"truncation", "TCP", "device ioctls", "signals and abstract sockets"})

_SET_MODE_FILTER, _ALL_THREADS = 1, 1

# Classic BPF: (code, jump if true, jump if false, constant)
Instruction = tuple[int, int, int, int]
_LOAD, _AND, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments are u64, little-endian
_EVERY_BIT = 0xFFFFFFFF
_REFUSE: Instruction = (_RETURN, 0, 0, _ERRNO | errno.EPERM)

_PROT_READ_WRITE, _PROT_ALL = 0x3, 0x7
# RLIMIT_DATA counts only private mappings. MAP_GROWSDOWN would count as stack; MAP_HUGETLB and MAP_LOCKED take memory
# that cannot be swapped.
_MAP_PRIVATE = 0x2
_MAP_FIXED, _MAP_ANONYMOUS, _MAP_NORESERVE, _MAP_STACK, _MAP_FIXED_NOREPLACE = 0x10, 0x20, 0x4000, 0x20000, 0x100000
_MAP_FLAGS = _MAP_FIXED | _MAP_ANONYMOUS | _MAP_NORESERVE | _MAP_STACK | _MAP_FIXED_NOREPLACE
# Flags of pthread_create (glibc; musl adds CLONE_DETACHED): a thread of this process, in no new namespace.
_THREAD_FLAGS, _DETACHED = 0x3D0F00, 0x400000
_FUTEX_FLAGS = 128 | 256  # private, real-time clock
# FUTEX_WAIT, _WAKE, _REQUEUE, _CMP_REQUEUE, _WAKE_OP, _WAIT_BITSET and _WAKE_BITSET. Operations with priority
# inheritance accept any thread of the machine and had most of the kernel's futex vulnerabilities.
_FUTEX_OPERATIONS = (0, 1, 3, 4, 5, 9, 10)
_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC = 1, 2, 3, 4, 1030
_O_ASYNC = 0o20000
_MSG_NOSIGNAL, _MSG_CMSG_CLOEXEC = 0x4000, 0x40000000
_PR_SET_NAME, _PR_GET_NAME = 15, 16
_FIONBIO = 0x5421
_ARGUMENT_BYTES = 6 << 20  # maximum size of the arguments and environment above the stack


def install_filter(*, compiles: bool = False) -> str:
    """Filter every thread of this process and describe the filter. `compiles`: it may make memory executable.

    NO_NEW_PRIVS must be set. Raises OSError if the machine or kernel does not support it.
    """
    column, architecture = syscalls.this_machine()
    program = build(column, architecture, os.getpid(), stack=_main_stack(), compiles=compiles)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    instructions = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):  # struct sock_fprog
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    whole = Program(len(program), ctypes.addressof(instructions))
    syscall(syscalls.SECCOMP[column], ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_ALL_THREADS), ctypes.byref(whole))
    examined = len(_examined(column, 0, range(0)))
    return f"{len(syscalls.ALLOWED)} system calls and harmless forms of {examined} others"


def _main_stack() -> range:
    """Return the addresses that the main thread's stack can grow to."""
    inside = stack_address()
    return range(inside - STACK_BYTES, inside + _ARGUMENT_BYTES)


def build(column: int, architecture: int, pid: int, *, stack: range, compiles: bool = False) -> list[Instruction]:
    """Return the filter of one architecture for the process `pid`, whose main stack lies within `stack`.

    If it `compiles`, memory may be made writable and executable at once.
    """
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        # Newer calls, and calls of the x32 ABI on x86_64.
        (_GREATER, 0, 1, syscalls.NEWEST_KNOWN),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for number, checks in _examined(column, pid, stack, compiles=compiles).items():
        block = [*checks, (_RETURN, 0, 0, _ALLOW)]
        program += [(_EQUAL, 0, len(block), number), *block]
    for numbers in syscalls.ALLOWED.values():
        if (known := numbers[column]) is not None:
            program += [(_EQUAL, 0, 1, known), (_RETURN, 0, 0, _ALLOW)]
    # clone3 passes its arguments in memory, which a filter cannot read. With ENOSYS the C library uses clone.
    program += [(_EQUAL, 0, 1, syscalls.CLONE3[column]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    program.append(_REFUSE)
    return program


def _examined(column: int, pid: int, stack: range, *, compiles: bool = False) -> dict[int, list[Instruction]]:
    """Return the argument checks of calls that are allowed conditionally; a failed check returns EPERM."""
    own_priority = [*_is(0, 0), *_is(1, 0)]  # PRIO_PROCESS, this thread
    return {
        syscalls.FUTEX[column]: _is(1, *_FUTEX_OPERATIONS, mask=_EVERY_BIT ^ _FUTEX_FLAGS),
        syscalls.MMAP[column]: [
            *_has_none(2, _EVERY_BIT ^ _PROT_READ_WRITE),
            *_is(3, _MAP_PRIVATE, mask=_EVERY_BIT ^ _MAP_FLAGS),
        ],
        # Memory made read-only after writing would no longer count against the limit.
        syscalls.MPROTECT[column]: _is(2, _PROT_READ_WRITE, *([_PROT_ALL] if compiles else [])),
        syscalls.MREMAP[column]: _lies_outside(0, stack),
        syscalls.FCNTL[column]: _fcntl_checks(),
        # No address, and no MSG_OOB: out-of-band data on Unix sockets had vulnerabilities up to kernel 6.15.
        syscalls.SENDTO[column]: [*_is(3, 0, _MSG_NOSIGNAL), *_is_null(4)],
        syscalls.RECVMSG[column]: _is(2, 0, _MSG_CMSG_CLOEXEC),
        syscalls.CLONE[column]: _is(0, _THREAD_FLAGS, mask=_EVERY_BIT ^ _DETACHED),
        syscalls.TGKILL[column]: _is(0, pid),
        syscalls.PRCTL[column]: _is(0, _PR_SET_NAME, _PR_GET_NAME),
        syscalls.IOCTL[column]: _is(1, _FIONBIO),
        syscalls.PRLIMIT[column]: _is(0, 0),  # 0: itself
        # To nothing: smart render empties its output before it encodes a clip that it could not copy.
        syscalls.FTRUNCATE[column]: _is_null(1),
        syscalls.SCHED_SETAFFINITY[column]: _is(0, 0),
        syscalls.SETPRIORITY[column]: own_priority,
        syscalls.GETPRIORITY[column]: own_priority,
    }


def _fcntl_checks() -> list[Instruction]:
    """Allow descriptor flags and duplication, but no owner, signal, lease, lock, seal or pipe size."""
    flags = [*_has_none(2, _O_ASYNC), (_RETURN, 0, 0, _ALLOW)]
    return [
        _load(1),
        (_EQUAL, 0, len(flags), _F_SETFL),
        *flags,
        *_is(1, _F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC),
    ]


def _load(argument: int, *, upper: bool = False) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument + 4 * upper)


def _is(argument: int, *values: int, mask: int = _EVERY_BIT) -> list[Instruction]:
    """Refuse unless the lower half of the argument, under `mask`, is one of `values`."""
    tests: list[Instruction] = [(_EQUAL, len(values) - n, 0, value) for n, value in enumerate(values)]
    masked: list[Instruction] = [] if mask == _EVERY_BIT else [(_AND, 0, 0, mask)]
    return [_load(argument), *masked, *tests, _REFUSE]


def _is_null(argument: int) -> list[Instruction]:
    return [_load(argument), (_EQUAL, 1, 0, 0), _REFUSE, _load(argument, upper=True), (_EQUAL, 1, 0, 0), _REFUSE]


def _has_none(argument: int, bits: int) -> list[Instruction]:
    """Refuse if the lower half of the argument has any of `bits`."""
    return [_load(argument), (_ANY_BIT, 0, 1, bits), _REFUSE]


def _lies_outside(argument: int, addresses: range) -> list[Instruction]:
    """Refuse an address in any of the 4 GiB areas that `addresses` touch."""
    areas = range(addresses.start >> 32, (max(addresses.stop - 1, 0) >> 32) + 1)
    tests: list[Instruction] = [(_EQUAL, len(areas) - 1 - n, 0, area) for n, area in enumerate(areas[:-1])]
    return [_load(argument, upper=True), *tests, (_EQUAL, 0, 1, areas[-1]), _REFUSE]
