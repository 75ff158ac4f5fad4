"""Times of file reads and writes as reported by inotify, without affecting the observed process."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

READ, WRITTEN, CREATED = 0x1, 0x2, 0x100  # IN_ACCESS, IN_MODIFY, IN_CREATE
_EVENT = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)

# Called with the kind of event, the name inside a watched folder (or "") and the monotonic time.
Seen = Callable[[int, str, float], None]


class Watching:
    """Reports file events in a separate thread while the block runs."""

    def __init__(self) -> None:
        self._descriptor = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._seen: dict[int, Seen] = {}
        self._stop = os.eventfd(0)
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def add(self, path: Path, kinds: int, seen: Seen) -> None:
        """Watch a file, or the entries of a folder."""
        number = _LIBC.inotify_add_watch(self._descriptor, os.fsencode(path), kinds)
        if number < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
        self._seen[number] = seen

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        os.close(self._descriptor)
        os.close(self._stop)

    def _run(self) -> None:
        while self._stop not in select.select([self._descriptor, self._stop], [], [])[0]:
            data, now = os.read(self._descriptor, 65536), time.monotonic()
            place = 0
            while place < len(data):
                number, kind, _, length = _EVENT.unpack_from(data, place)
                name = data[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0").decode()
                place += _EVENT.size + length
                if number in self._seen:
                    self._seen[number](kind, name, now)
