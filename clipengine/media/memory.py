"""Memory that runs out, as decoders, encoders and Python each say it: what it is told by, on the child's side.

They say it badly. libx264 and libx265 report a general failure and libvpx an invalid argument; decoders call the packet
damaged, and pictures would be missing from a clip that is said to be complete. So what is left is looked at as well,
and the parent reads what they say on standard error (`work.encoder.stderr_tail`), where some crash or wait for ever.
"""

from __future__ import annotations

import mmap

import av.logging

# A thread's stack and a few pictures of 1080p: what fails is hardly smaller. Whoever has less left fails next.
_LEFT_BYTES = 16 << 20
_BYTES_PER_PIXEL = 4


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this says that a limit of memory was met. FFmpeg's own error for it is a MemoryError too."""
    # A thread needs memory for its stack, and says so in words alone.
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "start new thread" in str(error))


def raise_if_out_of_memory(pixels: int = 0) -> None:
    """Raises MemoryError where less is left than one who handles pictures of so many pixels may ask for at once.

    Call it when something has failed that lacks memory without saying so.
    """
    try:
        mmap.mmap(-1, _LEFT_BYTES + _BYTES_PER_PIXEL * pixels, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError from error


def log_library_errors() -> None:
    """Have FFmpeg and its encoders write errors to standard error by themselves: none waits for Python's lock."""
    av.logging.set_libav_level(av.logging.ERROR)
    av.logging.restore_default_callback()
