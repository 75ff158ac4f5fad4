"""Sessions, transactions, locked files, full disks, and notification of listeners."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipengine.clips.clip import Clip
from clipengine.errors import DiskFull, Internal, QueueFull, StorageUnavailable
from clipengine.ledger.database.database import Database
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.file import file_database
from tests.support.full_disk import disk, fill, free

pytestmark = pytest.mark.proof

Queue = Callable[..., Clip]


@pytest.fixture
def impatient(ledger: Ledger, path: Path) -> Iterator[Database]:
    """The same file, opened with a timeout of 0.3 s."""
    database = file_database(path, busy_seconds=0.3)
    yield database
    database.close()


@pytest.fixture
def other_writer(ledger: Ledger, path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of another program that holds the write lock."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_failed_transaction_changes_nothing(ledger: Ledger) -> None:
    def break_off() -> None:
        with ledger.transaction():
            ledger.keys.create("lost")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    with ledger.transaction():
        ledger.keys.create("kept")
    assert [key.name for key in ledger.keys.list()] == ["kept"]


def _add_and_fail(ledger: Ledger, key: str) -> None:
    with ledger.transaction():
        ledger.database.record_change("clip", key)
        ledger.removals.add(key)
        raise RuntimeError


def test_nested_transaction_fails_alone(ledger: Ledger) -> None:
    heard: list[tuple[str, str]] = []
    ledger.on_change(lambda kind, ident: heard.append((kind, ident)))
    ledger.on_message(lambda queue, ident: heard.append((queue, ident)))
    with ledger.transaction():
        ledger.database.record_change("clip", "clip_1")
        with pytest.raises(RuntimeError):
            _add_and_fail(ledger, "b")
    assert ledger.removals.due() == []
    assert heard == [("clip", "clip_1")]


def test_nested_sessions_share_one_connection(ledger: Ledger) -> None:
    database = ledger.database
    with ledger.session():
        outer = database._connections.connection()
        with ledger.session(), ledger.transaction():
            assert database._connections.connection() is outer
        assert database._connections.connection() is outer
    assert database._connections.is_closed()


def test_threads_do_not_share_a_connection(ledger: Ledger) -> None:
    database, seen = ledger.database, []
    together = threading.Barrier(4)

    def look() -> None:
        with ledger.session():
            together.wait(300)
            seen.append(id(database._connections.connection()))
            together.wait(300)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 4


def test_forked_child_cannot_use_the_ledger(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    with pytest.raises(Internal, match="another process"):
        ledger.keys.list()


def test_closed_ledger_is_unavailable(ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(StorageUnavailable, match="closed"):
        ledger.keys.list()


def test_listeners_are_notified_once_after_the_commit(ledger: Ledger) -> None:
    heard: list[tuple[str, str, int, bool]] = []

    def listen(kind: str, ident: str) -> None:
        in_transaction = ledger.database._connections.in_transaction()
        heard.append((kind, ident, len(ledger.removals.due()), in_transaction))

    ledger.on_change(listen)
    with ledger.session(), ledger.transaction():
        ledger.database.record_change("clip", "clip_1")
        ledger.removals.add("a")
        ledger.database.record_change("clip", "clip_1")
        assert heard == []
    assert heard == [("clip", "clip_1", 1, False)]


def test_message_is_sent_once_in_a_shared_transaction_and_otherwise_after_it(ledger: Ledger) -> None:
    sent: list[tuple[str, str, bool]] = []
    ledger.on_message(lambda queue, ident: sent.append((queue, ident, ledger.database.in_transaction)))
    with ledger.transaction():
        ledger.removals.add("a")
        ledger.removals.add("b")
        assert sent == []
    assert sent == [("removals", "due", ledger.database.shared)]


def test_rollback_discards_notifications_and_messages(ledger: Ledger) -> None:
    heard: list[str] = []
    ledger.on_change(lambda kind, ident: heard.append(ident))
    ledger.on_message(lambda queue, ident: heard.append(ident))
    with pytest.raises(RuntimeError):
        _add_and_fail(ledger, "a")
    ledger.removals.add("b")
    assert heard == ["due"]


def test_exception_of_a_listener_is_logged(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def fail(kind: str, ident: str) -> None:
        raise ValueError("no")

    ledger.on_change(fail)
    ledger.on_change(lambda kind, ident: heard.append(kind))
    with ledger.transaction():
        ledger.database.record_change("clip", "clip_1")
    assert heard == ["clip"]
    assert "a listener failed" in caplog.text


def test_locked_file_is_reported_as_unavailable(impatient: Database, other_writer: sqlite3.Connection) -> None:
    begun = time.monotonic()
    with pytest.raises(StorageUnavailable, match="busy"), impatient.transaction():
        pass
    assert 0.25 < time.monotonic() - begun < 9  # the default is 10 s
    # Reads succeed, and so do writes after the lock is released.
    assert impatient.run("SELECT count(*) FROM clips") == [(0,)]
    other_writer.execute("COMMIT")
    with impatient.transaction():
        impatient.run("DELETE FROM clips")


def test_waits_for_both_locks_share_one_timeout(impatient: Database, other_writer: sqlite3.Connection) -> None:
    took: list[float] = []

    def write() -> None:
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable), impatient.transaction():
            pass
        took.append(time.monotonic() - begun)

    threads = [threading.Thread(target=write) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 40
    assert max(took) < 10  # one after the other, they would wait for 12 s


def test_writers_wait_for_each_other(ledger: Ledger) -> None:
    def write(number: int) -> None:
        for turn in range(10):
            ledger.removals.add(f"{number}/{turn}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.removals.due()) == 80


def test_single_statement_waits_for_the_write_lock(ledger: Ledger) -> None:
    ledger.removals.add("a")
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with ledger.transaction():
            entered.set()
            leave.wait(300)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(300)
    ledger.database._busy_seconds = 0.1
    with pytest.raises(StorageUnavailable):
        ledger.removals.drop("a")
    leave.set()
    holder.join()
    ledger.removals.drop("a")
    assert ledger.removals.due() == []


@pytest.mark.usefixtures("path")
def test_write_on_a_full_disk_is_undone_and_succeeds_later(ledger: Ledger, queue: Queue) -> None:
    database = ledger.database
    queue()

    def fill() -> None:
        for _ in range(100):
            queue(metadata={"note": "x" * 4000})

    def fill_at_once() -> None:
        with ledger.transaction():
            fill()

    with ledger.session():  # the limit belongs to this connection
        pages = database.run("PRAGMA page_count")[0][0]
        database.run(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DiskFull):
            fill_at_once()
        assert ledger.clips.counts() == {"queued": 1, "cutting": 0, "uploading": 0}
        with pytest.raises(DiskFull):
            fill()
        assert database.run("PRAGMA integrity_check") == [("ok",)]
        database.run("PRAGMA max_page_count = 4294967294")
        queue()


def test_commit_on_a_full_disk_raises_disk_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SQLite rolls back by itself; the failure of the rollback after it must not replace the first error."""

    def write_until_full(ledger: Ledger) -> None:
        for number in range(10_000):  # the last block of the WAL has space for some commits
            with ledger.transaction():
                ledger.database.run("INSERT INTO meta (name, value) VALUES (?, ?)", (f"n{number}", "x" * 2000))

    folder = tmp_path / "disk"
    with disk(folder, 8):
        ledger = Ledger.open(folder / "ledger.db", key_prefix="relay_live", organisation_id="org_local", max_queued=10)
        try:
            fill(folder, leave=0)
            with caplog.at_level("DEBUG"), pytest.raises(DiskFull, match="disk of the ledger is full"):
                write_until_full(ledger)
            assert "cannot rollback" not in caplog.text
            free(folder)
            with ledger.transaction():
                ledger.database.run("INSERT INTO meta (name, value) VALUES ('after', '')")
        finally:
            ledger.close()


@pytest.mark.usefixtures("path")
def test_check_writable_raises_if_the_ledger_is_read_only(ledger: Ledger) -> None:
    ledger.check_writable()
    ledger.check_writable()
    with ledger.session():
        ledger.database.run("PRAGMA query_only = 1")
        with pytest.raises(StorageUnavailable):
            ledger.check_writable()
        ledger.database.run("PRAGMA query_only = 0")


@pytest.mark.usefixtures("path")
def test_commit_is_durable_after_one_that_was_not(ledger: Ledger) -> None:
    with ledger.session():
        with ledger.database.transaction(durable=False):
            assert ledger.database.run("PRAGMA synchronous") == [(1,)]
        assert ledger.database.run("PRAGMA synchronous") == [(2,)]


def test_own_errors_pass_through_a_transaction(ledger: Ledger) -> None:
    with pytest.raises(QueueFull), ledger.transaction():
        raise QueueFull("full")


def test_violated_constraint_is_an_internal_error(ledger: Ledger) -> None:
    insert = "INSERT INTO meta (name, value) VALUES ('default_secret', '')"
    with pytest.raises(Internal, match=r"(?i)unique"):
        ledger.database.run(insert)
