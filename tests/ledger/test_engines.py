"""Engines that share a ledger: liveness, and release of the claims of dead engines."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.ledger.clips.uploads import Finished
from clipengine.ledger.database.schema import EngineRow
from clipengine.ledger.engines import engines as engines_module
from clipengine.ledger.engines.engines import LEASE_MS
from clipengine.ledger.ledger import Ledger
from tests.support.postgres import skip_without_postgres

skip_without_postgres()
KINDS = ("postgres",)
Queue = Callable[..., Clip]


@pytest.fixture
def host_a(ledger: Ledger) -> Ledger:
    ledger.engines.beat("a")
    return ledger


@pytest.fixture
def host_b(open_ledger: Callable[..., Ledger], host_a: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Send heartbeats for longer than a lease, so that the engine may declare others dead."""
    ledger = open_ledger()
    ledger.engines.beat("b")
    later = time.monotonic() + LEASE_MS / 1000 + 1
    monkeypatch.setattr(engines_module.time, "monotonic", lambda: later)
    return ledger


def _fall_silent(ledger: Ledger, engine_id: str, *, ms: int = LEASE_MS + 1000) -> None:
    update = EngineRow.update(beat_at=EngineRow.beat_at - ms).where(EngineRow.engine_id == engine_id)
    assert ledger.database.change(update)


def _free(ledger: Ledger, owner: str) -> int:
    return ledger.clips.requeue_orphans(owner, in_flight=set, living=ledger.engines.living)


def test_claims_of_an_engine_with_heartbeats_are_not_released(host_a: Ledger, host_b: Ledger, queue: Queue) -> None:
    clip = queue()
    host_a.clips.claim("a")
    assert _free(host_b, "b") == 0
    _fall_silent(host_b, "a", ms=LEASE_MS // 2)
    assert _free(host_b, "b") == 0
    host_a.engines.beat("a")
    _fall_silent(host_b, "a")
    assert _free(host_b, "b") == 1
    assert host_b.clips.get(clip.clip_id).state == "queued"
    assert host_b.clips.crashes(clip.clip_id) == 0


def test_disconnected_host_has_lost_its_attempt(
    host_a: Ledger, host_b: Ledger, queue: Queue, result: ClipResult
) -> None:
    clip = queue()
    host_a.clips.claim("a")
    _fall_silent(host_b, "a")
    _free(host_b, "b")
    assert not host_a.clips.progress(clip.clip_id, 1, step="encoding", progress=0.5)
    again = host_b.clips.claim("b")
    assert again is not None
    assert again.attempt == 2
    assert not host_a.uploads.add(clip.clip_id, 1, Finished(result, None), progress=0.9, owner="a")
    assert not host_a.clips.complete(clip.clip_id, 1, result)
    assert host_b.clips.complete(clip.clip_id, 2, result)
    assert [event.type for event in host_b.events.after(0) if event.clip_id] == ["clip.ready"]


def test_finished_clip_of_a_dead_engine_is_cut_again_under_a_new_key(
    host_a: Ledger, host_b: Ledger, queue: Queue, result: ClipResult
) -> None:
    queue()
    old = host_a.clips.claim("a")
    assert old is not None
    host_a.uploads.add(old.clip_id, 1, Finished(result, None), progress=0.9, owner="a")
    assert host_b.uploads.claim("b") is None  # the file is in the scratch folder of the other engine
    assert host_a.uploads.claim("a") is not None
    _fall_silent(host_b, "a")
    assert _free(host_b, "b") == 1
    new = host_b.clips.claim("b")
    assert new is not None
    assert new.object_key == old.object_key.replace(".mp4", "-2.mp4")
    assert set(host_b.removals.due()) == {old.object_key, old.poster_key}
    for key in host_b.removals.due():
        host_b.removals.drop(key)
    # The other engine is connected again and finds after its upload that it lost the claim.
    assert host_b.clips.complete(new.clip_id, 2, result)
    assert not host_a.clips.complete(old.clip_id, 1, result)
    host_a.removals.add_clips([old])
    assert set(host_b.removals.due()) == {old.object_key, old.poster_key}


def test_retry_in_a_shared_ledger_gets_a_new_key(host_a: Ledger, queue: Queue) -> None:
    clip = queue()
    host_a.clips.claim("a")
    host_a.clips.cancel(clip.clip_id)
    again = host_a.clips.retry(clip.clip_id)
    assert again.object_key == clip.object_key.replace(".mp4", "-2.mp4")
    assert clip.object_key in host_a.removals.due()


def test_old_heartbeats_do_not_count_after_an_outage_of_the_database(
    ledger: Ledger, open_ledger: Callable[..., Ledger], queue: Queue
) -> None:
    ledger.engines.beat("a")
    queue()
    ledger.clips.claim("a")
    _fall_silent(ledger, "a", ms=10 * LEASE_MS)
    fresh = open_ledger()
    fresh.engines.beat("b")
    assert _free(fresh, "b") == 0
    ledger.engines.remove("a")  # an engine that stopped counts as dead at once
    assert _free(fresh, "b") == 1


def test_removal_claims_of_a_dead_engine_are_released(host_a: Ledger, host_b: Ledger) -> None:
    host_a.removals.add("a")
    stale = host_a.removals.claim("a", limit=10)
    living = host_b.engines.living
    assert host_b.removals.release_orphans("b", in_flight=set, living=living) == 0
    _fall_silent(host_b, "a")
    assert host_b.removals.release_orphans("b", in_flight=set, living=living) == 1
    assert [each.key for each in host_b.removals.claim("b", limit=10)] == ["a"]
    host_a.removals.later(stale, delay_ms=0)
    assert host_a.removals.claim("a", limit=10) == []


def test_only_one_engine_at_a_time_sends_to_a_receiver(host_a: Ledger, host_b: Ledger, queue: Queue) -> None:
    for url in ("https://one.test/", "https://one.test/", "https://two.test/"):
        host_a.clips.cancel(queue(webhook_url=url).clip_id)
    (first,) = host_a.deliveries.claim_due(owner="a")
    (second,) = host_b.deliveries.claim_due(owner="b")
    assert {first.target, second.target} == {"https://one.test", "https://two.test"}
    assert host_b.deliveries.claim_due(owner="b", exclude=[second.target]) == []
    _fall_silent(host_b, "a")
    freed = host_b.deliveries.release_orphans("b", in_flight=lambda: [second.delivery_id], living=host_b.engines.living)
    assert freed == 1
    while (taken := host_b.deliveries.claim_due(owner="b", per_target=3)) and taken[0].delivery_id != first.delivery_id:
        pass
    assert taken[0].attempt == first.attempt
    settled = {"outcome": "delivered", "status_code": 200, "error": None, "duration_ms": 1}
    assert not host_a.deliveries.record(first, **settled)  # type: ignore[arg-type]
    assert host_b.deliveries.record(taken[0], **settled)  # type: ignore[arg-type]


def test_engines_of_the_release_before_do_not_know_users(host_a: Ledger, host_b: Ledger) -> None:
    assert host_b.engines.of_release_0_2() == []
    older = EngineRow.update(host="cutter-7", pid=42, row_format=1).where(EngineRow.engine_id == "a")
    host_b.database.change(older)
    assert host_b.engines.of_release_0_2() == ["cutter-7 pid 42"]
    _fall_silent(host_b, "a")
    assert host_b.engines.of_release_0_2() == []
