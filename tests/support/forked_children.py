"""Children that are forked from a process with their modules, because imports take most of the time of their start.

This file is also the program of that process. It has one thread, and forks each child as a sibling, so that the engine
is its parent, as of a child that is started as a program. Each child has the sandbox, the limits and the empty
environment of a program. Its name in /proc is `child-maker`. Tests of the children themselves have the marker
`programs`: theirs are started as in production. The conftests of folders whose tests start children import the hooks.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from clipengine.media.sandbox.kernel import PR_SET_PDEATHSIG, prctl
from clipengine.media.worker.process import DoJob, run_child
from clipengine.work.children import process
from clipengine.work.children.jobs import Program
from clipengine.work.children.launch import ChildEnds, ForkedProcess, Launch, Process, launch_program

_CLONE_PARENT = 0x8000
_SYS_CLONE = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine, 0)
_PR_SET_NAME = 15
_MOST_BYTES = 100
_as_set: list[Launch] = [launch_program]  # by the hooks
_PROGRAMS = ("maker", "inspector", "parser")  # others are rarely started


@functools.cache
def programs() -> dict[str, tuple[DoJob, Callable[[], None] | None]]:
    """Import the programs of children. Return the function that does their jobs and the one that the sandbox calls."""
    from clipengine.api import parser
    from clipengine.media.memory import log_library_errors
    from clipengine.media.worker import forked, inspector, maker  # noqa: F401 - `forked` for the children

    return {
        "maker": (maker.do_job, log_library_errors),
        "inspector": (inspector.do_job, log_library_errors),
        "parser": (parser.do_job, None),
    }


def fork_children() -> None:
    """Have this process, which has one thread, fork its children from now on, if the machine can."""
    programs()
    if not _SYS_CLONE or len(os.listdir("/proc/self/task")) > 1:
        return
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    if os.fork() == 0:
        os._exit(_serve(there, parent))
    there.close()
    process.launch_program = _launch_by(here)


@functools.cache
def forking() -> Launch:
    """Return a function that forks children of this process. The first call must be in the main thread."""
    if not _SYS_CLONE:
        return launch_program
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        arguments = [sys.executable, "-P", "-m", __name__, str(there.fileno()), str(os.getpid())]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        started = subprocess.Popen(arguments, pass_fds=[there.fileno()], env=env, start_new_session=True)
    atexit.register(started.wait)
    atexit.register(here.close)  # before
    return _launch_by(here)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fork the children of this process, unless the test is about their programs."""
    if process.launch_program is not _as_set[0]:  # a fixture of the module starts others
        return
    programs = item.get_closest_marker("programs") is not None
    _as_set[0] = process.launch_program = launch_program if programs else forking()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Start programs again in tests of other folders."""
    if nextitem is None or nextitem.path.parent != item.path.parent:
        _as_set[0] = process.launch_program = launch_program


def _launch_by(forker: socket.socket) -> Launch:
    lock = threading.Lock()

    def launch(program: Program, ends: ChildEnds, sandboxed: bool) -> Process:
        if program not in _PROGRAMS:
            return launch_program(program, ends, sandboxed)
        with lock:
            socket.send_fds(forker, [f"{program} {sandboxed:d}".encode()], ends)
            answer = forker.recv(_MOST_BYTES)
        if not answer:
            raise OSError("the process that forks children has ended")
        return ForkedProcess(int(answer))

    return launch


def _serve(requests: socket.socket, parent: int) -> int:
    """Fork a child for each request, until the parent ends."""
    programs()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.closerange(3, requests.fileno())
    os.closerange(requests.fileno() + 1, 1 << 16)
    while os.getppid() == parent:
        data, descriptors, _, _ = socket.recv_fds(requests, _MOST_BYTES, 3)
        if not data:
            break
        if _fork_sibling() == 0:
            program, sandboxed = data.decode().split()
            _become(program, ChildEnds(*descriptors), parent, requests, sandbox=sandboxed == "1")
        for descriptor in descriptors:
            os.close(descriptor)
    return 0


def _fork_sibling() -> int:
    """Fork a child of the parent of this process. Return 0 in the child."""
    ctypes.pythonapi.PyOS_BeforeFork()
    arguments = [ctypes.c_long(each) for each in (_SYS_CLONE, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)]
    pid: int = ctypes.PyDLL(None).syscall(*arguments)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return pid


def _become(program: str, ends: ChildEnds, parent: int, requests: socket.socket, *, sandbox: bool) -> None:
    from clipengine.media.worker.forked import detach

    status = 1
    try:
        detach(ends.stderr)
        name = ctypes.create_string_buffer(f"child-{program}".encode())
        prctl(_PR_SET_NAME, ctypes.addressof(name))
        requests.send(str(os.getpid()).encode())
        do, when_locked = programs()[program]
        run_child(do, ends.control, ends.ranges, parent, sandbox=sandbox, when_locked=when_locked)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(_serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
