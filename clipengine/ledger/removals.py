"""Objects that have to go from the store: written in the transaction that makes them unwanted, removed later.

A clip's objects are deleted twice, some time apart: a PUT whose sender was killed, or gave up waiting, is with the
store all the same, and may land after the clip has been cancelled and its object been deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipengine.clips.clip import Clip
from clipengine.ledger.database import Database
from clipengine.ledger.schema import ClipRow, RemovalRow
from clipengine.timecode import now_ms


@dataclass(frozen=True)
class Removal:
    """`looks`: how often the object is still to be deleted, this time counted in."""

    id: int
    key: str
    looks: int


class Removals:
    """The list of objects to delete. A key stands in it at most once, and never while its clip lives."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: str, *, looks: int = 1) -> None:
        """Have the object removed. More than one look is for keys only that nobody but the engine ever writes."""
        with self._database.transaction():
            # A new number, so that `done` of an older removal of this key does not take this one with it.
            self.drop(key)
            number = self._database.insert(RemovalRow.insert(key=key, next_at=now_ms(), looks=looks))
            self._database.changed("removal", str(number))

    def add_clip(self, clip: Clip) -> None:
        """Have the clip's object and poster removed."""
        self.add(clip.object_key, looks=2)
        self.add(clip.poster_key, looks=2)

    def discard(self, clip: Clip) -> None:
        """Remove what an attempt left in the store after it lost its claim (`complete` returned False).

        Nothing is done while the clip is queued, running or complete: the attempt that has the claim replaces the
        objects, or fails and has them removed.
        """
        lives = ClipRow.select(ClipRow.clip_id).where(
            ClipRow.clip_id == clip.clip_id, ClipRow.object_key == clip.object_key, ClipRow.state != "failed"
        )
        with self._database.transaction():
            if self._database.row(lives) is None:
                self.add_clip(clip)

    def drop(self, key: str) -> None:
        """The object is wanted after all."""
        self._database.change(RemovalRow.delete().where(RemovalRow.key == key))

    def due(self, limit: int = 100) -> list[Removal]:
        """What is to be removed now, longest due first."""
        query = RemovalRow.select().where(RemovalRow.next_at <= now_ms())
        rows = self._database.rows(query.order_by(RemovalRow.next_at, RemovalRow.id).limit(limit))
        return [Removal(row["id"], row["key"], row["looks"]) for row in rows]

    def wanted(self, id: int) -> bool:
        """Whether the removal still stands. Ask right before deleting: a retry of the clip takes it back."""
        return self._database.row(RemovalRow.select(RemovalRow.id).where(RemovalRow.id == id)) is not None

    def look_again(self, id: int, delay_ms: int) -> None:
        """The object was deleted; delete it once more after `delay_ms`, because it may have come back."""
        change = {"looks": RemovalRow.looks - 1, "next_at": now_ms() + delay_ms}
        self._database.change(RemovalRow.update(change).where(RemovalRow.id == id))

    def done(self, id: int) -> None:
        self._database.change(RemovalRow.delete().where(RemovalRow.id == id))

    def later(self, id: int, delay_ms: int) -> None:
        """Try again after `delay_ms` (the store is out of reach)."""
        self._database.change(RemovalRow.update(next_at=now_ms() + delay_ms).where(RemovalRow.id == id))
