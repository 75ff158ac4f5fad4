"""What a child and its libraries say on standard error: the end of it, for the log and for why it ended."""

from __future__ import annotations

import contextlib
import os
import re

_KEPT_BYTES = 2000
_MAX_READS = 50  # at once: more than a pipe holds, and an end for one that is written to all the time
# libx264 and libx265; libvpx; FFmpeg; SVT-AV1. They say it here, and report something vague or crash.
_OUT_OF_MEMORY = re.compile(
    rb"malloc of size \d+ failed|memory allocation error|cannot allocate memory|insufficient memory|bad_alloc",
    re.IGNORECASE,
)


class StderrTail:
    """Reads a pipe whose other end is a child's standard error; never waits for it.

    What does not fit into the pipe is lost, so that no child can fill a disk or be held up by this.
    """

    def __init__(self) -> None:
        reading, self.descriptor = os.pipe()  # the child's end, which its starter closes with `close_child_end`
        for end in (reading, self.descriptor):
            os.set_blocking(end, False)
        self._pipe = open(reading, "rb", buffering=0)  # noqa: SIM115 - it lives as long as the child
        self._said = b""
        self._out_of_memory = False

    def close_child_end(self) -> None:
        """The child has its end: let go of it here."""
        os.close(self.descriptor)

    def read(self) -> None:
        """Keep the last of what was said since."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MAX_READS):
                words = self._pipe.read(_KEPT_BYTES)
                if not words:
                    return
                self._said = (self._said + words)[-2 * _KEPT_BYTES :]
                self._out_of_memory |= _OUT_OF_MEMORY.search(self._said) is not None

    def text(self) -> str:
        self.read()
        return self._said[-_KEPT_BYTES:].decode(errors="replace").strip()

    def ran_out_of_memory(self) -> bool:
        """Whether an encoder or a decoder has said that it got no more memory."""
        self.read()
        return self._out_of_memory

    def close(self) -> None:
        self._pipe.close()
