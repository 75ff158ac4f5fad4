"""Probe jobs of recordings: have a child read the packets, and store the facts or the error."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Any

from clipengine.basis.documents import ReadDocument, read_here
from clipengine.basis.timecode import now_ms
from clipengine.basis.tracing import bind
from clipengine.errors import (
    ClipEngineError,
    DecoderCrashed,
    DecoderNotStarted,
    ObjectChanged,
    ObjectMissing,
    PieceMissing,
    PlaylistInvalid,
    PlaylistOutside,
    RecordingMissing,
    RecordingTruncated,
    RecordingUnreadable,
    StorageError,
    StorageUnavailable,
)
from clipengine.ledger.recordings.recordings import Probe
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.playlist import VariantChoice
from clipengine.settings.settings import Encoding
from clipengine.stores.base import ObjectReader, Store, StoredObject
from clipengine.stores.playlists import names_pieces
from clipengine.work.camera_files_left_out import report_left_out
from clipengine.work.children.exit_status import retry_delay_ms
from clipengine.work.children.jobs import Job, Message, probe_job, probe_result, probe_texts
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.running import RunningChildren
from clipengine.work.claim_watch import ClaimWatch
from clipengine.work.jobs.folder_probe import read_folder_facts
from clipengine.work.jobs.measuring import Measured, valid_reports
from clipengine.work.jobs.piece_probe import ProbedPieces, read_file_facts, read_piece_facts
from clipengine.work.jobs.piece_texts import store_texts
from clipengine.work.jobs.sidecars import Sidecars
from clipengine.work.recording_files import digest_of_file
from clipengine.work.retry import Stopping, retry_until_written
from clipengine.work.worker import JobContext, Jobs, Retry

log = logging.getLogger(__name__)

_RETRY_MS = 10_000
_BEGINNING_MS, _BEGINNING_FOR_MS = 2_000, 60_000
_OF_BEGINNING = {
    False: (PlaylistInvalid, RecordingTruncated, ObjectMissing, PieceMissing),
    True: (RecordingMissing, RecordingUnreadable),
}  # of a folder
_TURN_SECONDS = 5.0  # after which the measuring of many pieces makes way for other probes
_MOST_BEGUN = 100  # recordings whose measuring is continued later
_ROOT_HINT = "Move the playlist and its files into a folder, so that it can name nothing else in the bucket."
_MISSING_HINT = "Put the object back and register it again, or upload the recording."


class _TurnOver(Exception):
    """Another recording is probed first."""


class Prober(Jobs[Probe]):
    """The probes of recordings.

    `suspects_allowed` returns True if recordings that may have killed an engine may be claimed. Files of a folder that
    is still written must not have changed for `settle_seconds`.
    """

    activity = "the recording was probed"

    def __init__(
        self,
        context: JobContext,
        store: Store,
        pool: ChildPool,
        *,
        suspects_allowed: Callable[[], bool],
        encoding: Encoding,
        playlist_base_url: str = "",
        settle_seconds: float = 0,
        read: ReadDocument = read_here,
    ) -> None:
        super().__init__(context)
        self._store = store
        self._settle_seconds = settle_seconds
        self._suspects_allowed = suspects_allowed
        self._encoding = encoding
        self._base_url = playlist_base_url
        self._read_document = read
        self._sidecars = Sidecars(self._ledger, store, read=read)
        self._children = RunningChildren(pool.take)
        self._begun: dict[str, Measured] = {}  # by recording

    def claim(self) -> Probe | None:
        return self._ledger.recordings.claim_probe(self._owner, suspects=self._suspects_allowed())

    def is_due(self) -> bool:
        return self._ledger.recordings.is_probe_due()

    def ids(self, item: Probe) -> list[str]:
        return [item.recording.recording_id]

    def label(self, item: Probe) -> str:
        return f"recording {item.recording.recording_id}"

    def context(self, item: Probe) -> AbstractContextManager[None]:
        return bind(recording_id=item.recording.recording_id, attempt=item.lease, engine=self._owner)

    def run(self, item: Probe) -> None:
        """Probe the recording, read its sidecars, and store its facts.

        A playlist of very many runs is measured in several turns, between which others are probed.
        """
        try:
            self._probe(item)
        except _TurnOver:
            self.release(item)

    def _probe(self, item: Probe) -> None:
        if item.recording.folder is not None:
            found = self._read_folder(item)
            self._store_pieces(item, found)
            if found.growth is None:
                source = FolderSource.from_object(item.recording.folder)
                report_left_out(self._store, self._ledger.recordings, item.recording.recording_id, source)
            return
        with closing(self._store.open(item.recording.bucket_path)) as reader:
            if names_pieces(reader):
                found = self._read_pieces(reader, item)
                store_texts(self._ledger.transcripts, item.recording.recording_id, found.texts)
                self._sidecars.attach_all(item.recording)
                self._store_pieces(item, found)
                return
            if item.recording.live and (found_file := self._read_file(item)) is not None:
                self._store_pieces(item, found_file)
                return
            result, texts = self._run(item, probe_job(self._encoding), reader)
            info, digest = reader.info, digest_of_file(reader)
        self._sidecars.attach_all(item.recording)  # before it is complete, so that its first clip carries them
        self._store_facts(item, result, texts, info, digest)

    def retry(self, item: Probe, error: ClipEngineError) -> Retry | None:
        attempts = self._ledger.recordings.probe_attempts(item.recording.recording_id)
        if isinstance(error, StorageUnavailable | ObjectChanged | DecoderNotStarted):
            return Retry(_RETRY_MS)
        if item.recording.live and isinstance(error, _OF_BEGINNING[item.recording.folder is not None]):
            # A recorder may write the playlist before its first segment is there, and a file in large steps. A playlist
            # that slides may drop a segment, which is deleted before it is read.
            return Retry(_BEGINNING_MS) if now_ms() - item.recording.created_at < _BEGINNING_FOR_MS else None
        delay = retry_delay_ms(error, attempts - 1)
        return None if delay is None else Retry(delay, crashed=True)

    def later(self, item: Probe, error: ClipEngineError, retry: Retry) -> bool:
        return self._ledger.recordings.probe_later(item, delay_ms=retry.delay_ms, crashed=retry.crashed)

    def fail(self, item: Probe, error: ClipEngineError) -> bool:
        if isinstance(error, ObjectMissing):
            error = RecordingMissing(error.message, hint=_MISSING_HINT)
        return self._ledger.recordings.probe_failed(item, error)

    def release(self, item: Probe) -> None:
        self._ledger.recordings.probe_later(item, delay_ms=0)

    def was_cancelled(self, item: Probe) -> bool:
        """Return False if the recording is still there. Raises RecordingNotFound."""
        self._ledger.recordings.get(item.recording.recording_id)
        return False

    def interrupt(self) -> None:
        """Kill the running children. Their recordings are probed again."""
        self._children.kill()

    def _store_facts(self, probe: Probe, result: Message, texts: bytes, info: StoredObject, digest: str | None) -> None:
        """Validate and store the report of the child. Raises DecoderCrashed if it cannot be stored."""
        id = probe.recording.recording_id
        try:
            facts, seek_index = probe_result(result)
            store_texts(self._ledger.transcripts, id, probe_texts(texts))
            self._complete(probe, facts, etag=info.etag, size=info.size, seek_index=seek_index, digest=digest)
        except (Stopping, StorageError):
            raise
        except Exception as error:  # such as an infinite duration or a lone surrogate
            log.warning("recording %s: its facts cannot be stored: %s", id, error)
            raise DecoderCrashed("the decoder process reported facts that cannot be stored") from error

    def _store_pieces(self, probe: Probe, found: ProbedPieces) -> None:
        pieces, size, seen_at = found.index, found.index.counts.bytes, found.reader.info.modified
        growth, clock = found.growth, found.clock
        self._complete(
            probe, found.facts, etag=pieces.etag, size=size, pieces=pieces, growth=growth, clock=clock, seen_at=seen_at
        )

    def _read_folder(self, item: Probe) -> ProbedPieces:
        """Return what is in the files of a folder. Raises DecoderCrashed for an invalid report of a child."""
        recording = item.recording
        source = FolderSource.from_object(recording.folder or {})
        settle_seconds = self._settle_seconds if recording.live else None
        with valid_reports(recording.recording_id):
            job = probe_job(self._encoding)
            found = read_folder_facts(
                self._store, source, job, partial(self._report, item), settle_seconds=settle_seconds
            )
        found.reader.close()
        return found

    def _report(self, item: Probe, job: Job, reader: ObjectReader) -> Message:
        return self._run(item, job, reader)[0]

    def _read_pieces(self, playlist: ObjectReader, item: Probe) -> ProbedPieces:
        """Return what is in a playlist.

        Raises DecoderCrashed for an invalid report of the child, and _TurnOver if it is continued later.
        """
        recording, began = item.recording, time.monotonic()
        if "/" not in playlist.info.key:
            raise PlaylistOutside("the playlist is in no folder", hint=_ROOT_HINT)
        job, variant = probe_job(self._encoding), VariantChoice(**recording.variant or {})
        measured = self._begun.pop(recording.recording_id, None) or Measured()

        def run(job: Job, reader: ObjectReader) -> Message:
            if measured.extents and time.monotonic() - began > _TURN_SECONDS and self._may_continue_later():
                self._begun[recording.recording_id] = measured
                raise _TurnOver
            return self._report(item, job, reader)

        with valid_reports(recording.recording_id):
            found = read_piece_facts(
                self._store,
                playlist,
                variant,
                job,
                run,
                base_url=self._base_url,
                live=recording.live,
                measured=measured,
                read=self._read_document,
            )
        found.reader.close()
        return found

    def _may_continue_later(self) -> bool:
        """Return True if another recording waits for its probe, and one more can be continued later."""
        if len(self._begun) >= _MOST_BEGUN:
            begun = list(self._begun)
            for id in set(begun) - self._ledger.recordings.processing(begun):  # deleted, or probed by another engine
                self._begun.pop(id, None)
        return len(self._begun) < _MOST_BEGUN and self._ledger.recordings.is_probe_due()

    def _read_file(self, item: Probe) -> ProbedPieces | None:
        """Return the pieces of a file that is still written, or None. Raises DecoderCrashed for an invalid report."""
        recording, run = item.recording, partial(self._report, item)
        with valid_reports(recording.recording_id):
            found = read_file_facts(self._store, recording.bucket_path, probe_job(self._encoding), run)
        if found is not None:
            found.reader.close()
        return found

    def _complete(self, probe: Probe, facts: SourceFacts, **found: Any) -> None:
        """Store the facts, and what else `Recordings.probe_complete` takes."""
        retry_until_written(partial(self._ledger.recordings.probe_complete, probe, facts, **found), self.stopping)
        status = "complete" if found.get("growth") is None else "recording"
        log.info("recording %s: %s, %.3f s", probe.recording.recording_id, status, facts.duration)

    def _run(self, item: Probe, job: Job, reader: ObjectReader) -> tuple[Message, bytes]:
        """Return the report of a child, and the texts that it found. Raises ClaimLost and Stopping."""
        watch = ClaimWatch(partial(self._ledger.recordings.holds, item), self.stopping)
        return self._children.run(job, reader, watch=watch)
