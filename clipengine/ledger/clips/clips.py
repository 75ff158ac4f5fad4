"""Clips: the queue, and the changes of their state.

`clip_state` has the states and their order, `uploads` the claims of uploads. A stale owner changes no row, see `lease`.
The transition that ends a clip writes its event, deliveries and removals in the same transaction.

If engines share the ledger, a new attempt gets a new object key whenever an older engine may still write to the old
one: a late upload of a disconnected host then goes to an unused key, and is removed.

Engine deaths during a clip are counted, and from the second death on the clip is retried alone, see `quarantine`.

A clip of more than ten minutes is long. Of several workers, one never cuts long clips, so that short clips never wait
for long ones only. Otherwise long clips have the same priority, and a single worker cuts all clips.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple, TypeVar, cast

import peewee
from peewee import OP

from clipengine.basis.ids import new_id
from clipengine.basis.row_format import FIRST_FORMAT
from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult, ClipState, Step
from clipengine.clips.clip_key import CLIP_KEY, clip_key, next_clip_key
from clipengine.clips.metadata import merged
from clipengine.clips.request import ClipRequest
from clipengine.clips.spec import SPEC_FIELDS, STRUCTURED, spec_values
from clipengine.clips.waiting import Awaited, next_step, step_at_timeout, wait_of_retry
from clipengine.errors import (
    Cancelled,
    ClipEnded,
    ClipEngineError,
    ClipNotFailed,
    ClipNotFound,
    QueueFull,
    RecordingError,
    RecordingNotComplete,
    RecordingNotFound,
)
from clipengine.ledger.clips.clip_state import ACTIVE, ANNOUNCED, UNFINISHED, entering, may_follow
from clipengine.ledger.database.database import Database, Row, Statement, changes, insert_statement, param
from clipengine.ledger.database.schema import ClipDocumentRow, ClipRow, RecordingRow
from clipengine.ledger.database.spec_column import SpecColumn
from clipengine.ledger.engines.fences import FENCE_MS, is_due, set_aside
from clipengine.ledger.engines.quarantine import MAX_DEATHS, SUSPECT_DEATHS, Quarantine, too_many_deaths
from clipengine.ledger.rows.documents import Documents
from clipengine.ledger.rows.lease import InFlight, Leases, Living, owned_rows
from clipengine.ledger.rows.live_row import is_known
from clipengine.ledger.rows.lock_order import lock_clips, locked_clips
from clipengine.ledger.rows.pages import ListFilter, Page, beginning, read_page, sort_by
from clipengine.ledger.rows.permission import Permit, by_engine
from clipengine.ledger.stored_objects.removals import Removals
from clipengine.ledger.webhooks.events import Events
from clipengine.recordings.recording import Recording

CLIP_SORTS = {
    "created_at": (ClipRow.created_at, int),
    "label": (beginning(ClipRow.label), str),
    "duration": (ClipRow.duration_seconds, float),
    "size": (ClipRow.size_bytes, int),
}
KEEP_TAG = "keep"  # of clips that the limit of the bytes of clips does not delete
_NO_ROOM_MS = 5_000
_NEVER = 1 << 62  # a clip that waits for its recording is not due
_WAITS_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class ClipFilter(ListFilter):
    """One page of clips, of a recording or of all."""

    recording_id: str | None = None
    label: str | None = None
    variant_of: str | None = None


class ClipSummary(NamedTuple):
    """What a selection shows of a clip. `size_bytes` is 0 until it is complete."""

    clip_id: str
    label: str
    status: str
    size_bytes: int
    created_by: str | None


T = TypeVar("T")
_NEW = {
    "size_bytes": 0,
    "owner": None,
    "crashes": 0,
    "finished": None,
    "outage_ms": 0,
    "cut_by": None,
    "engine_deaths": 0,
}

_INSERT = insert_statement(ClipRow, without=("status",))
_DUE = Statement(
    ClipRow.select(ClipRow.clip_id)
    .where(
        ClipRow.state == "queued",
        is_due(ClipRow, param(ClipRow.next_at, "now"), param(ClipRow.next_at, "fenced_now")),
    )
    .limit(1)
)
_OVERDUE = Statement(
    ClipRow.select(ClipRow.clip_id)
    .where(ClipRow.step == "waiting", ClipRow.wait_until <= param(ClipRow.wait_until, "now"))
    .limit(_WAITS_AT_ONCE)
)
_ACTIVE = owned_rows(ClipRow, ClipRow.state.in_(ACTIVE))
_UPLOADING = Statement(ClipRow.select().where(ClipRow.state == "uploading"))
_COUNTS = Statement(
    ClipRow.select(ClipRow.state, peewee.fn.COUNT(ClipRow.clip_id).alias("number"))
    .where(ClipRow.state.in_(UNFINISHED))
    .group_by(ClipRow.state)
)
_LONG_OF = Statement(
    ClipRow.select(ClipRow.clip_id).where(
        ClipRow.state == "cutting", ClipRow.long, ClipRow.owner == param(ClipRow.owner)
    )
)
_ROOM_SECONDS = 1.0  # for which the number of queued clips is not counted again
_PROGRESS = Statement(
    ClipRow.update(step=param(ClipRow.step), progress=param(ClipRow.progress), revision=ClipRow.revision + 1).where(
        ClipRow.clip_id == param(ClipRow.clip_id),
        ClipRow.state == "cutting",
        ClipRow.attempt == param(ClipRow.attempt),
    )
)
_WAITS = (ClipRow.step == "waiting") & (
    (ClipRow.recording_id == param(ClipRow.recording_id))
    # Peewee's name of LIKE: its own LIKE is GLOB in SQLite.
    | peewee.Expression(ClipRow.parts, OP.ILIKE, param(ClipRow.recording_id, "of_part"))
)
_WAITING = Statement(ClipRow.select().where(_WAITS))
_IS_WAITED_FOR = Statement(ClipRow.select(ClipRow.clip_id).where(_WAITS).limit(1))


class Clips:
    def __init__(self, database: Database, events: Events, removals: Removals, max_queued: int) -> None:
        self._database = database
        self._events = events
        self._removals = removals
        self._max_queued = max_queued
        self._quarantine = Quarantine(database)
        self.leases = Leases(
            database, ClipRow.clip_id, ClipRow.attempt, ClipRow.state, kind="clip", revision=ClipRow.revision
        )
        self.documents = Documents(database, ClipDocumentRow, ClipRow.clip_id, ClipRow.label)
        self._counted = (0, -math.inf)  # queued clips, and when they were counted

    def create(
        self,
        recording: Recording,
        request: ClipRequest,
        *,
        extension: str,
        template: str = CLIP_KEY,
        yields: bool = False,
    ) -> Clip:
        """Queue a clip and choose its object key by the `template`. With `yields`, half of the queue stays free.

        Raises QueueFull, RecordingNotComplete, and RecordingNotFound if the recording was deleted in the meantime.
        """
        clip_id, now = new_id("clip"), now_ms()
        recordings = {recording.recording_id, *(part.recording_id for part in request.parts)}
        # The rest of the request is resolved: without gaps, and with times and last seconds as a range.
        asked = {name: getattr(request, name) for name in SPEC_FIELDS}
        waits = request.wait_until is not None
        clip = Clip(
            clip_id=clip_id,
            recording_id=recording.recording_id,
            state="queued",
            object_key=clip_key(template, recording, request, clip_id, now, extension),
            created_at=now,
            queued_at=now,
            step="waiting" if waits else "queued",
            **asked,
        )
        with self._database.transaction(ordered=False):
            # In one order: two requests must not wait for each other.
            needs = max(request.own_format, *[self._check_recording(each) for each in sorted(recordings)])
            clip = replace(clip, needs=needs)
            self._check_room(yields=yields)
            due = _NEVER if waits else now
            self._database.insert(
                _INSERT, **_values(clip), long=clip.long, duration_seconds=clip.expected_seconds, **_NEW, next_at=due
            )
            self.documents.add(vars(clip))
            self._database.record_change("clip", clip_id)
            if waits:
                self._queue_if_reached(clip)
            else:
                self._database.enqueue("clips", clip_id)
        return clip

    # ---- clips of what is not recorded yet

    def is_waiting_for(self, recording_id: str) -> bool:
        """Return True if a clip waits until more of this recording is written."""
        return self._database.row(_IS_WAITED_FOR, **_waiting_values(recording_id)) is not None

    def queue_reached(self, recording_id: str) -> None:
        """Queue the clips that waited for this recording and are recorded now. Call it in a transaction."""
        waiting = self._database.rows(_WAITING, **_waiting_values(recording_id))
        for row in locked_clips(self._database, [each["clip_id"] for each in waiting]) if waiting else ():
            if row["step"] == "waiting":
                self._queue_if_reached(as_clip(row))

    def end_waits(self) -> int:
        """End the waits of the clips that were not recorded in time, and return their number.

        Waits for a recording that no engine has refreshed since its start end after a refresh.
        """
        with self._database.session():
            ended = 0
            for each in self._database.rows(_OVERDUE, now=now_ms()):
                with self._database.transaction(ordered=False):
                    row = self._database.by_key(ClipRow, each["clip_id"], lock=True)
                    ended += row is not None and row["step"] == "waiting" and self._end_wait(as_clip(row))
            return ended

    def _end_wait(self, clip: Clip) -> bool:
        if not all(is_known(self._database, part.recording_id) for part in clip.ranges):
            return False
        return self._go_on(clip, step_at_timeout(clip, self._awaited(clip)))

    def _queue_if_reached(self, clip: Clip) -> None:
        """Queue a waiting clip whose ranges are recorded, or as far as they are if the recordings have ended."""
        step = next_step(self._awaited(clip))
        if step != "wait":
            self._go_on(clip, step)

    def _awaited(self, clip: Clip) -> list[Awaited]:
        found = []
        for part in clip.ranges:
            row = self._database.by_key(RecordingRow, part.recording_id)
            if row is None:
                raise RecordingNotFound.of(part.recording_id)
            found.append(Awaited(part, float(row["duration_seconds"]), bool(row["live"])))
        return found

    def _go_on(self, clip: Clip, step: Literal["cut"] | RecordingError) -> bool:
        """Queue a waiting clip, or let it fail with this error. Return False if it does not wait any more."""
        if step == "cut":
            return self._queue_waiting(clip)
        return self._fail(clip.clip_id, "queued", clip.attempt, step)

    def _queue_waiting(self, clip: Clip) -> bool:
        now = now_ms()
        values = {"step": "queued", "next_at": now, "queued_at": now}
        self._database.enqueue("clips", clip.clip_id)
        return self.leases.transition(clip.clip_id, values, fence=clip.attempt, state="queued")

    def need(self, recording_id: str, format: int) -> None:
        """Let the queued clips of a recording need this format of rows, which its index has from now on.

        Call it in a transaction.
        """
        for of in (ClipRow.recording_id == recording_id, ClipRow.parts.is_null(False) & _of_part(recording_id)):
            queued = (of, ClipRow.state == "queued", ClipRow.needs < format)
            lock_clips(self._database, *queued)
            self._database.change(ClipRow.update(needs=format).where(*queued))

    # ---- the queue

    def _check_recording(self, id: str) -> int:
        """Return the format of rows that clips of a recording need. Raises RecordingNotFound, RecordingNotComplete."""
        # With a lock, so that the recording is not deleted before this transaction ends.
        row = self._database.by_key(RecordingRow, id, lock=True)
        if row is None:
            raise RecordingNotFound.of(id)
        if row["state"] != "complete":
            raise RecordingNotComplete.of(id, row["state"], row["error"])
        return int(row["needs"])

    def _check_room(self, *, yields: bool = False) -> None:
        """Raise QueueFull. The clips are counted once a second, and again before a clip is refused."""
        number, counted_at = self._counted
        most = -(-self._max_queued // 2) if yields else self._max_queued
        now = time.monotonic()
        if now - counted_at > _ROOM_SECONDS or number >= most:
            number, counted_at = self.counts()["queued"], now
        if number >= most:
            raise QueueFull(f"{most} clips are queued, which is the limit")
        self._counted = (number + 1, counted_at)

    def get(self, id: str) -> Clip:
        """Return a clip. Raises ClipNotFound."""
        return as_clip(self._row(id))

    def list(self, wanted: ClipFilter) -> Page[Clip]:
        """Return a page of clips, newest first unless it is sorted by one of CLIP_SORTS.

        Clips in which words of `q` are only said follow clips whose own texts have all words.
        """
        return self._page(ClipRow.select(), wanted, as_clip)

    def of_ids(self, ids: Sequence[str]) -> Sequence[Clip]:
        """Return the clips with these ids, at most 10,000, in any order, without those that do not exist."""
        found = ClipRow.select().where(ClipRow.clip_id.in_([*ids]))
        return [as_clip(row) for row in self._database.rows(found)]

    def summaries(self, wanted: ClipFilter) -> Page[ClipSummary]:
        """Return a page of clips as `list`, of each only what a selection of clips shows."""
        columns = (*(getattr(ClipRow, name) for name in ClipSummary._fields), ClipRow.created_at)
        return self._page(ClipRow.select(*columns), wanted, _summary)

    def _page(self, query: Any, wanted: ClipFilter, make: Callable[[Row], T]) -> Page[T]:
        recording_id, query = wanted.recording_id, _filtered(query, wanted)
        found, search = self.documents.filter(query, wanted)
        return read_page(
            self._database,
            found,
            of="clips" if recording_id is None else f"clips/{recording_id}",
            created_at=ClipRow.created_at,
            ident=ClipRow.clip_id,
            limit=wanted.limit,
            cursor=wanted.cursor,
            after=wanted.created_after,
            before=wanted.created_before,
            sort=sort_by(CLIP_SORTS, wanted.sort),
            search=search,
            then=None if wanted.q is None else lambda: self.documents.filter(query, wanted, only_said=True),
            make=make,
        )

    def claim(
        self, owner: str, *, workers: int = 1, fits: Callable[[Clip], bool] | None = None, suspects: bool = True
    ) -> Clip | None:
        """Claim the next clip as a new attempt of `owner`, or return None if its `workers` may start none.

        Higher priority first, then older. Of two or more workers, all but one cut long clips. Two callers never get
        the same attempt. A clip that `fits` rejects is deferred for a few seconds. Clips that may have killed engines
        are claimed only if `suspects`, and run alone.
        """
        unread: list[str] = []

        def accept(row: Row) -> bool:
            clip = self.get(row["clip_id"])
            if clip.unread:
                unread.append(clip.clip_id)
                change = set_aside("clip", clip.clip_id, f"its {', '.join(clip.unread)} cannot be read")
            elif fits is None or fits(clip):
                return True
            else:
                change = {"next_at": now_ms() + _NO_ROOM_MS}
            update = ClipRow.update(change)
            self._database.change(update.where(ClipRow.clip_id == clip.clip_id, ClipRow.state == "queued"))
            return False

        while True:
            number, due = len(unread), lambda: self._due(owner, workers, suspects)
            claimed = self.leases.claim(due, owner, values=entering("cutting"), accept=accept, notify=True)
            if claimed or len(unread) == number:
                return as_clip(claimed[0]) if claimed else None

    def _due(self, owner: str, workers: int, suspects: bool) -> Any:
        """Return the query of the next clip that `owner` may start, or None if it may start none."""
        startable = self._quarantine.startable(owner, suspects=suspects)
        if startable == "none":
            return None
        due = ClipRow.select(ClipRow.clip_id).where(ClipRow.state == "queued", is_due(ClipRow, now_ms()))
        if startable != "all":
            suspected = ClipRow.engine_deaths >= SUSPECT_DEATHS
            due = due.where(suspected if startable == "suspects" else ~suspected)
        if workers > 1 and len(self._database.rows(_LONG_OF, owner=owner)) >= workers - 1:
            due = due.where(~ClipRow.long)
        return due.order_by(ClipRow.priority.desc(), ClipRow.created_at, ClipRow.clip_id).limit(1)

    def progress(self, id: str, attempt: int, *, step: Step, progress: float) -> bool:
        """Record the progress of an attempt. Return False if it lost its claim (cancelled, deleted) and must stop.

        Writes no event and does not wait for the disk. Only listeners of this process are notified.
        """
        with self._database.transaction(durable=False, ordered=False):
            if not self._database.change(_PROGRESS, clip_id=id, attempt=attempt, step=step, progress=progress):
                return False
            self._database.record_progress("clip", id)
        return True

    def announce_progress(self, id: str, attempt: int) -> None:
        """Record the event `clip.progress` for the endpoints that subscribe to it, unless the claim was lost."""
        with self._database.transaction(durable=False, ordered=False):
            if self._active_state(id, attempt) is not None:
                self._events.clip_progressed(self.get(id))

    def progress_of_active(self, *, limit: int = 1000) -> dict[str, tuple[int, str, float]]:
        """Return attempt, step and progress of the clips that are being cut or uploaded, by id."""
        active = ClipRow.select(ClipRow.clip_id, ClipRow.attempt, ClipRow.step, ClipRow.progress).where(
            ClipRow.state.in_(ACTIVE)
        )
        rows = self._database.rows(active.limit(limit))
        return {row["clip_id"]: (row["attempt"], row["step"], row["progress"]) for row in rows}

    def complete(self, id: str, attempt: int, result: ClipResult) -> bool:
        """Set a clip whose file is in the store `complete`, and write its event.

        Return False if the claim was lost; the caller must then discard the stored objects.
        """
        known = {"size_bytes": result.size_bytes, "duration_seconds": result.duration_seconds}
        values = entering("complete", result=result.to_object(), completed_at=now_ms(), **known)
        with self._database.transaction(ordered=False):
            state = self._active_state(id, attempt)
            if state is None:
                return False
            if result.snapped:  # its ranges have moved
                self.documents.forget_said(id)
            return self._end(id, state, attempt, values)

    def fail(self, id: str, attempt: int, error: ClipEngineError) -> bool:
        """Set a clip `failed`, write its event and remove its objects. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            state = self._active_state(id, attempt)
            return state is not None and self._fail(id, state, attempt, error)

    def requeue(self, id: str, attempt: int, *, delay_ms: int = 0, outage_ms: int = 0, crashed: bool = False) -> bool:
        """Queue a claimed clip again, due after `delay_ms`. Return False if the claim was lost.

        `crashed` increments `crashes`; `outage_ms` is added to the time that the clip has waited for the store.
        """
        values = entering("queued", next_at=now_ms() + delay_ms)
        if crashed:
            values["crashes"] = ClipRow.crashes + 1
        if outage_ms:
            values["outage_ms"] = ClipRow.outage_ms + outage_ms
        with self._database.transaction(ordered=False):
            state = self._active_state(id, attempt)
            return state is not None and self.transition(id, state, attempt, values)

    def _active_state(self, id: str, attempt: int) -> ClipState | None:
        """Return the state of a clip whose attempt is being cut or uploaded, else None."""
        row = self._database.by_key(ClipRow, id, lock=True)
        if row is None or row["attempt"] != attempt or row["state"] not in ACTIVE:
            return None
        return cast(ClipState, row["state"])

    def crashes(self, id: str) -> int:
        """Return the decoder crashes since the clip was created or retried. Raises ClipNotFound."""
        return int(self._row(id)["crashes"])

    def outage_ms(self, id: str) -> int:
        """Return the time spent waiting for the store since the clip was created or retried. Raises ClipNotFound."""
        return int(self._row(id)["outage_ms"])

    def cancel(self, id: str, *, permit: Permit = by_engine) -> Clip:
        """Set a queued or active clip `failed` with the code `cancelled`, and write its event.

        Raises ClipNotFound, and ClipEnded if it is complete or failed.
        """
        with self._database.transaction(ordered=False):
            clip = as_clip(self._row(id, lock=True))
            permit(lambda: clip.created_by)
            if clip.ended:
                raise ClipEnded(f"the clip {id} is {clip.state}")
            self._fail(id, clip.state, clip.attempt, Cancelled("The clip was cancelled."))
            return self.get(id)

    def retry(self, id: str) -> Clip:
        """Queue a failed clip again under the same id. Raises ClipNotFailed, ClipNotFound or QueueFull."""
        now = now_ms()
        values = entering("queued", error=None, completed_at=None, crashes=0, outage_ms=0, next_at=now)
        with self._database.transaction(ordered=False):
            clip = as_clip(self._row(id, lock=True))
            if (wait_until := wait_of_retry(clip, now)) is not None:
                values |= {"step": "waiting", "next_at": _NEVER, "wait_until": wait_until}
            if clip.state != "failed":
                raise ClipNotFailed(f"the clip {id} is {clip.state if clip.ended else 'processing'}")
            self._check_room()
            keys = clip.keys
            if self._database.shared or self._removals.claimed(keys):
                values["object_key"] = _next_key(clip)  # the old objects may be deleted at any time
            else:
                for key in keys:
                    self._removals.drop(key)
            self.transition(id, "failed", clip.attempt, values)
            if clip.wait_until is not None:
                self._queue_if_reached(self.get(id))
            return self.get(id)

    def delete_all(self, ids: Collection[str], *, permit: Permit = by_engine) -> Sequence[str]:
        """Delete the clips that exist, or none of them if one must not be deleted, and return their ids in order."""
        with self._database.transaction(ordered=False):
            found = [row["clip_id"] for row in locked_clips(self._database, ids)]
            for each in found:
                self.delete(each, permit=permit)
            return found

    def delete(self, id: str, *, permit: Permit = by_engine) -> Clip:
        """Delete the clip and queue its objects for removal. A queued or active clip is cancelled first.

        Returns its last state. Raises ClipNotFound.
        """
        with self._database.transaction(ordered=False):
            clip = as_clip(self._row(id, lock=True))
            permit(lambda: clip.created_by)
            if not clip.ended:
                self.documents.remove(id)  # before the event, see `lock_order`
                clip = self.cancel(id)
            self._database.change(ClipRow.delete().where(ClipRow.clip_id == id))
            self._removals.add_clips([clip])
            self._database.record_change("clip", id)
            return clip

    def delete_ended(self, query: Any) -> Sequence[Clip]:
        """Delete the ended clips that the query selects, as one batch, and return their last states.

        Clips that another transaction has locked are skipped. Queues the objects for removal; the caller writes events.
        """
        with self._database.transaction(ordered=False):
            clips = [as_clip(row) for row in self._database.rows(self._database.unlocked(query))]
            if not clips:
                return []
            self._database.change(ClipRow.delete().where(ClipRow.clip_id.in_([clip.clip_id for clip in clips])))
            self._removals.add_clips(clips)
            for clip in clips:
                self._database.record_change("clip", clip.clip_id)
            return clips

    def update(
        self,
        id: str,
        values: Mapping[str, Any],
        metadata: Mapping[str, str | None],
        *,
        permit: Permit = by_engine,
    ) -> Clip:
        """Change the columns `values`, merge `metadata`, and return the clip. What may end it needs `permit`.

        Equal values are no change: the revision stays. Raises ClipNotFound or InvalidRequest.
        """
        with self._database.transaction(ordered=False):
            row = self._row(id, lock=True)
            if _may_end(row, values):
                permit(lambda: row["created_by"])
            changed = changes(row, {**values, "metadata": merged(row["metadata"], metadata)})
            if not changed:
                return self.get(id)
            counted = {**changed, "revision": ClipRow.revision + 1}
            self._database.change(ClipRow.update(counted).where(ClipRow.clip_id == id))
            self.documents.replace(row | changed)
            self._database.record_change("edited_clip", id)
            return self.get(id)

    def requeue_orphans(
        self, owner: str, *, in_flight: InFlight | None = None, living: Living = tuple, died: Living = tuple
    ) -> int:
        """Release abandoned clips and return their number, see `Leases.orphans`.

        A clip that was being cut is queued again, or fails after MAX_DEATHS engines in `died`. One that was being
        uploaded waits again for its upload. If engines share the ledger and the engine whose scratch folder holds the
        file is dead, the clip is cut again.
        """
        freed = 0
        if self._database.shared and (rows := self._database.rows(_UPLOADING)):
            alive = {owner, *living()}
            lost = [row for row in rows if row["cut_by"] not in alive]
            freed += sum(self._cut_again(row["clip_id"], row["attempt"]) for row in lost)
        for row in self.leases.orphans(_ACTIVE, owner, in_flight=in_flight, living=living):
            blamed = row["owner"] != owner and row["owner"] in died()
            with self._database.transaction(ordered=False):
                freed += self._release(row, blamed=blamed)
        return freed

    def _release(self, row: Row, *, blamed: bool) -> bool:
        """Release an abandoned clip. If it is `blamed`, its engine died while it held the clip."""
        id, attempt = row["clip_id"], row["attempt"]
        values: dict[str, Any] = {"next_at": now_ms(), "owner": None}
        if row["state"] == "cutting":
            deaths = row["engine_deaths"] + blamed
            if deaths >= MAX_DEATHS:
                return self._fail(id, "cutting", attempt, too_many_deaths(id, "it cut this clip"))
            values = entering("queued", next_at=now_ms(), engine_deaths=deaths)
        return self.transition(id, row["state"], attempt, values, owner=row["owner"])

    def _cut_again(self, id: str, attempt: int) -> bool:
        """Queue a clip whose file is lost with its engine, under a new object key."""
        with self._database.transaction(ordered=False):
            row = self._database.by_key(ClipRow, id, lock=True)
            if row is None or row["state"] != "uploading":
                return False
            clip = as_clip(row)
            values = entering("queued", next_at=now_ms(), object_key=_next_key(clip))
            if not self.transition(id, "uploading", attempt, values):
                return False
            self._removals.add_clips([clip])
            return True

    def is_due(self) -> bool:
        """Return True if a queued clip is due."""
        now = now_ms()
        return self._database.row(_DUE, now=now, fenced_now=now + FENCE_MS) is not None

    def counts(self) -> dict[str, int]:
        """Return the numbers of clips in the states `queued`, `cutting` and `uploading`."""
        return dict.fromkeys(UNFINISHED, 0) | {row["state"]: row["number"] for row in self._database.rows(_COUNTS)}

    def transition(
        self, id: str, state: ClipState, attempt: int, values: dict[str, Any], *, owner: str | None = None
    ) -> bool:
        """Change a clip if it still has this state and attempt, and this `owner` if one is given."""
        to = values.get("state")
        assert to is None or may_follow(to, state), f"a clip that is {state} cannot become {to}"
        if to == "queued":
            values = {**values, "queued_at": values["next_at"]}
            if values["next_at"] <= now_ms():
                self._database.enqueue("clips", id)
        notify = to in ANNOUNCED
        return self.leases.transition(id, values, fence=attempt, owner=owner, state=state, notify=notify)

    def _end(self, id: str, state: ClipState, attempt: int, values: dict[str, Any]) -> bool:
        if not self.transition(id, state, attempt, values):
            return False
        clip = self.get(id)
        if clip.state == "failed":
            self._removals.add_clips([clip])
        self._events.clip_ended(clip)  # last: from here on, other transactions wait for this one
        return True

    def _fail(self, id: str, state: ClipState, attempt: int, error: ClipEngineError) -> bool:
        return self._end(id, state, attempt, entering("failed", error=error.to_object(), completed_at=now_ms()))

    def _row(self, id: str, *, lock: bool = False) -> Row:
        row = self._database.by_key(ClipRow, id, lock=lock)
        if row is None:
            raise ClipNotFound.of(id)
        return row


