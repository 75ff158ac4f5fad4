"""Objects that the watch has registered: once each, even if the recording failed or was deleted later."""

from __future__ import annotations

from collections.abc import Iterable

from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import WatchedRow

_AT_ONCE = 500


class WatchedObjects:
    """Keys and ETags of the objects that the watch has registered and that still exist."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, str]:
        """Return the ETags by key."""
        return {row["bucket_path"]: row["etag"] for row in self._database.rows(WatchedRow.select())}

    def has(self, bucket_path: str) -> bool:
        return self._database.row(WatchedRow.select().where(WatchedRow.bucket_path == bucket_path)) is not None

    def mark(self, bucket_path: str, etag: str) -> None:
        with self._database.transaction():
            self.forget([bucket_path])
            self._database.insert(WatchedRow.insert(bucket_path=bucket_path, etag=etag))

    def forget(self, bucket_paths: Iterable[str]) -> None:
        """Delete the entries of objects that no longer exist: a later object with the same key is new."""
        keys = list(bucket_paths)
        for first in range(0, len(keys), _AT_ONCE):
            chunk = keys[first : first + _AT_ONCE]
            self._database.change(WatchedRow.delete().where(WatchedRow.bucket_path.in_(chunk)))
