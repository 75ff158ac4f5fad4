"""Group commit: waiting tasks share one transaction, in which each fails alone, or all fail with it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clipengine.errors import DiskFull, QueueFull, StorageUnavailable
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.group_commit import GroupCommit
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.file import file_database
from tests.support.waiting import until

Work = Callable[[], object]


@pytest.fixture
def database(ledger: Ledger, path: Path) -> Iterator[Database]:
    """The same file, whose lock is waited for as long as a busy machine needs."""
    database = file_database(path, busy_seconds=300)
    yield database
    database.close()


def _put(database: Database, name: str) -> Work:
    return lambda: database.run("INSERT INTO meta VALUES (?, ?)", (name, threading.current_thread().name))


def _put_names(database: Database) -> list[str]:
    return [row[0] for row in database.run("SELECT name FROM meta WHERE name LIKE 'put_%' ORDER BY name")]


def _at_once(database: Database, *works: Work) -> list[object]:
    """Run all works while the write lock is held, and return their results or exceptions."""
    group = GroupCommit(database)
    came: list[object] = [None] * len(works)

    def run(number: int) -> None:
        try:
            came[number] = group.run(works[number])
        except Exception as error:
            came[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    with database.transaction():
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda number=number: len(group._waiting) > number)  # type: ignore[misc]
    for thread in threads:
        thread.join()
    return came


def test_waiting_callers_share_one_commit(database: Database) -> None:
    assert _at_once(database, *(_put(database, f"put_{number}") for number in range(8))) == [[]] * 8
    assert len(_put_names(database)) == 8
    assert len(database.run("SELECT DISTINCT value FROM meta WHERE name LIKE 'put_%'")) == 1  # one thread ran all tasks


def test_failed_task_is_undone_alone(database: Database) -> None:
    def refuse() -> None:
        _put(database, "put_2")()
        raise QueueFull("no")

    first, second, third = _at_once(database, _put(database, "put_1"), refuse, _put(database, "put_3"))
    assert (first, third) == ([], [])
    assert isinstance(second, QueueFull)
    assert _put_names(database) == ["put_1", "put_3"]


def test_full_disk_fails_the_whole_group(database: Database) -> None:
    def fill() -> None:
        database.run(f"PRAGMA max_page_count = {database.run('PRAGMA page_count')[0][0]}")
        database.run("INSERT INTO meta VALUES ('put_2', ?)", ("x" * 10_000_000,))

    came = _at_once(database, _put(database, "put_1"), fill, _put(database, "put_3"))
    assert [type(each) for each in came] == [DiskFull] * 3
    assert _put_names(database) == []


def test_waiting_callers_fail_if_the_lock_is_not_available(database: Database, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    with closing(file_database(path, busy_seconds=0.5)) as impatient:
        group = GroupCommit(impatient)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageUnavailable):
                group.run(_put(impatient, "put_1"))
        finally:
            other.close()
        group.run(_put(impatient, "put_2"))
    assert _put_names(database) == ["put_2"]


def test_task_inside_a_transaction_is_part_of_it(database: Database) -> None:
    def refuse() -> None:
        with database.transaction():
            GroupCommit(database).run(_put(database, "put_1"))
            raise QueueFull("no")

    with pytest.raises(QueueFull):
        refuse()
    assert _put_names(database) == []
