"""Removals: objects to delete from the store, recorded in the transaction that makes them obsolete.

An engine claims rows before it deletes their objects, so that several engines do not send the same requests. Each
claim increments `lease`, and only the owner that still holds this lease settles the row.

A clip's objects are deleted twice, some time apart: a PUT whose sender was killed or timed out may reach the store
after the first deletion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from clipengine.clips.clip import Clip
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import ClipRow, RemovalRow
from clipengine.ledger.engines import ClaimHolders
from clipengine.timecode import now_ms

_IDS_PER_STATEMENT = 500


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

    def add(self, key: str, *, looks: int = 1) -> None:
        """Queue an object for deletion. Use more than one look only for keys that no other program writes."""
        with self._database.transaction():
            # A new row, so that settling an older removal of this key does not affect it.
            self.drop(key)
            number = self._database.insert(RemovalRow.insert(key=key, next_at=now_ms(), looks=looks))
            self._database.record_change("removal", str(number))

    def add_clip(self, clip: Clip) -> None:
        """Queue the clip's object and poster for deletion."""
        self.add(clip.object_key, looks=2)
        self.add(clip.poster_key, looks=2)

    def discard(self, clip: Clip) -> None:
        """Queue the objects of an attempt that lost its claim (`complete` returned False) for deletion.

        Does nothing while the clip is queued, running or complete: the attempt that holds the claim replaces the
        objects, or fails and queues them for deletion.
        """
        in_use = ClipRow.select(ClipRow.clip_id).where(
            ClipRow.clip_id == clip.clip_id, ClipRow.object_key == clip.object_key, ClipRow.state != "failed"
        )
        with self._database.transaction():
            if self._database.row(in_use) is None:
                self.add_clip(clip)

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
        with self._database.session():
            if not self.due(1):  # without the writer's lock: most calls find nothing
                return []
            # Not durable: if a power cut undoes the claim, the removal is repeated, as after any crash.
            with self._database.transaction(durable=False):
                claimed = [
                    Removal(row["id"], row["key"], row["looks"], owner, row["lease"] + 1)
                    for row in self._database.rows(_due(limit))
                ]
                for ids in _chunks([each.id for each in claimed]):
                    taken = RemovalRow.update(owner=owner, lease=RemovalRow.lease + 1)
                    self._database.change(taken.where(RemovalRow.id.in_(ids)))
                return claimed

    def deleted(self, removals: Iterable[Removal], *, again_ms: int) -> None:
        """Settle removals whose objects were deleted. Those with a remaining look are due again after `again_ms`."""
        removals = list(removals)
        again = {"owner": None, "looks": RemovalRow.looks - 1, "next_at": now_ms() + again_ms}
        with self._database.transaction():
            for held in _held(each for each in removals if each.looks > 1):
                self._database.change(RemovalRow.update(again).where(held))
            for held in _held(each for each in removals if each.looks <= 1):
                self._database.change(RemovalRow.delete().where(held))

    def later(self, removals: Iterable[Removal], *, delay_ms: int) -> None:
        """Release removals that failed; they are due again after `delay_ms`."""
        with self._database.transaction():
            for held in _held(removals):
                self._database.change(RemovalRow.update(owner=None, next_at=now_ms() + delay_ms).where(held))

    def release_orphans(
        self,
        owner: str,
        *,
        in_flight: Callable[[], Collection[str]] | None = None,
        living: Callable[[], Collection[str]] = tuple,
    ) -> int:
        """Release abandoned claims and return their number.

        These are the claims of owners that are not `living` and, if `in_flight` is given, those of `owner` that it does
        not list. Both are called after the rows were read.
        """
        rows = self._database.rows(RemovalRow.select().where(RemovalRow.owner.is_null(False)))
        if not rows:
            return 0
        holders = ClaimHolders(owner, in_flight=in_flight, living=living)
        orphans = [
            Removal(row["id"], row["key"], row["looks"], row["owner"], row["lease"])
            for row in rows
            if not holders.is_held(str(row["id"]), owner=row["owner"])
        ]
        freed = 0
        with self._database.transaction():
            for held in _held(orphans):
                freed += self._database.change(RemovalRow.update(owner=None).where(held))
        return freed


def _due(limit: int) -> Any:
    waiting = RemovalRow.select().where(RemovalRow.next_at <= now_ms(), RemovalRow.owner.is_null())
    return waiting.order_by(RemovalRow.next_at, RemovalRow.id).limit(limit)


def _held(removals: Iterable[Removal]) -> Iterator[Any]:
    """Yield conditions that match the rows, in chunks, while their claims are held."""
    ids: dict[tuple[str, int], list[int]] = defaultdict(list)
    for each in removals:
        ids[each.owner, each.lease].append(each.id)
    for (owner, lease), claimed in ids.items():
        for chunk in _chunks(claimed):
            yield (RemovalRow.owner == owner) & (RemovalRow.lease == lease) & RemovalRow.id.in_(chunk)


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for first in range(0, len(ids), _IDS_PER_STATEMENT):
        yield ids[first : first + _IDS_PER_STATEMENT]
