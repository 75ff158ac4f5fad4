"""The limit of the bytes of clips: which clips are deleted, in which order, and which never."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database.schema import ClipRow
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.retention.clip_bytes_limit import LimitState
from clipengine.objects.clip import ClipObject

pytestmark = pytest.mark.proof

Make = Callable[..., Clip]
HOUR = 3_600_000


@pytest.fixture
def make(ledger: Ledger, queue: Callable[..., Clip], result: ClipResult) -> Make:
    """Make a clip of `size` bytes that has been complete for some hours."""

    def made(size: int = 100, *, hours: float = 2, **values: object) -> Clip:
        clip = queue(**values)
        claimed = ledger.clips.claim("me")
        assert claimed is not None
        assert ledger.clips.complete(clip.clip_id, claimed.attempt, replace(result, size_bytes=size))
        ended = ClipRow.update(completed_at=now_ms() - int(hours * HOUR))
        with ledger.database.transaction():
            ledger.database.change(ended.where(ClipRow.clip_id == clip.clip_id))
        return ledger.clips.get(clip.clip_id)

    return made


def left(ledger: Ledger) -> set[str]:
    return {clip.clip_id for clip in ledger.clips.list(ClipFilter(limit=100)).data}


def reduce_to(ledger: Ledger, max_bytes: int) -> int:
    """Delete clips as the engine does, and return their number."""
    deleted = 0
    while batch := ledger.clip_limit.run(max_bytes):
        deleted += batch
    return deleted


def storage_events(ledger: Ledger) -> list[str]:
    return [each.type for each in ledger.events.after(0, limit=1000) if each.type.startswith("storage.")]


def test_clips_that_expire_soonest_go_first_and_then_the_oldest(ledger: Ledger, make: Make) -> None:
    oldest, newer = make(hours=9), make(hours=3)
    late, soon = make(expires_at=now_ms() + 90 * HOUR), make(expires_at=now_ms() + 9 * HOUR)
    assert reduce_to(ledger, 400) == 0  # all of it is used, and no more
    for limit, gone in ((399, soon), (299, late), (199, oldest)):
        assert reduce_to(ledger, limit) == 1
        assert gone.clip_id not in left(ledger)
        assert {gone.object_key, gone.poster_key} <= set(ledger.removals.due(1000))
    assert left(ledger) == {newer.clip_id}
    event = [each for each in ledger.events.after(0, limit=1000) if each.type == "clip.expired"][-1]
    assert event.payload["data"] == ClipObject.of(oldest).to_object() | {"reason": "limit"}


def test_no_more_is_deleted_than_down_to_95_percent(ledger: Ledger, make: Make) -> None:
    for _ in range(30):
        make(100)
    assert reduce_to(ledger, 2900) == 3  # 2700 is the first sum of at most 2755
    assert ledger.clip_limit.used.bytes == 2700
    assert reduce_to(ledger, 2900) == 0


def test_kept_clips_are_never_deleted(ledger: Ledger, make: Make, queue: Callable[..., Clip]) -> None:
    kept = [make(tags=["a", "keep"]), make(hours=0.5), make(), make()]
    ledger.shares.create(kept[2].clip_id, expires_at=None, download=True, embed=True)
    ledger.shares.create(kept[3].clip_id, expires_at=now_ms() + HOUR, download=True, embed=True)
    others = [make(tags=["keeper"]), make()]
    ledger.shares.create(others[1].clip_id, expires_at=now_ms() - 1, download=True, embed=True)
    kept.append(queue())
    assert reduce_to(ledger, 1) == len(others)
    assert left(ledger) == {clip.clip_id for clip in kept}


def test_events_report_80_percent_and_an_unmet_limit_once(ledger: Ledger, make: Make) -> None:
    ledger.endpoints.create("https://a.test", ["storage.warning", "storage.limit_unmet"], "s" * 16)
    clip = make(80, tags=["keep"])
    for _ in range(2):
        assert reduce_to(ledger, 100) == 0
    assert storage_events(ledger) == ["storage.warning"]
    assert ledger.events.after(0, limit=1000)[-1].payload["data"] == {
        "max_clips_bytes": 100,
        "clips": {"count": 1, "bytes": 80},
    }
    for _ in range(2):
        assert reduce_to(ledger, 79) == 0
    assert storage_events(ledger) == ["storage.warning", "storage.limit_unmet"]
    assert ledger.clip_limit.state() == LimitState(warned=True, unmet=True)
    assert len(ledger.deliveries.list(limit=9).data) == 2
    assert reduce_to(ledger, 105) == 0  # 76 %: no longer unmet, and the warning is not repeated
    assert ledger.clip_limit.state() == LimitState(warned=True)
    assert reduce_to(ledger, 1000) == 0
    assert ledger.clip_limit.state() == LimitState()
    assert reduce_to(ledger, 79) == 0
    assert storage_events(ledger) == ["storage.warning", "storage.limit_unmet"] * 2
    assert left(ledger) == {clip.clip_id}


def test_share_of_a_found_clip_keeps_it(ledger: Ledger, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share that is created between the search for clips and their deletion."""
    shared, other = make(hours=5), make(hours=4)
    delete = ledger.clip_limit._delete

    def create_first(*args: object) -> int:
        monkeypatch.setattr(ledger.clip_limit, "_delete", delete)
        ledger.shares.create(shared.clip_id, expires_at=None, download=True, embed=True)
        return delete(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.clip_limit, "_delete", create_first)
    assert reduce_to(ledger, 100) == 1
    assert left(ledger) == {shared.clip_id}
    assert other.clip_id not in left(ledger)


def test_engines_that_share_a_ledger_do_not_delete_too_much(
    ledger: Ledger, open_ledger: Callable[..., Ledger], make: Make
) -> None:
    with ledger.transaction():
        for _ in range(120):
            make(100)
    barrier = threading.Barrier(3)

    def run(of: Ledger) -> None:
        barrier.wait(300)
        reduce_to(of, 10_000)

    threads = [threading.Thread(target=run, args=[of]) for of in (ledger, open_ledger(), open_ledger())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.storage_use.clips().bytes == 9500
