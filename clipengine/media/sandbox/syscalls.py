"""Numbers of the system calls that decoding and encoding need. The filter denies all others.

The list was made with strace from Python, FFmpeg and its encoders after their start, plus alternatives that the C
library may use. None takes a path or an address. memfd_create is not listed because no limit counts its memory, and
sendmsg because it can pass descriptors and credentials.
"""

from __future__ import annotations

import errno
import platform
import sys

# AUDIT_ARCH_* of the architectures, in the order of the columns below.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# fmt: off
# name: (x86_64, aarch64), from the kernel's tables; None if the call does not exist.
ALLOWED: dict[str, tuple[int, int | None]] = {
    # memory
    "brk": (12, 214), "munmap": (11, 215), "madvise": (28, 233),
    # threads
    "set_robust_list": (273, 99), "rseq": (334, 293), "exit": (60, 93), "exit_group": (231, 94),
    "gettid": (186, 178), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "getcpu": (309, 168), "membarrier": (324, 283), "restart_syscall": (219, 128),
    # signals to itself
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    # its descriptors
    "read": (0, 63), "write": (1, 64), "pread64": (17, 67), "pwrite64": (18, 68), "lseek": (8, 62), "close": (3, 57),
    "fstat": (5, 80), "fstatfs": (138, 44), "fsync": (74, 82), "fdatasync": (75, 83), "poll": (7, None),
    "ppoll": (271, 73),
    # time, the process and the machine
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "getrandom": (318, 278), "getpid": (39, 172), "getppid": (110, 173),
    "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175), "getegid": (108, 177), "uname": (63, 160),
    "sysinfo": (99, 179), "getrusage": (98, 165), "getrlimit": (97, 163),
}
# Calls that are allowed with certain arguments, see `seccomp`.
FUTEX = (202, 98)
MMAP, MPROTECT, MREMAP = (9, 222), (10, 226), (25, 216)
FCNTL, SENDTO, RECVMSG = (72, 25), (44, 206), (47, 212)
SCHED_SETAFFINITY = (203, 122)
CLONE, CLONE3 = (56, 220), (435, 435)
TGKILL = (234, 131)
PRCTL = (157, 167)
IOCTL = (16, 29)
PRLIMIT = (302, 261)
FTRUNCATE = (77, 46)
SETPRIORITY, GETPRIORITY = (141, 140), (140, 141)
CAPSET = (126, 91)
SECCOMP = (317, 277)
NEWEST_KNOWN = 463  # later calls return ENOSYS, so the C library falls back to older ones
# fmt: on


def this_machine() -> tuple[int, int]:
    """Return the table column and AUDIT_ARCH_* number of this machine. Raises OSError if it is not supported."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES or sys.maxsize < 2**32:
        raise OSError(errno.ENOSYS, f"no table of system calls for {machine}")
    return list(_ARCHITECTURES).index(machine), _ARCHITECTURES[machine]
