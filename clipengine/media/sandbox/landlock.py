"""Landlock: from here on this thread, and what it starts, opens no path, no TCP port and signals nobody outside."""

from __future__ import annotations

import ctypes
import os

from clipengine.media.sandbox.kernel import syscall

# The same numbers on every architecture.
_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_ASK_VERSION = 1
# How many rights on files each version of the interface knows; unknown ones are refused by the kernel.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_FILE_RIGHTS = 16
_NET_VERSION, _NET_BIND_AND_CONNECT = 4, 0b11
_SCOPE_VERSION, _SCOPE_SOCKETS_AND_SIGNALS = 6, 0b11


def forbid_everything() -> str:
    """Handle every right and allow none; says what is covered. Raises OSError where the kernel has no Landlock."""
    version = syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    rights = [(1 << _FILE_RIGHTS.get(version, _ALL_FILE_RIGHTS)) - 1]
    covered = "files"
    if version >= _NET_VERSION:
        rights.append(_NET_BIND_AND_CONNECT)
        covered += ", TCP"
    if version >= _SCOPE_VERSION:
        rights.append(_SCOPE_SOCKETS_AND_SIGNALS)
        covered += ", signals and abstract sockets"
    attributes = (ctypes.c_uint64 * len(rights))(*rights)  # struct landlock_ruleset_attr, as long as this kernel's
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    ruleset = syscall(_CREATE_RULESET, ctypes.byref(attributes), size, ctypes.c_uint32(0))
    try:
        syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return f"version {version}: {covered}"
