"""Objects that have to go from the store: written in the transaction that makes them unwanted, removed later."""

from __future__ import annotations

from dataclasses import dataclass

from clipengine.clips.clip import Clip
from clipengine.ledger.database import Database
from clipengine.ledger.schema import ClipRow, RemovalRow
from clipengine.timecode import now_ms


@dataclass(frozen=True)
class Removal:
    id: int
    key: str


class Removals:
    """The list of objects to delete. A key stands in it at most once, and never while its clip lives."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: str) -> None:
        with self._database.transaction():
            # A new number, so that `done` of an older removal of this key does not take this one with it.
            self.drop(key)
            number = self._database.insert(RemovalRow.insert(key=key, next_at=now_ms()))
            self._database.changed("removal", str(number))

    def add_clip(self, clip: Clip) -> None:
        """Have the clip's object and poster removed."""
        self.add(clip.object_key)
        self.add(clip.poster_key)

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
        return [Removal(row["id"], row["key"]) for row in rows]

    def wanted(self, id: int) -> bool:
        """Whether the removal still stands. Ask right before deleting: a retry of the clip takes it back."""
        return self._database.row(RemovalRow.select(RemovalRow.id).where(RemovalRow.id == id)) is not None

    def done(self, id: int) -> None:
        self._database.change(RemovalRow.delete().where(RemovalRow.id == id))

    def later(self, id: int, delay_ms: int) -> None:
        """Try again after `delay_ms` (the store is out of reach)."""
        self._database.change(RemovalRow.update(next_at=now_ms() + delay_ms).where(RemovalRow.id == id))
