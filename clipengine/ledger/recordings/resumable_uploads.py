"""Uploads of recordings that arrive in several requests, each claimed by one engine at a time, see `lease`.

A row knows how much of the recording the store has. It is the only record of it, so each step is durable before the
client learns of it. A completed upload keeps its row for a while, so that a repeated request gets the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from clipengine.basis.timecode import now_ms
from clipengine.errors import RateLimited, UploadAssembling, UploadLocked, UploadNotFound
from clipengine.ledger.database.act import Act, acting, current_act
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import ResumableUploadRow
from clipengine.ledger.recordings.recordings import Recordings
from clipengine.ledger.rows.lease import InFlight, Leases, Living, owned_rows
from clipengine.ledger.stored_objects.removals import Removals
from clipengine.recordings.media_types import media_type
from clipengine.recordings.partial_object import PartialObject
from clipengine.recordings.recording import RecordingSpec

_OWNED = owned_rows(ResumableUploadRow)


@dataclass(frozen=True)
class ResumableUpload:
    """An upload. `owner` and `lease` are the claim, if it has one; times are in ms since 1970."""

    key_id: str
    recording_id: str
    description: str
    spec: RecordingSpec
    partial: PartialObject
    created_at: int
    touched_at: int
    completed_at: int | None = None
    owner: str = ""
    lease: int = 0

    @property
    def upload_id(self) -> str:
        return self.partial.upload_id


class ResumableUploads:
    def __init__(self, database: Database, recordings: Recordings, removals: Removals) -> None:
        self._database = database
        self._recordings = recordings
        self._removals = removals
        self._leases = Leases(database, ResumableUploadRow.upload_id, ResumableUploadRow.lease)

    def add(self, upload: ResumableUpload, *, most: int) -> None:
        """Add an upload. Raises RateLimited if its key has `most` that are not complete."""
        unfinished = ResumableUploadRow.select(ResumableUploadRow.upload_id).where(
            ResumableUploadRow.key_id == upload.key_id, ResumableUploadRow.completed_at.is_null()
        )
        with self._database.transaction(ordered=False):
            self._database.turn(f"uploads {upload.key_id}")
            if len(self._database.rows(unfinished.limit(most))) >= most:
                hint = "Finish or delete one: unfinished ones are deleted if no bytes arrive for a while."
                raise RateLimited(f"{most} uploads of this key are unfinished", hint=hint, retry_after=60)
            self._database.insert(ResumableUploadRow.insert(_columns(upload)))

    def get(self, id: str, *, since: int = 0) -> ResumableUpload:
        """Return an upload that was touched `since` that time, or receives bytes. Raises UploadNotFound."""
        row = self._database.by_key(ResumableUploadRow, id)
        if row is None or not row["touched_at"] or (row["touched_at"] < since and row["owner"] is None):
            raise UploadNotFound(f"There is no upload {id[:60]!r}")
        return _upload(row)

    def claim(self, id: str, owner: str, *, since: int) -> ResumableUpload:
        """Claim an upload that was touched `since` that time.

        Raises UploadNotFound, and if it is claimed UploadLocked, or UploadAssembling after its last byte.
        """
        free = ResumableUploadRow.select().where(
            ResumableUploadRow.upload_id == id,
            ResumableUploadRow.owner.is_null(),
            ResumableUploadRow.touched_at >= since,
        )
        for row in self._leases.claim(lambda: free, owner):
            return _upload(row)
        claimed = self.get(id, since=since)
        if claimed.partial.is_whole and claimed.completed_at is None:
            raise UploadAssembling("The parts of this upload are being assembled")
        raise UploadLocked("Another request sends bytes of this upload")

    def expire(self, upload: ResumableUpload) -> None:
        """Let no request continue the upload any more. Raises UploadLocked if the claim was lost.

        The object of one that is not complete may be in the store already; it is queued for deletion.
        """
        with self._database.transaction(ordered=False):
            self._change(upload, {"touched_at": 0})
            if upload.completed_at is None:
                self._removals.add(upload.partial.key, looks=2)

    def advance(self, upload: ResumableUpload, partial: PartialObject) -> ResumableUpload:
        """Record what the store has. Raises UploadLocked if the claim was lost."""
        touched = replace(upload, partial=partial, touched_at=now_ms())
        with self._database.transaction(ordered=False):
            self._change(upload, {**_progress(partial), "touched_at": touched.touched_at})
        return touched

    def complete(self, upload: ResumableUpload, *, etag: str) -> ResumableUpload:
        """Register the recording. Raises UploadLocked if the claim was lost.

        The audit log gets a row for the recording within the upload, by the actor of the request.
        """
        completed = replace(upload, completed_at=now_ms())
        act, ids = current_act(), (upload.upload_id, upload.recording_id)
        creation = None if act is None else Act("recording.create", act.actor, path=ids, request_id=act.request_id)
        with self._database.transaction(ordered=False):
            self._change(upload, {"completed_at": completed.completed_at})
            key, size = upload.partial.key, upload.partial.size
            with acting(creation):
                self._recordings.register(key, upload.spec, etag=etag, size=size, recording_id=upload.recording_id)
        return completed

    def release(self, upload: ResumableUpload) -> None:
        """Release the claim, unless it was lost or its row is deleted."""
        self._leases.release_all([_claim(upload)], {})

    def delete(self, upload: ResumableUpload) -> None:
        """Delete the row of a claimed upload, unless the claim was lost."""
        for held in self._leases.each_held([_claim(upload)]):
            self._database.change(ResumableUploadRow.delete().where(held))

    def idle(self, before: int, *, limit: int) -> Sequence[str]:
        """Return the ids of uploads that nothing receives and that were touched `before` that time."""
        old = ResumableUploadRow.select(ResumableUploadRow.upload_id).where(
            ResumableUploadRow.touched_at < before, ResumableUploadRow.owner.is_null()
        )
        order = (ResumableUploadRow.touched_at, ResumableUploadRow.upload_id)
        return [row["upload_id"] for row in self._database.rows(old.order_by(*order).limit(limit))]

    def release_orphans(self, owner: str, *, in_flight: InFlight | None = None, living: Living = tuple) -> int:
        """Release abandoned claims and return their number, see `Leases.orphans`."""
        return self._leases.release_orphans(_OWNED, owner, {}, in_flight=in_flight, living=living)

    def _change(self, upload: ResumableUpload, values: Row) -> None:
        if not self._leases.transition(upload.upload_id, values, fence=upload.lease, owner=upload.owner):
            raise UploadLocked("Another engine has taken over this upload")


def _claim(upload: ResumableUpload) -> tuple[str, str, int]:
    return upload.upload_id, upload.owner, upload.lease


def _columns(upload: ResumableUpload) -> dict[str, Any]:
    partial = upload.partial
    return {
        "upload_id": partial.upload_id,
        "key_id": upload.key_id,
        "recording_id": upload.recording_id,
        "bucket_path": partial.key,
        "size": partial.size,
        "description": upload.description,
        "spec": asdict(upload.spec),
        "created_at": upload.created_at,
        "touched_at": upload.touched_at,
        **_progress(partial),
    }


def _progress(partial: PartialObject) -> dict[str, Any]:
    return {
        "received": partial.offset,
        "handle": partial.handle,
        "parts": list(partial.parts),
        "rest": partial.rest,
        "part_bytes": partial.part_bytes,
    }


def _upload(row: Row) -> ResumableUpload:
    return ResumableUpload(
        row["key_id"],
        row["recording_id"],
        row["description"],
        RecordingSpec(**row["spec"]),
        PartialObject(
            row["upload_id"],
            row["bucket_path"],
            row["size"],
            media_type(row["bucket_path"]),
            row["received"],
            row["handle"],
            tuple(row["parts"]),
            row["rest"],
            row["part_bytes"],
        ),
        row["created_at"],
        row["touched_at"],
        row["completed_at"],
        row["owner"] or "",
        row["lease"],
    )
