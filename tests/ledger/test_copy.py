"""Copy of a ledger to PostgreSQL: complete, into an empty database only, and undone by any error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clipengine.clips.clip import Clip
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.errors import SecretsKeyLost, SettingsError, StartupError
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.database.schema import TABLES
from clipengine.ledger.engines.fences import FENCE_MS
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening import copy as copy_module
from clipengine.ledger.opening.location import copy_to_postgres
from tests.support.postgres import skip_without_postgres

skip_without_postgres()
Open = Callable[..., Ledger]


@pytest.fixture
def filled(path: Path, ledger: Ledger, queue: Callable[..., Clip]) -> Path:
    """A closed ledger with rows in every table that an engine fills, and with deleted rows at the end of some."""
    endpoint = ledger.endpoints.create("https://a.test", ["clip.failed"], "secret of an endpoint")
    for label in ("ä 'quoted' \t\\N", "second", "third"):
        ledger.clips.cancel(queue(label, webhook_url="https://own.test/").clip_id)
    (claimed,) = ledger.deliveries.claim_due(limit=1)
    ledger.deliveries.record(claimed, outcome="delivered", status_code=200, error=None, duration_ms=12)
    key, _ = ledger.keys.create("laptop")
    ledger.sessions.begin(key)
    ledger.engines.beat("inst_dead")
    ledger.removals.add("left.mp4")
    ledger.database.run("DELETE FROM events WHERE seq = (SELECT MAX(seq) FROM events)")
    assert ledger.endpoints.get(endpoint.webhook_id).enabled
    ledger.close()
    return path


def _rows(ledger: Ledger) -> dict[str, list[Any]]:
    return {
        model._meta.table_name: sorted(ledger.database.rows(model.select()), key=repr)
        for model in TABLES
        if model._meta.table_name != "meta"
    }


def _mark(ledger: Path) -> Path:
    return ledger.with_name("ledger.db-moved")


def test_copied_ledger_has_the_same_rows_and_secrets(filled: Path, open_ledger: Open, database_url: str) -> None:
    target = PostgresLocation(database_url, filled.with_name("secrets.key"))
    copied = copy_to_postgres(filled, target)
    with pytest.raises(StartupError, match=r"was copied to the database test_.* and is not used any more") as refused:
        open_ledger(at=filled)
    assert f"delete {_mark(filled)}" in refused.value.hint
    _mark(filled).unlink()
    source, ledger = open_ledger(at=filled), open_ledger(at=target)
    assert _rows(ledger) == _rows(source)
    assert [(name, count) for name, count, _ in copied if name != "meta"] == [
        (name, len(rows)) for name, rows in _rows(source).items()
    ]
    assert ledger.default_secret() == source.default_secret()
    (endpoint,) = ledger.endpoints.list()
    assert endpoint.secrets(0) == source.endpoints.get(endpoint.webhook_id).secrets(0) == ["secret of an endpoint"]


def test_copied_clip_with_a_new_option_is_hidden_from_0_2_0(
    path: Path, ledger: Ledger, queue: Callable[..., Clip], open_ledger: Open, database_url: str
) -> None:
    clip = queue(subtitles="burn", caption_style=CaptionStyle(name="box"))
    ledger.close()
    target = PostgresLocation(database_url, path.with_name("secrets.key"))
    copy_to_postgres(path, target)
    copied = open_ledger(at=target)
    ((due,),) = copied.database.run("SELECT next_at FROM clips")
    assert due > FENCE_MS
    claimed = copied.clips.claim("me")
    assert claimed is not None
    assert claimed.clip_id == clip.clip_id


def test_copied_ledger_never_reuses_the_number_of_a_deleted_event(
    filled: Path, open_ledger: Open, database_url: str
) -> None:
    target = PostgresLocation(database_url, filled.with_name("secrets.key"))
    copy_to_postgres(filled, target)
    _mark(filled).unlink()
    numbers = []
    for location in (filled, target):
        ledger = open_ledger(at=location)
        ledger.recordings.register("other.mp4", etag="e", size=1)
        probe = ledger.recordings.claim_probe("me")
        assert probe
        assert ledger.recordings.probe_failed(probe, StartupError("no"))
        numbers.append(ledger.events.last_seq())
        ledger.removals.add("new.mp4")
    assert numbers == [5, 5]  # the recording, three clips, of which the last was deleted, and this one


def test_database_that_has_tables_is_refused(filled: Path, database_url: str) -> None:
    target = PostgresLocation(database_url, filled.with_name("secrets.key"))
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE other (name TEXT)")
    with pytest.raises(StartupError, match=r"is not empty: it contains 1 tables \(other") as refused:
        copy_to_postgres(filled, target)
    assert "new database" in refused.value.hint
    assert _tables(database_url) == ["other"]


@pytest.mark.parametrize("table", ["recordings", "delivery_attempts"])
def test_copy_that_differs_is_undone(
    filled: Path, database_url: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trigger stands for a defect of the copy: it changes each row on its way."""
    create_tables = copy_module._create_empty_tables

    def create_with_defect(target: Any) -> None:
        create_tables(target)
        name = "bucket_path" if table == "recordings" else "outcome"
        body = f"BEGIN NEW.{name} := $text$changed$text$; RETURN NEW; END"
        target.run(f"CREATE FUNCTION pg_temp.defect() RETURNS trigger LANGUAGE plpgsql AS '{body}'")
        target.run(f"CREATE TRIGGER defect BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION pg_temp.defect()")

    monkeypatch.setattr(copy_module, "_create_empty_tables", create_with_defect)
    with pytest.raises(StartupError, match=f"the copy of the table {table} differs from the ledger"):
        copy_to_postgres(filled, PostgresLocation(database_url, filled.with_name("secrets.key")))
    assert _tables(database_url) == []


