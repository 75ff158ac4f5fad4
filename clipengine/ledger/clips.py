"""Clips: the queue and the state machine.

queued -> running -> complete | failed, and back to queued if a claim is released or a failed clip is retried. A running
clip whose file waits for its upload is `finished`, see `uploads`. Every transition is
`UPDATE … WHERE id AND state AND attempt`: a stale owner changes no row. The transition that ends a clip writes its
event, deliveries and removals in the same transaction.

If engines share the ledger, a new attempt gets a new object key whenever an older engine may still write to the old
one: a late upload of a disconnected host then goes to an unused key, and is removed.

Engine deaths during a clip are counted, and from the second death on the clip is retried alone, see `quarantine`.

A clip of more than ten minutes is long. Of several workers, one never cuts long clips, so that short clips never wait
for long ones only. Otherwise long clips have the same priority, and a single worker cuts all clips.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import peewee

from clipengine.clips.clip import Clip, ClipResult, Recording, Step
from clipengine.clips.request import ClipRequest, object_key
from clipengine.errors import (
    Cancelled,
    ClipEnded,
    ClipEngineError,
    ClipNotFailed,
    ClipNotFound,
    QueueFull,
    RecordingNotComplete,
    RecordingNotFound,
)
from clipengine.ids import new_id
from clipengine.ledger.database.database import Database, Row, Statement, insert_statement, param
from clipengine.ledger.database.schema import ClipRow, RecordingRow
from clipengine.ledger.engines import ClaimHolders
from clipengine.ledger.events import Events
from clipengine.ledger.pages import Page, read_page
from clipengine.ledger.quarantine import MAX_DEATHS, SUSPECT_DEATHS, Quarantine, too_many_deaths
from clipengine.ledger.removals import Removals
from clipengine.timecode import now_ms

_FRESH = {"state": "queued", "step": "queued", "progress": 0.0, "owner": None, "finished": None, "cut_by": None}

_NO_ROOM_MS = 5_000
_NEW = {"owner": None, "crashes": 0, "finished": None, "outage_ms": 0, "cut_by": None, "engine_deaths": 0}

_INSERT = insert_statement(ClipRow, without=("status",))
_RECORDING_STATE = Statement(
    RecordingRow.select(RecordingRow.state).where(RecordingRow.recording_id == param(RecordingRow.recording_id))
)
_COUNTS = Statement(
    ClipRow.select(ClipRow.state, peewee.fn.COUNT(ClipRow.clip_id).alias("number"))
    .where(ClipRow.state.in_(("queued", "running")))
    .group_by(ClipRow.state)
)
_RUNNING_OF = Statement(
    ClipRow.select(ClipRow.clip_id).where(
        ClipRow.state == "running",
        ClipRow.long == param(ClipRow.long),
        ClipRow.owner == param(ClipRow.owner),
        ClipRow.finished.is_null(),
    )
)
_QUEUED = (
    ClipRow.select(ClipRow.clip_id, ClipRow.priority, ClipRow.created_at)
    .where(ClipRow.state == "queued", ClipRow.long == param(ClipRow.long), ClipRow.next_at <= param(ClipRow.next_at))
    .order_by(ClipRow.priority.desc(), ClipRow.created_at, ClipRow.clip_id)
    .limit(1)
)
_BEST = {
    "all": Statement(_QUEUED),
    "suspects": Statement(_QUEUED.where(ClipRow.engine_deaths >= SUSPECT_DEATHS)),
    "others": Statement(_QUEUED.where(ClipRow.engine_deaths < SUSPECT_DEATHS)),
}
_HELD = ClipRow.select(
    ClipRow.clip_id, ClipRow.attempt, ClipRow.owner, ClipRow.finished, ClipRow.cut_by, ClipRow.engine_deaths
)
_CLAIM = Statement(
    ClipRow.update(
        state="running", step="reading", progress=0.0, owner=param(ClipRow.owner), attempt=ClipRow.attempt + 1
    ).where(ClipRow.clip_id == param(ClipRow.clip_id), ClipRow.state == "queued")
)
_PROGRESS = Statement(
    ClipRow.update(step=param(ClipRow.step), progress=param(ClipRow.progress)).where(
        ClipRow.clip_id == param(ClipRow.clip_id),
        ClipRow.state == "running",
        ClipRow.attempt == param(ClipRow.attempt),
    )
)


class Clips:
    def __init__(self, database: Database, events: Events, removals: Removals, max_queued: int) -> None:
        self._database = database
        self._events = events
        self._removals = removals
        self._max_queued = max_queued
        self._quarantine = Quarantine(database)

    def create(self, recording: Recording, request: ClipRequest, *, extension: str) -> Clip:
        """Queue a clip and choose its object key.

        Raises QueueFull, RecordingNotComplete, and RecordingNotFound if the recording was deleted in the meantime.
        """
        clip_id, now = new_id("clip"), now_ms()
        clip = Clip(
            clip_id=clip_id,
            recording_id=recording.recording_id,
            state="queued",
            object_key=object_key(recording.bucket_path, request.label, clip_id, extension),
            created_at=now,
            queued_at=now,
            **vars(request),
        )
        with self._database.transaction():
            self._check_recording(recording.recording_id)
            self._check_room()
            self._database.insert(_INSERT, **vars(clip), long=clip.long, **_NEW, next_at=now)
            self._database.record_change("clip", clip_id)
        return clip

    def _check_recording(self, id: str) -> None:
        row = self._database.row(_RECORDING_STATE, recording_id=id)
        if row is None:
            raise RecordingNotFound(f"no recording has the id {id}")
        if row["state"] != "complete":
            raise RecordingNotComplete.of(id, row["state"])

    def _check_room(self) -> None:
        if self.counts()["queued"] >= self._max_queued:
            raise QueueFull(f"{self._max_queued} clips are queued, which is the limit")

    def get(self, id: str) -> Clip:
        """Return a clip. Raises ClipNotFound."""
        return _clip(self._row(id))

    def list(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        recording_id: str | None = None,
        status: str | None = None,
        label: str | None = None,
        created_after: int | None = None,
        created_before: int | None = None,
    ) -> Page[Clip]:
        """Return a page of clips, newest first. `status` is the API's: processing, complete or failed.

        `created_after` is inclusive, `created_before` is not (ms).
        """
        query: Any = ClipRow.select()
        if recording_id is not None:
            query = query.where(ClipRow.recording_id == recording_id)
        if status is not None:
            query = query.where(ClipRow.status == status)
        if label is not None:
            # An expression prevents SQLite from using the index of labels: for one recording, reading its few clips is
            # faster than reading all clips of the label.
            query = query.where((ClipRow.label if recording_id is None else ClipRow.label.concat("")) == label)
        return read_page(
            self._database,
            query,
            of="clips" if recording_id is None else f"clips/{recording_id}",
            created_at=ClipRow.created_at,
            ident=ClipRow.clip_id,
            limit=limit,
            cursor=cursor,
            after=created_after,
            before=created_before,
            make=_clip,
        )

    def claim(
        self, owner: str, *, workers: int = 1, fits: Callable[[Clip], bool] | None = None, suspects: bool = True
    ) -> Clip | None:
        """Claim the next clip as a new attempt of `owner`, or return None if its `workers` may start none.

        Higher priority first, then older. Of two or more workers, all but one cut long clips. Two callers never get
        the same attempt. A clip that `fits` rejects is deferred for a few seconds. Clips that may have killed engines
        are claimed only if `suspects`, and run alone.
        """
        with self._database.session():
            if self._next(owner, workers, suspects) is None:  # without the write lock: most calls find nothing
                return None
            # Not durable: if a power cut undoes the claim, the clip is still queued.
            with self._database.transaction(durable=False):
                id = self._next(owner, workers, suspects)
                if id is None:
                    return None
                if fits is not None and not fits(self.get(id)):
                    later = ClipRow.update(next_at=now_ms() + _NO_ROOM_MS)
                    self._database.change(later.where(ClipRow.clip_id == id, ClipRow.state == "queued"))
                    return None
                if not self._database.change(_CLAIM, clip_id=id, owner=owner):
                    return None
                self._database.record_change("clip", id)
                return self.get(id)

    def _next(self, owner: str, workers: int, suspects: bool) -> str | None:
        startable = self._quarantine.startable(owner, suspects=suspects)
        if startable == "none":
            return None
        kinds = [False, True]
        if workers > 1 and len(self._database.rows(_RUNNING_OF, long=True, owner=owner)) >= workers - 1:
            kinds = [False]
        now, query = now_ms(), _BEST[startable]
        found = [row for long in kinds if (row := self._database.row(query, long=long, next_at=now))]
        best = min(found, key=lambda row: (-row["priority"], row["created_at"], row["clip_id"]), default=None)
        return None if best is None else str(best["clip_id"])

    def progress(self, id: str, attempt: int, *, step: Step, progress: float) -> bool:
        """Record the progress of an attempt. Return False if it lost its claim (cancelled, deleted) and must stop.

        Writes no event and does not wait for the disk. Listeners are notified.
        """
        with self._database.transaction(durable=False, ordered=False):
            if not self._database.change(_PROGRESS, clip_id=id, attempt=attempt, step=step, progress=progress):
                return False
            self._database.record_change("clip", id)
        return True

    def complete(self, id: str, attempt: int, result: ClipResult) -> bool:
        """Set a running clip `complete` and write its event.

        Return False if the claim was lost; the caller must then discard the stored objects.
        """
        values = {"state": "complete", "progress": 1.0, "result": vars(result), "error": None}
        with self._database.transaction():
            return self._end(id, "running", attempt, values)

    def fail(self, id: str, attempt: int, error: ClipEngineError) -> bool:
        """Set a running clip `failed`, write its event and remove its objects. Return False if the claim was lost."""
        with self._database.transaction():
            return self._fail(id, "running", attempt, error)

    def requeue(self, id: str, attempt: int, *, delay_ms: int = 0, outage_ms: int = 0, crashed: bool = False) -> bool:
        """Queue a running clip again, due after `delay_ms`. Return False if the claim was lost.

        `crashed` increments `crashes`; `outage_ms` is added to the time that the clip has waited for the store.
        """
        values: dict[str, Any] = {**_FRESH, "next_at": now_ms() + delay_ms}
        if crashed:
            values["crashes"] = ClipRow.crashes + 1
        if outage_ms:
            values["outage_ms"] = ClipRow.outage_ms + outage_ms
        with self._database.transaction():
            return self.transition(id, "running", attempt, values)

    def crashes(self, id: str) -> int:
        """Return the decoder crashes since the clip was created or retried. Raises ClipNotFound."""
        return int(self._row(id)["crashes"])

    def outage_ms(self, id: str) -> int:
        """Return the time spent waiting for the store since the clip was created or retried. Raises ClipNotFound."""
        return int(self._row(id)["outage_ms"])

    def cancel(self, id: str) -> Clip:
        """Set a queued or running clip `failed` with the code `cancelled`, and write its event.

        Raises ClipNotFound, and ClipEnded if it is complete or failed.
        """
        with self._database.transaction():
            clip = self.get(id)
            if clip.ended or not self._fail(id, clip.state, clip.attempt, Cancelled("The clip was cancelled.")):
                raise ClipEnded(f"the clip {id} is {clip.state}")
            return self.get(id)

    def retry(self, id: str) -> Clip:
        """Queue a failed clip again under the same id. Raises ClipNotFailed, ClipNotFound or QueueFull."""
        values = {**_FRESH, "error": None, "completed_at": None, "crashes": 0, "outage_ms": 0, "next_at": now_ms()}
        with self._database.transaction():
            clip = self.get(id)
            if clip.state != "failed":
                raise ClipNotFailed(f"the clip {id} is {clip.state if clip.ended else 'processing'}")
            self._check_room()
            keys = (clip.object_key, clip.poster_key)
            if self._database.shared or self._removals.claimed(keys):
                values["object_key"] = _next_key(clip)  # the old objects may be deleted at any time
            else:
                for key in keys:
                    self._removals.drop(key)
            self.transition(id, "failed", clip.attempt, values)
            return self.get(id)

    def delete(self, id: str) -> Clip:
        """Delete the clip and queue its objects for removal. A queued or running clip is cancelled first.

        Returns its last state. Raises ClipNotFound.
        """
        with self._database.transaction():
            clip = self.get(id)
            if not clip.ended:
                clip = self.cancel(id)
            self._database.change(ClipRow.delete().where(ClipRow.clip_id == id))
            self._removals.add_clip(clip)
            self._database.record_change("clip", id)
            return clip

    def requeue_orphans(
        self,
        owner: str,
        *,
        in_flight: Callable[[], Collection[str]] | None = None,
        living: Callable[[], Collection[str]] = tuple,
        died: Callable[[], Collection[str]] = tuple,
    ) -> int:
        """Release abandoned running clips and return their number.

        These are the clips of owners that are not `living` and, if `in_flight` is given, those of `owner` that it does
        not list. Both are called after the rows were read. A clip that was being cut is queued again, or fails after
        MAX_DEATHS engines in `died`. A finished clip waits again for its upload. If engines share the ledger and the
        one whose scratch folder holds the file is dead, it is cut again.
        """
        whose = ClipRow.owner.is_null(False)
        if self._database.shared:
            whose |= ClipRow.cut_by.is_null(False)
        rows = self._database.rows(_HELD.where(ClipRow.state == "running", whose))
        if not rows:
            return 0
        holders = ClaimHolders(owner, in_flight=in_flight, living=living)
        freed = 0
        for row in rows:
            file_lost = row["cut_by"] is not None and not holders.is_alive(row["cut_by"])
            if self._database.shared and row["finished"] is not None and file_lost:
                freed += self._cut_again(row["clip_id"], row["attempt"])
            elif row["owner"] is not None and not holders.is_held(row["clip_id"], owner=row["owner"]):
                blamed = row["owner"] != owner and row["owner"] in died()
                with self._database.transaction():
                    freed += self._release(row, blamed=blamed)
        return freed

    def _release(self, row: Row, *, blamed: bool) -> bool:
        """Release an abandoned clip. If it is `blamed`, its engine died while it held the clip."""
        id, attempt = row["clip_id"], row["attempt"]
        values: dict[str, Any] = {"next_at": now_ms()}
        if row["finished"] is not None:
            values["owner"] = None
        else:
            values |= _FRESH
            deaths = row["engine_deaths"] + blamed
            if deaths >= MAX_DEATHS:
                return self._fail(id, "running", attempt, too_many_deaths(id, "it cut this clip"))
            values["engine_deaths"] = deaths
        return self.transition(id, "running", attempt, values, owner=row["owner"])

    def _cut_again(self, id: str, attempt: int) -> bool:
        """Queue a clip whose file is lost with its engine, under a new object key."""
        with self._database.transaction():
            clip = self.get(id)
            values = {**_FRESH, "next_at": now_ms(), "object_key": _next_key(clip)}
            if not self.transition(id, "running", attempt, values):
                return False
            self._removals.add_clip(clip)
            return True

    def counts(self) -> dict[str, int]:
        """Return the numbers of `queued` and `running` clips."""
        return {"queued": 0, "running": 0} | {row["state"]: row["number"] for row in self._database.rows(_COUNTS)}

    def transition(
        self, id: str, state: str, attempt: int, values: dict[str, Any], *, owner: str | None = None
    ) -> bool:
        """Update a clip if it still has this state and attempt, and this `owner` if one is given.

        Every claim of a queued clip increments `attempt`, so that no two engines ever hold the same attempt.
        """
        if values.get("state") == "queued":
            values = {**values, "queued_at": values["next_at"]}
        held = (ClipRow.clip_id == id) & (ClipRow.state == state) & (ClipRow.attempt == attempt)
        if owner is not None:
            held &= ClipRow.owner == owner
        if not self._database.change(ClipRow.update(values).where(held)):
            return False
        self._database.record_change("clip", id)
        return True

    def _end(self, id: str, state: str, attempt: int, values: dict[str, Any]) -> bool:
        ended = {**values, "step": None, "owner": None, "finished": None, "cut_by": None, "completed_at": now_ms()}
        ended["engine_deaths"] = 0
        if not self.transition(id, state, attempt, ended):
            return False
        self._events.clip_ended(self.get(id))
        return True

    def _fail(self, id: str, state: str, attempt: int, error: ClipEngineError) -> bool:
        if not self._end(id, state, attempt, {"state": "failed", "error": error.to_object()}):
            return False
        self._removals.add_clip(self.get(id))
        return True

    def _row(self, id: str) -> Row:
        row = self._database.by_key(ClipRow, id)
        if row is None:
            raise ClipNotFound(f"no clip has the id {id}")
        return row


def _next_key(clip: Clip) -> str:
    """Return the object key of the next attempt: `goal-clip_….mp4` becomes `goal-clip_…-2.mp4`."""
    folder, _, name = clip.object_key.rpartition(clip.clip_id)
    return f"{folder}{clip.clip_id}-{clip.attempt + 1}.{name.rpartition('.')[2]}"


def _clip(row: Row) -> Clip:
    values = {name: row[name] for name in Clip.__dataclass_fields__}
    if row["result"] is not None:
        values["result"] = ClipResult(**row["result"])
    return Clip(**values)
