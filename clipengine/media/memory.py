"""Detection of memory exhaustion in a child process.

libx264 and libx265 report it as a general failure, libvpx as an invalid argument, and decoders as a damaged packet,
which would silently drop frames. So after an error the available memory is checked too. The parent also reads stderr
(`work.children.stderr_tail`), because some encoders crash or hang.
"""

from __future__ import annotations

import mmap
import os

import av.logging

# PyAV imports these lazily, which the sandbox would prevent.
import av.subtitles.codeccontext
import av.subtitles.stream
import av.subtitles.subtitle

# A thread's stack and a few 1080p frames; failing allocations are hardly smaller.
_MIN_FREE_BYTES = 16 << 20
_BYTES_PER_PIXEL = 4


def raise_if_out_of_memory(pixels: int = 0) -> None:
    """Raise MemoryError if there is too little memory to process frames of `pixels` pixels.

    Call it after an error that may hide memory exhaustion.
    """
    try:
        mmap.mmap(-1, _MIN_FREE_BYTES + _BYTES_PER_PIXEL * pixels, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError from error


def log_library_errors() -> None:
    """Let FFmpeg and its encoders write errors directly to stderr, without waiting for Python's GIL.

    Call it before an encoder is opened, and after the environment was erased.
    """
    os.environ["SVT_LOG"] = "1"  # errors: as a warning, SVT-AV1 complains that it cannot raise its threads' priority
    av.logging.set_libav_level(av.logging.ERROR)
    av.logging.restore_default_callback()