def test_row_that_postgres_rejects_is_reported_and_undoes_the_copy(
    filled: Path, open_ledger: Open, database_url: str
) -> None:
    ledger = open_ledger(at=filled)
    ledger.database.run("UPDATE clips SET priority = 'high'")
    ledger.close()
    with pytest.raises(StartupError, match=r"the table clips cannot be copied to .*type integer"):
        copy_to_postgres(filled, PostgresLocation(database_url, filled.with_name("secrets.key")))
    assert _tables(database_url) == []


def test_nul_of_an_older_version_is_replaced_in_the_copy(filled: Path, open_ledger: Open, database_url: str) -> None:
    """Row 84 of the faults."""
    ledger = open_ledger(at=filled)
    ledger.database.run("UPDATE clips SET label = 'nul' || char(0), metadata = ?", ('{"a": "b\\u0000c"}',))
    ledger.database.run("UPDATE events SET payload = REPLACE(payload, 'second', 'nul\\u0000')")
    ledger.close()
    target = PostgresLocation(database_url, filled.with_name("secrets.key"))
    copy_to_postgres(filled, target)
    copied = open_ledger(at=target)
    clips = copied.clips.list(ClipFilter(limit=10)).data
    assert {(clip.label, clip.metadata["a"]) for clip in clips} == {("nul\ufffd", "b\0c")}
    assert [(each.code, each.clips) for each in copied.stats.failures(0)] == [("cancelled", 2)]


def test_copy_without_the_secrets_key_is_refused(filled: Path, database_url: str) -> None:
    key = filled.with_name("secrets.key")
    key.unlink()
    with pytest.raises(SecretsKeyLost):
        copy_to_postgres(filled, PostgresLocation(database_url, key))
    assert _tables(database_url) == []
    assert not key.exists()


def test_copy_to_an_unreachable_or_invalid_url_is_reported(filled: Path) -> None:
    key = filled.with_name("secrets.key")
    with pytest.raises(StartupError, match=r"cannot be copied to the database clips at 127\.0\.0\.1") as refused:
        copy_to_postgres(filled, PostgresLocation("postgresql://u:hidden@127.0.0.1:1/clips", key))
    assert "hidden" not in str(refused.value)
    with pytest.raises(SettingsError):
        copy_to_postgres(filled, PostgresLocation("postgresql://h:port/clips?no=1", key))


def _tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return [name for (name,) in found]
