"""A hostile process. `test_sandbox` runs it: it locks itself in, makes every attempt, and prints each outcome as JSON.

python sandbox_attempts.py all|landlock|seccomp|int80 FOLDER [LANDLOCK_ABI]
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from clipengine.media.sandbox import landlock, seccomp
from clipengine.media.sandbox.kernel import PR_SET_NO_NEW_PRIVS, prctl, stack_address
from clipengine.media.sandbox.limits import JobLimits, limit_job
from clipengine.media.sandbox.lockdown import lock_down

WHICH, FOLDER = sys.argv[1], Path(sys.argv[2])
ABI = int(sys.argv[3]) if len(sys.argv) > 3 else None
THERE, NEW = str(FOLDER / "there"), str(FOLDER / "new")
LIBC = ctypes.CDLL(None, use_errno=True)
PARENT = os.getppid()
X86 = platform.machine() == "x86_64"

given = os.open(FOLDER / "given", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
local, peer = socket.socketpair()
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def call(x86_64: int, aarch64: int, *arguments: object) -> None:
    """A system call by its number, as code that was smuggled in would make it."""
    if LIBC.syscall(ctypes.c_long(x86_64 if X86 else aarch64), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def make_thread() -> None:
    ran: list[int] = []
    thread = threading.Thread(target=lambda: ran.append(1))
    thread.start()
    thread.join()
    assert ran


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def more_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] != 4096:
        raise OSError(errno.EPERM, "not raised")


def executable_memory() -> None:
    mmap.mmap(-1, 4096, PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def protect(rights: int) -> None:
    """Change what private memory that was written to may be used for."""
    page = mmap.mmap(-1, 4096, PRIVATE)
    page.write(b"x")
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if LIBC.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), rights) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def grow_the_stack() -> None:
    """Have RLIMIT_STACK, and not the limit of memory, decide how far the main stack grows."""
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 30, resource.getrlimit(resource.RLIMIT_STACK)[1]))


def move_the_stack() -> None:
    call(25, 216, ctypes.c_long(stack_address() & ~4095), ctypes.c_long(4096), ctypes.c_long(1 << 20), 1)


def talk_over_a_socket() -> None:
    peer.sendall(b"x")
    assert local.recvmsg(1)[0] == b"x"


def change_own_flags() -> None:
    fcntl.fcntl(local, fcntl.F_SETFL, fcntl.fcntl(local, fcntl.F_GETFL) | os.O_NONBLOCK)
    fcntl.fcntl(local, fcntl.F_SETFL, fcntl.fcntl(local, fcntl.F_GETFL) & ~os.O_NONBLOCK)


def set_owner_by_ioctl(request: int) -> None:
    fcntl.ioctl(local, request, PARENT.to_bytes(4, sys.byteorder))


def lock_priority_inheriting() -> None:
    """FUTEX_LOCK_PI of a lock that a thread of another process seems to hold; gives up at once."""
    word, moment = ctypes.c_uint32(PARENT), (ctypes.c_long * 2)(0, 1)
    call(202, 98, ctypes.byref(word), 6, 0, ctypes.byref(moment), None, 0)


def hog_memory() -> None:
    kept = [bytearray(64 << 20) for _ in range(40)]
    del kept


def huge_file() -> None:
    os.pwrite(given, b"x" * 4096, 50 << 20)


ATTEMPTS: dict[str, Callable[[], object]] = {
    # what it needs
    "read what was given": lambda: os.pread(given, 10, 0),
    "write what was given": lambda: os.pwrite(given, b"clip", 0),
    "start a thread": make_thread,
    "allocate": lambda: bytearray(32 << 20),
    "tell the time": lambda: (time.time(), time.sleep(0.001)),
    "random bytes": lambda: os.urandom(8),
    "talk over a socket": talk_over_a_socket,
    "copy a descriptor": lambda: os.close(os.dup(given)),
    "change its own flags": change_own_flags,
    "choose its own processors": lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
    # files
    "open a file": lambda: os.close(os.open(THERE, os.O_RDONLY)),
    "write to a file": lambda: os.close(os.open(THERE, os.O_WRONLY)),
    "make a file": lambda: os.close(os.open(NEW, os.O_WRONLY | os.O_CREAT)),
    "truncate a file": lambda: os.truncate(THERE, 0),
    "list a folder": lambda: os.listdir("/"),
    "look at a file": lambda: os.stat(THERE),
    "read the parent's memory map": lambda: os.close(os.open(f"/proc/{PARENT}/maps", os.O_RDONLY)),
    "read an environment": lambda: os.close(os.open("/proc/self/environ", os.O_RDONLY)),
    "open a device": lambda: os.close(os.open("/dev/null", os.O_RDWR)),
    "remove": lambda: os.unlink(THERE),
    "rename": lambda: os.rename(THERE, NEW),
    "link": lambda: os.link(THERE, NEW),
    "symbolic link": lambda: os.symlink(THERE, NEW),
    "make a folder": lambda: os.mkdir(NEW),
    "make a pipe in a folder": lambda: os.mkfifo(NEW),
    "change a mode": lambda: os.chmod(THERE, 0o777),
    "change the folder": lambda: os.chdir("/"),
    "read a link": lambda: os.readlink("/proc/self/exe"),
    "a file in memory": lambda: os.close(os.memfd_create("x")),
    # network
    "make a socket": lambda: socket.socket().close(),
    "make a local socket": lambda: socket.socket(socket.AF_UNIX).close(),
    "make a socket pair": lambda: socket.socketpair(),
    "connect by TCP": lambda: stream.connect(("127.0.0.1", port)),
    "connect by UDP": lambda: datagram.connect(("127.0.0.1", port)),
    "listen": lambda: stream.listen(),
    "bind": lambda: datagram.bind(("127.0.0.1", 0)),
    "accept": lambda: listener.accept(),
    "send by UDP": lambda: datagram.sendto(b"x", ("127.0.0.1", port)),
    "send a message with an address": lambda: datagram.sendmsg([b"x"], [], 0, ("127.0.0.1", port)),
    "send out of band": lambda: local.send(b"x", socket.MSG_OOB),
    "receive without a message": lambda: local.recv(1, socket.MSG_DONTWAIT),
    "pass a descriptor": lambda: socket.send_fds(local, [b"x"], [given]),
    "pass credentials": lambda: local.sendmsg(
        [b"x"], [(socket.SOL_SOCKET, 2, struct.pack("iii", os.getpid(), os.getuid(), os.getgid()))]
    ),
    "set a socket option": lambda: local.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20),
    "get a socket option": lambda: local.getsockopt(socket.SOL_SOCKET, 17, 12),  # SO_PEERCRED
    # descriptors: signals to others, leases and locks
    "own a pipe for the parent": lambda: fcntl.fcntl(1, fcntl.F_SETOWN, PARENT),
    "own a pipe for a thread": lambda: fcntl.fcntl(1, 15, struct.pack("ii", 0, PARENT)),  # F_SETOWN_EX
    "choose the signal of a pipe": lambda: fcntl.fcntl(1, 10, signal.SIGKILL),  # F_SETSIG
    "send signals of a pipe": lambda: fcntl.fcntl(1, fcntl.F_SETFL, os.O_ASYNC | os.O_WRONLY),
    "own a socket by FIOSETOWN": lambda: set_owner_by_ioctl(0x8901),
    "own a socket by SIOCSPGRP": lambda: set_owner_by_ioctl(0x8902),
    "send signals by FIOASYNC": lambda: fcntl.ioctl(local, 0x5452, b"\1\0\0\0"),
    "take a lease": lambda: fcntl.fcntl(given, 1024, fcntl.F_WRLCK),  # F_SETLEASE
    "watch by a descriptor": lambda: fcntl.fcntl(given, 1026, 0x8000003F),  # F_NOTIFY
    "lock a record": lambda: fcntl.lockf(given, fcntl.LOCK_EX | fcntl.LOCK_NB),
    "lock an open file": lambda: fcntl.fcntl(given, 37, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)),
    "lock by flock": lambda: fcntl.flock(given, fcntl.LOCK_EX | fcntl.LOCK_NB),
    "seal a file": lambda: fcntl.fcntl(given, 1033, 1),
    "grow a pipe": lambda: fcntl.fcntl(1, 1031, 1 << 20),  # F_SETPIPE_SZ
    "lengthen what was given": lambda: os.ftruncate(given, 1 << 20),
    "make a pipe": lambda: os.pipe(),
    # processes
    "fork": fork,
    "vfork": lambda: call(58, 220, 0),
    "clone into new namespaces": lambda: call(56, 220, 0x10000000 | 17, 0, 0, 0, 0),
    "execute a program": lambda: os.execv("/bin/true", ["/bin/true"]) if WHICH != "landlock" else _execute(),
    "execute by descriptor": lambda: call(322, 281, given, b"", None, None, 0x1000),
    "kill the parent": lambda: os.kill(PARENT, signal.SIGCONT if WHICH == "all" else 0),
    "kill a thread of another": lambda: call(234, 131, PARENT, PARENT, 0),
    "signal by a descriptor": lambda: call(424, 424, given, 0, None, 0),
    "trace the parent": lambda: call(101, 117, 0x4206, PARENT, 0, 0),
    "read the parent's memory": lambda: call(310, 270, PARENT, None, 0, None, 0, 0),
    "take a descriptor of the parent": lambda: call(438, 438, given, 0, 0),
    "open a process": lambda: call(434, 434, PARENT, 0),
    "slow the parent down": lambda: os.setpriority(os.PRIO_PROCESS, PARENT, 19),
    "move the parent to one processor": lambda: os.sched_setaffinity(PARENT, {min(os.sched_getaffinity(0))}),
    "look at the parent's priority": lambda: os.getpriority(os.PRIO_PROCESS, PARENT),
    "priority inheritance": lock_priority_inheriting,
    "limit the parent": lambda: resource.prlimit(PARENT, resource.RLIMIT_NOFILE, (8, 8)),
    # the kernel
    "io_uring": lambda: call(425, 425, 8, ctypes.create_string_buffer(120)),
    "bpf": lambda: call(321, 280, 0, None, 0),
    "performance counters": lambda: call(298, 241, None, 0, -1, -1, 0),
    "user faults": lambda: call(323, 282, 0),
    "mount": lambda: call(165, 40, b"none", FOLDER.as_posix().encode(), b"tmpfs", 0, None),
    "new namespaces": lambda: call(272, 97, 0x10000000),
    "change the root": lambda: call(161, 51, b"/"),
    "become another user": lambda: os.setuid(12345),
    "keys of the kernel": lambda: call(250, 219, 0, 0, 0, 0, 0),
    "another personality": lambda: call(135, 92, 0x0400000),
    "executable memory": executable_memory,
    "make memory executable": lambda: protect(5),
    "the x32 interface": lambda: call(0x40000000 + 39, 9999),
    # memory that RLIMIT_DATA does not count
    "shared memory": lambda: mmap.mmap(-1, 4096).close(),
    "a shared mapping of what was given": lambda: mmap.mmap(given, 4).close(),
    "memory that grows down": lambda: mmap.mmap(-1, 4096, PRIVATE | 0x100).close(),
    "huge pages": lambda: mmap.mmap(-1, 2 << 20, PRIVATE | 0x40000).close(),
    "memory made read-only": lambda: protect(1),
    "move the stack": move_the_stack,
    "grow the stack": grow_the_stack,
    "move a segment": lambda: call(158, 9999, 0x1001, 0),
    "raise its limits": more_descriptors,
    "hog memory": hog_memory,
    "make a huge file": huge_file,
}


INHERITED = (given, datagram, stream, listener, local, peer)
NEEDED = tuple(ATTEMPTS)[: tuple(ATTEMPTS).index("open a file")]
LIMITED = {"raise its limits", "hog memory", "make a huge file", "grow the stack", "become another user"}


def _execute() -> None:
    """Without the system call filter a program can be tried in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            os.execv("/bin/true", ["/bin/true"])
        except OSError as error:
            os._exit(error.errno or 1)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise OSError(os.waitstatus_to_exitcode(status), "refused")


