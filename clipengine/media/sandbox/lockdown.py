"""Lockdown of a child process in layers. Each layer is reported, so that a kernel that lacks one is noticed.

The order matters: earlier layers may need calls that later ones deny.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial

from clipengine.media.sandbox import landlock, limits, seccomp, syscalls
from clipengine.media.sandbox.environment import erase_environment
from clipengine.media.sandbox.kernel import PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, prctl, syscall
from clipengine.media.sandbox.layers import Layer

_CAPABILITY_VERSION = 0x20080522


def lock_down(
    parent: int, keep: Sequence[int], *, sandbox: bool, landlock_abi: int | None = None, compiles: bool = False
) -> tuple[Layer, ...]:
    """Give up everything except the descriptors `keep`, permanently, and return the layers.

    The process is killed if the process `parent` ends. Call this after the last import and before the first thread.
    Without `sandbox`, Landlock and seccomp are left out; the other layers work on every kernel and in containers.
    `landlock_abi` limits Landlock to the version of an older kernel. With `compiles`, the program may make memory
    executable: programs with a speech model compile machine code.
    """
    threads = _threads()
    layers = [
        _layer("descriptors", lambda: _keep_only(keep)),
        _layer("parent death", lambda: _die_with(parent)),
        _layer("limits", limits.limit_child),
        _layer("privileges", _drop_privileges),
    ]
    if sandbox:
        layers += _confine(landlock_abi, compiles, threads)
    return tuple(layers)


def _threads() -> int:
    """Return the number of threads of this process, including threads that a library started."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def _confine(landlock_abi: int | None, compiles: bool, threads: int) -> list[Layer]:
    """Install Landlock and seccomp. Landlock holds if seccomp denies everything that its version cannot."""
    try:
        restricted = landlock.forbid_everything(landlock_abi)
    except OSError as error:
        return [Layer("landlock", False, str(error)), _layer("seccomp", partial(_filter, compiles, threads))]
    filtered = _layer("seccomp", partial(_filter, compiles, threads))
    replaced = seccomp.REPLACES if filtered.holds else frozenset()
    lacking = [scope for scope in restricted.missing if scope not in replaced]
    detail = f"version {restricted.version}: {', '.join(restricted.covered)}"
    if lacking:
        detail += f"; nothing denies {', '.join(lacking)}"
    elif restricted.missing:
        detail += f"; seccomp denies {', '.join(restricted.missing)}"
    return [Layer("landlock", not lacking, detail), filtered]


def _layer(name: str, build: Callable[[], str]) -> Layer:
    try:
        return Layer(name, True, build())
    except (OSError, ValueError) as error:
        return Layer(name, False, str(error))


def _keep_only(keep: Sequence[int]) -> str:
    erase_environment()
    first = 3  # after stdin, stdout and stderr
    for descriptor in sorted(keep):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, 1 << 16)
    return f"{len(keep)} sockets to its parent, an empty environment"


def _die_with(parent: int) -> str:
    """Have the kernel kill this process when the thread that started it ends."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the line above
        os._exit(1)
    return "killed with its parent"


def _drop_privileges() -> str:
    """Drop all capabilities, also of a child of root: SVT-AV1 would take real-time priority if permitted."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice
    column, _ = syscalls.this_machine()
    syscall(syscalls.CAPSET[column], ctypes.byref(header), ctypes.byref(nothing))
    return "no capabilities, none to be gained"


def _filter(compiles: bool, threads: int) -> str:
    if threads > 1:  # the filter would not apply to them
        raise OSError(f"{threads - 1} threads were started before")
    return seccomp.install_filter(compiles=compiles)
