"""Children that run a job at the moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clipengine.stores.base import ObjectReader
from clipengine.work.children.exit_status import LOST_CHILD
from clipengine.work.children.jobs import Job, Message
from clipengine.work.children.process import Child, Watch


class RunningChildren:
    """Runs each job in a new child, which another thread can kill. Thread-safe."""

    def __init__(self, take: Callable[[], Child]) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._running: set[Child] = set()

    def run(self, job: Job, reader: ObjectReader, *, watch: Watch) -> tuple[Message, bytes]:
        """Return the result of the job and its binary part, see `Child.run`."""
        with self.running(self._take(), watch) as child:
            return child.run(job, reader, watch=watch)

    @contextmanager
    def running(self, child: Child, watch: Watch) -> Iterator[Child]:
        """Let `kill` kill this child, too, during the context. Then the exception of its watch is raised, if any."""
        with self._lock:
            self._running.add(child)
        try:
            yield child
        except LOST_CHILD:
            watch(None)
            raise
        finally:
            with self._lock:
                self._running.discard(child)

    def kill(self) -> None:
        """Kill the children. Their jobs raise DecoderKilled or the exception of their watch."""
        with self._lock:
            running = list(self._running)
        for child in running:
            child.kill()
