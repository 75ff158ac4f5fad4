"""Huey queues whose workers wake up at once, in memory or in the ledger's PostgreSQL.

A message carries an id. Jobs are rows of the ledger, and a worker that takes a message claims the first row that its
host may run. Engines that share a ledger share its queues: a message is written in the transaction that queues the job,
and one worker of one engine takes it. Huey does not acknowledge messages, so a killed worker loses its own; the sweep
sends another if a queue is empty but jobs are due.
"""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from huey.api import Huey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import MemoryStorage, PostgresStorage

from clipengine.errors import StorageError
from clipengine.ledger.database.database import Database

log = logging.getLogger(__name__)

_WAIT_SECONDS = 1.0  # in memory
_SHARED_WAIT_SECONDS = 30.0  # each wait that ends costs a query; the sweep wakes workers that missed a notification
_OUTAGE_SECONDS = 1.0
_SCHEDULER_SECONDS = 60  # the longest that Huey allows: nothing is scheduled
_MIN_DELAY_SECONDS, _MAX_DELAY_SECONDS = 1.0, 30.0


class _JsonSerializer(Serializer):  # type: ignore[misc]
    """JSON instead of pickle, which can run code."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: bytes) -> Message:
        return Message(*json.loads(data))


class _MemoryStorage(MemoryStorage):  # type: ignore[misc]
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

    def is_empty(self) -> bool:
        return not self._queue

    def wake(self, workers: int = 1) -> None:
        with self._arrived:
            self._arrived.notify(workers)


class _LedgerStorage(PostgresStorage):  # type: ignore[misc]
    """Huey's PostgreSQL storage on the connections of the ledger.

    Messages are thereby written in the transaction of the calling thread. Huey's own storage needs two connections for
    each worker thread; here a single connection, on which the ledger listens, wakes them, see `channel` and `wake`.
    """

    def __init__(self, name: str, *, database: Database) -> None:
        self._database = database
        self._arrived = threading.Condition()
        self._notified = 0
        super().__init__(name)

    @contextmanager
    def db(self, commit: bool = False, close: bool = False) -> Iterator[Any]:
        database = self._database
        own = nullcontext() if database.in_transaction else database.transaction(durable=False, ordered=False)
        with own, database.cursor() as cursor:
            yield cursor

    def initialize_schema(self) -> None:
        with self._database.transaction():  # one engine at a time creates the tables
            super().initialize_schema()

    def dequeue(self) -> bytes | None:
        """Return the next message. Waits for one, and returns None after a while or if the ledger fails."""
        seen, seconds = self._notified, _SHARED_WAIT_SECONDS
        try:
            data: bytes | None = self._dequeue()
        except StorageError as error:
            log.debug("no messages of %s: %s", self.name, error.message)
            data, seconds = None, _OUTAGE_SECONDS
        if data is None:
            with self._arrived:
                self._arrived.wait_for(lambda: self._notified != seen, seconds)
        else:
            self.wake()  # one notification stands for all messages of a transaction
        return data

    def is_empty(self) -> bool:
        return not self.enqueued_items(limit=1)

    def wake(self, workers: int = 1) -> None:
        with self._arrived:
            self._notified += 1
            self._arrived.notify(workers)

    def peek_many(self, keys: object) -> dict[str, bytes]:
        """Return no revocations: the rows of the ledger say what is cancelled."""
        return {}

    def read_schedule(self, ts: object) -> list[bytes]:
        """Return nothing: rows that are due later get a message when they are due."""
        return []


class _Consumer(Consumer):  # type: ignore[misc]
    """Huey's consumer without its signal handlers, which only the main thread can set."""

    def _set_signal_handlers(self) -> None:
        pass


def _ignore(name: str) -> None:
    pass


class WorkQueue:
    """A queue of messages and its `workers` threads, which call `handle` with the id of each message.

    The queue is in memory, or in `database` if engines share the ledger. `on_restart` is called with the name of the
    queue after dead threads were replaced.
    """

    def __init__(
        self,
        name: str,
        workers: int,
        handle: Callable[[str], object],
        on_restart: Callable[[str], None] = _ignore,
        *,
        database: Database | None = None,
    ) -> None:
        where: dict[str, Any] = {"storage_class": _MemoryStorage}
        if database is not None:
            where = {"storage_class": _LedgerStorage, "database": database}
        self._huey = Huey(name, results=False, serializer=_JsonSerializer(), immediate=False, **where)
        self._storage = self._huey.storage
        self._handle = handle
        self._enqueue = self._huey.task(name=name)(self._work)
        self._consumer = _Consumer(
            self._huey, workers=workers, periodic=False, worker_type="thread", scheduler_interval=_SCHEDULER_SECONDS
        )
        self.name = name
        self.shared = database is not None
        self.workers = workers
        self.restarts = 0
        self._on_restart = on_restart
        self._restart_lock = threading.Lock()
        self._died_at: float | None = None
        self._restarted_at = 0.0
        self._delay = _MIN_DELAY_SECONDS

    @property
    def channel(self) -> str:
        """The channel on which PostgreSQL notifies of new messages."""
        return str(self._storage.channel)

    def start(self) -> None:
        self._consumer.start()

    def put(self, id: str) -> None:
        """Queue a message, in the transaction of this thread if the queue is in the ledger."""
        self._enqueue(id)

    def wake(self) -> None:
        """Let a worker that waits look for a message."""
        self._storage.wake()

    def replace_messages(self) -> None:
        """Send each worker a message if none is queued, and otherwise wake a worker that missed its notification."""
        if self._storage.is_empty():
            for _ in range(self.workers):
                self.put("")
        else:
            self.wake()

    def _work(self, id: str) -> None:
        try:
            self._handle(id)
        except StorageError as error:  # an outage, not a bug: the sweep sends another message
            log.warning("the work of %s is postponed: %s", self.name, error.message)

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
        self._storage.wake(self.workers)
        self._consumer.stop(graceful=True)
