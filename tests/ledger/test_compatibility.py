"""Engines of two schema versions on one PostgreSQL: which migrations run, and which engines may go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipengine.clips.clip import Clip
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

skip_without_postgres()
KINDS = ("postgres",)
Open = Callable[..., Ledger]
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


@pytest.fixture
def released(database_url: str, tmp_path: Path) -> Iterator[Database]:
    """The ledger of the release before this one, with a recording, and an engine that lives."""
    database = postgres_database(PostgresLocation(database_url, tmp_path / "secrets.key"))
    create_meta(database)
    migrate(database, MIGRATIONS[:PREVIOUS_RELEASE])
    database.run("DELETE FROM meta WHERE name = 'compatible_from'")  # 0.1.0 did not record it
    database.run(
        "INSERT INTO engines (engine_id, host, pid, beat_at) VALUES ('old', 'h', 7, ?)", (database.clock_ms(),)
    )
    for recording_id in ("rec_1", "rec_2"):
        database.run(
            "INSERT INTO recordings (recording_id, state, bucket_path, etag, file_size_bytes, created_at, metadata,"
            " attempts, next_at) VALUES (?, 'processing', 'a.mp4', 'e', 1, 1, '{}', 0, 1)",
            (recording_id,),
        )
    yield database
    database.close()


def _add_clip(database: Database, clip_id: str, state: str, owner: str | None = None) -> None:
    """Insert a clip as 0.1.0 does."""
    database.run(
        "INSERT INTO clips (clip_id, recording_id, label, start_seconds, end_seconds, state, object_key, created_at,"
        " progress, profile, priority, metadata, attempt, poster, crashes, next_at, owner)"
        " VALUES (?, 'rec_1', 'goal', 0, 1, ?, ?, 1, 0, 'default', 0, '{}', 1, TRUE, 0, 1, ?)",
        (clip_id, state, f"clips/goal-{clip_id}.mp4", owner),
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
    stricter = {(table, rule) for table, rule in _constraints(released) - rules if table in tables}
    # 0.1.0 writes the state `running`, which migration 35 skips before it is checked.
    assert {table for table, rule in stricter} == {"clips"}
    assert all("state" in rule for _, rule in stricter), stricter


def test_engines_of_the_release_before_live_through_the_migrations(released: Database, open_ledger: Open) -> None:
    new = open_ledger(at=_place(released))
    new.engines.beat("new")
    assert released.run("SELECT engine_id FROM engines ORDER BY 1") == [("new",), ("old",)]
    _add_clip(released, "clip_1", "queued")
    assert new.clips.get("clip_1").state == "queued"
    assert new.engines.waits_for_older()
    released.run("DELETE FROM engines WHERE engine_id = 'old'")
    assert not new.engines.waits_for_older()


def test_engine_of_0_1_0_claims_no_clip_and_no_recording_that_is_fetched(released: Database, open_ledger: Open) -> None:
    new = open_ledger(at=_place(released))
    _add_clip(released, "clip_1", "queued")
    released.run("INSERT INTO fetches VALUES ('rec_1', 'x', 1, 1, 0, NULL, 0)")
    claimed = "state = 'running', owner = 'old', attempt = attempt + 1"
    claim = f"UPDATE clips SET {claimed} WHERE state = 'queued' RETURNING 1"
    assert released.run(claim) == []
    probe = "UPDATE recordings SET owner = 'old', lease = lease + 1 WHERE owner IS NULL RETURNING recording_id"
    assert released.run(probe) == [("rec_2",)]
    taken = new.clips.claim("new")
    assert taken is not None
    assert taken.attempt == 2


def test_clips_that_0_1_0_cuts_are_queued_again_under_another_key(released: Database, open_ledger: Open) -> None:
    _add_clip(released, "clip_1", "running", owner="old")
    _add_clip(released, "clip_2", "running")
    released.run("UPDATE clips SET finished = '{}', cut_by = 'old' WHERE clip_id = 'clip_2'")
    new = open_ledger(at=_place(released))
    found = [new.clips.get(clip_id) for clip_id in ("clip_1", "clip_2")]
    assert [(clip.state, clip.object_key) for clip in found] == [
        ("queued", "clips/goal-clip_1-2.mp4"),
        ("queued", "clips/goal-clip_2-2.mp4"),
    ]
    assert set(new.removals.due()) == {f"clips/goal-clip_{n}.{end}" for n in (1, 2) for end in ("mp4", "jpg")}
    assert released.run("UPDATE clips SET progress = 0.5 WHERE state = 'running' RETURNING 1") == []


def _place(database: Database) -> PostgresLocation:
    return PostgresLocation(database.backend._url, database.secrets_key)  # type: ignore[attr-defined]
