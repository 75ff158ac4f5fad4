"""Recordings and their probes: `processing`, then `complete` or `failed`; `recording` while they are written.

One engine at a time holds the lease of a probe, see `lease`. A probe whose engines died is retried alone, see
`quarantine`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import or_
from typing import Any, cast

import peewee
from peewee import OP
from pydantic import ValidationError

from clipengine.basis.ids import new_id
from clipengine.basis.row_format import FIRST_FORMAT, ROW_FORMAT
from clipengine.basis.timecode import now_ms
from clipengine.clips.metadata import merged
from clipengine.errors import ClipEngineError, ObjectMissing, RecordingBusy, RecordingNotFound
from clipengine.ledger.database.database import Database, Row, Statement, changes, param
from clipengine.ledger.database.schema import (
    ClipRow,
    FetchRow,
    LandmarksRow,
    LiveRow,
    RecordingDocumentRow,
    RecordingRow,
    SegmentListRow,
    TranscriptionRow,
    TranscriptRow,
)
from clipengine.ledger.database.spec_column import SpecColumn
from clipengine.ledger.engines.fences import FENCE_MS, is_due
from clipengine.ledger.engines.quarantine import MAX_DEATHS, SUSPECT_DEATHS, Quarantine, too_many_deaths
from clipengine.ledger.rows.documents import TURN_OF_SPEECH, Documents, forget_said
from clipengine.ledger.rows.lease import InFlight, Leases, Living, owned_rows
from clipengine.ledger.rows.live_row import new_live, safe_seconds
from clipengine.ledger.rows.lock_order import lock_clips, lock_recordings
from clipengine.ledger.rows.pages import ListFilter, Page, beginning, read_page, sort_by
from clipengine.ledger.rows.permission import Permit, by_engine
from clipengine.ledger.stored_objects.pieces import Pieces
from clipengine.ledger.stored_objects.removals import Removals
from clipengine.ledger.webhooks.events import Events
from clipengine.recordings.discovery import is_playlist
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.file_name_pattern import UNREAD, FolderSource
from clipengine.recordings.piece_pages import format_of
from clipengine.recordings.piece_seek_index import seek_index_of, stored_seek_index
from clipengine.recordings.pieces import PieceIndex
from clipengine.recordings.recording import GROWING_FILES, SPEC_FIELDS, Recording, RecordingSpec
from clipengine.recordings.seek_index import SeekIndex
from clipengine.recordings.timeline.clock import Clock
from clipengine.recordings.timeline.growing import Growth

log = logging.getLogger(__name__)

RECORDING_SORTS = {
    "created_at": (RecordingRow.created_at, int),
    "name": (beginning(peewee.fn.COALESCE(RecordingRow.name, peewee.SQL("''"))), str),
    "duration": (RecordingRow.duration_seconds, float),
    "size": (RecordingRow.file_size_bytes, int),
}
_PROBED = owned_rows(RecordingRow, RecordingRow.state == "processing")
MAX_COUNTED_CLIPS = 1000  # of a recording: a page of a list reads so many entries of the index for each at most
# In the order of an index, because PostgreSQL may otherwise read the table until it has found the limit.
_COUNT_CLIPS = (
    "(SELECT COUNT(*) FROM (SELECT 1 FROM clips WHERE clips.recording_id = recordings.recording_id "
    f"ORDER BY clips.created_at, clips.clip_id LIMIT {MAX_COUNTED_CLIPS}) AS counted)"
)


@dataclass(frozen=True, kw_only=True)
class RecordingFilter(ListFilter):
    """Filter of a page of recordings. With ids, only these recordings are listed."""

    recording_id: Sequence[str] = ()
    name: str | None = None
    series: str | None = None


@dataclass(frozen=True)
class Probe:
    """A claimed probe. `lease` is the fencing token of this claim."""

    recording: Recording
    owner: str
    lease: int


class Recordings:
    def __init__(self, database: Database, events: Events, removals: Removals, pieces: Pieces) -> None:
        self._database = database
        self._events = events
        self._removals = removals
        self.on_complete: Callable[[Recording], None] = lambda recording: None  # in the transaction of its end
        self._quarantine = Quarantine(database)
        self.pieces = pieces
        self.documents = Documents(database, RecordingDocumentRow, RecordingRow.recording_id, RecordingRow.name)
        self._leases = Leases(
            database, RecordingRow.recording_id, RecordingRow.lease, RecordingRow.state, kind="recording"
        )

    def register(
        self,
        bucket_path: str,
        spec: RecordingSpec = RecordingSpec(),
        *,
        etag: str,
        size: int,
        recording_id: str | None = None,
        retry_failed: bool = True,
    ) -> tuple[Recording, bool]:
        """Return the recording of this object, and True if it is new.

        An existing recording that has not failed is returned as it is; `spec` only describes a new recording, whose id
        is `recording_id` or a new id. The existing recording of an object is found

        - for a file by its path and ETag, or by its path alone while a recording of it is still written,
        - for a playlist by its path, because each segment changes its ETag, and by the `variant` if `spec` has one,
        - for a `folder` by its source.

        A failed recording is replaced by a new one. Without `retry_failed`, it is returned instead, unless its ETag is
        another one and `spec` is not `live`. Raises ObjectMissing if an engine is deleting the object.
        """
        now, folder, variant, live = now_ms(), spec.folder, spec.variant, spec.live
        with self._database.transaction(ordered=False):
            # In turn, so that two requests for the same object create one recording.
            self._database.turn(f"object {bucket_path}")
            of_path = RecordingRow.select().where(_is_of(bucket_path))
            first = of_path.order_by(RecordingRow.created_at).limit(1)
            if folder is not None:
                known = [first.where(RecordingRow.folder == folder)]
            elif not is_playlist(bucket_path):
                # Two queries, because no index has the rows of both in their order.
                known = [first.where(RecordingRow.etag == etag), of_path.where(RecordingRow.live).limit(1)]
            else:
                known = [first if variant is None else first.where(RecordingRow.variant == variant)]
            row = self._first(each.where(RecordingRow.state != "failed") for each in known)
            # A growing object has another ETag at each scan, so its failed recording is found by the path.
            if row is None and not retry_failed:
                row = self._first(each if live else each.where(RecordingRow.etag == etag) for each in known)
            if row is not None:
                return as_recording(row), False
            if self._removals.is_being_deleted(bucket_path):
                raise ObjectMissing(f"{bucket_path} is being deleted")
            recording = Recording(
                recording_id=recording_id or new_id("rec"),
                state="processing",
                bucket_path=bucket_path,
                etag=etag,
                file_size_bytes=size,
                created_at=now,
                needs=GROWING_FILES if live and folder is None and not is_playlist(bucket_path) else FIRST_FORMAT,
                **vars(spec),
            )
            self.insert(recording)
            self._database.enqueue("probes", recording.recording_id)
        return recording, True

    def register_again(self, recording: Recording) -> Recording:
        """Register the playlist of a recording that was replaced anew, and return the new recording."""
        spec = RecordingSpec(**{name: getattr(recording, name) for name in SPEC_FIELDS if name != "given_start"})
        return self.register(recording.bucket_path, replace(spec, live=True), etag=UNREAD, size=0)[0]

    def ended_of(self, bucket_path: str) -> list[Recording]:
        """Return the complete recordings of a playlist whose files were not replaced."""
        of_path = RecordingRow.select().where(_is_of(bucket_path), _has_status("complete"))
        return [as_recording(row) for row in self._database.rows(of_path)]

    def set_replaced(self, id: str, warning: str) -> None:
        """Let the path of a recording be registered anew, and add the reason to its warnings."""
        with self._database.transaction(ordered=False):
            row = self._row(id, lock=True)
            values = {"replaced_at": now_ms(), "warnings": [*(row["warnings"] or []), warning]}
            self._database.change(RecordingRow.update(values).where(RecordingRow.recording_id == id))
            self._database.record_change("recording", id)

    def _first(self, queries: Iterable[Any]) -> Row | None:
        """Return the first row that one of the queries has, or None."""
        return next((row for row in map(self._database.row, queries) if row is not None), None)

    def register_folder(
        self, source: FolderSource, spec: RecordingSpec, *, retry_failed: bool = True
    ) -> tuple[Recording, bool]:
        """Return the recording of a folder's files, and True if it is new, see `register`."""
        name, series = spec.name or source.title, spec.series or source.camera
        described = replace(spec, name=name, series=series, folder=source.to_object())
        return self.register(source.folder or "/", described, etag=UNREAD, size=0, retry_failed=retry_failed)

    def find_folder(self, source: FolderSource) -> Recording | None:
        """Return a recording of a folder's files, or None."""
        of_path = RecordingRow.select().where(RecordingRow.bucket_path == (source.folder or "/"))
        row = self._database.row(of_path.where(RecordingRow.folder == source.to_object()).limit(1))
        return None if row is None else as_recording(row)

    def insert(self, recording: Recording, *, source_id: str | None = None) -> None:
        """Insert a new recording. Call it in a transaction, which also queues its probe or its fetch."""
        values = _SPEC.columns(vars(recording))
        values |= {"attempts": 0, "next_at": recording.created_at, "source_id": source_id}
        self._database.insert(RecordingRow.insert(values))
        self.documents.add(vars(recording))
        self._database.record_change("recording", recording.recording_id)

    def get(self, id: str) -> Recording:
        """Return a recording. Raises RecordingNotFound."""
        return as_recording(self._row(id))

    def find(self, bucket_path: str, etag: str) -> Recording | None:
        """Return the complete recording of this object, or None."""
        query = RecordingRow.select().where(
            RecordingRow.bucket_path == bucket_path, RecordingRow.etag == etag, RecordingRow.state == "complete"
        )
        row = self._database.row(query.order_by(RecordingRow.created_at.desc()).limit(1))
        return None if row is None else as_recording(row)

    def written(self, bucket_path: str) -> Recording | None:
        """Return the recording of this playlist or file that is still written, or None."""
        of_path = RecordingRow.select().where(RecordingRow.bucket_path == bucket_path, _has_status("recording"))
        row = self._database.row(of_path.order_by(RecordingRow.created_at.desc()).limit(1))
        return None if row is None else as_recording(row)

    def of_series(self, series: str, start: int, end: int, *, limit: int) -> Sequence[Recording]:
        """Return the recordings of a series in a range of times, in ms since 1970, in the order of their starts.

        One that is still written may have any end after its start.
        """
        own = RecordingRow.series == series
        known = own & (RecordingRow.state == "complete") & (RecordingRow.begins_at < end)
        query = RecordingRow.select().where(known, (RecordingRow.ends_at > start) | RecordingRow.live)
        order = (RecordingRow.begins_at, RecordingRow.recording_id)
        return [as_recording(row) for row in self._database.rows(query.order_by(*order).limit(limit))]

    def unprobed_of(self, series: str) -> str | None:
        """Return the id of a recording of a series that is still being probed, or None."""
        query = RecordingRow.select().where(RecordingRow.series == series, RecordingRow.state == "processing")
        row = self._database.row(query.limit(1))
        return None if row is None else str(row["recording_id"])

    def clocks(self, ids: Sequence[str]) -> dict[str, Clock]:
        """Return the known clocks of recordings, by their ids."""
        found = self._database.rows(RecordingRow.select().where(RecordingRow.recording_id.in_({*ids}))) if ids else ()
        clocks = {row["recording_id"]: as_recording(row).clock for row in found}
        return {id: clock for id, clock in clocks.items() if clock is not None}

    def of_other_etag(self, bucket_path: str, *, etag: str, size: int) -> Sequence[Recording]:
        """Return the probed recordings of a path that have this size, a digest and another ETag."""
        of_path = (RecordingRow.bucket_path == bucket_path) & (RecordingRow.state == "complete")
        differs = (RecordingRow.etag != etag) & (RecordingRow.file_size_bytes == size)
        query = RecordingRow.select().where(of_path, differs, RecordingRow.digest.is_null(False))
        return [as_recording(row) for row in self._database.rows(query)]

    def adopt(self, recordings: Sequence[Recording], *, etag: str, digest: str) -> None:
        """Set the ETag and the digest of recordings, unless their ETag has changed."""
        with self._database.transaction(ordered=False):
            for each in recordings:
                known = (RecordingRow.recording_id == each.recording_id) & (RecordingRow.etag == each.etag)
                self._database.change(RecordingRow.update({"etag": etag, "digest": digest}).where(known))
                self._database.record_change("recording", each.recording_id)

    def list(self, wanted: RecordingFilter) -> Page[Recording]:
        """Return a page of recordings, newest first unless it is sorted by one of RECORDING_SORTS."""
        query, search = self.documents.filter(RecordingRow.select(), wanted)
        if wanted.status is not None:
            query = query.where(_has_status(wanted.status))
        if wanted.name is not None:
            query = query.where(RecordingRow.name == wanted.name)
        if wanted.created_by is not None:
            query = query.where(RecordingRow.created_by == wanted.created_by)
        if wanted.series is not None:
            query = query.where(RecordingRow.series == wanted.series)
        if wanted.recording_id:
            query = query.where(RecordingRow.recording_id.in_(wanted.recording_id))
        return read_page(
            self._database,
            query,
            of="recordings",
            created_at=RecordingRow.created_at,
            ident=RecordingRow.recording_id,
            limit=wanted.limit,
            cursor=wanted.cursor,
            after=wanted.created_after,
            before=wanted.created_before,
            sort=sort_by(RECORDING_SORTS, wanted.sort),
            search=search,
            make=as_recording,
        )

    def clips_counts(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the number of clips of each of these recordings, at most MAX_COUNTED_CLIPS."""
        counts = f"SELECT recording_id, {_COUNT_CLIPS} FROM recordings WHERE recording_id IN ({_marks(ids)})"
        return dict(self._database.run(counts, tuple(ids))) if ids else {}

    def claim_probe(self, owner: str, *, suspects: bool = True) -> Probe | None:
        """Claim the recording that has waited longest for its probe and count the attempt, or return None.

        Recordings that may have killed engines are claimed only if `suspects`, and alone.
        """
        claimed = self._leases.claim(
            lambda: self._due(owner, suspects), owner, values={"attempts": RecordingRow.attempts + 1}
        )
        return Probe(as_recording(claimed[0]), owner, claimed[0]["lease"]) if claimed else None

    def _due(self, owner: str, suspects: bool) -> Any:
        """Return the query of the next probe that `owner` may start, or None if it may start none."""
        startable = self._quarantine.startable(owner, suspects=suspects)
        if startable == "none":
            return None
        due = _due_probes(now_ms())
        if startable != "all":
            suspected = RecordingRow.engine_deaths >= SUSPECT_DEATHS
            due = due.where(suspected if startable == "suspects" else ~suspected)
        return due.order_by(RecordingRow.next_at, RecordingRow.recording_id).limit(1)

    def is_probe_due(self) -> bool:
        """Return True if a probe is due."""
        now = now_ms()
        return self._database.row(_IS_PROBE_DUE, now=now, fenced_now=now + FENCE_MS) is not None

    def waiting(self, *, limit: int) -> int:
        """Return the number of recordings that are being probed or wait for that, at most `limit`."""
        query = RecordingRow.select(RecordingRow.recording_id).where(RecordingRow.state == "processing", _in_store())
        return len(self._database.rows(query.limit(limit)))

    def probe_complete(
        self,
        probe: Probe,
        facts: SourceFacts,
        *,
        etag: str,
        size: int,
        seek_index: SeekIndex | None = None,
        digest: str | None = None,
        pieces: PieceIndex | None = None,
        growth: Growth | None = None,
        clock: Clock | None = None,
        seen_at: int | None = None,
    ) -> bool:
        """Set the recording `complete`, or `recording` if it grows, and write its event.

        The newest media of a growing one was stored at `seen_at`. Return False if the lease was lost.
        """
        found = probed_columns(facts, etag=etag, size=size, digest=digest, pieces=pieces, clock=clock)
        found["state"] = "complete"
        found |= times_of(replace(probe.recording, facts=facts, found_clock=found["found_clock"]))
        with self._database.transaction(ordered=False):
            if self._is_held(probe):
                self.put_seek_index(probe.recording.recording_id, seek_index)
            if pieces is not None and self._is_held(probe):
                self.pieces.put(probe.recording.recording_id, pieces)
                found["needs"] = max(probe.recording.needs, format_of(pieces))
            if growth is None:
                return self._end(probe, found | {"live": False})
            if self._is_held(probe):
                row = new_live(probe.recording.recording_id, growth, kept_by=probe.owner)
                self._database.insert(LiveRow.insert(row))
            found |= {"safe_seconds": safe_seconds(growth), "revision": 1, "last_seen_at": seen_at or now_ms()}
            return self._end(probe, found, is_written=True)

    def put_seek_index(self, id: str, seek_index: SeekIndex | None) -> None:
        """Store the seek index of a recording, if it has one. Call it in a transaction, once."""
        if seek_index is not None:
            columns = seek_index.model_dump(mode="json")
            self._database.insert(LandmarksRow.insert(recording_id=id, landmarks=columns))

    def seek_index(self, id: str) -> SeekIndex | None:
        """Return the seek index that the probe has stored, or None."""
        row = self._database.by_key(LandmarksRow, id)
        if row is not None:
            return stored_seek_index(row["landmarks"])
        pieces = self.pieces.get(id)
        return None if pieces is None else seek_index_of(pieces)

    def probe_failed(self, probe: Probe, error: ClipEngineError) -> bool:
        """Set the recording `failed` and write its event. Return False if the lease was lost."""
        return self._end(probe, {"state": "failed", "error": error.to_object()})

    def fail_unread(self, id: str, error: ClipEngineError) -> None:
        """Set a recording that never was in the store `failed`, and write its event. Call it in a transaction."""
        values = {"state": "failed", "error": error.to_object(), "completed_at": now_ms()}
        self._database.change(RecordingRow.update(values).where(RecordingRow.recording_id == id))
        self._database.record_change("recording", id)
        self.record_end(id)

    def _end(self, probe: Probe, values: dict[str, Any], *, is_written: bool = False) -> bool:
        completed_at = None if is_written else now_ms()
        with self._database.transaction(ordered=False):
            if not self._settle(probe, {**values, "completed_at": completed_at, "engine_deaths": 0}):
                return False
            self.record_end(probe.recording.recording_id)
        return True

    def record_end(self, id: str) -> None:
        """Write the event of a recording's new status, and call `on_complete` if that is `complete`.

        Call it in the transaction that changes the status.
        """
        recording = self.get(id)
        self._events.recording_ended(recording)
        if recording.state == "complete":
            self.on_complete(recording)

    def holds(self, probe: Probe) -> bool:
        """Return True if the lease of the probe is held, and its recording was not deleted."""
        return self._is_held(probe, lock=False)

    def processing(self, ids: Collection[str]) -> set[str]:
        """Return the ids of the recordings among `ids` that are still being probed, or wait for a probe."""
        found = RecordingRow.select(RecordingRow.recording_id).where(
            RecordingRow.recording_id.in_(list(ids)), RecordingRow.state == "processing"
        )
        return {row["recording_id"] for row in self._database.rows(found)}

    def _is_held(self, probe: Probe, *, lock: bool = True) -> bool:
        row = self._database.by_key(RecordingRow, probe.recording.recording_id, lock=lock)
        held = (probe.lease, probe.owner, "processing")
        return row is not None and (row["lease"], row["owner"], row["state"]) == held

    def probe_later(self, probe: Probe, *, delay_ms: int, crashed: bool = False) -> bool:
        """Release the lease; the probe is due again after `delay_ms`. The attempt counts only if it `crashed`.

        Return False if the lease was lost.
        """
        values: dict[str, Any] = {"next_at": now_ms() + delay_ms}
        if not crashed:
            values["attempts"] = RecordingRow.attempts - 1
        with self._database.transaction(ordered=False):
            return self._settle(probe, values)

    def _settle(self, probe: Probe, values: dict[str, Any]) -> bool:
        """Release the lease and write `values`. Return False if the lease was lost."""
        return self._leases.transition(
            probe.recording.recording_id,
            {**values, "owner": None},
            fence=probe.lease,
            owner=probe.owner,
            state="processing",
        )

    def probe_attempts(self, id: str) -> int:
        """Return the number of crashed probes, including the current one. Raises RecordingNotFound.

        Probes that ended because of a store outage or of the engine do not count.
        """
        return int(self._row(id)["attempts"])

    def update(
        self,
        id: str,
        values: Mapping[str, Any],
        metadata: Mapping[str, str | None],
        *,
        permit: Permit = by_engine,
    ) -> Recording:
        """Change the fields `values`, merge `metadata`, and return the recording. To change its expiry needs `permit`.

        Equal values are no change. Raises RecordingNotFound or InvalidRequest.
        """
        with self._database.transaction(ordered=False):
            row = self._row(id, lock=True)
            if "expires_at" in values:  # also null: the settings may then delete the recording at once
                permit(lambda: self._owner(row))
            changed = _SPEC.columns({**values, "metadata": merged(row["metadata"], metadata)}, row["spec"])
            changed = changes(row, changed | times_of(as_recording(row | changed)))
            if not changed:
                return as_recording(row)
            self._database.change(RecordingRow.update(changed).where(RecordingRow.recording_id == id))
            self.documents.replace(row | changed)
            self._database.record_change("edited_recording", id)
            return as_recording(row | changed)

    def set_left_out(self, id: str, count: int) -> bool:
        """Store the number of files that the recording of a folder lacks. Return True if it was another one."""
        with self._database.transaction(ordered=False):
            row = self._database.by_key(RecordingRow, id, lock=True)
            if row is None or row["pieces"] is None or row["pieces"].get("left_out", 0) == count:
                return False
            pieces = {**row["pieces"], "left_out": count}
            self._database.change(RecordingRow.update(pieces=pieces).where(RecordingRow.recording_id == id))
            self._database.record_change("recording", id)
            return True

    def lock(self, ids: Collection[str]) -> None:
        """Lock recordings before a transaction makes clips of the first of them, see `lock_order`."""
        lock_recordings(self._database, ids)

    def delete(self, id: str, *, permit: Permit = by_engine) -> Recording:
        """Delete the recording and its ended clips; the objects stay in the store.

        Raises RecordingNotFound, and RecordingBusy while a clip of it is queued or running.
        """
        with self._database.transaction(ordered=False):
            row = self._row(id, lock=True)  # nobody makes a clip, a transcript or segments of it meanwhile
            permit(lambda: self._owner(row))
            clips = ClipRow.recording_id == id
            self._database.turn(TURN_OF_SPEECH)
            lock_clips(self._database, clips)  # none of them is queued again meanwhile
            # Peewee's name of LIKE: its own LIKE is GLOB in SQLite.
            of_part = peewee.Expression(ClipRow.parts, OP.ILIKE, peewee.Value(f'%"{id}"%', converter=False))
            active = ClipRow.select(ClipRow.clip_id).where(clips | of_part, ClipRow.status == "processing").limit(1)
            if self._database.row(active) is not None:
                raise RecordingBusy(f"clips of {id} are queued or running")
            forget_said(self._database, id)
            self._database.change(ClipRow.delete().where(clips))
            self._database.change(RecordingRow.delete().where(RecordingRow.recording_id == id))
            self._database.record_change("recording", id)
        return as_recording(row)

    def _owner(self, row: Row) -> str | None:
        """Return the owner of a recording whose row is locked, or None if others have made something of it."""
        id, owner = row["recording_id"], cast("str | None", row["created_by"])
        return None if owner and self.has_works_of_others(id, owner) else owner

    def has_works_of_others(self, id: str, owner: str) -> bool:
        """Return True if others than the owner have made something of the recording, see `works_of_others`.

        Call it with the row of the recording locked.
        """
        query = RecordingRow.select(RecordingRow.recording_id)
        found = query.where(RecordingRow.recording_id == id, works_of_others(owner))
        return self._database.row(found) is not None

    def release_orphans(
        self, owner: str, *, in_flight: InFlight | None = None, living: Living = tuple, died: Living = tuple
    ) -> int:
        """Release abandoned probes and return their number, see `Leases.orphans`.

        A recording fails after MAX_DEATHS engines in `died`.
        """
        freed = 0
        for row in self._leases.orphans(_PROBED, owner, in_flight=in_flight, living=living):
            lost = Probe(as_recording(row), row["owner"], row["lease"])
            deaths = row["engine_deaths"] + (row["owner"] != owner and row["owner"] in died())
            if deaths >= MAX_DEATHS:
                freed += self.probe_failed(lost, too_many_deaths(row["recording_id"], "it read this recording"))
                continue
            with self._database.transaction(ordered=False):
                freed += self._settle(lost, {"attempts": RecordingRow.attempts - 1, "engine_deaths": deaths})
        return freed

    def _row(self, id: str, *, lock: bool = False) -> Row:
        row = self._database.by_key(RecordingRow, id, lock=lock)
        if row is None:
            raise RecordingNotFound.of(id)
        return row


def probed_columns(
    facts: SourceFacts,
    *,
    etag: str,
    size: int,
    digest: str | None = None,
    pieces: PieceIndex | None = None,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Return the columns of what a probe has found."""
    return {
        "facts": facts.model_dump(mode="json"),
        "duration_seconds": float(facts.duration),
        "etag": etag,
        "file_size_bytes": size,
        "digest": digest,
        "pieces": pieces and asdict(pieces.counts),
        "gaps": pieces and [gap.to_object() for gap in pieces.gaps],
        "found_clock": clock and clock.to_object(),
    }


def times_of(recording: Recording) -> dict[str, int | None]:
    """Return the columns with the start and the end of a recording by its clock."""
    clock, duration = recording.clock, recording.duration_seconds
    if clock is None or duration is None:
        return {"begins_at": None, "ends_at": None}
    return {"begins_at": clock.time_at(0), "ends_at": clock.time_at(duration)}


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _facts(row: Row) -> SourceFacts | None:
    """Return the facts of a recording, or None if a newer engine has stored them in a form that is unknown here."""
    try:
        return SourceFacts.model_validate(row["facts"])
    except ValidationError:
        if row["needs"] <= ROW_FORMAT:
            log.error("the facts of recording %s cannot be read", row["recording_id"])
        return None


def _due_probes(now: Any, fenced_now: Any | None = None) -> Any:
    is_waiting = (RecordingRow.state == "processing") & RecordingRow.owner.is_null()
    due = is_due(RecordingRow, now, fenced_now)
    return RecordingRow.select(RecordingRow.recording_id).where(is_waiting, due, _in_store())


def works_of_others(owner: Any) -> Any:
    """Return the condition that others than the owner have made clips, transcripts or segments of a recording.

    A clip without a creator counts, and transcripts and lists without one do not: most belong to the file.
    A list counts while it has segments, a title or a look.
    """
    clips = ClipRow.created_by.is_null() | (ClipRow.created_by != owner)
    found: list[Any] = [ClipRow.select().where(ClipRow.recording_id == RecordingRow.recording_id, clips)]
    no_segments = peewee.Value([], converter=SegmentListRow.segments.db_value, unpack=False)
    no_look = peewee.Value({}, converter=SegmentListRow.look.db_value, unpack=False)
    has_segments, has_look = SegmentListRow.segments != no_segments, SegmentListRow.look != no_look
    kept = (
        (TranscriptRow, True),
        (TranscriptionRow, TranscriptionRow.state == "processing"),
        (SegmentListRow, has_segments | has_look | (SegmentListRow.title != "")),
    )
    for row, condition in kept:
        of_another = (row.recording_id == RecordingRow.recording_id, row.created_by != owner)  # no creator: NULL
        found.append(row.select().where(*of_another, condition))
    return reduce(or_, [peewee.fn.EXISTS(each) for each in found])


def _in_store() -> Any:
    """Return the condition that a recording is not, or no longer, being fetched from a URL."""
    return RecordingRow.recording_id.not_in(FetchRow.select(FetchRow.recording_id))


_IS_PROBE_DUE = Statement(
    _due_probes(param(RecordingRow.next_at, "now"), param(RecordingRow.next_at, "fenced_now")).limit(1)
)


def _is_of(bucket_path: str) -> Any:
    """Return the condition that a recording is of this object, and was not replaced by another one of it."""
    return (RecordingRow.bucket_path == bucket_path) & RecordingRow.replaced_at.is_null()


def _has_status(status: str) -> Any:
    """Return the condition of a status. A recording that is still written has the state `complete`."""
    if status == "recording":
        return (RecordingRow.state == "complete") & RecordingRow.live
    found: Any = RecordingRow.state == status
    return found & ~RecordingRow.live if status == "complete" else found


_SPEC = SpecColumn(RecordingRow, SPEC_FIELDS)


def as_recording(row: Row) -> Recording:
    """Return the recording of a row."""
    stored = _SPEC.fields(row)
    values = {name: stored[name] for name in Recording.__dataclass_fields__ if name in stored}
    if row["live"] and row["state"] == "complete":
        values["state"] = "recording"
    if row["facts"] is not None:
        values["facts"] = _facts(row)
    return Recording(**values)
