"""Record of the folder store that belongs to this ledger, so that another folder is not mistaken for it."""

from __future__ import annotations

from collections.abc import Callable

from clipengine.ledger.database.database import Database
from clipengine.ledger.database.meta import read_meta, store_meta
from clipengine.ledger.database.schema import RecordingRow

_NAME = "store"


class StoreIdentityRecord:
    """The id of the folder store, which the store also contains. An S3 store has none; its bucket identifies it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def recorded(self) -> str | None:
        return read_meta(self._database, _NAME)

    def id(self, first: Callable[[], str]) -> str:
        """Return the recorded id, or record the result of `first` in one engine at a time and return it.

        If `first` raises an exception, nothing is recorded.
        """
        if identity := self.recorded():
            return identity
        with self._database.transaction():
            identity = self.recorded()
            if identity is None:
                identity = first()
                store_meta(self._database, _NAME, identity)
            return identity

    def has_recordings(self) -> bool:
        return self._database.row(RecordingRow.select(RecordingRow.recording_id).limit(1)) is not None
