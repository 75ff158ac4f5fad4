"""Clips: the queue, and the state of every clip.

queued -> running -> complete | failed, and back to queued when a claim is given up or a failed clip is retried. A
running clip that is cut and waits for the store is `finished`: see `uploads`. Every step is
`UPDATE … WHERE id AND state AND attempt`: who changes no row has lost the clip to somebody else. A step that ends a
clip writes its event, its deliveries and its removals in the same transaction.

Where engines share the ledger, an object's key is its attempt's own from the moment that another engine may still be
writing under it: what comes late from a host that was cut off lands where nobody looks, and is removed.

A clip that was held by an engine that died is counted, and from the second death on retried alone: see `quarantine`.

A clip of more than ten minutes is long. Of several workers one never cuts a long clip, so that a short one waits
for short ones only; long ones are not passed over otherwise, and one worker alone takes every clip in its turn.
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
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import ClipRow, RecordingRow
from clipengine.ledger.database.statements import Statement, insert_statement, param
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
        """Queue a clip. Its object's key is fixed here.

        Raises QueueFull, RecordingNotFound where the recording was deleted meanwhile, RecordingNotComplete.
        """
        clip_id, now = new_id("clip"), now_ms()
        clip = Clip(
            clip_id=clip_id,
            recording_id=recording.recording_id,
            state="queued",
            object_key=object_key(recording.bucket_path, request.label, clip_id, extension),
            created_at=now,
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
            raise QueueFull(f"{self._max_queued} clips are queued, no more are taken for now")

    def get(self, id: str) -> Clip:
        """Raises ClipNotFound."""
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
        """Newest first. `status` is the API's word (processing, complete, failed), `label` is the whole label.

        `created_after` is inclusive, `created_before` is not (ms).
        """
        query: Any = ClipRow.select()
        if recording_id is not None:
            query = query.where(ClipRow.recording_id == recording_id)
        if status is not None:
            query = query.where(ClipRow.status == status)
        if label is not None:
            # Of one recording the few clips are read, not those of all recordings with the same label: an expression
            # keeps SQLite from taking the index of labels.
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
        """Claim the clip to cut next as a new attempt of `owner`. None if its `workers` may take none.

        Higher priority first, then older; of two or more workers all but one cut long clips. Two callers never get
        the same attempt. A clip that `fits` rejects lets the others pass for a few seconds. Clips that may have killed
        engines are claimed only if `suspects`, and alone.
        """
        with self._database.session():
            if self._next(owner, workers, suspects) is None:  # without the writer's lock: most calls find nothing
                return None
            # Not durable: a clip whose claim a power cut undoes is queued, as if it had not begun.
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
        """Note how far the attempt is. False: it has lost its claim (cancelled, deleted), stop.

        Cheap: no event, and the disk is not waited for. Listeners are told.
        """
        with self._database.transaction(durable=False, ordered=False):
            if not self._database.change(_PROGRESS, clip_id=id, attempt=attempt, step=step, progress=progress):
                return False
            self._database.record_change("clip", id)
        return True

    def complete(self, id: str, attempt: int, result: ClipResult) -> bool:
        """`running` to `complete`, with its event. False: the claim was lost, and what was stored has to go."""
        values = {"state": "complete", "progress": 1.0, "result": vars(result), "error": None}
        with self._database.transaction():
            return self._end(id, "running", attempt, values)

    def fail(self, id: str, attempt: int, error: ClipEngineError) -> bool:
        """`running` to `failed`, with its event; what was stored is removed. False: the claim was lost."""
        with self._database.transaction():
            return self._fail(id, "running", attempt, error)

    def requeue(self, id: str, attempt: int, *, delay_ms: int = 0, outage_ms: int = 0, crashed: bool = False) -> bool:
        """`running` back to `queued`, due after `delay_ms`. False: the claim was lost.

        `crashed` counts towards `crashes`; `outage_ms` is added to what the clip has waited for the store.
        """
        values: dict[str, Any] = {**_FRESH, "next_at": now_ms() + delay_ms}
        if crashed:
            values["crashes"] = ClipRow.crashes + 1
        if outage_ms:
            values["outage_ms"] = ClipRow.outage_ms + outage_ms
        with self._database.transaction():
            return self.transition(id, "running", attempt, values)

    def crashes(self, id: str) -> int:
        """How often cutting the clip killed its decoder since it was made or retried. Raises ClipNotFound."""
        return int(self._row(id)["crashes"])

    def outage_ms(self, id: str) -> int:
        """How long the clip has waited for a store out of reach since it was made or retried. Raises ClipNotFound."""
        return int(self._row(id)["outage_ms"])

    def cancel(self, id: str) -> Clip:
        """`queued` or `running` to `failed` with the code `cancelled`, at once, with its event.

        Raises ClipEnded where it has ended before, and ClipNotFound.
        """
        with self._database.transaction():
            clip = self.get(id)
            if clip.ended or not self._fail(id, clip.state, clip.attempt, Cancelled("The clip was cancelled.")):
                raise ClipEnded(f"the clip {id} is {clip.state}")
            return self.get(id)

    def retry(self, id: str) -> Clip:
        """`failed` to `queued`, as the same clip. Raises ClipNotFailed, ClipNotFound, QueueFull."""
        values = {**_FRESH, "error": None, "completed_at": None, "crashes": 0, "outage_ms": 0, "next_at": now_ms()}
        with self._database.transaction():
            clip = self.get(id)
            if clip.state != "failed":
                raise ClipNotFailed(f"the clip {id} is {clip.state if clip.ended else 'processing'}")
            self._check_room()
            keys = (clip.object_key, clip.poster_key)
            if self._database.shared or self._removals.claimed(keys):
                values["object_key"] = _next_key(clip)  # the old objects may be deleted at any moment
            else:
                for key in keys:
                    self._removals.drop(key)
            self.transition(id, "failed", clip.attempt, values)
            return self.get(id)

    def delete(self, id: str) -> Clip:
        """Forget the clip and have its objects removed; one that has not ended is cancelled first, with its event.

        Returns what it was at the end. Raises ClipNotFound.
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
        """Release running clips that nobody works on, and return how many there were.

        These are the clips of owners that are not `living` and, if `in_flight` is given, those of `owner` that it does
        not list. Both are called after the rows were read. What was being cut is queued again, or fails if it
        has seen MAX_DEATHS of the engines in `died`. What is finished waits again for its upload, but if engines share
        the ledger and the one whose scratch holds it is dead, it is cut again.
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
            out_of_reach = row["cut_by"] is not None and not holders.is_alive(row["cut_by"])
            if self._database.shared and row["finished"] is not None and out_of_reach:
                freed += self._cut_again(row["clip_id"], row["attempt"])
            elif row["owner"] is not None and not holders.is_held(row["clip_id"], owner=row["owner"]):
                blamed = row["owner"] != owner and row["owner"] in died()
                with self._database.transaction():
                    freed += self._release(row, blamed=blamed)
        return freed

    def _release(self, row: Row, *, blamed: bool) -> bool:
        """Release a clip that nobody works on. If it is `blamed`, its engine died while it held the clip."""
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
        """Queue a clip whose file is out of reach, under a key that its old engine does not know."""
        with self._database.transaction():
            clip = self.get(id)
            values = {**_FRESH, "next_at": now_ms(), "object_key": _next_key(clip)}
            if not self.transition(id, "running", attempt, values):
                return False
            self._removals.add_clip(clip)
            return True

    def counts(self) -> dict[str, int]:
        """How many clips are `queued` and how many are `running`."""
        return {"queued": 0, "running": 0} | {row["state"]: row["number"] for row in self._database.rows(_COUNTS)}

    def transition(
        self, id: str, state: str, attempt: int, values: dict[str, Any], *, owner: str | None = None
    ) -> bool:
        """Change a clip that is still in this state and attempt, and held by `owner` if one is given.

        Every claim of a queued clip increments `attempt`, so that no two engines ever hold the same one.
        """
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
    """The key of its object from the next attempt on: `goal-clip_….mp4` becomes `goal-clip_…-2.mp4`."""
    folder, _, name = clip.object_key.rpartition(clip.clip_id)
    return f"{folder}{clip.clip_id}-{clip.attempt + 1}.{name.rpartition('.')[2]}"


def _clip(row: Row) -> Clip:
    values = {name: row[name] for name in Clip.__dataclass_fields__}
    if row["result"] is not None:
        values["result"] = ClipResult(**row["result"])
    return Clip(**values)
