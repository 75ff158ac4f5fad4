"""Erasure of the environment from the memory of a child."""

from __future__ import annotations

import ctypes
import os

from clipengine.media.sandbox.kernel import environment_strings

_BYTES_HEADER = bytes.__basicsize__ - 1  # size of a bytes object before its characters


def erase_environment() -> None:
    """Remove all variables and overwrite their text, which a forked child has from its parent.

    Without that, a recording that takes over the child could put the parent's credentials into the clip.
    """
    copies = [text for pair in os.environ._data.items() for text in pair]  # type: ignore[attr-defined]
    strings = environment_strings()
    os.environ.clear()
    for address, length in strings:
        ctypes.memset(address, 0, length)
    for text in copies:
        if len(text) > 1:  # Python shares shorter ones
            ctypes.memset(id(text) + _BYTES_HEADER, 0, len(text))
