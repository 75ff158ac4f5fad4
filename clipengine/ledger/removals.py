"""Removals: objects to delete from the store, recorded in the transaction that makes them obsolete.

An engine claims rows before it deletes their objects, so that several engines do not send the same requests, see
`lease`.

A clip's objects are deleted twice, some time apart: a PUT whose sender was killed or timed out may reach the store
after the first deletion.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from clipengine.clips.clip import Clip
from clipengine.ledger.database.database import Bound, Database, Row, Statement, param
from clipengine.ledger.database.schema import ClipRow, RemovalRow
from clipengine.ledger.lease import InFlight, Leases, Living, owned_rows
from clipengine.timecode import now_ms

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

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(database, RemovalRow.id, RemovalRow.lease)

    def add(self, key: str, *, looks: int = 1) -> None:
        """Queue an object for deletion. Use more than one look only for keys that no other program writes."""
        self._add([key], looks)

    def add_all(self, keys: Iterable[str]) -> None:
        """Queue many objects for deletion."""
        wanted = list(keys)
        for first in range(0, len(wanted), _KEYS_AT_ONCE):
            self._add(wanted[first : first + _KEYS_AT_ONCE], looks=1)

    def add_clips(self, clips: Iterable[Clip]) -> None:
        """Queue all objects of clips for deletion, with one statement for all of them."""
        self._add([key for clip in clips for key in clip.keys], looks=2)

    def _add(self, keys: Iterable[str], looks: int) -> None:
        values = {"next_at": now_ms(), "looks": looks, "owner": None}
        rows = [{"key": key, **values} for key in dict.fromkeys(keys)]
        if not rows:
            return
        # An older removal of a key is fenced off: its owner cannot settle the row.
        again = {**values, "lease": RemovalRow.lease + 1}
        insert = RemovalRow.insert_many(rows).on_conflict(conflict_target=[RemovalRow.key], update=again)
        with self._database.transaction(ordered=False):
            self._database.insert(insert)
            self._database.enqueue("removals", "due")

    def discard(self, clip: Clip) -> None:
        """Queue the objects of an attempt that lost its claim (`complete` returned False) for deletion.

        Does nothing while the clip is queued, running or complete: the attempt that holds the claim replaces the
        objects, or fails and queues them for deletion.
        """
        in_use = ClipRow.select(ClipRow.clip_id).where(
            ClipRow.clip_id == clip.clip_id, ClipRow.object_key == clip.object_key, ClipRow.state != "failed"
        )
        with self._database.transaction(ordered=False):
            if self._database.row(in_use) is None:
                self.add_clips([clip])

    def drop(self, key: str) -> None:
        """Cancel the removal of an object. If it is claimed, the object may be deleted nevertheless."""
        self._database.change(RemovalRow.delete().where(RemovalRow.key == key))

    def claimed(self, keys: Collection[str]) -> bool:
        """Return True if an engine is deleting one of these objects."""
        taken = RemovalRow.select(RemovalRow.id).where(RemovalRow.key.in_(list(keys)), RemovalRow.owner.is_null(False))
        return self._database.row(taken.limit(1)) is not None

    def due(self, limit: int = 100) -> list[str]:
        """Return the keys of unclaimed objects to delete now, longest due first."""
        return [row["key"] for row in self._database.rows(_due(limit))]

    def claim(self, owner: str, *, limit: int) -> list[Removal]:
        """Claim up to `limit` removals that are due, longest due first."""
        return [_removal(row) for row in self._leases.claim(lambda: _due(limit), owner)]

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


def _removal(row: Row) -> Removal:
    return Removal(row["id"], row["key"], row["looks"], row["owner"], row["lease"])


def _claims(removals: Iterable[Removal]) -> Iterable[tuple[int, str, int]]:
    return ((each.id, each.owner, each.lease) for each in removals)
