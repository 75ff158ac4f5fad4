"""Probe jobs of recordings: have a child read the packets, and store the facts or the error."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
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
from clipengine.log_fields import bind
from clipengine.settings import Encoding
from clipengine.stores.base import Store, StoredObject
from clipengine.work.encoder.exit_status import LOST_CHILD, retry_delay_ms
from clipengine.work.encoder.jobs import Message, probe_job, probe_result
from clipengine.work.encoder.pool import EncoderPool
from clipengine.work.encoder.process import EncoderProcess
from clipengine.work.in_flight import InFlight
from clipengine.work.retry import Stopping, retry_until_written

log = logging.getLogger(__name__)

_RETRY_MS = 10_000
_MISSING_HINT = "Put the object back and register it again, or upload the recording."


class Prober:
    """Probes recordings, at most `max_parallel` at a time. Thread-safe.

    `suspects_allowed` returns True if recordings that may have killed an engine may be claimed.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        encoders: EncoderPool,
        *,
        owner: str,
        suspects_allowed: Callable[[], bool],
        max_parallel: int,
        encoding: Encoding,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._encoders = encoders
        self._owner = owner
        self._suspects_allowed = suspects_allowed
        self._slots = threading.Semaphore(max_parallel)
        self._encoding = encoding
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._children: set[EncoderProcess] = set()
        self.in_flight = InFlight()

    def run_due(self) -> None:
        """Probe recordings until none is due. Returns at once if `max_parallel` are being probed."""
        while not self._stopping.is_set() and self._slots.acquire(blocking=False):
            try:
                with self.in_flight.track(
                    lambda: self._ledger.recordings.claim_probe(self._owner, suspects=self._suspects_allowed()),
                    lambda each: each.recording.recording_id,
                ) as probe:
                    if probe is None:
                        return
                    self._probe(probe)
            finally:
                self._slots.release()

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            for child in self._children:
                child.kill()

    def _probe(self, probe: Probe) -> None:
        with bind(recording_id=probe.recording.recording_id, attempt=probe.lease, engine=self._owner):
            self._complete(probe)

    def _complete(self, probe: Probe) -> None:
        """Probe the recording and record the outcome."""
        try:
            try:
                self._store_facts(probe, *self._find_facts(probe.recording))
            except ClipEngineError as error:
                self._retry_or_fail(probe, error)
            except Stopping:
                self._ledger.recordings.probe_later(probe, delay_ms=0)
            except Exception as error:  # a bug must not end the worker thread
                log.exception("recording %s: the probe failed", probe.recording.recording_id)
                self._retry_or_fail(probe, Internal(f"{type(error).__name__} while the recording was probed"))
        except (RecordingNotFound, Stopping):
            pass  # deleted, or released as an orphan after the next start

    def _retry_or_fail(self, probe: Probe, error: ClipEngineError) -> None:
        """Queue the probe again if a retry may succeed, else fail the recording.

        Raises Stopping and RecordingNotFound.
        """
        id, recordings = probe.recording.recording_id, self._ledger.recordings
        attempts = retry_until_written(lambda: recordings.probe_attempts(id), self._stopping)
        if isinstance(error, ObjectMissing):
            error = RecordingMissing(error.message, hint=_MISSING_HINT)
        elif isinstance(error, StorageUnavailable | ObjectChanged):
            log.warning("recording %s: %s; the probe is retried", id, error.message)
            retry_until_written(lambda: recordings.probe_later(probe, delay_ms=_RETRY_MS), self._stopping)
            return
        elif (delay := retry_delay_ms(error, attempts - 1)) is not None:
            log.warning("recording %s: %s; retrying in %.1f s", id, error.message, delay / 1000)
            retry_until_written(lambda: recordings.probe_later(probe, delay_ms=delay, crashed=True), self._stopping)
            return
        log.warning("recording %s: failed with %s: %s", id, error.code, error.message)
        retry_until_written(lambda: recordings.probe_failed(probe, error), self._stopping)

    def _store_facts(self, probe: Probe, result: Message, info: StoredObject) -> None:
        """Validate and store the report of the child. Raises DecoderCrashed if it cannot be stored."""
        id, recordings = probe.recording.recording_id, self._ledger.recordings
        try:
            facts, seek_index = probe_result(result)
            retry_until_written(
                lambda: recordings.probe_complete(probe, facts, etag=info.etag, size=info.size, seek_index=seek_index),
                self._stopping,
            )
            log.info("recording %s: complete, %.3f s", id, facts.duration)
        except (Stopping, StorageError):
            raise
        except Exception as error:  # such as an infinite duration or a lone surrogate
            log.warning("recording %s: its facts cannot be stored: %s", id, error)
            raise DecoderCrashed("the decoder process reported facts that cannot be stored") from error

    def _find_facts(self, recording: Recording) -> tuple[Message, StoredObject]:
        """Return the report of the child and the object that it read."""
        with closing(self._store.open(recording.bucket_path)) as reader:
            child = self._encoders.take()
            with self._lock:
                self._children.add(child)
            try:
                result, _ = child.run(probe_job(self._encoding), reader=reader, watch=self._watch)
            except LOST_CHILD:
                self._watch(None)
                raise
            finally:
                with self._lock:
                    self._children.discard(child)
            return result, reader.info

    def _watch(self, message: Message | None) -> None:
        if self._stopping.is_set():
            raise Stopping
