"""Engines of two schema versions on one PostgreSQL: which migrations run, and which engines may go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clipengine.clips.clip import Clip
from clipengine.errors import SchemaTooNew, StartupError, StorageUnavailable
from clipengine.ledger.database import migrations as migrations_module
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.database.compatibility import LEASE_MS, schema_version
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import EXPANDING, MIGRATIONS, create_meta, migrate
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.location import inspect, is_current
from clipengine.ledger.opening.postgres_open import postgres_database
from tests.support.newer_engine import contract, expand
from tests.support.postgres import skip_without_postgres

skip_without_postgres()
KINDS = ("postgres",)
Open = Callable[..., Ledger]
NOW, NEXT = len(MIGRATIONS), len(MIGRATIONS) + 1


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations_module, "EXPANDING", EXPANDING | {expand})


def test_engines_continue_and_may_start_after_a_migration_that_expands(
    ledger: Ledger, open_ledger: Open, place: PostgresLocation, queue: Callable[..., Clip]
) -> None:
    ledger.engines.beat("old")
    assert ledger.engines.check_schema() == f"version {NOW}"
    assert migrate(ledger.database, (*MIGRATIONS, expand)) == NEXT
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
    with pytest.raises(StartupError, match=rf"schema version {NEXT}.* pid \d+") as refused:
        migrate(ledger.database, (*MIGRATIONS, contract))
    assert "Stop these engines" in refused.value.hint
    assert schema_version(ledger.database) == NOW
    ledger.engines.remove("old")
    assert migrate(ledger.database, (*MIGRATIONS, contract)) == NEXT
    with pytest.raises(SchemaTooNew, match=str(NEXT)):
        inspect(place)
    with pytest.raises(SchemaTooNew):
        migrate(ledger.database)


def test_engine_that_missed_a_contraction_may_not_go_on(ledger: Ledger) -> None:
    """It was frozen or disconnected for longer than its lease while a newer engine migrated."""
    ledger.engines.beat("frozen")
    ledger.database.run("UPDATE engines SET beat_at = beat_at - ?", (LEASE_MS + 1000,))
    migrate(ledger.database, (*MIGRATIONS, contract))
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
        go_on.wait(10)

    late = open_ledger()
    newer = threading.Thread(target=migrate, args=(ledger.database, (*MIGRATIONS, slow_contract)))
    newer.start()
    assert migrating.wait(10)
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


def test_ledger_of_the_previous_schema_is_migrated_while_its_engines_live(
    database_url: str, open_ledger: Open, tmp_path: Path
) -> None:
    """The last migration and the one before, as released."""
    place = PostgresLocation(database_url, tmp_path / "secrets.key")
    before = postgres_database(place)
    create_meta(before)
    migrate(before, MIGRATIONS[:-1])
    columns = "INSERT INTO engines (engine_id, host, pid, beat_at) VALUES ('old', 'h', 7, ?)"
    before.run(columns, (before.clock_ms(),))
    if MIGRATIONS[-1] in EXPANDING:
        open_ledger(at=place).engines.beat("new")
        found = before.run("SELECT engine_id, schema_version FROM engines ORDER BY 1")
        assert found[0] == ("new", NOW)
        assert found[1][1] < NOW
    else:
        with pytest.raises(StartupError, match="h pid 7"):
            open_ledger(at=place)
    before.close()
