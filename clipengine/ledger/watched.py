"""What the watch has registered: each object once, also where its recording has failed or was forgotten since."""

from __future__ import annotations

from collections.abc import Iterable

from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import WatchedRow

_AT_ONCE = 500


class WatchedObjects:
    """Key and ETag of every object that was registered by the watch and is still there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, str]:
        """ETag by key."""
        return {row["bucket_path"]: row["etag"] for row in self._database.rows(WatchedRow.select())}

    def mark(self, bucket_path: str, etag: str) -> None:
        with self._database.transaction():
            self.forget([bucket_path])
            self._database.insert(WatchedRow.insert(bucket_path=bucket_path, etag=etag))

    def forget(self, bucket_paths: Iterable[str]) -> None:
        """The objects are gone: what comes under these keys later is new."""
        gone = list(bucket_paths)
        for first in range(0, len(gone), _AT_ONCE):
            some = gone[first : first + _AT_ONCE]
            self._database.change(WatchedRow.delete().where(WatchedRow.bucket_path.in_(some)))
