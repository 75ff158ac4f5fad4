"""Places of clips in the queue, and estimates of their start and end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult
from clipengine.ledger.engines import queue_order
from clipengine.ledger.engines.queue_order import QueueOrder
from clipengine.ledger.ledger import Ledger

Queue = Callable[..., Clip]


@pytest.fixture
def order(ledger: Ledger) -> QueueOrder:
    ledger.engines.beat("inst_a", encoders=2)
    return QueueOrder(ledger.database, ledger.engines)


def positions(order: QueueOrder, *clips: Clip) -> list[int | None]:
    return [place and place.position for place in map(order.place, clips)]


def test_places_are_the_order_of_the_claims(ledger: Ledger, queue: Queue, order: QueueOrder) -> None:
    queued = [queue(f"clip {number}", priority=priority) for number, priority in enumerate((0, 5, 0, -1, 5))]
    placed = sorted(queued, key=lambda clip: positions(order, clip)[0] or 0)
    assert positions(order, *placed) == [1, 2, 3, 4, 5]
    later = queue("later", priority=1)  # not yet read, but placed by its priority
    assert positions(order, later) == [3]
    claimed = [ledger.clips.claim("inst_a") for _ in range(6)]
    assert [clip and clip.label for clip in claimed] == [
        *(clip.label for clip in placed[:2]), "later", *(clip.label for clip in placed[2:])
    ]  # fmt: skip
    assert order.place(ledger.clips.get(later.clip_id)) is None


def test_estimates_follow_the_speed_of_the_last_clips(
    ledger: Ledger, queue: Queue, order: QueueOrder, result: ClipResult
) -> None:
    first = queue("first", seconds=10)
    assert order.place(first) == queue_order.QueuePlace(1, None, None)  # the speed is not known yet
    claimed = ledger.clips.claim("inst_a")
    assert claimed is not None
    made = replace(result, duration_seconds=10.0, encode_seconds=20.0)
    assert ledger.clips.complete(first.clip_id, claimed.attempt, made)
    order = QueueOrder(ledger.database, ledger.engines)
    queued = [queue(f"clip {number}", seconds=10) for number in range(4)]
    places = [place for place in map(order.place, queued) if place is not None]
    work = 20_000 + 500
    waits = [place.start_at and place.start_at - now_ms() for place in places]
    for wait, expected in zip(waits, (0, 0, work, 1.5 * work), strict=True):
        assert wait is not None
        assert abs(wait - expected) < 9_000  # two encoders begin at once
    assert all((place.end_at or 0) - (place.start_at or 0) == work for place in places)
    ledger.engines.record_stopping("inst_a")
    assert QueueOrder(ledger.database, ledger.engines).place(queued[0]) == queue_order.QueuePlace(1, None, None)


def test_clips_after_the_limit_have_no_place(
    ledger: Ledger, queue: Queue, order: QueueOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_order, "_MAX_PLACES", 2)
    clips = sorted((queue(f"clip {number}") for number in range(3)), key=lambda clip: (clip.created_at, clip.clip_id))
    assert positions(order, *clips) == [1, 2, None]
