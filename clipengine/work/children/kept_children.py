"""Children that have read a recording, kept for a few seconds for more jobs of the same kind on the same recording.

The start of a child costs 0.4 s of CPU time, more than most read jobs. The recording may have taken the child over, so
a child never reads another recording.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from clipengine.stores.base import ObjectReader
from clipengine.work.children.jobs import Program
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.process import Child

# Limits of CPU time include the time of earlier jobs. This is little of the shortest limit, two minutes.
_MAX_CPU_SECONDS = 10.0

# Path and ETag of the recording, and the name of the kind of jobs: other kinds have other limits.
Key = tuple[str, str, str]


class _Idle(NamedTuple):
    key: Key
    process: Child
    reader: ObjectReader | None
    until: float

    def close(self) -> None:
        self.process.close()
        if self.reader is not None:
            self.reader.close()


class KeptChildren:
    """The idle children of a pool. Thread-safe."""

    idle_seconds = 5.0
    most_idle = 4  # each uses 32 MB for its libraries

    def __init__(self, pool: ChildPool, *, idle_seconds: float | None = None, most_idle: int | None = None) -> None:
        self._pool = pool
        if idle_seconds is not None:
            self.idle_seconds = idle_seconds
        if most_idle is not None:
            self.most_idle = most_idle
        self._changed = threading.Condition()
        self._idle: list[_Idle] = []  # in the order in which they end
        self._closer: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def lent(
        self,
        key: Key,
        open_reader: Callable[[], ObjectReader],
        program: Program = "maker",
        *,
        keeps_reader: bool = True,
    ) -> Iterator[tuple[Child, ObjectReader]]:
        """Lend a child of the program and a reader of the recording, for one job that is run with `keep`.

        Without `keeps_reader`, each job reads other parts of the recording, with a separate reader.
        """
        with ExitStack() as stack:
            process, reader = self._take(key)
            if process is not None:
                stack.callback(process.close)
            if reader is None:
                reader = open_reader()
            stack.callback(reader.close)
            if process is None:
                process = self._pool.take(program)
                stack.callback(process.close)
            yield process, reader
            if process.alive and process.cpu_seconds < _MAX_CPU_SECONDS:
                stack.pop_all()
                self._keep(key, process, reader, keeps_reader=keeps_reader)

    def close(self) -> None:
        """End the idle children, and children that are given back later."""
        with self._changed:
            self._closed = True
            self._close_idle(lambda each: True)

    def _take(self, key: Key) -> tuple[Child | None, ObjectReader | None]:
        with self._changed:
            self._close_idle(lambda each: not each.process.alive)
            for number, each in enumerate(self._idle):
                if each.key == key:
                    del self._idle[number]
                    return each.process, each.reader
        return None, None

    def _keep(self, key: Key, process: Child, reader: ObjectReader, *, keeps_reader: bool) -> None:
        kept: ObjectReader | None = reader
        if not keeps_reader or reader.fileno() is not None:  # a file may change; remote stores check each read's ETag
            reader.close()
            kept = None
        with self._changed:
            self._idle.append(_Idle(key, process, kept, time.monotonic() + self.idle_seconds))
            surplus = self._idle if self._closed else self._idle[: -self.most_idle]
            self._close_idle(surplus.__contains__)
            if self._idle and self._closer is None:
                self._closer = threading.Thread(target=self._close_in_time, name="kept-children", daemon=True)
                self._closer.start()

    def _close_in_time(self) -> None:
        with self._changed:
            while self._idle:
                self._changed.wait(max(0.0, self._idle[0].until - time.monotonic()))
                self._close_idle(lambda each: each.until <= time.monotonic())
            self._closer = None

    def _close_idle(self, ends: Callable[[_Idle], bool]) -> None:
        for each in [each for each in self._idle if ends(each)]:
            self._idle.remove(each)
            each.close()
