"""Queues of messages: in memory, and in a PostgreSQL that two engines share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.ledger import Ledger
from clipengine.work.queue import WorkQueue
from tests.support.postgres import database_url, postgres
from tests.support.waiting import until

__all__ = ["database_url", "postgres"]

Start = Callable[..., WorkQueue]


class Received:
    """The messages that the workers have taken, and a gate that the tests may close."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.open = threading.Event()
        self.open.set()

    def __call__(self, id: str) -> None:
        self.ids.append(id)
        self.open.wait(300)


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
def started() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _start(started: ExitStack, queue: WorkQueue) -> WorkQueue:
    queue.start()
    started.callback(queue.stop, 60)
    return queue


def _ledger(started: ExitStack, url: str, folder: Path) -> Ledger:
    location = PostgresLocation(url, folder / "secrets.key")
    ledger = Ledger.open(location, key_prefix="relay_live", organisation_id="org_local", max_queued=10)
    started.callback(ledger.close)
    return ledger


def _shared(started: ExitStack, ledger: Ledger, received: Received, workers: int = 1) -> WorkQueue:
    queue = WorkQueue("clips", workers, received, database=ledger.database)
    ledger.on_message(lambda name, id: queue.put(id))
    ledger.follow({queue.channel: queue.wake})
    return _start(started, queue)


def test_each_message_in_memory_is_handled_once(started: ExitStack, received: Received) -> None:
    queue = _start(started, WorkQueue("clips", 3, received))
    for number in range(50):
        queue.put(str(number))
    until(lambda: len(received.ids) == 50)
    assert sorted(received.ids, key=int) == [str(number) for number in range(50)]


def test_each_message_in_the_ledger_is_handled_by_one_engine(
    started: ExitStack, database_url: str, tmp_path: Path, received: Received
) -> None:
    ledger, other = (_ledger(started, database_url, tmp_path) for _ in range(2))
    for each in (ledger, other):
        _shared(started, each, received, workers=2)
    with ledger.transaction():
        for number in range(20):
            ledger.database.enqueue("clips", str(number))
    for number in range(20, 50):
        with other.transaction():
            other.database.enqueue("clips", str(number))
    until(lambda: len(received.ids) >= 50)
    assert sorted(received.ids, key=int) == [str(number) for number in range(50)]


def _enqueue_and_fail(ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.database.enqueue("clips", "undone")
        raise RuntimeError


def test_message_of_a_transaction_that_is_rolled_back_is_not_sent(
    started: ExitStack, database_url: str, tmp_path: Path, received: Received
) -> None:
    ledger = _ledger(started, database_url, tmp_path)
    _shared(started, ledger, received)
    with pytest.raises(RuntimeError):
        _enqueue_and_fail(ledger)
    with ledger.transaction():
        ledger.database.enqueue("clips", "done")
    until(lambda: received.ids)
    assert received.ids == ["done"]


@pytest.mark.parametrize("shared", [False, True], ids=["memory", "ledger"])
def test_messages_are_replaced_only_if_none_is_queued(
    started: ExitStack, request: pytest.FixtureRequest, tmp_path: Path, received: Received, shared: bool
) -> None:
    if shared:
        queue = _shared(started, _ledger(started, request.getfixturevalue("database_url"), tmp_path), received)
    else:
        queue = _start(started, WorkQueue("clips", 1, received))
    received.open.clear()
    queue.put("first")
    until(lambda: received.ids == ["first"])
    queue.put("second")  # is queued, because the only worker is busy
    queue.replace_messages()
    received.open.set()
    until(lambda: received.ids == ["first", "second"])
    queue.replace_messages()
    until(lambda: len(received.ids) == 3)
    assert received.ids == ["first", "second", ""]


def test_waiting_workers_stop_at_once(database_url: str, tmp_path: Path, received: Received) -> None:
    with ExitStack() as started:
        queue = _shared(started, _ledger(started, database_url, tmp_path), received, workers=4)
        assert queue.alive()
    assert not any(thread.is_alive() for _, thread in queue._consumer.worker_threads)
