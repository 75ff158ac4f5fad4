"""Run by `test_cell` in a process of its own: locks it in, tries everything, and prints what became of it as JSON.

python cell_attempts.py all|landlock|seccomp FOLDER
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from clipengine.media.sandbox import landlock, seccomp
from clipengine.media.sandbox.cell import lock_cell
from clipengine.media.sandbox.kernel import PR_SET_NO_NEW_PRIVS, prctl
from clipengine.media.sandbox.limits import JobLimits, limit_job

WHICH, FOLDER = sys.argv[1], Path(sys.argv[2])
THERE, NEW = str(FOLDER / "there"), str(FOLDER / "new")
LIBC = ctypes.CDLL(None, use_errno=True)
PARENT = os.getppid()
X86 = platform.machine() == "x86_64"

given = os.open(FOLDER / "given", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]


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
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def make_executable() -> None:
    page = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if LIBC.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), 5) < 0:
        raise OSError(ctypes.get_errno(), "refused")


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
    "make memory executable": make_executable,
    "move a segment": lambda: call(158, 9999, 0x1001, 0),
    "raise its limits": more_descriptors,
    "hog memory": hog_memory,
    "make a huge file": huge_file,
}


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


def main() -> None:
    if WHICH == "all":
        keep = sorted((given, datagram.fileno(), stream.fileno(), listener.fileno()))
        layers = lock_cell(PARENT, keep, sandbox=True)
        assert all(layer.holds for layer in layers), layers
        limit_job(JobLimits(memory_bytes=512 << 20, cpu_seconds=60, file_bytes=1 << 20, threads=2))
        tried = ATTEMPTS
    else:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        landlock.forbid_everything() if WHICH == "landlock" else seccomp.install_filter()
        # The rest is not this layer's to refuse, and would be done.
        names = {
            "landlock": ("open a file", "make a file", "list a folder", "rename", "execute a program",
                         "connect by TCP"),
            "seccomp": ("open a file", "make a file", "list a folder", "execute a program", "make a socket", "fork",
                        "io_uring", "kill the parent", "trace the parent", "executable memory"),
        }[WHICH]  # fmt: skip
        tried = {name: do for name, do in ATTEMPTS.items() if name in names or list(ATTEMPTS).index(name) < 6}
    found = {name: ended(attempt) for name, attempt in tried.items()}
    os.write(1, json.dumps(found).encode())


main()
