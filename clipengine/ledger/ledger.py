"""The ledger: one database that says where everything stands, and the parts that read and write it.

It is the truth: queues and processes are rebuilt from it. It is opened or refused, never recreated.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from clipengine.ledger.clips import Clips
from clipengine.ledger.database.backend import Location
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import ClipRow, DeliveryRow, MetaRow, RecordingRow, RemovalRow
from clipengine.ledger.deliveries import Deliveries
from clipengine.ledger.endpoints import Endpoints
from clipengine.ledger.engines import Engines
from clipengine.ledger.events import Events
from clipengine.ledger.expiry import Expiry
from clipengine.ledger.idempotency import Idempotency
from clipengine.ledger.keys import Keys
from clipengine.ledger.opening.commit_watermark import CommitWatermark
from clipengine.ledger.opening.location import open_database
from clipengine.ledger.recordings import Recordings
from clipengine.ledger.removals import Removals
from clipengine.ledger.sessions import Sessions
from clipengine.ledger.stats import Stats
from clipengine.ledger.store_identity import StoreIdentityRecord
from clipengine.ledger.uploads import Uploads
from clipengine.ledger.vault import KEY_CHECK, Vault
from clipengine.ledger.watched import WatchedObjects
from clipengine.timecode import now_ms

_LONGEST_WAIT_MS = 600_000  # twice what a clip waits for the store
_LONGEST_DELIVERY_WAIT_MS = 30 * 3600 * 1000  # more than the last step of the schedule, and than Retry-After


class Ledger:
    """Every part opens a session by itself where none is open; `session` and `transaction` group calls of one thread.

    Every method may raise StorageUnavailable (somebody else holds the file, the disk fails) and DiskFull; what was
    under way is then undone as a whole.
    """

    def __init__(self, database: Database, *, key_prefix: str, organisation_id: str, max_queued: int) -> None:
        self._database = database
        with database.session():
            self._vault = Vault.of(
                database.secrets_key, _meta(database, KEY_CHECK), ledger=database.name, hint=database.backend.key_hint
            )
            self._default_secret = self._vault.open(_meta(database, "default_secret") or "", "default_secret")
        self.keys = Keys(database, key_prefix)
        self.sessions = Sessions(database, self.keys)
        self.endpoints = Endpoints(database, self._vault)
        self.events = Events(database, self.endpoints, organisation_id)
        self.deliveries = Deliveries(database, self.endpoints, self.events, self._default_secret)
        self.removals = Removals(database)
        self.recordings = Recordings(database, self.events)
        self.clips = Clips(database, self.events, self.removals, max_queued)
        self.uploads = Uploads(database, self.clips)
        self.watched = WatchedObjects(database)
        self.expiry = Expiry(database, self.clips, self.events, self.removals)
        self.idempotency = Idempotency(database, self._vault)
        self.stats = Stats(database)
        self.engines = Engines(database)
        self.commit_watermark = CommitWatermark(database)
        self.store_identity = StoreIdentityRecord(database)

    @classmethod
    def open(cls, place: Location, *, key_prefix: str, organisation_id: str, max_queued: int) -> Ledger:
        """Open the ledger at `place`, making it where nothing is there, and bring it to the newest schema.

        Raises SchemaTooNew where a later version has written it, SecretsKeyLost where the key of its secrets is gone,
        StartupError where it is damaged, lacks what was committed to it, is out of reach or something else.
        """
        database = open_database(place)
        try:
            made = cls(database, key_prefix=key_prefix, organisation_id=organisation_id, max_queued=max_queued)
            with database.session():
                made.commit_watermark.check()
            return made
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the file. Sessions of other threads that are still open close theirs when they end."""
        self._database.close()

    def session(self) -> AbstractContextManager[None]:
        """One connection for the calls of this thread inside the block. Re-entrant."""
        return self._database.session()

    def transaction(self) -> AbstractContextManager[None]:
        """All calls of this thread inside the block, or none of them. Inside another one, a part that can fail alone.

        It holds the one writer's place of the file: keep it short, do no I/O inside.
        """
        return self._database.transaction()

    def check_writable(self) -> None:
        """Prove that the ledger can be written. Raises StorageUnavailable or DiskFull."""
        now = str(now_ms())
        with self._database.transaction(durable=False):
            self._database.change(MetaRow.delete().where(MetaRow.name == "checked_at"))
            self._database.insert(MetaRow.insert(name="checked_at", value=now))

    def reset_far_future_due(self) -> int:
        """Make due now what waits for longer than anything is ever told to wait; how much that was.

        It was told so by a clock that has been set back since.
        """
        now = now_ms()
        waits: list[tuple[type[Any], int, Any]] = [
            (ClipRow, _LONGEST_WAIT_MS, ClipRow.status == "processing"),
            (RecordingRow, _LONGEST_WAIT_MS, RecordingRow.state == "processing"),
            (RemovalRow, _LONGEST_WAIT_MS, RemovalRow.next_at > 0),
            (DeliveryRow, _LONGEST_DELIVERY_WAIT_MS, DeliveryRow.status == "pending"),
        ]
        clamped = 0
        for table, longest, waiting in waits:
            late = (waiting, table.next_at > now + longest)
            if self._database.row(table.select(table.next_at).where(*late).limit(1)) is not None:
                clamped += self._database.change(table.update(next_at=now).where(*late))
        return clamped

    def on_change(self, listener: Callable[[str, str], None]) -> None:
        """Have `listener(kind, id)` called after every commit that changed something, on the thread that committed.

        `kind` is "clip", "recording", "delivery" or "removal". A listener must be quick; what it raises is logged.
        """
        self._database.on_change(listener)

    def follow(self) -> None:
        """Have the listeners told too of what other engines change from now on, until `close`.

        They are told `("", "")` where something may have been missed: whoever waits then has to look again.
        """
        self._database.follow()

    def default_secret(self) -> str:
        """The secret that signs what goes to a clip's own webhook_url; made with the file."""
        return self._default_secret


def _meta(database: Database, name: str) -> str | None:
    row = database.row(MetaRow.select().where(MetaRow.name == name))
    return str(row["value"]) if row else None
