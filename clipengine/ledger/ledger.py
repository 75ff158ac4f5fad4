"""The ledger: the database that holds all state, and the repositories that read and write it.

It is the source of truth: queues and processes are rebuilt from it. A damaged ledger is never recreated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from clipengine.basis.timecode import now_ms
from clipengine.clips.transcription import Transcriber
from clipengine.ledger.audit.audit import Audit
from clipengine.ledger.audit.chain import AuditChain
from clipengine.ledger.audit.head import HeadFile
from clipengine.ledger.automation.batches import Batches
from clipengine.ledger.automation.requested_batches import RequestedBatches
from clipengine.ledger.automation.rule_batches import RuleBatches
from clipengine.ledger.automation.rule_matching import RuleMatching
from clipengine.ledger.automation.rules import Rules
from clipengine.ledger.clips.clips import Clips
from clipengine.ledger.clips.shares import Shares
from clipengine.ledger.clips.uploads import Uploads
from clipengine.ledger.database.backend import Location, Wakers
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.meta import read_meta, store_meta
from clipengine.ledger.database.schema import (
    BatchRow,
    ClipRow,
    DeliveryRow,
    FetchRow,
    LiveRow,
    RecordingRow,
    RemovalRow,
    TranscriptionRow,
)
from clipengine.ledger.database.vault import KEY_CHECK, Vault
from clipengine.ledger.engines.engines import Engines
from clipengine.ledger.engines.fences import is_far
from clipengine.ledger.engines.queue_order import QueueOrder
from clipengine.ledger.engines.stats import Stats
from clipengine.ledger.opening.commit_watermark import CommitWatermark
from clipengine.ledger.opening.location import location_of, open_database
from clipengine.ledger.people.keys import Keys
from clipengine.ledger.people.principals import Principals
from clipengine.ledger.people.sessions import Sessions
from clipengine.ledger.people.sign_in_flows import SignInFlows
from clipengine.ledger.people.user_sessions import UserSessions
from clipengine.ledger.people.users import Users
from clipengine.ledger.recordings.fetches import Fetches
from clipengine.ledger.recordings.live import Live
from clipengine.ledger.recordings.markers import Markers
from clipengine.ledger.recordings.recordings import Recordings
from clipengine.ledger.recordings.resumable_uploads import ResumableUploads
from clipengine.ledger.recordings.watched import WatchedObjects
from clipengine.ledger.retention.clip_bytes_limit import ClipLimit
from clipengine.ledger.retention.expiry import Expiry
from clipengine.ledger.retention.retention import Retention
from clipengine.ledger.rows.idempotency import Idempotency
from clipengine.ledger.stored_objects.needed_objects import NeededObjects
from clipengine.ledger.stored_objects.pieces import Pieces
from clipengine.ledger.stored_objects.removals import Removals
from clipengine.ledger.stored_objects.storage_use import StorageUse
from clipengine.ledger.stored_objects.store_identity import StoreIdentityRecord
from clipengine.ledger.texts.segment_lists import SegmentLists
from clipengine.ledger.texts.spoken import Spoken
from clipengine.ledger.texts.transcriptions import Transcriptions
from clipengine.ledger.texts.transcripts import Transcripts
from clipengine.ledger.webhooks.deliveries import Deliveries
from clipengine.ledger.webhooks.endpoints import Endpoints
from clipengine.ledger.webhooks.events import Events
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import RULE_FAILURES, Settings

_MAX_DELAY_MS = 600_000  # twice the longest delay of a clip that waits for the store
_MAX_DELIVERY_DELAY_MS = 30 * 3600 * 1000  # longer than the last step of the schedule, and than Retry-After


class Ledger:
    """The repositories of one database. Each opens a session if its thread has none.

    `session` and `transaction` group the calls of one thread. All methods may raise StorageUnavailable (the database is
    locked or fails) and DiskFull; the transaction is then undone as a whole.
    """

    def __init__(
        self,
        database: Database,
        *,
        key_prefix: str,
        organisation_id: str,
        max_queued: int,
        rule_failures: int,
        folder: Path | None = None,
    ) -> None:
        self.database = database
        self.session = database.session
        self.on_wait = database.on_wait
        self.on_message = database.on_message
        with database.session():
            self._vault = Vault.of(
                database.secrets_key,
                read_meta(database, KEY_CHECK),
                ledger=database.name,
                hint=database.backend.key_hint,
            )
            self._default_secret = self._vault.open(read_meta(database, "default_secret") or "", "default_secret")
        self.audit = Audit(database)
        self.audit_chain = AuditChain(database, self._vault.derive, HeadFile(folder) if folder else None)
        self.keys = Keys(database, key_prefix)
        self.users = Users(database)
        self.user_sessions = UserSessions(database)
        self.sessions = Sessions(database, self.keys)
        self.sign_in_flows = SignInFlows(database, self._vault)
        self.principals = Principals(self.keys, self.sessions, self.users, self.user_sessions)
        self.endpoints = Endpoints(database, self._vault)
        self.events = Events(database, self.endpoints, organisation_id)
        self.deliveries = Deliveries(database, self.endpoints, self.events, self._default_secret)
        pieces = Pieces(database)
        self.needed_objects = NeededObjects(database, pieces)
        self.removals = Removals(database, self.needed_objects)
        self.recordings = Recordings(database, self.events, self.removals, pieces)
        self.fetches = Fetches(database, self.recordings, self._vault)
        self.resumable_uploads = ResumableUploads(database, self.recordings, self.removals)
        self.clips = Clips(database, self.events, self.removals, max_queued)
        self.live = Live(database, self.recordings, self.clips)
        self.uploads = Uploads(database, self.clips)
        self.shares = Shares(database, self._vault)
        self.transcripts = Transcripts(database, self.events)
        self.spoken = Spoken(database)
        self.transcriptions = Transcriptions(database, self.events, self.transcripts, max_queued=max_queued)
        self.markers = Markers(database, self.events)
        self.rules = Rules(database, self.events, stop_after=rule_failures)
        of_rules = RuleBatches(database, self.transcripts, self.markers)
        self.rule_matching = RuleMatching(database, self.events, self.rules, of_rules)
        self.batches = Batches(database, self.rules)
        self.requested_batches = RequestedBatches(database)
        self.segment_lists = SegmentLists(database)
        self.watched = WatchedObjects(database)
        self.expiry = Expiry(database, self.clips, self.recordings, self.removals, self.events)
        self.retention = Retention(database)
        self.idempotency = Idempotency(database, self._vault)
        self.stats = Stats(database)
        self.storage_use = StorageUse(database)
        self.clip_limit = ClipLimit(database, self.clips, self.events, self.storage_use)
        self.engines = Engines(database)
        self.queue_order = QueueOrder(database, self.engines)
        self.commit_watermark = CommitWatermark(database)
        self.store_identity = StoreIdentityRecord(database)

    @classmethod
    def open(
        cls,
        location: Location,
        *,
        key_prefix: str,
        organisation_id: str,
        max_queued: int,
        rule_failures: int = RULE_FAILURES,
        folder: Path | None = None,
    ) -> Ledger:
        """Open the ledger at `location`, create it if it is missing, and migrate it to the newest schema.

        The data folder `folder` keeps the head of the audit log.

        Raises SchemaTooNew if a later version wrote it, SecretsKeyLost if the key of its secrets is missing, and
        StartupError if it is damaged, has lost commits, cannot be reached or is not a ledger.
        """
        database = open_database(location)
        try:
            ledger = cls(
                database,
                key_prefix=key_prefix,
                organisation_id=organisation_id,
                max_queued=max_queued,
                rule_failures=rule_failures,
                folder=folder,
            )
            with database.session():
                ledger.commit_watermark.check()
            return ledger
        except BaseException:
            database.close()
            raise

    @classmethod
    def of_settings(cls, settings: Settings) -> Ledger:
        """Open the ledger of an engine with these settings, see `open`."""
        return cls.open(
            location_of(settings),
            key_prefix=settings.auth.key_prefix,
            organisation_id=settings.server.organisation_id,
            max_queued=settings.limits.max_queued_clips,
            rule_failures=settings.limits.rule_failures,
            folder=settings.data.folder,
        )

    def close(self) -> None:
        """Close all idle connections. Open sessions of other threads close theirs when they end."""
        self.database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Make the calls of this thread inside the block atomic. Nested, it is a savepoint that can fail alone.

        The block holds the write lock: keep it short and do no I/O inside.
        """
        return self.database.transaction()

    def writing(self) -> AbstractContextManager[None]:
        """Make the calls inside the block atomic as `transaction`, without the order of engines that share the ledger.

        Rows that the block reads may change until it ends, unless they are locked, see `lock_order`.
        """
        return self.database.transaction(ordered=False)

    def check_writable(self) -> None:
        """Write a row to check that the ledger is writable. Raises StorageUnavailable or DiskFull."""
        now = str(now_ms())
        with self.database.transaction(durable=False, ordered=False):
            store_meta(self.database, "checked_at", now)

    @property
    def manifest_key(self) -> bytes:
        """The seed of the key that signs the manifests of clips. It changes with the key of the secrets."""
        return self._vault.derive("manifests of clips")

    def share_ready_clips(self, *, keep_ms: int | None) -> None:
        """From now on, create a share with each `clip.ready`, for its webhooks. It expires after `keep_ms`."""
        self.events.on_ready = lambda event_id, clip, hosts: self.shares.create_for_event(
            event_id, clip.clip_id, keep_ms=keep_ms, webhook_hosts=hosts
        )

    def transcribe_ahead(self, source: Transcriber, language: str | None) -> None:
        """From now on, queue a transcription of each recording with audio when it is complete."""

        def queue(recording: Recording) -> None:
            if recording.facts is not None and recording.facts.audio:
                self.transcriptions.add_ahead(recording.recording_id, source=source, language=language)

        self.recordings.on_complete = queue

    def index_missing(self) -> Iterator[int]:
        """Index the words and the folders of pieces of the rows that an older version wrote."""
        yield from self.clips.documents.add_missing()
        yield from self.recordings.documents.add_missing()
        yield from self.recordings.pieces.list_folders()

    def reset_far_future_due(self) -> int:
        """Make rows due now that are due later than any delay allows, and return their number.

        Their times come from a clock that has been set back since.
        """
        now = now_ms()
        waiting: list[tuple[type[Any], int, Any]] = [
            (ClipRow, _MAX_DELAY_MS, (ClipRow.status == "processing") & (ClipRow.step != "waiting")),
            (RecordingRow, _MAX_DELAY_MS, RecordingRow.state == "processing"),
            (FetchRow, _MAX_DELAY_MS, FetchRow.next_at > 0),
            (LiveRow, _MAX_DELAY_MS, LiveRow.next_at > 0),
            (TranscriptionRow, _MAX_DELAY_MS, TranscriptionRow.state == "processing"),
            (BatchRow, _MAX_DELAY_MS, BatchRow.ended_at.is_null()),
            (RemovalRow, _MAX_DELAY_MS, RemovalRow.next_at > 0),
            (DeliveryRow, _MAX_DELIVERY_DELAY_MS, DeliveryRow.status == "pending"),
        ]
        reset = 0
        for table, max_delay, is_waiting in waiting:
            far = (is_waiting, is_far(table.next_at, now + max_delay))
            if self.database.row(table.select(table.next_at).where(*far).limit(1)) is not None:
                reset += self.database.change(table.update(next_at=now).where(*far))
        return reset

    def on_change(self, listener: Callable[[str, str], None]) -> None:
        """Call `listener(kind, id)` for every change after its commit, on the thread that committed.

        `kind` is a `Kind`. A listener must be fast; its exceptions are logged.
        """
        self.database.on_change(listener)

    def follow(self, wakers: Wakers) -> None:
        """Notify the listeners of changes by other engines as well, until `close`.

        They are called with `("", "")` if notifications may have been lost, and must then read the rows again. Each of
        `wakers` is called when an engine notifies its channel.
        """
        self.database.follow(wakers)

    def default_secret(self) -> str:
        """Return the secret that signs deliveries to a clip's webhook_url. It is created with the ledger."""
        return self._default_secret
