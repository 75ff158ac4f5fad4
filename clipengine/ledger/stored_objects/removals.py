"""Removals: objects to delete from the store, recorded in the transaction that makes them obsolete.

Objects that a row needs are not queued, nor deleted if a row needs them by then, see `needed_objects`. An object that
an engine is deleting is not registered as a recording. An engine claims rows before it deletes their objects, so that
several engines do not send the same requests, see `lease`.

A clip's objects are deleted twice, some time apart: a PUT whose sender was killed or timed out may reach the store
after the first deletion.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import peewee

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.ledger.database.database import Bound, Database, Row, Statement, param
from clipengine.ledger.database.schema import RemovalRow
from clipengine.ledger.rows.lease import InFlight, Leases, Living, owned_rows
from clipengine.ledger.stored_objects.needed_objects import FileVersion, NeededObjects, Unwanted
from clipengine.recordings.recording import Recording

log = logging.getLogger(__name__)

_KEYS_AT_ONCE = 500
_DUE = Statement(
    RemovalRow.select()
    .where(RemovalRow.next_at <= param(RemovalRow.next_at, "now"), RemovalRow.owner.is_null())
    .order_by(RemovalRow.next_at, RemovalRow.id)
    .limit(param(RemovalRow.id, "limit"))
)
_OWNED = owned_rows(RemovalRow)


@dataclass(frozen=True)
class Removal:
    """A claimed removal. `looks` is the number of remaining deletions, including this one."""

    id: int
    key: str
    looks: int
    owner: str
    lease: int


class Removals:
    """The objects to delete. A key occurs at most once, and never while its clip exists."""

    def __init__(self, database: Database, needed: NeededObjects) -> None:
        self._database = database
        self._needed = needed
        self._leases = Leases(database, RemovalRow.id, RemovalRow.lease)

    def add(self, key: str, *, looks: int = 1) -> None:
        """Queue an object for deletion. Use more than one look only for keys that no other program writes."""
        self._add([Unwanted.of(key)], looks)

    def add_recording(self, deleted: Recording, pieces: Collection[str] = (), *, looks: int = 1) -> None:
        """Queue the file of a deleted recording, or `pieces` of one of many files, for deletion.

        Pieces of a playlist are kept with it while another recording of the playlist needs them.
        """
        unwanted = [Unwanted.of(key) for key in pieces]
        with self._database.transaction(ordered=False):
            if deleted.folder is None:
                # No recording of the file is registered meanwhile.
                self._database.turn(f"object {deleted.bucket_path}")
                file = Unwanted.of(deleted.bucket_path, FileVersion(deleted.etag, deleted.created_at))
                unwanted = [file, *unwanted] if self._needed.without_needed([file]) else []
            self._add(unwanted, looks)

    def add_clips(self, clips: Iterable[Clip]) -> None:
        """Queue all objects of clips for deletion, with one statement for all of them."""
        self._add([Unwanted.of(key) for clip in clips for key in clip.keys], looks=2)

    def _add(self, objects: Iterable[Unwanted], looks: int) -> None:
        with self._database.transaction(ordered=False):
            # In the order of their keys, so that two transactions cannot wait for each other's rows.
            by_key = {each.key: each for each in objects}
            unwanted = self._needed.without_needed([by_key[key] for key in sorted(by_key)])
            for first in range(0, len(unwanted), _KEYS_AT_ONCE):
                self._insert(unwanted[first : first + _KEYS_AT_ONCE], looks)
            if unwanted:
                self._database.enqueue("removals", "due")

    def _insert(self, unwanted: Iterable[Unwanted], looks: int) -> None:
        values = {"next_at": now_ms(), "looks": looks, "owner": None}
        rows = [{"key": each.key, **values, **_version_columns(each.version)} for each in unwanted]
        # An older removal of a key is fenced off: its owner cannot settle the row.
        again = {
            **values,
            "lease": RemovalRow.lease + 1,
            "etag": peewee.EXCLUDED.etag,
            "registered_at": peewee.EXCLUDED.registered_at,
        }
        self._database.insert(RemovalRow.insert_many(rows).on_conflict(conflict_target=[RemovalRow.key], update=again))

    def drop(self, key: str) -> None:
        """Cancel the removal of an object. If it is claimed, the object may be deleted nevertheless."""
        self._database.change(RemovalRow.delete().where(RemovalRow.key == key))

    def claimed(self, keys: Collection[str]) -> bool:
        """Return True if an engine is deleting one of these objects."""
        taken = RemovalRow.select(RemovalRow.id).where(RemovalRow.key.in_(list(keys)), RemovalRow.owner.is_null(False))
        return self._database.row(taken.limit(1)) is not None

    def is_being_deleted(self, key: str) -> bool:
        """Return True if an engine is deleting this object. Otherwise none begins before this transaction ends."""
        found: Any = RemovalRow.select(RemovalRow.owner).where(RemovalRow.key == key)
        row = self._database.row(found.for_update("FOR UPDATE") if self._database.shared else found)
        return row is not None and row["owner"] is not None

    def due(self, limit: int = 100) -> list[str]:
        """Return the keys of unclaimed objects to delete now, longest due first."""
        return [row["key"] for row in self._database.rows(_due(limit))]

    def claim(self, owner: str, *, limit: int) -> list[Removal]:
        """Claim up to `limit` removals that are due, longest due first, and drop those that rows need by now."""
        while rows := self._leases.claim(lambda: _due(limit), owner):
            if unwanted := self._drop_needed(rows):
                return unwanted
        return []

    def _drop_needed(self, rows: Iterable[Row]) -> list[Removal]:
        """Delete the claimed removals whose objects are needed, and return the others."""
        claimed = {Unwanted.of(row["key"], _version(row)): _removal(row) for row in rows}
        left = self._needed.without_needed(claimed)
        needed = [claimed[each] for each in claimed.keys() - set(left)]
        if needed:
            with self._database.transaction(durable=False, ordered=False):
                for held in self._leases.each_held(_claims(needed)):
                    self._database.change(RemovalRow.delete().where(held))
            log.info("%d objects are kept, because they are needed again: %s …", len(needed), needed[0].key)
        return [claimed[each] for each in left]

    def deleted(self, removals: Iterable[Removal], *, again_ms: int) -> None:
        """Settle removals whose objects were deleted. Those with a remaining look are due again after `again_ms`."""
        removals = list(removals)
        with self._database.transaction(ordered=False):
            again = {"looks": RemovalRow.looks - 1, "next_at": now_ms() + again_ms}
            self._leases.release_all(_claims(each for each in removals if each.looks > 1), again)
            for held in self._leases.each_held(_claims(each for each in removals if each.looks <= 1)):
                self._database.change(RemovalRow.delete().where(held))

    def later(self, removals: Iterable[Removal], *, delay_ms: int) -> None:
        """Release removals that failed; they are due again after `delay_ms`."""
        with self._database.transaction(ordered=False):
            self._leases.release_all(_claims(removals), {"next_at": now_ms() + delay_ms})

    def release_orphans(self, owner: str, *, in_flight: InFlight | None = None, living: Living = tuple) -> int:
        """Release abandoned claims and return their number, see `Leases.orphans`."""
        return self._leases.release_orphans(_OWNED, owner, {}, in_flight=in_flight, living=living)


def _due(limit: int) -> Bound:
    return _DUE.bind(now=now_ms(), limit=limit)


def _version_columns(version: FileVersion | None) -> Row:
    return {"etag": version and version.etag, "registered_at": version and version.registered_at}


def _version(row: Row) -> FileVersion | None:
    return None if row["etag"] is None else FileVersion(row["etag"], row["registered_at"])


def _removal(row: Row) -> Removal:
    return Removal(row["id"], row["key"], row["looks"], row["owner"], row["lease"])


def _claims(removals: Iterable[Removal]) -> Iterable[tuple[int, str, int]]:
    return ((each.id, each.owner, each.lease) for each in removals)
