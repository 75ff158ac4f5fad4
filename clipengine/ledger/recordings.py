"""Recordings: registered, probed, complete or failed.

processing -> complete | failed; a probe is claimed by one engine at a time and may be put back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from clipengine.clips.clip import Recording
from clipengine.clips.facts import SourceFacts
from clipengine.clips.landmarks import Landmarks
from clipengine.errors import ClipEngineError, RecordingBusy, RecordingNotFound
from clipengine.ids import new_id
from clipengine.ledger.database import Database, Row
from clipengine.ledger.engines import Holders
from clipengine.ledger.events import Events
from clipengine.ledger.pages import Page, read_page
from clipengine.ledger.schema import ClipRow, LandmarksRow, RecordingRow
from clipengine.timecode import now_ms


class Recordings:
    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events

    def register(
        self,
        bucket_path: str,
        *,
        etag: str,
        size: int,
        name: str | None = None,
        metadata: dict[str, str] | None = None,
        recording_id: str | None = None,
    ) -> tuple[Recording, bool]:
        """The recording of this object and whether it is new; a new one gets `recording_id`, or an id of its own.

        One of the same path and ETag that has not failed is returned as it is; `name` and `metadata` are then ignored.
        """
        now = now_ms()
        with self._database.transaction():
            known = RecordingRow.select().where(
                RecordingRow.bucket_path == bucket_path, RecordingRow.etag == etag, RecordingRow.state != "failed"
            )
            row = self._database.row(known.order_by(RecordingRow.created_at).limit(1))
            if row is not None:
                return _recording(row), False
            recording = Recording(
                recording_id=recording_id or new_id("rec"),
                state="processing",
                bucket_path=bucket_path,
                etag=etag,
                file_size_bytes=size,
                created_at=now,
                name=name,
                metadata=metadata or {},
            )
            self._database.insert(RecordingRow.insert({**vars(recording), "attempts": 0, "next_at": now}))
            self._database.changed("recording", recording.recording_id)
        return recording, True

    def get(self, id: str) -> Recording:
        """Raises RecordingNotFound."""
        return _recording(self._row(id))

    def list(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        status: str | None = None,
        name: str | None = None,
        created_after: int | None = None,
        created_before: int | None = None,
    ) -> Page[Recording]:
        """Newest first. `name` is the whole name; `created_after` is inclusive, `created_before` is not (ms)."""
        query: Any = RecordingRow.select()
        if status is not None:
            query = query.where(RecordingRow.state == status)
        if name is not None:
            query = query.where(RecordingRow.name == name)
        return read_page(
            self._database,
            query,
            created_at=RecordingRow.created_at,
            ident=RecordingRow.recording_id,
            limit=limit,
            cursor=cursor,
            after=created_after,
            before=created_before,
            make=_recording,
        )

    def claim_probe(self, owner: str) -> Recording | None:
        """The recording that has waited longest for its probe, now claimed by `owner`; the attempt is counted."""
        now = now_ms()
        waiting = RecordingRow.select().where(
            RecordingRow.state == "processing", RecordingRow.owner.is_null(), RecordingRow.next_at <= now
        )
        waiting = waiting.order_by(RecordingRow.next_at, RecordingRow.recording_id).limit(1)
        with self._database.session():
            if self._database.row(waiting) is None:  # without the writer's lock: most calls find nothing
                return None
            with self._database.transaction():
                row = self._database.row(waiting)
                if row is None:
                    return None
                claimed = RecordingRow.update(owner=owner, attempts=RecordingRow.attempts + 1).where(
                    RecordingRow.recording_id == row["recording_id"],
                    RecordingRow.state == "processing",
                    RecordingRow.owner.is_null(),
                )
                return _recording(row) if self._database.change(claimed) else None

    def waiting(self, *, limit: int) -> int:
        """How many recordings have not been read to their end yet, counted up to `limit`."""
        query = RecordingRow.select(RecordingRow.recording_id).where(RecordingRow.state == "processing")
        return len(self._database.rows(query.limit(limit)))

    def probe_complete(
        self, id: str, facts: SourceFacts, *, etag: str, size: int, landmarks: Landmarks | None = None
    ) -> bool:
        """`processing` to `complete`, with its event. False where the recording is no longer being probed."""
        found = {"state": "complete", "facts": facts.model_dump(mode="json"), "etag": etag, "file_size_bytes": size}
        with self._database.transaction():
            if not self._end(id, found):
                return False
            if landmarks is not None:
                noted = landmarks.model_dump(mode="json")
                self._database.insert(LandmarksRow.insert(recording_id=id, landmarks=noted))
        return True

    def landmarks(self, id: str) -> Landmarks | None:
        """Where the recording can be entered, as its probe has noted; None where it has noted nothing."""
        row = self._database.by_key(LandmarksRow, id)
        return None if row is None else Landmarks.model_validate(row["landmarks"])

    def probe_failed(self, id: str, error: ClipEngineError) -> bool:
        """`processing` to `failed`, with its event. False where the recording is no longer being probed."""
        return self._end(id, {"state": "failed", "error": error.to_object()})

    def _end(self, id: str, values: dict[str, Any]) -> bool:
        with self._database.transaction():
            if not self._leave_probe(id, {**values, "completed_at": now_ms()}):
                return False
            self._events.recording_ended(self.get(id))
        return True

    def probe_later(self, id: str, *, delay_ms: int, crashed: bool = False) -> bool:
        """Give the claim back; the probe is due again after `delay_ms`. One that has not `crashed` is not counted."""
        values: dict[str, Any] = {"next_at": now_ms() + delay_ms}
        if not crashed:
            values["attempts"] = RecordingRow.attempts - 1
        with self._database.transaction():
            return self._leave_probe(id, values)

    def _leave_probe(self, id: str, values: dict[str, Any]) -> bool:
        update = RecordingRow.update({**values, "owner": None})
        if not self._database.change(update.where(RecordingRow.recording_id == id, RecordingRow.state == "processing")):
            return False
        self._database.changed("recording", id)
        return True

    def probe_attempts(self, id: str) -> int:
        """How many probes have crashed, the one that is claimed now among them. Raises RecordingNotFound.

        Those that an outage of the store, a stop or an engine's end has cut short are no fault of the recording's.
        """
        return int(self._row(id)["attempts"])

    def delete(self, id: str) -> Recording:
        """Forget the recording and its ended clips; the objects stay in the store.

        Raises RecordingNotFound, and RecordingBusy while a clip of it is queued or running.
        """
        with self._database.transaction():
            recording = self.get(id)
            clips = ClipRow.recording_id == id
            busy = ClipRow.select(ClipRow.clip_id).where(clips, ClipRow.status == "processing").limit(1)
            if self._database.row(busy) is not None:
                raise RecordingBusy(f"clips of {id} are queued or running")
            self._database.change(ClipRow.delete().where(clips))
            self._database.change(RecordingRow.delete().where(RecordingRow.recording_id == id))
            self._database.changed("recording", id)
        return recording

    def release_orphans(
        self,
        owner: str,
        *,
        busy: Callable[[], Collection[str]] | None = None,
        living: Callable[[], Collection[str]] = tuple,
    ) -> int:
        """Free the probes that nobody works on; how many those were.

        They are those of other owners who are not `living`, and, where `busy` is given, those of `owner` that its
        threads are not busy with; both are asked after the rows were read.
        """
        held = RecordingRow.select(
            RecordingRow.recording_id, RecordingRow.owner, RecordingRow.attempts, RecordingRow.next_at
        )
        rows = self._database.rows(held.where(RecordingRow.state == "processing", RecordingRow.owner.is_null(False)))
        if not rows:
            return 0
        holders = Holders(owner, busy=busy, living=living)
        freed = 0
        for row in rows:
            if not holders.hold(row["recording_id"], owner=row["owner"]):
                mine = (RecordingRow.recording_id == row["recording_id"]) & (RecordingRow.state == "processing")
                mine &= (RecordingRow.owner == row["owner"]) & (RecordingRow.attempts == row["attempts"])
                mine &= RecordingRow.next_at == row["next_at"]  # each time that it was given back has its own
                free = RecordingRow.update(owner=None, attempts=RecordingRow.attempts - 1)
                freed += self._database.change(free.where(mine))
        return freed

    def _row(self, id: str) -> Row:
        row = self._database.by_key(RecordingRow, id)
        if row is None:
            raise RecordingNotFound(f"no recording has the id {id}")
        return row


def _recording(row: Row) -> Recording:
    values = {name: row[name] for name in Recording.__dataclass_fields__}
    if row["facts"] is not None:
        values["facts"] = SourceFacts.model_validate(row["facts"])
    return Recording(**values)
