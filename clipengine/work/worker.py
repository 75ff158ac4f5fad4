"""Workers: claim items from the ledger, run them, and record how they end."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from clipengine.basis import tracing
from clipengine.basis.disk_space import UNLIMITED, DiskSpace
from clipengine.errors import ClipEngineError, ClipNotFound, Internal, RecordingNotFound, TranscriptNotFound
from clipengine.ledger.ledger import Ledger
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.retry import Stopping, retry_until_written

log = logging.getLogger(__name__)

T = TypeVar("T")


class ClaimLost(Exception):
    """The item was cancelled, deleted or claimed by another engine: stop, and delete its files."""


@dataclass(frozen=True)
class Retry:
    """A retry after `delay_ms`. `crashed` counts the attempt, as after the crash of a child process."""

    delay_ms: int
    crashed: bool = False


@dataclass(frozen=True)
class JobContext:
    """Context that the jobs of an engine share. `owner` is its id, and `stopping` is set when it stops."""

    ledger: Ledger
    owner: str
    stopping: threading.Event
    faults: FaultInjection = field(default_factory=lambda: FaultInjection(""))
    disk: DiskSpace = UNLIMITED


class Jobs(ABC, Generic[T]):
    """The jobs of one kind: how to claim an item, run it, and record how it ends.

    `activity` completes an error text: "KeyError while the clip was cut". All methods may be called by several threads,
    but `claim` by one thread at a time.
    """

    activity: str

    def __init__(self, context: JobContext) -> None:
        self.stopping, self.faults, self.disk = context.stopping, context.faults, context.disk
        self._ledger, self._owner = context.ledger, context.owner

    @abstractmethod
    def claim(self) -> T | None:
        """Claim the next item, or return None if none is due or this engine may start none."""

    @abstractmethod
    def is_due(self) -> bool:
        """Return True if an item is due, even if this engine may start none."""

    @abstractmethod
    def ids(self, item: T) -> list[str]:
        """Return the ids under which the ledger lists the claim."""

    @abstractmethod
    def label(self, item: T) -> str:
        """Return the item's kind and id for log lines."""

    def context(self, item: T) -> AbstractContextManager[None]:
        """Return the context in which the item runs: log fields and trace."""
        return nullcontext()

    @abstractmethod
    def run(self, item: T) -> None:
        """Run the item and record its success.

        Raises ClaimLost, Stopping if the engine stops, and otherwise the error for `retry`.
        """

    @abstractmethod
    def retry(self, item: T, error: ClipEngineError) -> Retry | None:
        """Return when the item is retried after this error, or None if it has failed."""

    @abstractmethod
    def later(self, item: T, error: ClipEngineError, retry: Retry) -> bool:
        """Release the item until its retry is due. Return False if the claim was lost."""

    @abstractmethod
    def fail(self, item: T, error: ClipEngineError) -> bool:
        """Record that the item has failed. Return False if the claim was lost."""

    def release(self, item: T) -> None:
        """Release an item that the stop of the engine has interrupted.

        Without it, the maintenance of a living engine releases the item.
        """

    def lost(self, item: T) -> None:
        """Delete what the item has made: its claim was lost."""

    def was_cancelled(self, item: T) -> bool:
        """Return True if the claim was lost because the item was cancelled or deleted. May raise not found."""
        return False

    def interrupt(self) -> None:
        """Interrupt all running items, because the engine stops."""


class Worker(Generic[T]):
    """Runs the jobs of one kind. Thread-safe; each call of `run_due` runs one item at a time.

    Between `claim` and the end of its run, an item is listed in `in_flight`: a claim of this engine that is not listed
    there is stale.
    """

    def __init__(self, jobs: Jobs[T]) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._ids: Counter[str] = Counter()  # counted: an item may be claimed again before its last run has ended
        self._closed = False

    def is_due(self) -> bool:
        """Return True if an item is due."""
        return self._jobs.is_due()

    def run_due(self) -> int:
        """Run items until none is due, and return how many were run. Raises the errors of the ledger from a claim."""
        number = 0
        while self.run_next():
            number += 1
        return number

    def run_next(self) -> bool:
        """Run the next item. Return False if none could be claimed."""
        with self._claimed() as item:
            if item is None:
                return False
            with self._jobs.context(item):
                self._run(item)
        return True

    def in_flight(self) -> set[str]:
        """Return the ids of the claimed items."""
        with self._lock:
            return set(self._ids)

    def close(self) -> None:
        """Claim nothing more."""
        with self._lock:
            self._closed = True

    def stop(self) -> None:
        """Claim nothing more, and interrupt the running items."""
        self._jobs.stopping.set()
        self._jobs.interrupt()

    @contextmanager
    def _claimed(self) -> Iterator[T | None]:
        # The lock is held during a claim, so that `in_flight` has the id of every claim that the ledger shows.
        with self._lock:
            item = None if self._closed or self._jobs.stopping.is_set() else self._jobs.claim()
            ids = Counter(() if item is None else self._jobs.ids(item))
            self._ids += ids
        try:
            yield item
        finally:
            with self._lock:
                self._ids -= ids

    def _run(self, item: T) -> None:
        """Run the item and record its end."""
        try:
            self._jobs.run(item)
        except ClaimLost:
            self._lose(item)
        except Stopping:
            self._jobs.release(item)
        except ClipEngineError as error:
            self._settle(item, error)
        except Exception as error:  # a bug must not end the thread
            log.exception("%s failed", self._jobs.label(item))
            self._settle(item, Internal(f"{type(error).__name__} while {self._jobs.activity}"))

    def _settle(self, item: T, error: ClipEngineError) -> None:
        """Queue the item again if a retry may succeed, else fail it."""
        tracing.set_error(error.code)
        jobs, label = self._jobs, self._jobs.label(item)
        try:
            retry = retry_until_written(lambda: jobs.retry(item, error), self._jobs.stopping)
            if retry is None:
                log.warning("%s: failed with %s: %s", label, error.code, error.message)
                held = retry_until_written(lambda: jobs.fail(item, error), self._jobs.stopping)
            else:
                log.warning("%s: %s; retrying in %.1f s", label, error.message, retry.delay_ms / 1000)
                held = retry_until_written(lambda: jobs.later(item, error, retry), self._jobs.stopping)
        except (ClipNotFound, RecordingNotFound, TranscriptNotFound):
            held = False
        except Stopping:
            return  # released as an orphan after the next start
        if not held:
            self._lose(item)

    def _lose(self, item: T) -> None:
        log.info("%s: %s", self._jobs.label(item), "cancelled" if self._was_cancelled(item) else "the claim was lost")
        self._jobs.lost(item)

    def _was_cancelled(self, item: T) -> bool:
        try:
            return self._jobs.was_cancelled(item)
        except (ClipNotFound, RecordingNotFound, TranscriptNotFound):
            return True  # deleted
        except ClipEngineError:
            return False  # the ledger cannot be read
