"""Batches: their requests for clips are decided once, and then become clips one after the other.

Batches of requests are decided when they are stored: they make variants of clips, or delete clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from clipengine.basis.backoff import Backoff
from clipengine.basis.documents import ReadDocument, read_here
from clipengine.basis.tracing import bind
from clipengine.clips.resolve import ResolvedClip
from clipengine.errors import (
    Busy,
    ClipEngineError,
    RecordingError,
    RecordingNotComplete,
    RecordingNotFound,
    RequestError,
    RuleNotFound,
    StorageError,
    TranscriptNotFound,
)
from clipengine.ledger.automation.batches import Batch, BatchItem
from clipengine.ledger.database.act import Act, Actor, acting
from clipengine.recordings.recording import Recording
from clipengine.rules.expansion import Expansion
from clipengine.rules.ranges import Skipped
from clipengine.rules.rule import Rule, RuleSpec
from clipengine.work.cutting.rule_clips import RuleClips
from clipengine.work.cutting.variants import Variants
from clipengine.work.retry import retry_until_written
from clipengine.work.worker import ClaimLost, JobContext, Jobs, Retry

_ITEMS_OF_A_CLAIM = 20  # so that one batch does not hold up the others
_DELETED_AT_ONCE = 100
_BACKOFF_MS = Backoff(5_000, 60_000)
_MAX_ATTEMPTS = 5  # in a row that end with an internal error
# The recording is not what the rule asks for; the rule is not to blame.
_SKIPS = (RecordingError, RecordingNotFound, RecordingNotComplete, TranscriptNotFound)


class _Unprobed(RecordingNotComplete):
    """A marker came before its recording was probed: its batch waits."""


class BatchJobs(Jobs[Batch]):
    """The batches of enabled rules and of requests.

    `admit` raises an error if no new clips can be accepted, and `abandon` stops the work on a clip that was deleted.
    `read` runs searches in transcripts.
    """

    activity = "the clips of a batch were queued or deleted"

    def __init__(
        self,
        context: JobContext,
        clips: RuleClips,
        variants: Variants,
        *,
        admit: Callable[[], None],
        abandon: Callable[[str], None] = lambda clip_id: None,
        read: ReadDocument = read_here,
    ) -> None:
        super().__init__(context)
        self._clips = clips
        self._variants = variants
        self._admit = admit
        self._abandon = abandon
        self._read = read

    def claim(self) -> Batch | None:
        return self.disk.freeing(lambda: self._ledger.batches.claim(self._owner))

    def is_due(self) -> bool:
        return self._ledger.batches.is_due()

    def ids(self, item: Batch) -> list[str]:
        return [item.batch_id]

    def label(self, item: Batch) -> str:
        return f"batch {item.batch_id} of {item.kind if item.rule_id is None else f'rule {item.rule_id}'}"

    def context(self, item: Batch) -> AbstractContextManager[None]:
        return bind(recording_id=item.recording_id, attempt=item.lease, engine=self._owner)

    def run(self, item: Batch) -> None:
        """Decide the requests of a batch, and queue or delete the clips of the next ones."""
        if item.state == "waiting" and not self._expand(item):
            return
        deletes = item.kind == "delete"
        number = _DELETED_AT_ONCE if deletes else _ITEMS_OF_A_CLAIM
        share = None if item.rule_id is None else self._rule(item).spec.clip.get("share")
        pending = self._ledger.batches.pending(item, limit=number)
        if deletes:
            self._delete(item, pending)
        else:
            for each in pending:
                self._make(item, each, share)
        if len(pending) == number:
            self._write(partial(self._ledger.batches.later, item, delay_ms=0))
        else:
            self._write(partial(self._ledger.batches.complete, item))

    def _expand(self, batch: Batch) -> bool:
        """Store the requests of a batch. Return False if the rule is invalid, which ends the batch."""
        rule = self._rule(batch)
        try:
            expansion = self._expansion(batch, rule.spec)
        except _Unprobed:
            raise
        except _SKIPS as error:
            expansion = Expansion((), (Skipped(error.code, error.message),))
        except RequestError as error:
            self._write(partial(self._ledger.batches.fail, batch, error))
            return False
        self.faults.reach("expanding")
        self._write(partial(self._ledger.batches.freeze, batch, rule.revision, expansion))
        self.faults.reach("expanded")
        return True

    def _expansion(self, batch: Batch, spec: RuleSpec) -> Expansion:
        recording = self._recording(batch)
        if batch.marker is not None and not spec.when.matches(recording):
            return Expansion((), (Skipped("not_matched", "the recording does not meet the conditions"),))
        material, search = self._clips.material(spec, recording, marker=batch.marker)
        if search is not None:
            material = replace(material, found=self._read(search.document, search.data))
        return self._clips.expand(spec, material)

    def _rule(self, batch: Batch) -> Rule:
        """Return the rule. Raises ClaimLost if it was deleted."""
        try:
            return self._ledger.rules.get(str(batch.rule_id))
        except RuleNotFound:
            raise ClaimLost from None

    def _make(self, batch: Batch, item: BatchItem, share: Mapping[str, Any] | None) -> None:
        """Queue the clip of an item, and share it. Raises Busy if it must wait."""
        batches = self._ledger.batches
        try:
            self._admit()
            with acting(None if batch.rule_id else _act("clip.create", batch)):
                held = batches.make(item, batch, partial(self._clips.create, self._resolved(batch, item), share))
        except Busy:
            raise
        except (*_SKIPS, RequestError) as error:
            settle = batches.refuse if self._is_refused(batch, item, error) else batches.skip
            held = self._written(partial(settle, item, batch, error))
        if not held:
            raise ClaimLost
        self.faults.reach("made")

    def _resolved(self, batch: Batch, item: BatchItem) -> ResolvedClip:
        body = item.body or {}
        if item.source_clip_id is not None:
            clip = self._variants.resolve(body, item.source_clip_id, request_id=batch.batch_id)
        else:
            clip = self._clips.resolve(body, self._recording(batch), request_id=batch.batch_id)
        return replace(clip, request=replace(clip.request, created_by=batch.rule_id or batch.created_by))

    def _is_refused(self, batch: Batch, item: BatchItem, error: ClipEngineError) -> bool:
        """Return True if the request is to blame for an error, and not the recording."""
        if isinstance(error, _SKIPS):
            return False
        return batch.rule_id is None or not self._clips.is_allowed(item.body or {})

    def _delete(self, batch: Batch, items: Sequence[BatchItem]) -> None:
        self.faults.reach("deleting")
        with acting(_act("clip.delete", batch)):
            delete = partial(self._ledger.batches.delete, items, batch, self._ledger.clips.delete)
            self._write(lambda: self.disk.freeing(delete))
        self.faults.reach("deleted")
        for item in items:
            self._abandon(str(item.source_clip_id))

    def _recording(self, batch: Batch) -> Recording:
        """Return the recording. Raises RecordingNotFound, or RecordingNotComplete if it is probed again.

        A marker is cut while the recording is written, and waits for its probe.
        """
        recording = self._ledger.recordings.get(str(batch.recording_id))
        if batch.marker is not None and recording.state == "processing":
            raise _Unprobed("the recording is not probed yet")
        if recording.state != "complete" and (batch.marker is None or recording.state != "recording"):
            raise RecordingNotComplete.of(recording.recording_id, recording.state, recording.error)
        return recording

    def _write(self, change: Callable[[], bool]) -> None:
        """Call a change of the ledger. Raises ClaimLost if it returns False, and Stopping."""
        if not self._written(change):
            raise ClaimLost

    def _written(self, change: Callable[[], bool]) -> bool:
        return retry_until_written(change, self.stopping)

    def retry(self, item: Batch, error: ClipEngineError) -> Retry | None:
        if isinstance(error, Busy | StorageError | _Unprobed) or item.attempts < _MAX_ATTEMPTS:
            return Retry(self.faults.scale_delay(round(_BACKOFF_MS.after(item.attempts))))
        return None

    def later(self, item: Batch, error: ClipEngineError, retry: Retry) -> bool:
        return self._ledger.batches.later(item, delay_ms=retry.delay_ms, reason=error.code)

    def fail(self, item: Batch, error: ClipEngineError) -> bool:
        return self._ledger.batches.fail(item, error)

    def release(self, item: Batch) -> None:
        self._ledger.batches.later(item, delay_ms=0)


def _act(action: Literal["clip.create", "clip.delete"], batch: Batch) -> Act:
    """Return the act of the caller who has requested the batch."""
    return Act(action, Actor.of_batch(batch.created_by, batch.batch_id))
