"""The queues: two Huey consumers inside this process, woken at once and never polling.

A message carries an id and is a nudge, not a job: the rows of the ledger are the truth, and the sweep nudges again
for whatever still waits. Delivery is at most once, and that is enough. The queue therefore lives in memory; nothing
in it has to survive. Retired message names stay registered as no-ops, so that none is ever undecodable.
"""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from huey.api import Huey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import MemoryStorage

from clipengine.errors import StorageError

log = logging.getLogger(__name__)

_WAIT_SECONDS = 1.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 30.0


class _JsonSerializer(Serializer):  # type: ignore[misc]
    """Messages as JSON: unpickling would run code."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: bytes) -> Message:
        return Message(*json.loads(data))


class _WakingStorage(MemoryStorage):  # type: ignore[misc]
    """Huey's memory storage with a dequeue that blocks until a message comes (or a second has passed)."""

    blocking = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arrived = threading.Condition(self._lock)

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        with self._arrived:
            super().enqueue(data, priority)
            self._arrived.notify()

    def dequeue(self) -> bytes | None:
        with self._arrived:
            if not self._queue:
                self._arrived.wait(_WAIT_SECONDS)
            return heapq.heappop(self._queue)[2] if self._queue else None

    def wake_all(self) -> None:
        with self._arrived:
            self._arrived.notify_all()


class _Consumer(Consumer):  # type: ignore[misc]
    """Huey's consumer for a thread that is not the main one: signals are the process's own business."""

    def _set_signal_handlers(self) -> None:
        pass


def _ignore(name: str) -> None:
    pass


class WorkQueue:
    """Nudges for one kind of work, handled by `workers` threads. `handle` gets the id of each nudge.

    `on_restart` is told the queue's name when dead threads were replaced.
    """

    def __init__(
        self, name: str, workers: int, handle: Callable[[str], None], on_restart: Callable[[str], None] = _ignore
    ) -> None:
        self._huey = Huey(
            name, results=False, storage_class=_WakingStorage, serializer=_JsonSerializer(), immediate=False
        )
        self._handle = handle
        self._nudge = self._huey.task(name=name)(self._work)
        self._consumer = _Consumer(self._huey, workers=workers, periodic=False, worker_type="thread")
        self.name = name
        self.restarts = 0
        self._on_restart = on_restart
        self._healing = threading.Lock()
        self._died: float | None = None
        self._restarted = 0.0
        self._wait = _FIRST_WAIT_SECONDS

    def start(self) -> None:
        self._consumer.start()

    def nudge(self, id: str) -> None:
        """Have a worker look; it returns at once."""
        self._nudge(id)

    def _work(self, id: str) -> None:
        try:
            self._handle(id)
        except StorageError as error:  # the ledger or the store is away: no defect, and the sweep nudges again
            log.warning("%s: what waits has to wait on: %s", self.name, error.message)

    def pending(self) -> int:
        """How many nudges wait."""
        return int(self._huey.storage.queue_size())

    def alive(self) -> bool:
        """Whether every worker thread lives.

        Dead ones are replaced by a later call, after a second, and after longer and longer where they die again.
        """
        with self._healing:
            now = time.monotonic()
            if all(thread.is_alive() for _, thread in self._consumer.worker_threads):
                if self._died is not None and now - self._died > _LONGEST_WAIT_SECONDS + self._wait:
                    self._died, self._wait = None, _FIRST_WAIT_SECONDS
                return True
            if self._died is None or self._died < self._restarted:
                self._died = now
                log.error("a worker thread of %s has died; it is started again in %g s", self.name, self._wait)
            if now - self._died < self._wait:
                return False
            self._wait = min(_LONGEST_WAIT_SECONDS, 2 * self._wait)
            self._restarted = now
            self.restarts += 1
            self._consumer.check_worker_health()
            self._on_restart(self.name)
            return False

    def stop(self, timeout: float) -> None:
        """Take no more nudges and wait for the workers, at most `timeout` seconds."""
        self._consumer.shutdown_timeout = timeout
        self._consumer.stop_flag.set()
        self._huey.storage.wake_all()
        self._consumer.stop(graceful=True)
