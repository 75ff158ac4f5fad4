"""Counts of the audit log: each caller has room, the number is bounded, and no count is lost."""

from __future__ import annotations

import threading
from typing import get_args

import pytest

from clipengine.errors import StorageUnavailable
from clipengine.ledger.audit.counts import MOST_ACTIONS, MOST_ADDRESSES, MOST_CALLERS, AuditCounts, Counted
from clipengine.ledger.database.act import Actor
from clipengine.ledger.ledger import Ledger
from clipengine.objects.audit import AuditAction

ACTIONS: tuple[AuditAction, ...] = tuple(each for each in get_args(AuditAction) if each != "other")
KEY = Actor("key", "key_1", "key", "key_1", "192.0.2.1")


def _refuse(counts: AuditCounts, actor: Actor, action: AuditAction = "clip.delete") -> None:
    counts.add(Counted("refused", action, actor))


def test_caller_who_tries_every_route_hides_no_other_caller() -> None:
    counts = AuditCounts()
    for action in ACTIONS:
        _refuse(counts, KEY, action)
        _refuse(counts, Actor("unknown", peer="192.0.2.9"), action)
    others = [Actor("key", f"key_{number}", "key", f"key_{number}", "192.0.2.2") for number in range(2, 50)]
    for each in others:
        _refuse(counts, each)
    found = counts.take()
    assert [found[Counted("refused", "clip.delete", each)] for each in others] == [1] * len(others)
    rest = len(ACTIONS) - MOST_ACTIONS
    assert found[Counted("refused", "other", Actor("key", "key_1"))] == rest
    assert found[Counted("refused", "other", Actor("unknown", peer="192.0.2.9"))] == rest
    assert [each.action for each in found if each.actor == KEY] == [*ACTIONS[:MOST_ACTIONS]]
    assert counts.take() == {}


def test_flood_from_many_addresses_hides_no_key() -> None:
    counts = AuditCounts()
    for number in range(1000):
        _refuse(counts, Actor("unknown", peer=f"2001:db8::{number:x}"), ACTIONS[number % len(ACTIONS)])
    _refuse(counts, KEY)
    found = counts.take()
    assert found[Counted("refused", "clip.delete", KEY)] == 1
    assert sum(each.actor == Actor("unknown") for each in found) == MOST_ACTIONS + 1
    assert (len(found), sum(found.values())) == (MOST_ADDRESSES + MOST_ACTIONS + 2, 1001)


def test_number_is_bounded_over_all_callers_and_actions() -> None:
    counts = AuditCounts()
    for number in range(500):
        for action in ACTIONS:
            _refuse(counts, Actor("user", f"user_{number}", "session", f"ses_{number}"), action)
            _refuse(counts, Actor("unknown", peer=f"192.0.2.{number}"), action)
    found = counts.take()
    assert len(found) <= (MOST_CALLERS + MOST_ADDRESSES + 2) * (MOST_ACTIONS + 1)
    assert sum(found.values()) == 1000 * len(ACTIONS)


def test_threads_lose_no_count() -> None:
    counts, taken = AuditCounts(), 0

    def refuse() -> None:
        for number in range(2000):
            _refuse(counts, Actor("unknown", peer=f"192.0.2.{number % 40}"))

    threads = [threading.Thread(target=refuse) for _ in range(2)]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        taken += sum(counts.take().values())
    assert taken + sum(counts.take().values()) == 4000


def test_counts_that_could_not_be_written_are_kept_and_stay_bounded(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        # Requests go on while the ledger fails.
        for number in range(100):
            ledger.audit.count("clip.delete", Actor("unknown", peer=f"198.51.100.{number}"), outcome="refused")
        raise StorageUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(ledger.database, "insert_many", fail)
        for number in range(10):
            ledger.audit.count("clip.delete", Actor("unknown", peer=f"192.0.2.{number}"), outcome="refused")
            with pytest.raises(StorageUnavailable):
                ledger.audit.flush()
    assert ledger.audit.flush() <= MOST_ADDRESSES + 1
    rows = list(ledger.audit.all())
    assert sum(each.count for each in rows) == 1010
    assert ledger.audit.flush() == 0
