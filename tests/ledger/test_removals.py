"""Removals: a key is listed once, claimed by one engine, and settled only by the owner of the claim."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clipengine.ledger.database.migrations import MIGRATIONS, migrate
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.stored_objects import removals as removals_module
from clipengine.ledger.stored_objects.removals import Removal

pytestmark = pytest.mark.proof


def _claim(ledger: Ledger, owner: str = "me", limit: int = 1000) -> list[Removal]:
    return ledger.removals.claim(owner, limit=limit)


def _looks(ledger: Ledger) -> list[int]:
    return [looks for (looks,) in ledger.database.run("SELECT looks FROM removals ORDER BY id")]


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the clock forward by some ms."""
    now = removals_module.now_ms
    return lambda ms: monkeypatch.setattr(removals_module, "now_ms", lambda: now() + ms)


def test_key_is_due_once_until_it_is_deleted(ledger: Ledger) -> None:
    for key in ("a/x.mp4", "a/y.mp4", "a/x.mp4"):
        ledger.removals.add(key)
    assert sorted(ledger.removals.due()) == ["a/x.mp4", "a/y.mp4"]
    assert len(ledger.removals.due(limit=1)) == 1
    claimed = _claim(ledger)
    assert sorted(each.key for each in claimed) == ["a/x.mp4", "a/y.mp4"]
    assert ledger.removals.due() == []
    ledger.removals.deleted(claimed, again_ms=0)
    assert _looks(ledger) == []


def test_claims_of_two_engines_share_no_object(ledger: Ledger, open_ledger: Callable[..., Ledger]) -> None:
    for number in range(7):
        ledger.removals.add(f"{number}")
    first, second = _claim(ledger, "a", limit=4), open_ledger().removals.claim("b", limit=4)
    assert (len(first), len(second)) == (4, 3)
    assert {each.key for each in first + second} == {f"{number}" for number in range(7)}
    assert ledger.removals.claimed(["0"])
    assert not ledger.removals.claimed(["7"])


@pytest.mark.typical(1)
def test_large_batch_is_settled_as_a_whole(ledger: Ledger) -> None:
    with ledger.transaction():
        for number in range(1200):
            ledger.removals.add(f"{number}")
    claimed = _claim(ledger)
    assert len(claimed) == 1000
    ledger.removals.deleted(claimed, again_ms=0)
    assert len(_looks(ledger)) == 200


def test_failed_removal_waits(ledger: Ledger, forward: Callable[[int], None]) -> None:
    ledger.removals.add("a")
    ledger.removals.later(_claim(ledger), delay_ms=60_000)
    assert ledger.removals.due() == []
    forward(60_000)
    assert ledger.removals.due() == ["a"]
    assert _looks(ledger) == [1]


def test_key_that_is_added_while_it_is_deleted_is_deleted_again(ledger: Ledger) -> None:
    ledger.removals.add("a")
    claimed = _claim(ledger)
    ledger.removals.add("a")
    ledger.removals.deleted(claimed, again_ms=0)
    assert ledger.removals.due() == ["a"]


def test_object_that_may_come_back_is_deleted_once_more(ledger: Ledger, forward: Callable[[int], None]) -> None:
    ledger.removals.add("a", looks=2)
    [first] = _claim(ledger)
    assert first.looks == 2
    ledger.removals.deleted([first], again_ms=60_000)
    assert ledger.removals.due() == []
    forward(60_000)
    [second] = _claim(ledger)
    assert (second.id, second.key, second.looks) == (first.id, "a", 1)
    ledger.removals.deleted([second], again_ms=0)
    assert _looks(ledger) == []


def test_stale_owner_settles_no_removal(ledger: Ledger) -> None:
    ledger.removals.add("a", looks=2)
    stale = _claim(ledger, "a")
    assert ledger.removals.release_orphans("b") == 1
    current = _claim(ledger, "b")
    for _ in range(3):
        ledger.removals.deleted(stale, again_ms=0)
        ledger.removals.later(stale, delay_ms=0)
    assert _looks(ledger) == [2]
    assert ledger.removals.due() == []
    ledger.removals.deleted(current, again_ms=0)
    assert _looks(ledger) == [1]


def test_claim_that_no_thread_works_on_is_released(ledger: Ledger) -> None:
    for key in ("a", "b"):
        ledger.removals.add(key)
    kept, lost = _claim(ledger)
    assert ledger.removals.release_orphans("me") == 0
    assert ledger.removals.release_orphans("me", in_flight=lambda: [str(kept.id)]) == 1
    assert ledger.removals.due() == [lost.key]
    [again] = _claim(ledger)
    ledger.removals.deleted([lost], again_ms=0)  # the earlier claim of the same engine
    assert len(_looks(ledger)) == 2
    ledger.removals.deleted([again, kept], again_ms=0)
    assert _looks(ledger) == []


def test_migration_raises_counts_below_one(ledger: Ledger) -> None:
    database = ledger.database
    database.run("DROP INDEX removals_owner")
    for column in ("owner", "lease"):
        database.run(f"ALTER TABLE removals DROP COLUMN {column}")
    database.run("INSERT INTO removals (key, next_at, looks) VALUES ('a', 0, -2), ('b', 0, 2)")
    database.run("UPDATE meta SET value = '12' WHERE name = 'schema_version'")
    migrate(database, MIGRATIONS[:13])
    assert _looks(ledger) == [1, 2]
    assert sorted(each.key for each in _claim(ledger)) == ["a", "b"]
