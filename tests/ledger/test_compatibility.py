"""Engines of two schema versions on one PostgreSQL: which migrations run, and which engines may go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.clips.clip import Clip
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.request import ClipRequest
from clipengine.errors import SchemaTooNew, StartupError, StorageUnavailable
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.database.compatibility import LEASE_MS, schema_version
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import MIGRATIONS, PREVIOUS_RELEASE, create_meta, migrate
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.location import inspect, is_current
from clipengine.ledger.opening.postgres_open import postgres_database
from tests.support.newer_engine import contract, expand
from tests.support.postgres import skip_without_postgres
from tests.support.waiting import until

skip_without_postgres()
KINDS = ("postgres",)
Open = Callable[..., Ledger]
OLDER_RELEASE = 13  # migrations of 0.1.0
NOW, NEXT = len(MIGRATIONS), len(MIGRATIONS) + 1


def test_engines_continue_and_may_start_after_a_migration_that_expands(
    ledger: Ledger, open_ledger: Open, place: PostgresLocation, queue: Callable[..., Clip]
) -> None:
    ledger.engines.beat("old")
    assert ledger.engines.check_schema() == f"version {NOW}"
    assert migrate(ledger.database, (*MIGRATIONS, expand), NOW) == NEXT
    ledger.database.supported_schema = NOW  # it is still the old engine
    ledger.engines.beat("old")
    assert ledger.clips.get(queue().clip_id).state == "queued"
    assert ledger.engines.check_schema().startswith(f"version {NEXT} of a newer engine; this one supports up to {NOW}")
    again = open_ledger()
    again.engines.beat("restarted")
    assert is_current(place)
    assert f"schema version {NEXT}" in inspect(place)


def test_migration_that_contracts_waits_for_older_engines(ledger: Ledger, place: PostgresLocation) -> None:
    ledger.engines.beat("old")
    with pytest.raises(StartupError, match=rf"version {NEXT}.* pid \d+") as refused:
        migrate(ledger.database, (*MIGRATIONS, contract), NEXT)
    assert "one release after the other" in refused.value.hint
    assert schema_version(ledger.database) == NOW
    ledger.engines.remove("old")
    assert migrate(ledger.database, (*MIGRATIONS, contract), NEXT) == NEXT
    with pytest.raises(SchemaTooNew, match=str(NEXT)):
        inspect(place)
    with pytest.raises(SchemaTooNew):
        migrate(ledger.database)


def test_engine_that_missed_a_contraction_may_not_go_on(ledger: Ledger) -> None:
    """It was frozen or disconnected for longer than its lease while a newer engine migrated."""
    ledger.engines.beat("frozen")
    ledger.database.run("UPDATE engines SET beat_at = beat_at - ?", (LEASE_MS + 1000,))
    migrate(ledger.database, (*MIGRATIONS, contract), NEXT)
    ledger.database.supported_schema = NOW
    with pytest.raises(SchemaTooNew):
        ledger.engines.beat("frozen")
    with pytest.raises(SchemaTooNew):
        ledger.engines.check_schema()


def test_engine_that_starts_during_a_contraction_finds_that_it_is_too_old(ledger: Ledger, open_ledger: Open) -> None:
    migrating, go_on = threading.Event(), threading.Event()

    def slow_contract(database: Database) -> None:
        contract(database)
        migrating.set()
        go_on.wait(300)

    late = open_ledger()
    newer = threading.Thread(target=migrate, args=(ledger.database, (*MIGRATIONS, slow_contract), NEXT))
    newer.start()
    assert migrating.wait(300)
    failed: list[Exception] = []

    def start() -> None:
        try:
            late.engines.beat("late")
        except (SchemaTooNew, StorageUnavailable) as error:
            failed.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    starting.join(0.3)
    assert starting.is_alive()  # it waits for the migration
    go_on.set()
    newer.join()
    starting.join()
    assert [type(error) for error in failed] == [SchemaTooNew]
    assert ledger.database.run("SELECT engine_id FROM engines") == []


def test_transaction_that_needs_two_tables_lives_through_a_migration(ledger: Ledger, open_ledger: Open) -> None:
    def rename_both(database: Database) -> None:
        contract(database)  # of events
        expand(database)  # of clips

    older = open_ledger().database
    migrating = threading.Thread(target=migrate, args=(ledger.database, (*MIGRATIONS, rename_both), NOW))
    with older.transaction(ordered=False):
        older.run("UPDATE clips SET label = label")
        migrating.start()
        until(  # outside of the transaction, which would see the same statistics each time
            lambda: ledger.database.run(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )
        older.run("UPDATE events SET created_at = created_at")  # until here, the migration held this table
    migrating.join()
    assert schema_version(ledger.database) == NEXT


@pytest.fixture
def released(database_url: str, tmp_path: Path) -> Iterator[Database]:
    """The ledger of the release before this one, with a recording, and an engine that lives."""
    database = postgres_database(PostgresLocation(database_url, tmp_path / "secrets.key"))
    create_meta(database)
    migrate(database, MIGRATIONS[:PREVIOUS_RELEASE], OLDER_RELEASE)
    _add_engine(database, PREVIOUS_RELEASE)
    for recording_id in ("rec_1", "rec_2"):
        database.run(
            "INSERT INTO recordings (recording_id, state, bucket_path, etag, file_size_bytes, created_at, metadata,"
            " attempts, next_at) VALUES (?, 'complete', 'a.mp4', 'e', 1, 1, '{}', 0, 1)",
            (recording_id,),
        )
    yield database
    database.close()


def _add_engine(database: Database, supported: int) -> None:
    now = database.clock_ms()
    database.run(
        "INSERT INTO engines (engine_id, host, pid, beat_at, schema_version) VALUES ('old', 'h', 7, ?, ?)",
        (now, supported),
    )


def _shape(database: Database) -> dict[tuple[str, str], tuple[str, bool, bool]]:
    """Return the type of each column, whether it may be null, and whether an INSERT may leave it out."""
    rows = database.run(
        "SELECT table_name, column_name, data_type, is_nullable = 'YES', is_nullable = 'YES' OR column_default IS NOT "
        "NULL OR is_identity = 'YES' OR is_generated = 'ALWAYS' FROM information_schema.columns "
        "WHERE table_schema = current_schema()"
    )
    return {(table, column): (kind, null, optional) for table, column, kind, null, optional in rows}


def _constraints(database: Database) -> set[tuple[str, str]]:
    """Return the table and definition of each CHECK, foreign key and unique index."""
    checks = "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype IN ('c', 'f')"
    unique = "SELECT tablename, regexp_replace(indexdef, ' INDEX [^ ]+ ', ' ') FROM pg_indexes"
    return {*database.run(f"{checks} AND connamespace = current_schema()::regnamespace")} | {
        *database.run(f"{unique} WHERE schemaname = current_schema() AND starts_with(indexdef, 'CREATE UNIQUE')")
    }


def test_migrations_of_a_release_only_expand_the_schema_of_the_release_before(released: Database) -> None:
    before, rules = _shape(released), _constraints(released)
    migrate(released)
    after = _shape(released)
    assert {column: after.get(column) for column in before} == before
    tables = {table for table, _ in before}
    added = {column: kind for column, kind in after.items() if column not in before and column[0] in tables}
    assert [column for column, (_, _, optional) in added.items() if not optional] == []
    assert {(table, rule) for table, rule in _constraints(released) - rules if table in tables} == set()


def test_engines_of_the_release_before_live_through_the_migrations(released: Database, open_ledger: Open) -> None:
    new = open_ledger(at=_place(released))
    new.engines.beat("new")
    assert released.run("SELECT engine_id FROM engines ORDER BY 1") == [("new",), ("old",)]


def test_engine_that_is_older_than_the_release_before_is_refused(released: Database, open_ledger: Open) -> None:
    """0.1.0 lives beside 0.2.0, which may be. This version does not start beside it."""
    released.run("UPDATE engines SET schema_version = ?", (OLDER_RELEASE,))
    with pytest.raises(StartupError, match=rf"do not support version {PREVIOUS_RELEASE}: h pid 7"):
        open_ledger(at=_place(released))
    assert schema_version(released) == PREVIOUS_RELEASE
    released.run("DELETE FROM engines")
    open_ledger(at=_place(released)).close()
    with pytest.raises(SchemaTooNew):
        migrate(released, MIGRATIONS[:OLDER_RELEASE], OLDER_RELEASE)


NEW = {"caption_style": CaptionStyle(name="word"), "subtitles": "burn"}
# What 0.2.0 does with the row of a clip: it looks for the next one, and queues one whose engine died, that a person
# retries, or whose recording has been written.
OLD_CLAIM = (
    "SELECT clip_id FROM clips WHERE state = 'queued' AND next_at <= ? ORDER BY priority DESC, created_at, clip_id"
)
OLD_QUEUES = "UPDATE clips SET state = 'queued', step = 'queued', owner = NULL, finished = NULL, next_at = ?"


@pytest.fixture
def shared(released: Database, open_ledger: Open) -> Ledger:
    return open_ledger(at=_place(released))


def _queue(ledger: Ledger, **options: Any) -> Clip:
    request = ClipRequest("goal", 0.0, 1.0, **options)
    return ledger.clips.create(ledger.recordings.get("rec_1"), request, extension="mp4")


def test_0_2_0_finds_no_clip_with_a_new_option_and_all_others(shared: Ledger, released: Database) -> None:
    new, plain = _queue(shared, priority=1, **NEW), _queue(shared)
    assert released.run(OLD_CLAIM, (released.clock_ms(),)) == [(plain.clip_id,)]
    claimed = shared.clips.claim("new")
    assert claimed is not None
    assert claimed.clip_id == new.clip_id


@pytest.mark.parametrize("state", ["queued", "cutting", "failed"])
def test_clip_with_a_new_option_that_0_2_0_queues_stays_hidden_from_it(
    shared: Ledger, released: Database, state: str
) -> None:
    clip = _queue(shared, **NEW)
    released.run("UPDATE clips SET state = ?, owner = 'dead' WHERE clip_id = ?", (state, clip.clip_id))
    released.run(OLD_QUEUES, (released.clock_ms(),))
    assert released.run(OLD_CLAIM, (released.clock_ms(),)) == []
    assert shared.clips.is_due()
    claimed = shared.clips.claim("new")
    assert claimed is not None
    assert claimed.caption_style == NEW["caption_style"]


def test_0_2_0_makes_a_clip_with_a_new_option_due_when_its_clock_was_set_back(
    shared: Ledger, released: Database
) -> None:
    """At its start, it resets all times that are far in the future."""
    _queue(shared, **NEW)
    released.run("UPDATE clips SET next_at = ? WHERE next_at > ?", (now := released.clock_ms(), now))
    assert released.run(OLD_CLAIM, (released.clock_ms(),)) == []
    assert shared.clips.claim("new") is not None


def test_live_recording_that_this_version_refreshes_is_never_due_to_0_2_0(shared: Ledger, released: Database) -> None:
    growth = '{"tracks": [], "times": ["0", "0", "0"]}'
    for recording_id, needs in (("rec_1", 1), ("rec_2", 2)):
        released.run(
            "INSERT INTO live_recordings (recording_id, growth, next_at, lease, wanted_at, ending, needs)"
            " VALUES (?, ?, 1, 0, 1, FALSE, ?)",
            (recording_id, growth, needs),
        )
    due = "SELECT recording_id FROM live_recordings WHERE owner IS NULL AND next_at <= ?"
    assert released.run(due, (released.clock_ms(),)) == [("rec_1",)]
    released.run("UPDATE live_recordings SET next_at = ?, wanted_at = ?", (1, 1))  # somebody asks 0.2.0 for it
    assert released.run(due, (released.clock_ms(),)) == [("rec_1",)]
    found = [shared.live.claim("new"), shared.live.claim("new")]
    assert {each and each.recording.recording_id for each in found} == {"rec_1", "rec_2"}


def test_revision_increases_when_0_2_0_changes_a_clip(shared: Ledger, released: Database) -> None:
    clip = _queue(shared)
    released.run("UPDATE clips SET progress = 0.5")
    assert shared.clips.get(clip.clip_id).revision == clip.revision + 1
    assert shared.clips.update(clip.clip_id, {"priority": 3}, {}).revision == clip.revision + 2


def _place(database: Database) -> PostgresLocation:
    return PostgresLocation(database.backend._url, database.secrets_key)  # type: ignore[attr-defined]
