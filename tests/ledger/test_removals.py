"""Removals: a key stands once, waits its time, and survives being asked for anew while it is being done."""

from __future__ import annotations

import pytest

from clipengine.ledger import removals as removals_module
from clipengine.ledger.ledger import Ledger


def test_a_key_is_due_once_until_it_is_done(ledger: Ledger) -> None:
    ledger.removals.add("a/x.mp4")
    ledger.removals.add("a/y.mp4")
    ledger.removals.add("a/x.mp4")
    due = ledger.removals.due()
    assert sorted(removal.key for removal in due) == ["a/x.mp4", "a/y.mp4"]
    assert len(ledger.removals.due(limit=1)) == 1
    for removal in due:
        ledger.removals.done(removal.id)
    assert ledger.removals.due() == []


def test_later_waits(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.removals.add("a")
    [removal] = ledger.removals.due()
    ledger.removals.later(removal.id, 60_000)
    assert ledger.removals.due() == []
    assert ledger.removals.wanted(removal.id)
    now = removals_module.now_ms()
    monkeypatch.setattr(removals_module, "now_ms", lambda: now + 60_000)
    assert ledger.removals.due() == [removal]


def test_what_is_added_while_it_is_removed_is_removed_again(ledger: Ledger) -> None:
    ledger.removals.add("a")
    [first] = ledger.removals.due()
    ledger.removals.add("a")
    assert not ledger.removals.wanted(first.id)
    ledger.removals.done(first.id)
    [second] = ledger.removals.due()
    assert second.key == "a"


def test_what_may_come_back_is_looked_at_once_more(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.removals.add("a", looks=2)
    [removal] = ledger.removals.due()
    assert removal.looks == 2
    ledger.removals.look_again(removal.id, 60_000)
    assert ledger.removals.due() == []
    now = removals_module.now_ms()
    monkeypatch.setattr(removals_module, "now_ms", lambda: now + 60_000)
    [again] = ledger.removals.due()
    assert (again.id, again.key, again.looks) == (removal.id, "a", 1)
    ledger.removals.done(again.id)
    assert ledger.removals.due() == []
