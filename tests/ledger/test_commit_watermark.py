"""Commit watermark: a ledger that lost commits with its WAL is rejected, and any other is opened."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipengine.errors import StartupError
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening import commit_watermark
from clipengine.ledger.opening.backup import restore_backup, write_backup

Open = Callable[..., Ledger]


def killed(path: Path, folder: Path) -> Path:
    """Copy the ledger to another folder in the state that kill -9 would leave."""
    folder.mkdir()
    for file in path.parent.iterdir():
        if not file.name.endswith("-shm"):
            shutil.copyfile(file, folder / file.name)
    return folder / path.name


@pytest.fixture
def crashed(ledger: Ledger, path: Path, tmp_path: Path) -> Path:
    """A copy whose WAL contains a key."""
    ledger.commit_watermark.advance()
    ledger.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.keys.create("laptop")
    ledger.commit_watermark.advance()
    return killed(path, tmp_path / "crashed")


def names(ledger: Ledger) -> list[str]:
    return [key.name for key in ledger.keys.list()]


def test_ledger_opens_after_a_crash(crashed: Path, open_ledger: Open) -> None:
    ledger = open_ledger(at=crashed)
    assert names(ledger) == ["laptop"]
    ledger.close()
    assert names(open_ledger(at=crashed)) == ["laptop"]


def test_deleted_wal_is_noticed(crashed: Path, open_ledger: Open) -> None:
    wal = crashed.with_name("ledger.db-wal")
    kept = wal.read_bytes()
    wal.unlink()
    with pytest.raises(StartupError, match="is missing its latest commits") as caught:
        open_ledger(at=crashed)
    assert "ledger.db-wal" in caught.value.hint
    assert "restore FILE" in caught.value.hint
    wal.write_bytes(kept)
    assert names(open_ledger(at=crashed)) == ["laptop"]


def test_wal_that_another_tool_checkpointed_is_not_missed(crashed: Path, open_ledger: Open) -> None:
    with sqlite3.connect(crashed) as connection:
        assert connection.execute("SELECT name FROM api_keys").fetchall() == [("laptop",)]
    connection.close()
    assert not crashed.with_name("ledger.db-wal").exists()
    assert names(open_ledger(at=crashed)) == ["laptop"]


def test_engine_that_advances_the_watermark_meanwhile_is_no_loss(
    ledger: Ledger, path: Path, open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command opens the ledger of a running server."""
    read, running = commit_watermark.read_meta, [ledger]

    def read_slowly(*given: Any) -> str | None:
        found = read(*given)
        while running:
            running.pop().commit_watermark.advance()
        return found

    monkeypatch.setattr(commit_watermark, "read_meta", read_slowly)
    open_ledger(at=path)
    assert not running


def test_ledger_opens_after_the_watermark_is_deleted(crashed: Path, open_ledger: Open) -> None:
    crashed.with_name("ledger.db-wal").unlink()
    crashed.with_name("ledger.db-mark").unlink()
    ledger = open_ledger(at=crashed)
    assert names(ledger) == []
    ledger.commit_watermark.advance()
    ledger.commit_watermark.check()


@pytest.mark.parametrize("spoilt", [b"", b"\0" * 21, b"99", b"9" * 5000])
def test_damaged_watermark_is_ignored(crashed: Path, open_ledger: Open, spoilt: bytes) -> None:
    crashed.with_name("ledger.db-mark").write_bytes(spoilt)
    assert names(open_ledger(at=crashed)) == ["laptop"]


def test_older_copy_is_rejected_but_a_backup_is_not(
    ledger: Ledger, path: Path, open_ledger: Open, tmp_path: Path
) -> None:
    ledger.commit_watermark.advance()
    write_backup(path, tmp_path / "backup")
    older = killed(path, tmp_path / "older")
    ledger.keys.create("laptop")
    ledger.commit_watermark.advance()
    ledger.close()
    newest = killed(path, tmp_path / "newest")
    for name in ("ledger.db", "ledger.db-wal"):
        if older.with_name(name).exists():
            shutil.copyfile(older.with_name(name), newest.with_name(name))
    with pytest.raises(StartupError, match="is missing"):
        open_ledger(at=newest)
    _, aside = restore_backup(tmp_path / "backup", newest, replace=True)
    assert aside is not None
    assert (aside / "ledger.db-mark").exists()
    assert names(open_ledger(at=newest)) == []


def test_missing_ledger_is_not_recreated_beside_its_watermark(ledger: Ledger, path: Path, open_ledger: Open) -> None:
    ledger.commit_watermark.advance()
    ledger.close()
    path.unlink()
    with pytest.raises(StartupError, match=r"ledger.db is missing, but ledger.db-mark is still there"):
        open_ledger()
    assert not path.exists()
