"""Long chores on the ledger, in batches: expired clips, old events and deliveries, the audit log, and search words."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from clipengine.basis.disk_space import UNLIMITED, DiskSpace
from clipengine.ledger.ledger import Ledger
from clipengine.settings.settings import Retention

log = logging.getLogger(__name__)

_SECONDS = 5
_LIMIT_SECONDS = 60
_AUDIT_SECONDS = 60
# Between two batches: other writers of this process get the ledger's write lock.
_PAUSE_SECONDS = 0.01


class Cleanup:
    """Runs one batch after the other until none is left. One thread at a time deletes."""

    def __init__(self, ledger: Ledger, retention: Retention, disk: DiskSpace = UNLIMITED) -> None:
        self._ledger = ledger
        self._disk = disk
        self._keep_clips_ms = retention.keep_clips_ms
        self._keep_recordings_ms = retention.keep_recordings_ms
        self._keep_events_ms = retention.keep_events_ms
        self._keep_audit_ms = retention.keep_audit_ms
        self._max_clips_bytes = retention.max_clips_bytes
        self._running = threading.Lock()
        self._reading = threading.Lock()
        self._stopped = threading.Event()
        self._due_at = self._limit_at = self._audit_at = 0.0

    def is_due(self) -> bool:
        """Return True every few seconds, if no thread is deleting."""
        return time.monotonic() >= self._due_at and not self._running.locked()

    def run(self) -> None:
        """Delete everything that is due. Returns at once if another thread of this engine is deleting."""
        if not self._running.acquire(blocking=False):
            return
        try:
            if clips := self._drain(lambda: self._ledger.expiry.run(keep_ms=self._keep_clips_ms)):
                log.info("%d clips have expired", clips)
            if recordings := self._drain(self._expire_recordings):
                log.info("%d recordings have expired", recordings)
            self._keep_limit()
            if rows := self._drain(lambda: self._ledger.retention.run(keep_ms=self._keep_events_ms)):
                log.info("%d old events and deliveries were deleted", rows)
            self._keep_audit()
        finally:
            self._due_at = time.monotonic() + _SECONDS
            self._running.release()

    def _expire_recordings(self) -> int:
        return self._ledger.expiry.run_recordings(keep_ms=self._keep_recordings_ms)

    def _keep_limit(self) -> None:
        """Delete clips above the limit of their bytes, once a minute: the use is summed over all clips."""
        if not self._max_clips_bytes or time.monotonic() < self._limit_at:
            return
        self._limit_at = time.monotonic() + _LIMIT_SECONDS
        if clips := self._drain(lambda: self._ledger.clip_limit.run(self._max_clips_bytes)):
            log.warning("%d clips were deleted, because all clips used more than retention.max_clips_bytes", clips)

    def _keep_audit(self) -> None:
        """Write the counts of the audit log, seal its new rows and delete its old ones, once a minute."""
        if time.monotonic() < self._audit_at:
            return
        self._audit_at = time.monotonic() + _AUDIT_SECONDS
        self._ledger.audit.flush()
        self._drain(lambda: 0 if self._ledger.audit_chain.seal() is None else 1)
        self._ledger.audit_chain.remember()
        if rows := self._drain(lambda: self._ledger.audit_chain.remove(keep_ms=self._keep_audit_ms)):
            log.info("%d old rows of the audit log were deleted", rows)

    def index_missing(self) -> None:
        """Index the rows that an older version wrote. Lists find them by their words and tags afterwards."""
        rows = 0
        for indexed in self._ledger.index_missing():
            rows += indexed
            if self._stopped.wait(_PAUSE_SECONDS):
                break
        if rows:
            log.info("the words of %d rows of an older version were indexed", rows)

    def is_speech_unread(self) -> bool:
        """Return True if the speech of some clips is not indexed yet, and no thread of this engine does it."""
        return not self._reading.locked() and self._ledger.spoken.is_unread()

    def read_speech(self) -> None:
        """Index the speech of new clips, and of clips whose recordings have new transcripts.

        Returns at once if another thread of this engine does it.
        """
        if not self._reading.acquire(blocking=False):
            return
        try:
            for _ in self._ledger.spoken.read():
                if self._stopped.wait(_PAUSE_SECONDS):
                    break
        finally:
            self._reading.release()

    def stop(self) -> None:
        """End `run` and the indexing after their current batch."""
        self._stopped.set()

    def _drain(self, delete_batch: Callable[[], int]) -> int:
        total = 0
        while not self._stopped.is_set() and (deleted := self._disk.freeing(delete_batch)):
            total += deleted
            self._stopped.wait(_PAUSE_SECONDS)
        return total
