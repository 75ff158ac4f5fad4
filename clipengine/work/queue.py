"""In-process Huey queues that wake workers immediately instead of polling.

A message is a nudge that carries an id, not a job. Jobs are rows of the ledger, and the sweep repeats lost nudges.
Messages are therefore kept in memory only, and delivered at most once.
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
_MIN_DELAY_SECONDS, _MAX_DELAY_SECONDS = 1.0, 30.0


class _JsonSerializer(Serializer):  # type: ignore[misc]
    """JSON instead of pickle, which can run code."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: bytes) -> Message:
        return Message(*json.loads(data))


class _WakingStorage(MemoryStorage):  # type: ignore[misc]
    """Huey's memory storage with a dequeue that waits up to a second for a message."""

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
    """Huey's consumer without its signal handlers, which only the main thread can set."""

    def _set_signal_handlers(self) -> None:
        pass


def _ignore(name: str) -> None:
    pass


class WorkQueue:
    """A queue of nudges and its `workers` threads, which call `handle` with the id of each nudge.

    `on_restart` is called with the name of the queue after dead threads were replaced.
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
        self._restart_lock = threading.Lock()
        self._died_at: float | None = None
        self._restarted_at = 0.0
        self._delay = _MIN_DELAY_SECONDS

    def start(self) -> None:
        self._consumer.start()

    def nudge(self, id: str) -> None:
        """Wake a worker, without waiting for it."""
        self._nudge(id)

    def _work(self, id: str) -> None:
        try:
            self._handle(id)
        except StorageError as error:  # an outage, not a bug: the sweep nudges again
            log.warning("the work of %s is postponed: %s", self.name, error.message)

    def pending(self) -> int:
        """Return the number of queued nudges."""
        return int(self._huey.storage.queue_size())

    def alive(self) -> bool:
        """Return True if every worker thread is alive.

        A call at least a second later replaces dead threads. The delay doubles each time that threads die again.
        """
        with self._restart_lock:
            now = time.monotonic()
            if all(thread.is_alive() for _, thread in self._consumer.worker_threads):
                if self._died_at is not None and now - self._died_at > _MAX_DELAY_SECONDS + self._delay:
                    self._died_at, self._delay = None, _MIN_DELAY_SECONDS
                return True
            if self._died_at is None or self._died_at < self._restarted_at:
                self._died_at = now
                log.error("a worker thread of %s has died and is restarted in %g s", self.name, self._delay)
            if now - self._died_at < self._delay:
                return False
            self._delay = min(_MAX_DELAY_SECONDS, 2 * self._delay)
            self._restarted_at = now
            self.restarts += 1
            self._consumer.check_worker_health()
            self._on_restart(self.name)
            return False

    def stop(self, timeout: float) -> None:
        """Stop the workers, and wait for them at most `timeout` seconds."""
        self._consumer.shutdown_timeout = timeout
        self._consumer.stop_flag.set()
        self._huey.storage.wake_all()
        self._consumer.stop(graceful=True)
