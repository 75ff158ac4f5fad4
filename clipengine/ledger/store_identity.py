"""Which folder store belongs to this ledger, so that another folder at its place is not taken for it."""

from __future__ import annotations

from collections.abc import Callable

from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import MetaRow, RecordingRow

_NAME = "store"


class StoreIdentityRecord:
    """The id of the folder store, as it is in the store too. One in S3 has none: its bucket is its name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def noted(self) -> str | None:
        row = self._database.row(MetaRow.select().where(MetaRow.name == _NAME))
        return str(row["value"]) if row else None

    def id(self, first: Callable[[], str]) -> str:
        """The id; where none is noted, what `first` gives is noted now, by one engine at a time.

        What `first` raises leaves here, and nothing is noted then.
        """
        if noted := self.noted():
            return noted
        with self._database.transaction():
            noted = self.noted()
            if noted is None:
                noted = first()
                self._database.insert(MetaRow.insert(name=_NAME, value=noted))
            return noted

    def has_recordings(self) -> bool:
        return self._database.row(RecordingRow.select(RecordingRow.recording_id).limit(1)) is not None