def ended(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    except (MemoryError, ValueError) as error:
        return type(error).__name__
    return "done"


def call_32_bit() -> None:
    """Call getpid by the 32-bit interface of x86_64, from memory that was executable before."""
    code = mmap.mmap(-1, 4096, PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\0\0\0\xcd\x80\xc3")  # mov eax, 20; int 0x80; ret
    getpid = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    lock_down(PARENT, (), sandbox=True)
    os.write(1, str(getpid()).encode())


def main() -> None:
    if WHICH == "all":
        keep = sorted(each if isinstance(each, int) else each.fileno() for each in INHERITED)
        layers = lock_down(PARENT, keep, sandbox=True, landlock_abi=ABI)
        assert all(layer.holds for layer in layers), layers
        limit_job(JobLimits(memory_bytes=512 << 20, cpu_seconds=60, file_bytes=1 << 20, threads=2))
        tried = ATTEMPTS
    else:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        landlock.forbid_everything(ABI) if WHICH == "landlock" else seccomp.install_filter()
        # The rest is for other layers to refuse, and would succeed.
        by_landlock = ("open a file", "make a file", "list a folder", "rename", "execute a program", "connect by TCP")
        names = by_landlock if WHICH == "landlock" else tuple(ATTEMPTS.keys() - LIMITED)
        tried = {name: do for name, do in ATTEMPTS.items() if name in NEEDED or name in names}
    found = {name: ended(attempt) for name, attempt in tried.items()}
    os.write(1, json.dumps(found).encode())


call_32_bit() if WHICH == "int80" else main()
