"""The ledger file: atomic creation, migrations, and rejection of damaged, newer and foreign files."""

from __future__ import annotations

import re
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipengine.errors import SchemaTooNew, StartupError, StorageUnavailable
from clipengine.ledger.database.compatibility import schema_version
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import MIGRATIONS, create_meta, migrate
from clipengine.ledger.database.schema import TABLES, MetaRow
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.file import file_database, open_file

Open = Callable[..., Ledger]


def test_new_file_is_readable_by_its_owner_only(ledger: Ledger, path: Path) -> None:
    ledger.check_writable()
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "ledger.db",
        "ledger.db-shm",
        "ledger.db-wal",
        "secrets.key",
    ]
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_mode_of_a_file_that_others_may_read_is_corrected(ledger: Ledger, open_ledger: Open, path: Path) -> None:
    path.chmod(0o644)
    open_ledger()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_reopened_ledger_contains_everything(ledger: Ledger, open_ledger: Open) -> None:
    key, text = ledger.keys.create("laptop")
    secret = ledger.default_secret()
    ledger.close()
    again = open_ledger()
    found = again.keys.verify(text)
    assert found is not None
    assert found.key_id == key.key_id
    assert again.default_secret() == secret
    assert secret.startswith("whsec_")


def test_concurrent_first_opens_create_one_file(open_ledger: Open, path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ledgers = [future.result() for future in [pool.submit(open_ledger) for _ in range(8)]]
    assert len({ledger.default_secret() for ledger in ledgers}) == 1
    assert not list(path.parent.glob("*.new"))


@pytest.mark.usefixtures("path")
def test_connections_have_the_expected_pragmas(ledger: Ledger) -> None:
    database = ledger.database
    with ledger.session():
        values = {
            name: database.run(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "foreign_keys")
        }
        assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
        assert database.run("PRAGMA busy_timeout")[0][0] == 10_000


@pytest.mark.parametrize("content", [b"", b"x", b"SQLite format 3\x00", b"<html>" * 100, b"\0" * 8192])
def test_file_that_is_not_a_database_is_rejected_and_unchanged(open_ledger: Open, path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StartupError) as caught:
        open_ledger()
    assert "backup" in caught.value.hint
    assert path.read_bytes() == content


def test_file_with_damaged_pages_is_rejected(ledger: Ledger, open_ledger: Open, path: Path) -> None:
    ledger.close()
    header = path.read_bytes()[:100]
    path.write_bytes(header + b"\xff" * (path.stat().st_size - 100))
    with pytest.raises(StartupError):
        open_ledger()


@pytest.mark.parametrize("share", [0.999, 0.5, 0.1])
def test_truncated_file_is_rejected(ledger: Ledger, open_ledger: Open, path: Path, share: float) -> None:
    ledger.keys.create("laptop")
    ledger.close()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    before = path.read_bytes()
    with pytest.raises(StartupError):
        open_ledger()
    assert path.read_bytes() == before


def test_file_with_pages_in_the_wal_is_opened_after_a_crash(
    ledger: Ledger, open_ledger: Open, path: Path, tmp_path: Path
) -> None:
    _, text = ledger.keys.create("laptop")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("ledger.db", "ledger.db-wal", "secrets.key"):  # copied while it is open, as a power cut would leave it
        shutil.copyfile(path.with_name(name), crashed / name)
    assert open_ledger(at=crashed / "ledger.db").keys.verify(text)


def test_truncated_file_with_a_wal_is_rejected(ledger: Ledger, open_ledger: Open, path: Path, tmp_path: Path) -> None:
    ledger.keys.create("laptop")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for tail in ("", "-wal"):
        shutil.copyfile(f"{path}{tail}", crashed / f"ledger.db{tail}")
    content = (crashed / "ledger.db").read_bytes()
    (crashed / "ledger.db").write_bytes(content[: len(content) // 2])
    with pytest.raises(StartupError):
        open_ledger(at=crashed / "ledger.db")


def test_file_that_grows_while_it_is_opened_is_not_damaged(ledger: Ledger, open_ledger: Open) -> None:
    ended = threading.Event()

    def grow() -> None:
        while not ended.is_set():
            ledger.keys.create("laptop" * 30)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        for _ in range(30):
            open_ledger().close()
    finally:
        ended.set()
        writer.join()


def test_wal_without_its_file_is_rejected(open_ledger: Open, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("ledger.db-wal").write_bytes(b"what is left")
    with pytest.raises(StartupError, match="missing"):
        open_ledger()
    assert not path.exists()


def test_folder_in_place_of_the_file_is_rejected(open_ledger: Open, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StartupError):
        open_ledger()


def test_database_of_another_program_is_rejected(open_ledger: Open, path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE meta (name TEXT, value TEXT)")
    other.execute("CREATE TABLE songs (title TEXT)")
    other.commit()
    other.close()
    with pytest.raises(StartupError, match="not a ledger"):
        open_ledger()


def test_newer_schema_is_rejected(ledger: Ledger, open_ledger: Open, path: Path) -> None:
    ledger.database.run("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    ledger.close()
    with pytest.raises(SchemaTooNew, match="99"):
        open_ledger()


def _add_colour(database: Database) -> None:
    database.run("ALTER TABLE api_keys ADD COLUMN colour TEXT")


def _fail_halfway(database: Database) -> None:
    database.run("CREATE TABLE half (done TEXT)")
    raise RuntimeError("the power went out")


def test_file_of_schema_version_1_is_migrated(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    database = file_database(path)
    create_meta(database)
    assert migrate(database, MIGRATIONS[:1]) == 1
    database.run("INSERT INTO api_keys VALUES ('key_1', 'laptop', '[]', '', 1, NULL, NULL)")
    _clip_of_version_1(database, "clip_1", seconds=600)
    _clip_of_version_1(database, "clip_2", seconds=601)

    newer = (*MIGRATIONS, _add_colour)
    with pytest.raises(RuntimeError):
        migrate(database, (*newer, _fail_halfway))
    assert schema_version(database) == 1  # the migrations before it are undone too
    assert database.run("SELECT name FROM sqlite_master WHERE name IN ('half', 'sessions')") == []

    assert migrate(database, newer) == len(newer)
    assert database.run("SELECT name, colour FROM api_keys") == [("laptop", None)]
    assert database.run("SELECT clip_id, long FROM clips ORDER BY clip_id") == [("clip_1", 0), ("clip_2", 1)]
    database.close()

    with pytest.raises(SchemaTooNew):
        open_file(path)


def _clip_of_version_1(database: Database, clip_id: str, *, seconds: float) -> None:
    database.run(
        "INSERT OR IGNORE INTO recordings VALUES ('rec_1', 'complete', 'a.mp4', 'e', 1, 1, 1, NULL, '{}', NULL, NULL,"
        " NULL, 0, 1)"
    )
    database.run(
        "INSERT INTO clips VALUES (?, 'rec_1', 'goal', 0, ?, 'queued', 'a', 1, NULL, 0, 'queued', 'default', 0, '{}',"
        " 0, NULL, NULL, 1, NULL, NULL, 0, 1)",
        (clip_id, seconds),
    )


@pytest.mark.usefixtures("path")
def test_models_match_the_migrated_tables(ledger: Ledger) -> None:
    database = ledger.database
    made = {
        row[0]
        for row in database.run("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        if not re.search("_(words|said)(_[a-z]+)?$", row[0])  # of the index
    }
    assert made == {model._meta.table_name for model in TABLES}
    for model in TABLES:
        # table_xinfo, unlike table_info, shows generated columns: (cid, name, type, notnull, default, pk, hidden)
        columns = {row[1]: row for row in database.run(f"PRAGMA table_xinfo({model._meta.table_name})")}
        assert set(columns) == set(model._meta.fields)
        for name, field in model._meta.fields.items():
            required = bool(columns[name][3] or columns[name][5] or columns[name][6])
            assert required == (not field.null), f"{model._meta.table_name}.{name}"


@pytest.mark.parametrize("left", ["nothing", "empty folder", "a copy"])
def test_moved_file_accepts_no_writes_and_is_not_recreated(path: Path, left: str) -> None:
    database = open_file(path)
    aside = path.parent.with_name("aside")
    path.parent.rename(aside)
    if left == "empty folder":
        path.parent.mkdir()
    elif left == "a copy":
        shutil.copytree(aside, path.parent)
    before = list(path.parent.glob("*"))
    with pytest.raises(StorageUnavailable, match=str(path)) as raised, database.transaction():
        pass
    assert "Move the data folder back" in raised.value.hint
    assert database.row(MetaRow.select()) is not None  # by an open connection
    with database.session(), ThreadPoolExecutor(1) as another, pytest.raises(StorageUnavailable):
        another.submit(database.row, MetaRow.select()).result()  # by a new connection
    assert list(path.parent.glob("*")) == before
    shutil.rmtree(path.parent, ignore_errors=True)
    aside.rename(path.parent)
    with database.transaction():
        database.insert(MetaRow.insert(name="after", value="1"))
    database.close()
