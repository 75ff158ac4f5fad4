"""Background jobs beside cutting: probing recordings and deleting unwanted objects.

Each works from rows of the ledger, so that a lost nudge loses nothing. Webhook deliveries have a module of their own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from clipengine.clips.clip import Recording
from clipengine.errors import (
    ClipEngineError,
    DecoderCrashed,
    Internal,
    ObjectChanged,
    ObjectMissing,
    RecordingMissing,
    RecordingNotFound,
    StorageError,
    StorageUnavailable,
)
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings import Probe
from clipengine.ledger.removals import Removal
from clipengine.settings import Encoding
from clipengine.stores.base import MAX_DELETE, Store, StoredObject
from clipengine.work.encoder.exit_status import LOST, next_try
from clipengine.work.encoder.jobs import Message, probe_job, probe_result
from clipengine.work.encoder.process import EncoderPool, EncoderProcess
from clipengine.work.fault_injection import Faults
from clipengine.work.in_flight import Busy
from clipengine.work.retry import Stopping, insist

log = logging.getLogger(__name__)

_PROBE_AGAIN_MS = 10_000
_REMOVE_AGAIN_MS = 30_000
_LOOK_AGAIN_MS = 180_000  # longer than any store works on a PUT whose sender is gone
_MISSING_HINT = "Put the object back and register it again, or upload the recording."


class Prober:
    """Probes recordings, at most `places` at once; `run_due` returns when none waits or all places are taken.

    `suspects` returns True if recordings that may have killed engines may be claimed.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        encoders: EncoderPool,
        *,
        owner: str,
        suspects: Callable[[], bool],
        places: int,
        encoding: Encoding,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._encoders = encoders
        self._owner = owner
        self._suspects = suspects
        self._places = threading.Semaphore(places)
        self._encoding = encoding
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._children: set[EncoderProcess] = set()
        self.busy = Busy()

    def run_due(self) -> None:
        while not self._stopping.is_set() and self._places.acquire(blocking=False):
            try:
                with self.busy.taking(
                    lambda: self._ledger.recordings.claim_probe(self._owner, suspects=self._suspects()),
                    lambda each: each.recording.recording_id,
                ) as probe:
                    if probe is None:
                        return
                    self._probe(probe)
            finally:
                self._places.release()

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            for child in self._children:
                child.kill()

    def _probe(self, probe: Probe) -> None:
        """Probe the recording and settle the lease, whatever happens."""
        try:
            try:
                self._store_facts(probe, *self._find_facts(probe.recording))
            except ClipEngineError as error:
                self._settle(probe, error)
            except Stopping:
                self._ledger.recordings.probe_later(probe, delay_ms=0)
            except Exception as error:  # a job ends here, whatever happened to it
                log.exception("recording %s: the probe failed", probe.recording.recording_id)
                self._settle(probe, Internal(f"{type(error).__name__} while the recording was probed"))
        except (RecordingNotFound, Stopping):
            pass  # it was deleted; or the next start releases the lease of an engine that is gone

    def _settle(self, probe: Probe, error: ClipEngineError) -> None:
        """Queue the probe again if that may help, else fail the recording. Raises Stopping and RecordingNotFound."""
        id, recordings = probe.recording.recording_id, self._ledger.recordings
        attempts = insist(lambda: recordings.probe_attempts(id), self._stopping)
        if isinstance(error, ObjectMissing):
            error = RecordingMissing(error.message, hint=_MISSING_HINT)
        elif isinstance(error, StorageUnavailable | ObjectChanged):
            log.warning("recording %s: %s; the probe is tried again", id, error.message)
            insist(lambda: recordings.probe_later(probe, delay_ms=_PROBE_AGAIN_MS), self._stopping)
            return
        elif (pause := next_try(error, attempts - 1)) is not None:
            log.warning("recording %s: %s; trying again in %.1f s", id, error.message, pause / 1000)
            insist(lambda: recordings.probe_later(probe, delay_ms=pause, crashed=True), self._stopping)
            return
        log.warning("recording %s: failed with %s: %s", id, error.code, error.message)
        insist(lambda: recordings.probe_failed(probe, error), self._stopping)

    def _store_facts(self, probe: Probe, result: Message, info: StoredObject) -> None:
        """Validate what the child found and write it down. Raises DecoderCrashed if that is impossible."""
        id, recordings = probe.recording.recording_id, self._ledger.recordings
        try:
            facts, landmarks = probe_result(result)
            insist(
                lambda: recordings.probe_complete(probe, facts, etag=info.etag, size=info.size, seek_index=landmarks),
                self._stopping,
            )
            log.info("recording %s: complete, %.3f s", id, facts.duration)
        except (Stopping, StorageError):
            raise
        except Exception as error:  # a duration beyond a float, a lone surrogate: no decoder of ours reports it
            log.warning("recording %s: its facts cannot be stored: %s", id, error)
            raise DecoderCrashed("the decoder process reported facts that cannot be stored") from error

    def _find_facts(self, recording: Recording) -> tuple[Message, StoredObject]:
        """Return the child's report and the object that it has read."""
        with closing(self._store.open(recording.bucket_path)) as reader:
            child = self._encoders.take()
            with self._lock:
                self._children.add(child)
            try:
                result, _ = child.run(probe_job(self._encoding), reader=reader, watch=self._watch)
            except LOST:
                self._watch(None)
                raise
            finally:
                with self._lock:
                    self._children.discard(child)
            return result, reader.info

    def _watch(self, message: Message | None) -> None:
        if self._stopping.is_set():
            raise Stopping


class Remover:
    """Deletes objects that the ledger lists as unwanted, one batch at a time."""

    def __init__(self, ledger: Ledger, store: Store, faults: Faults, *, owner: str) -> None:
        self._ledger = ledger
        self._store = store
        self._faults = faults
        self._owner = owner
        self._alone = threading.Lock()
        self.busy = Busy()

    def run_due(self) -> None:
        """Claim and delete one batch. Returns at once if another thread of this engine is deleting."""
        if not self._alone.acquire(blocking=False):
            return
        try:
            with self.busy.taking_all(
                lambda: self._ledger.removals.claim(self._owner, limit=MAX_DELETE),
                lambda batch: [str(each.id) for each in batch],
            ) as batch:
                if batch:
                    self._delete(batch)
        finally:
            self._alone.release()

    def _delete(self, batch: Sequence[Removal]) -> None:
        failed: Mapping[str, ClipEngineError]
        try:
            failed = self._store.delete_many([each.key for each in batch])
        except StorageError as error:
            failed = dict.fromkeys((each.key for each in batch), error)
        for message in {error.message for error in failed.values()}:
            log.warning("objects cannot be deleted yet: %s", message)
        deleted = [each for each in batch if each.key not in failed]
        self._ledger.removals.deleted(deleted, again_ms=self._faults.paced(_LOOK_AGAIN_MS))
        if failed:
            again = [each for each in batch if each.key in failed]
            self._ledger.removals.later(again, delay_ms=self._faults.paced(_REMOVE_AGAIN_MS))
