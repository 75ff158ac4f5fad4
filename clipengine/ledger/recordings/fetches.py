"""Fetches: recordings that are copied from a URL into the store before they are probed.

A fetch is a row beside the recording, deleted when the recording is in the store or has failed. URLs and tokens are
encrypted, because either may open the recording for anyone who knows it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import ClipEngineError
from clipengine.ledger.database.database import Bound, Database, Row, Statement, param
from clipengine.ledger.database.schema import FetchRow, RecordingRow
from clipengine.ledger.database.vault import Vault
from clipengine.ledger.recordings.recordings import Recordings, as_recording
from clipengine.ledger.rows.lease import InFlight, Leases, Living, owned_rows
from clipengine.ledger.rows.lock_order import lock_recordings
from clipengine.recordings.discovery import upload_key
from clipengine.recordings.recording import Recording, RecordingSpec

_DUE = Statement(
    FetchRow.select()
    .where(FetchRow.owner.is_null(), FetchRow.next_at <= param(FetchRow.next_at, "now"))
    .order_by(FetchRow.next_at, FetchRow.recording_id)
    .limit(1)
)
_OWNED = owned_rows(FetchRow)


@dataclass(frozen=True)
class Origin:
    """The source of a fetched recording. `token` is sent as a Bearer token to the host of the URL.

    If `link_field` is set, the URL returns a JSON object whose field of this name is the URL of the recording.
    """

    url: str
    token: str | None = None
    link_field: str | None = None


@dataclass(frozen=True)
class Fetch:
    """A claimed fetch. `lease` is the fencing token of this claim; times are in ms since 1970."""

    recording_id: str
    key: str  # of the object to create
    created_at: int
    attempts: int
    owner: str
    lease: int


class Fetches:
    def __init__(self, database: Database, recordings: Recordings, vault: Vault) -> None:
        self._database = database
        self._recordings = recordings
        self._vault = vault
        self._leases = Leases(database, FetchRow.recording_id, FetchRow.lease)

    def add(
        self,
        origin: Origin,
        file: str,
        spec: RecordingSpec = RecordingSpec(),
        *,
        source_id: str | None = None,
    ) -> tuple[Recording, bool]:
        """Create a recording that will be fetched into the store as `file`. Return it, and True if it is new.

        With `source_id`, the recording that was created with the same one is returned, even if it has failed.
        """
        now = now_ms()
        with self._database.transaction(ordered=False):
            if source_id is not None:
                self._database.turn(f"source {source_id}")
                known = RecordingRow.select().where(RecordingRow.source_id == source_id)
                row = self._database.row(known.order_by(RecordingRow.created_at).limit(1))
                if row is not None:
                    return as_recording(row), False
            recording_id = new_id("rec")
            recording = Recording(
                recording_id=recording_id,
                state="processing",
                bucket_path=upload_key(recording_id, file),
                etag="",
                file_size_bytes=0,
                created_at=now,
                fetched_bytes=0,
                **vars(spec),
            )
            self._recordings.insert(recording, source_id=source_id)
            sealed = self._vault.seal(json.dumps(vars(origin)), recording.recording_id)
            fetch = {"recording_id": recording.recording_id, "origin": sealed, "created_at": now, "next_at": now}
            self._database.insert(FetchRow.insert({**fetch, "attempts": 0, "lease": 0}))
            self._database.enqueue("fetches", recording.recording_id)
        return recording, True

    def claim(self, owner: str) -> Fetch | None:
        """Claim the fetch that has waited longest and count the attempt, or return None."""
        claimed = self._leases.claim(_due, owner, values={"attempts": FetchRow.attempts + 1})
        if not claimed:
            return None
        row = claimed[0]
        key = self._recordings.get(row["recording_id"]).bucket_path
        return Fetch(row["recording_id"], key, row["created_at"], row["attempts"], owner, row["lease"])

    def is_due(self) -> bool:
        return self._database.row(_due()) is not None

    def origin(self, fetch: Fetch) -> Origin | None:
        """Return the origin of a fetch, or None if the claim was lost. Raises Internal if it cannot be decrypted."""
        row = self._database.row(FetchRow.select(FetchRow.origin).where(self._held(fetch)))
        return None if row is None else Origin(**json.loads(self._vault.open(row["origin"], fetch.recording_id)))

    def progress(self, fetch: Fetch, *, received: int, total: int) -> bool:
        """Record the bytes that were received, and the size, 0 if it is unknown. Return False if the claim was lost."""
        with self._database.transaction(durable=False, ordered=False):
            if self._database.row(FetchRow.select(FetchRow.recording_id).where(self._held(fetch))) is None:
                return False
            values = {"fetched_bytes": received, "file_size_bytes": total}
            self._change_recording(fetch.recording_id, values)
            self._database.record_progress("recording", fetch.recording_id)
        return True

    def complete(self, fetch: Fetch, *, etag: str, size: int) -> bool:
        """Queue the probe of a recording that is in the store now. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            lock_recordings(self._database, [fetch.recording_id])
            if not self._end(fetch):
                return False
            values = {"etag": etag, "file_size_bytes": size, "fetched_bytes": size, "next_at": now_ms()}
            self._change_recording(fetch.recording_id, values)
            self._database.record_change("recording", fetch.recording_id)
            self._database.enqueue("probes", fetch.recording_id)
        return True

    def fail(self, fetch: Fetch, error: ClipEngineError) -> bool:
        """Set the recording `failed` and write its event. Return False if the claim was lost."""
        with self._database.transaction(ordered=False):
            lock_recordings(self._database, [fetch.recording_id])
            if not self._end(fetch):
                return False
            self._recordings.fail_unread(fetch.recording_id, error)
        return True

    def later(self, fetch: Fetch, *, delay_ms: int, counts: bool = True) -> bool:
        """Release the claim; the fetch is due again after `delay_ms`. Return False if the claim was lost."""
        values: dict[str, Any] = {"owner": None, "next_at": now_ms() + delay_ms}
        if not counts:
            values["attempts"] = FetchRow.attempts - 1
        with self._database.transaction(ordered=False):
            return self._leases.transition(fetch.recording_id, values, fence=fetch.lease, owner=fetch.owner)

    def ids(self) -> set[str]:
        """Return the ids of the recordings that are not in the store yet."""
        return {row["recording_id"] for row in self._database.rows(FetchRow.select(FetchRow.recording_id))}

    def release_orphans(self, owner: str, *, in_flight: InFlight | None = None, living: Living = tuple) -> int:
        """Release abandoned claims and return their number, see `Leases.orphans`."""
        return self._leases.release_orphans(_OWNED, owner, {"next_at": now_ms()}, in_flight=in_flight, living=living)

    def _held(self, fetch: Fetch) -> Any:
        return self._leases.held([fetch.recording_id], fence=fetch.lease, owner=fetch.owner)

    def _end(self, fetch: Fetch) -> bool:
        """Delete the row of a fetch. Return False if the claim was lost."""
        return bool(self._database.change(FetchRow.delete().where(self._held(fetch))))

    def _change_recording(self, id: str, values: Row) -> None:
        self._database.change(RecordingRow.update(values).where(RecordingRow.recording_id == id))


def _due() -> Bound:
    return _DUE.bind(now=now_ms())