def _filtered(query: Any, wanted: ClipFilter) -> Any:
    """Return the query with the filters that compare a column.

    An expression prevents SQLite from using the index of a column: to read the few variants of a clip, or the few clips
    of a recording, is faster than to read all clips with the status or label.
    """
    any_clip, any_recording = wanted.variant_of is None, wanted.recording_id is None
    for column, value, indexed in (
        (ClipRow.variant_of, wanted.variant_of, True),
        (ClipRow.recording_id, wanted.recording_id, any_clip),
        (ClipRow.status, wanted.status, any_clip),
        (ClipRow.label, wanted.label, any_clip and any_recording),
        (ClipRow.created_by, wanted.created_by, any_clip and any_recording),
    ):
        if value is not None:
            query = query.where((column if indexed else column.concat("")) == value)
    return query


def _of_part(recording_id: str) -> Any:
    return peewee.Expression(ClipRow.parts, OP.ILIKE, peewee.Value(f'%"{recording_id}"%', converter=False))


def _waiting_values(recording_id: str) -> dict[str, str]:
    """Return the parameters of the queries of the clips that wait for a recording."""
    return {"recording_id": recording_id, "of_part": f'%"{recording_id}"%'}


_SPEC = SpecColumn(ClipRow, SPEC_FIELDS)
_STATE_FIELDS = tuple(each.name for each in fields(Clip) if each.name in {*ClipRow._meta.fields} - {*SPEC_FIELDS})


