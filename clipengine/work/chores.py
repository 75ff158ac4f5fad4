"""Chores: what has to be done beside cutting, each from rows of the ledger, so that a lost nudge loses nothing.

Probing recordings, and removing objects that nobody wants any more. Webhook deliveries have a module of their own.
"""

from __future__ import annotations

import logging
import threading
from contextlib import closing

from clipengine.clips.clip import Recording
from clipengine.clips.facts import SourceFacts
from clipengine.clips.landmarks import Landmarks
from clipengine.errors import (
    ClipEngineError,
    Internal,
    ObjectChanged,
    ObjectMissing,
    RecordingMissing,
    StorageError,
    StorageUnavailable,
)
from clipengine.ledger.ledger import Ledger
from clipengine.settings import Encoding
from clipengine.stores.base import Store, StoredObject
from clipengine.work.busy import Busy
from clipengine.work.encoder import EncoderPool, EncoderProcess
from clipengine.work.faults import Faults
from clipengine.work.jobs import Message, probe_job, probe_result
from clipengine.work.lost_child import LOST, next_try
from clipengine.work.outage import Stopping

log = logging.getLogger(__name__)

_PROBE_AGAIN_MS = 10_000
_REMOVE_AGAIN_MS = 30_000
_LOOK_AGAIN_MS = 180_000  # longer than any store works on a PUT whose sender is gone
_MISSING_HINT = "Put the object back and register it again, or upload the recording."


class Prober:
    """Probes recordings, at most `places` at once; `run_due` returns when none waits or all places are taken."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        encoders: EncoderPool,
        *,
        owner: str,
        places: int,
        encoding: Encoding,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._encoders = encoders
        self._owner = owner
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
                    lambda: self._ledger.recordings.claim_probe(self._owner), lambda each: each.recording_id
                ) as recording:
                    if recording is None:
                        return
                    self._probe(recording)
            finally:
                self._places.release()

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            for child in self._children:
                child.kill()

    def _probe(self, recording: Recording) -> None:
        id = recording.recording_id
        recordings = self._ledger.recordings
        try:
            facts, landmarks, info = self._find_facts(recording)
        except Stopping:
            recordings.probe_later(id, delay_ms=0)
        except ObjectMissing as error:
            recordings.probe_failed(id, RecordingMissing(error.message, hint=_MISSING_HINT))
        except (StorageUnavailable, ObjectChanged) as error:
            log.warning("recording %s: %s; the probe is tried again", id, error.message)
            recordings.probe_later(id, delay_ms=_PROBE_AGAIN_MS)
        except ClipEngineError as error:
            pause = next_try(error, recordings.probe_attempts(id) - 1)
            if pause is not None:
                log.warning("recording %s: %s; trying again in %.1f s", id, error.message, pause / 1000)
                recordings.probe_later(id, delay_ms=pause, crashed=True)
                return
            log.warning("recording %s: failed with %s: %s", id, error.code, error.message)
            recordings.probe_failed(id, error)
        except Exception as error:  # a job ends here, whatever happened to it
            log.exception("recording %s: the probe failed", id)
            recordings.probe_failed(id, Internal(f"{type(error).__name__} while the recording was probed"))
        else:
            recordings.probe_complete(id, facts, etag=info.etag, size=info.size, landmarks=landmarks)
            log.info("recording %s: complete, %.3f s", id, float(facts.duration))

    def _find_facts(self, recording: Recording) -> tuple[SourceFacts, Landmarks | None, StoredObject]:
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
            return (*probe_result(result), reader.info)

    def _watch(self, message: Message | None) -> None:
        if self._stopping.is_set():
            raise Stopping


class Remover:
    """Deletes objects that the ledger lists as unwanted."""

    def __init__(self, ledger: Ledger, store: Store, faults: Faults) -> None:
        self._ledger = ledger
        self._store = store
        self._faults = faults
        self._alone = threading.Lock()

    def run_due(self) -> None:
        if not self._alone.acquire(blocking=False):
            return
        try:
            for removal in self._ledger.removals.due():
                if not self._ledger.removals.wanted(removal.id):
                    continue
                try:
                    self._store.delete(removal.key)
                except StorageError as error:
                    log.warning("object %s cannot be removed yet: %s", removal.key, error.message)
                    self._ledger.removals.later(removal.id, self._faults.paced(_REMOVE_AGAIN_MS))
                else:
                    if removal.looks > 1:
                        self._ledger.removals.look_again(removal.id, self._faults.paced(_LOOK_AGAIN_MS))
                    else:
                        self._ledger.removals.done(removal.id)
        finally:
            self._alone.release()
