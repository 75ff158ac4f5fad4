"""The tail of a child's stderr, for the log and to recognise a lack of memory."""

from __future__ import annotations

import contextlib
import os
import re

_KEPT_BYTES = 2000
_MAX_READS = 50  # in one call: more than a pipe holds, and a bound if the child writes without end
# Written by libx264, libx265, libvpx, FFmpeg, SVT-AV1 and Python, which then return an unspecific error or crash.
_OUT_OF_MEMORY = re.compile(
    rb"malloc of size \d+ failed|memory allocation error|cannot allocate memory|insufficient memory|bad_alloc"
    rb"|MemoryError",
    re.IGNORECASE,
)


class StderrTail:
    """Non-blocking reader of a pipe that is the stderr of a child.

    Output that does not fit into the pipe is lost, so that a child can neither fill a disk nor block.
    """

    def __init__(self) -> None:
        reading, self.descriptor = os.pipe()  # the child's end
        for end in (reading, self.descriptor):
            os.set_blocking(end, False)
        self._pipe = open(reading, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        self._tail = b""
        self._out_of_memory = False

    def close_child_end(self) -> None:
        """Close the write end in this process, after the child was started."""
        os.close(self.descriptor)

    def read(self) -> None:
        """Read the output that has arrived, and keep its end."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MAX_READS):
                chunk = self._pipe.read(_KEPT_BYTES)
                if not chunk:
                    return
                self._tail = (self._tail + chunk)[-2 * _KEPT_BYTES :]
                self._out_of_memory |= _OUT_OF_MEMORY.search(self._tail) is not None

    def text(self) -> str:
        self.read()
        return self._tail[-_KEPT_BYTES:].decode(errors="replace").strip()

    def ran_out_of_memory(self) -> bool:
        """Return True if a library has reported that an allocation failed."""
        self.read()
        return self._out_of_memory

    def close(self) -> None:
        self._pipe.close()
