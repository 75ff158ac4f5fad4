"""Transcriptions of recordings: one passage after the other, each kept when it is finished."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from functools import partial

from clipengine.basis.backoff import Backoff
from clipengine.basis.tracing import bind
from clipengine.clips.texts.cues import moved
from clipengine.clips.texts.language_tags import parse_language
from clipengine.clips.transcription import SAMPLE_RATE, Passage, Transcriber, Transcription, no_track
from clipengine.errors import (
    Cancelled,
    ClipEngineError,
    DecoderNotStarted,
    InvalidTranscript,
    RecordingNotFound,
    StorageError,
    Timeout,
    TranscriberUnavailable,
)
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import Encoding
from clipengine.stores.base import ObjectReader, Store
from clipengine.stores.object_errors import as_recording_errors
from clipengine.work.children.exit_status import retry_delay_ms
from clipengine.work.children.jobs import Job
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.running import RunningChildren
from clipengine.work.recording_files import open_recording
from clipengine.work.retry import Stopping, retry_until_written
from clipengine.work.transcribers.passages import is_silent, read_passage, total_samples
from clipengine.work.transcribers.transcriber import SpeechSource
from clipengine.work.worker import ClaimLost, JobContext, Jobs, Retry

log = logging.getLogger(__name__)

_BACKOFF_MS = Backoff(2_000, 300_000)
_MAX_ATTEMPTS = 30  # in a row without a finished passage: about two hours
_REPORT_SECONDS = 1.0
_POLL_SECONDS = 0.5


class TranscriptionJobs(Jobs[Transcription]):
    """The transcriptions of recordings. `may_run` returns True if a passage may be begun, beside the clips."""

    activity = "the recording was transcribed"

    def __init__(
        self,
        context: JobContext,
        store: Store,
        pool: ChildPool,
        sources: Mapping[Transcriber, SpeechSource],
        *,
        encoding: Encoding,
        may_run: Callable[[], bool],
    ) -> None:
        super().__init__(context)
        self._store = store
        self._sources = sources
        self._encoding = encoding
        self._may_run = may_run
        self._children = RunningChildren(pool.take)

    def claim(self) -> Transcription | None:
        return self._ledger.transcriptions.claim(self._owner, self._sources) if self._sources else None

    def is_due(self) -> bool:
        return bool(self._sources) and self._ledger.transcriptions.is_due(self._sources)

    def ids(self, item: Transcription) -> list[str]:
        return [item.transcript_id]

    def label(self, item: Transcription) -> str:
        return f"transcription {item.transcript_id}"

    def context(self, item: Transcription) -> AbstractContextManager[None]:
        return bind(recording_id=item.recording_id, attempt=item.lease, engine=self._owner)

    def run(self, item: Transcription) -> None:
        """Transcribe the passages that are not finished yet, and make the transcript."""
        recording = self._recording(item)
        facts = recording.facts
        assert facts is not None
        finished = self._ledger.transcriptions.passages(item)
        position, total = finished[-1].end_sample if finished else 0, total_samples(facts)
        # A recording has one language. Detecting it in each passage would fail in some.
        language = item.language or next((each.language for each in finished if each.cues), None)
        with self._opened(recording) as reader:
            while position < total:
                report = _Report(self, item, position, total)
                self._wait_for_place(report)
                passage = self._transcribe(item, recording, reader, position, language, report)
                position = passage.end_sample
                keep = partial(self._ledger.transcriptions.keep, item, passage, progress=position / total)
                self.write(keep)
                self.faults.reach("transcribed")
                language = language or (passage.language if passage.cues else None)
        self.write(partial(self._ledger.transcriptions.complete, item))
        log.info("%s: complete", self.label(item))

    def retry(self, item: Transcription, error: ClipEngineError) -> Retry | None:
        attempts = self._ledger.transcriptions.get(item.transcript_id).attempts
        busy = isinstance(error, DecoderNotStarted) or (isinstance(error, Timeout) and error.suspended)
        if busy or (isinstance(error, TranscriberUnavailable | StorageError) and error.retryable):
            return Retry(round(_BACKOFF_MS.after(attempts))) if attempts < _MAX_ATTEMPTS else None
        delay = retry_delay_ms(error, attempts - 1)
        return None if delay is None else Retry(delay, crashed=True)

    def later(self, item: Transcription, error: ClipEngineError, retry: Retry) -> bool:
        return self._ledger.transcriptions.later(item, delay_ms=retry.delay_ms, error=error)

    def fail(self, item: Transcription, error: ClipEngineError) -> bool:
        return self._ledger.transcriptions.fail(item, error)

    def was_cancelled(self, item: Transcription) -> bool:
        error = self._ledger.transcriptions.get(item.transcript_id).error
        return error is not None and error["code"] == Cancelled.code

    def release(self, item: Transcription) -> None:
        self._ledger.transcriptions.later(item, delay_ms=0, counts=False)

    def interrupt(self) -> None:
        """Kill the running children and end the requests. Finished passages are kept."""
        for source in self._sources.values():
            source.close()
        self._children.kill()

    def report(self, item: Transcription, progress: float) -> None:
        """Record the progress. Raises ClaimLost if the transcription was cancelled or deleted."""
        self.write(partial(self._ledger.transcriptions.report, item, progress))

    def write(self, change: Callable[[], bool]) -> None:
        """Call a change of the ledger. Raises ClaimLost if it returns False, and Stopping."""
        if not retry_until_written(change, self.stopping):
            raise ClaimLost

    def _recording(self, item: Transcription) -> Recording:
        try:
            recording = self._ledger.recordings.get(item.recording_id)
        except RecordingNotFound:
            raise ClaimLost from None
        if recording.facts is None or item.track >= len(recording.facts.audio):
            raise no_track(item.track, 0 if recording.facts is None else len(recording.facts.audio))
        return recording

    def _opened(self, recording: Recording) -> AbstractContextManager[ObjectReader]:
        with as_recording_errors():
            return closing(open_recording(self._store, self._ledger.recordings, recording))

    def _wait_for_place(self, report: _Report) -> None:
        """Wait until a passage may be begun beside the clips."""
        while not self._may_run():
            report(None)
            self.stopping.wait(_POLL_SECONDS)
        report(None)

    def _transcribe(
        self,
        item: Transcription,
        recording: Recording,
        reader: ObjectReader,
        start: int,
        language: str | None,
        report: _Report,
    ) -> Passage:
        """Return the passage that begins at the sample `start`."""
        assert recording.facts is not None
        seek_index = self._ledger.recordings.seek_index(recording.recording_id)
        decode = partial(self._decode, reader, report)
        samples = read_passage(decode, self._encoding, recording.facts, seek_index, start=start, track=item.track)
        end = start + len(samples)
        report.length = len(samples)
        if is_silent(samples):
            return Passage(start, end, None, ())
        spoken = self._sources[item.source].transcribe(samples, language=language, report=report)
        return Passage(start, end, _tag(spoken.language), moved(spoken.cues, start * 1000 // SAMPLE_RATE))

    def _decode(self, reader: ObjectReader, report: _Report, job: Job) -> bytes:
        """Return what a child reads from the recording."""
        with as_recording_errors():
            return self._children.run(job, reader, watch=lambda message: report(None))[1]


class _Report:
    """Records the progress of a passage that begins at the sample `start`, at most once a second.

    The progress grows with what the transcriber has recognized; `length` is set when the passage is decoded. Ends the
    work by an exception: Stopping if the engine stops, ClaimLost after a cancellation.
    """

    def __init__(self, jobs: TranscriptionJobs, item: Transcription, start: int, total: int) -> None:
        self.length = 0
        self._jobs = jobs
        self._item = item
        self._start = start
        self._total = total
        self._part = 0.0
        self._reported = 0.0

    def __call__(self, part: float | None) -> None:
        if self._jobs.stopping.is_set():
            raise Stopping
        self._part = self._part if part is None else part
        if time.monotonic() - self._reported >= _REPORT_SECONDS:
            self._reported = time.monotonic()
            self._jobs.report(self._item, min(1.0, (self._start + self.length * self._part) / self._total))


def _tag(language: str | None) -> str | None:
    """Return the canonical tag of the language that a transcriber has named, or None if it is not valid."""
    try:
        return None if language is None else parse_language(language)
    except InvalidTranscript:
        return None