def _values(clip: Clip) -> dict[str, Any]:
    """Return the values of the columns.

    Lists of 0.2.0 read the columns of structured options. A clip that 0.2.0 must not cut has these in `spec` instead.
    """
    hidden = STRUCTURED if clip.needs > FIRST_FORMAT else ()
    return _SPEC.columns(vars(clip) | clip.to_stored(), hidden=hidden)


def _may_end(row: Row, values: Mapping[str, Any]) -> bool:
    """Return True if a change may have the clip deleted. After one of its expiry to null, the settings may do so."""
    ends_keep = KEEP_TAG in set(row["tags"]) - set(values.get("tags", row["tags"]))
    return ends_keep or "expires_at" in values


def _next_key(clip: Clip) -> str:
    """Return the object key of the clip's next attempt."""
    return next_clip_key(clip.object_key, clip.clip_id, clip.attempt + 1)


def _summary(row: Row) -> ClipSummary:
    return ClipSummary(*(row[name] for name in ClipSummary._fields))


def as_clip(row: Row) -> Clip:
    """Return the clip of a row."""
    spec, unread = spec_values(_SPEC.fields(row))
    values = {name: row[name] for name in _STATE_FIELDS} | spec
    if row["result"] is not None:
        values["result"] = ClipResult.from_object(row["result"])
    return Clip(**values, unread=unread)
