"""Landlock rules that permanently deny paths, TCP, abstract sockets and signals to outside processes."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from clipengine.media.sandbox.kernel import syscall

# The same numbers on every architecture.
_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_ASK_VERSION = 1
# The number of file rights that each ABI version knows; the kernel rejects a ruleset with unknown ones.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_FILE_RIGHTS = 16
_NET_VERSION, _NET_BIND_AND_CONNECT = 4, 0b11
_SCOPE_VERSION, _SCOPE_SOCKETS_AND_SIGNALS = 6, 0b11
# ABI version that first restricts each scope. Version 2 (renames across folders) is omitted: version 1 denies them all.
SCOPES = {
    "files": 1,
    "truncation": 3,
    "TCP": _NET_VERSION,
    "device ioctls": 5,
    "signals and abstract sockets": _SCOPE_VERSION,
}


@dataclass(frozen=True)
class Restricted:
    """The Landlock ABI version in force."""

    version: int

    @property
    def covered(self) -> tuple[str, ...]:
        return tuple(scope for scope, version in SCOPES.items() if version <= self.version)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(scope for scope, version in SCOPES.items() if version > self.version)


def forbid_everything(abi: int | None = None) -> Restricted:
    """Deny every access right that Landlock handles, in this thread and all that it starts.

    `abi` limits the rules to an older ABI version; the default is the kernel's. Raises OSError if the kernel has no
    Landlock.
    """
    version = syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    version = version if abi is None else min(abi, version)
    rights = [(1 << _FILE_RIGHTS.get(version, _ALL_FILE_RIGHTS)) - 1]
    if version >= _NET_VERSION:
        rights.append(_NET_BIND_AND_CONNECT)
    if version >= _SCOPE_VERSION:
        rights.append(_SCOPE_SOCKETS_AND_SIGNALS)
    attributes = (ctypes.c_uint64 * len(rights))(*rights)  # struct landlock_ruleset_attr of this version
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    ruleset = syscall(_CREATE_RULESET, ctypes.byref(attributes), size, ctypes.c_uint32(0))
    try:
        syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return Restricted(version)
