"""Statistics of the queue, and which engine counts an event."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clipengine.clips.clip import Clip, ClipResult, QueuePlace
from clipengine.ledger.clips import clips
from clipengine.ledger.database.migrations import migration_34
from clipengine.ledger.engines import queue_order
from clipengine.ledger.engines.stats import Failures
from clipengine.ledger.ledger import Ledger
from tests.ledger.conftest import Open

Queue = Callable[..., Clip]


def test_queue_wait_begins_when_a_clip_is_queued_and_due(
    ledger: Ledger, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000]
    monkeypatch.setattr(clips, "now_ms", lambda: now[0])

    def since() -> int | None:
        return ledger.stats.read().queued_since

    assert since() is None
    first = queue("first")
    now[0] += 1000
    second = queue("second")
    assert since() == 1_000_000
    assert ledger.clips.claim("me", fits=lambda clip: False) is None  # deferred, and still waiting
    assert since() == 1_000_000
    now[0] += 9000
    running = ledger.clips.claim("me")
    assert running is not None
    assert (running.clip_id, running.queued_at) == (first.clip_id, 1_000_000)
    assert since() == 1_001_000
    ledger.clips.cancel(second.clip_id)
    assert since() is None
    assert ledger.clips.requeue(first.clip_id, 1, delay_ms=5000)
    assert since() == now[0] + 5000  # an intended delay is no wait
    now[0] += 5000
    assert ledger.clips.claim("me") is not None
    ledger.clips.cancel(first.clip_id)
    now[0] += 60_000
    ledger.clips.retry(first.clip_id)
    assert since() == now[0]


def test_failures_are_counted_although_their_metadata_contains_nul(ledger: Ledger, queue: Queue) -> None:
    """Row 84 of the faults: PostgreSQL cannot read JSON that contains U+0000."""
    for _ in range(2):
        clip = queue("second", metadata={"a": "b\0c"})
        ledger.clips.cancel(clip.clip_id)
    assert ledger.stats.failures(0) == [Failures("cancelled", 2, clip.clip_id)]


def test_speed_is_known_although_a_result_contains_nul(
    ledger: Ledger, queue: Queue, result: ClipResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 84 of the faults."""
    monkeypatch.setattr(queue_order, "_KEPT_SECONDS", 0)
    done, waiting = queue("done"), queue("waiting")
    ledger.engines.beat("me", encoders=1)
    assert ledger.queue_order.place(waiting) == QueuePlace(2, None, None)
    claimed = ledger.clips.claim("me")
    assert claimed is not None
    with ledger.transaction():
        ledger.database.run(
            "UPDATE clips SET state = 'complete', result = ? WHERE clip_id = ?",
            ('{"encode_seconds": 30, "warnings": ["\\u0000"]}', done.clip_id),
        )
    place = ledger.queue_order.place(waiting)
    assert place is not None
    assert place.position == 1
    assert place.start_at is not None


def test_failures_before_the_code_was_stored_are_counted(ledger: Ledger, queue: Queue) -> None:
    """Row 84 of the faults."""
    clip = queue("second", metadata={"a": "b\0c"})
    ledger.clips.cancel(clip.clip_id)
    with ledger.transaction():
        ledger.database.run("ALTER TABLE events DROP COLUMN error_code")
        migration_34(ledger.database)
    assert ledger.stats.failures(0) == [Failures("cancelled", 1, clip.clip_id)]


def test_each_event_belongs_to_the_engine_that_recorded_it(open_ledger: Open, ledger: Ledger, queue: Queue) -> None:
    begin = ledger.events.last_seq()
    other = open_ledger()
    ledger.events.engine_id, other.events.engine_id = "inst_a", "inst_b"
    cancelled = [queue(f"clip {number}").clip_id for number in range(6)]
    for number, clip_id in enumerate(cancelled):
        (other if number % 3 == 0 else ledger).clips.cancel(clip_id)
    last = ledger.events.last_seq()
    mine = [event.clip_id for event in ledger.events.own(begin, last)]
    theirs = [event.clip_id for event in other.events.own(begin, last)]
    assert theirs == cancelled[::3]
    assert sorted([*mine, *theirs]) == sorted(cancelled)
    assert [event.clip_id for event in ledger.events.own(begin, last, limit=2)] == mine[:2]
    assert ledger.events.own(last, last) == []
    assert [event.clip_id for event in ledger.events.after(begin)] == cancelled
