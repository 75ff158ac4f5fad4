"""Batches of requests in the ledger: each variant is made once, and each clip deleted once, whatever is killed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from clipengine.api.http.requests.rules import RuleClipBodies
from clipengine.basis.row_format import ROW_FORMAT
from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import BatchNotFound, QueueFull
from clipengine.ledger.automation.batches import Batch, BatchItem, BatchKind
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database.database import insert_statement
from clipengine.ledger.database.schema import BatchItemRow, BatchRow, ClipRow
from clipengine.ledger.ledger import Ledger
from clipengine.settings.settings import Settings
from clipengine.work.cutting.rule_clips import RuleClips
from clipengine.work.cutting.variants import Variants, variant_items
from clipengine.work.jobs.batches import BatchJobs
from clipengine.work.worker import JobContext, Worker
from tests.ledger.conftest import Open

pytestmark = pytest.mark.proof

CHANGES = {"render": "smart"}
KINDS_OF_BATCHES: Any = pytest.mark.parametrize("kind", ["variants", "delete"])


def jobs_of(ledger: Ledger, owner: str = "one", **limits: Any) -> BatchJobs:
    settings = Settings.model_validate({"limits": limits})
    clips = RuleClips(ledger, settings, RuleClipBodies())
    return BatchJobs(JobContext(ledger, owner, threading.Event()), clips, Variants(ledger, clips), admit=lambda: None)


@pytest.fixture
def clips(ledger: Ledger, queue: Callable[..., Clip], result: ClipResult) -> Sequence[Clip]:
    """Complete clips."""
    first = queue()
    assert ledger.clips.claim("me") is not None
    assert ledger.clips.complete(first.clip_id, 1, result)
    (row,) = ledger.database.rows(ClipRow.select())
    copies = [{**row, "clip_id": f"clip_{number:03}"} for number in range(49)]
    ledger.database.insert_many(insert_statement(ClipRow, without=("status",)), copies)
    return listed(ledger)


def listed(ledger: Ledger) -> Sequence[Clip]:
    return ledger.clips.list(ClipFilter(limit=1000)).data


def batch_of(ledger: Ledger, kind: BatchKind, clips: Sequence[Clip]) -> Batch:
    items = variant_items(clips, (), CHANGES)
    if kind == "delete":
        items = [BatchItem("", 0, "pending", source_clip_id=clip.clip_id) for clip in clips]
    return ledger.requested_batches.create(kind, items)


def check(ledger: Ledger, batch: Batch, clips: Sequence[Clip]) -> None:
    """Require that each clip has one variant, or is deleted."""
    ended = ledger.requested_batches.get(batch.batch_id)
    assert (ended.state, ended.made, ended.skipped, ended.failed) == ("complete", len(clips), 0, 0)
    if batch.kind == "delete":
        assert listed(ledger) == []
    else:
        made = [clip.variant_of for clip in listed(ledger) if clip.variant_of]
        assert sorted(made) == sorted(clip.clip_id for clip in clips)


@KINDS_OF_BATCHES
def test_two_engines_do_each_item_once(
    ledger: Ledger, open_ledger: Open, clips: Sequence[Clip], kind: BatchKind
) -> None:
    batches = [batch_of(ledger, kind, some) for some in (clips[:20], clips[20:])]
    engines = [Worker(jobs_of(open_ledger(), owner)) for owner in ("one", "two")]
    threads = [threading.Thread(target=each.run_due) for each in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    engines[0].run_due()
    ended = [ledger.requested_batches.get(each.batch_id) for each in batches]
    assert [(each.state, each.made) for each in ended] == [("complete", 20), ("complete", 30)]
    assert len(listed(ledger)) == (0 if kind == "delete" else 100)


class Killed(BaseException):
    """The engine is killed: nothing is recorded, and its claim stays."""


@pytest.mark.parametrize(("kind", "point"), [("variants", "made"), ("delete", "deleting"), ("delete", "deleted")])
def test_engine_that_is_killed_leaves_what_the_next_one_completes(
    ledger: Ledger, clips: Sequence[Clip], kind: BatchKind, point: str
) -> None:
    batch = batch_of(ledger, kind, clips)
    jobs = jobs_of(ledger)

    def kill(reached: str) -> None:
        if reached == point:
            raise Killed

    jobs.faults.reach = kill  # type: ignore[method-assign,assignment]
    with pytest.raises(Killed):
        Worker(jobs).run_due()
    assert ledger.batches.release_orphans("two") == 1
    Worker(jobs_of(ledger, "two")).run_due()
    check(ledger, batch, clips)


def test_variants_wait_while_half_of_the_queue_is_taken(ledger: Ledger, clips: Sequence[Clip]) -> None:
    ledger.clips._max_queued = 20
    batch = batch_of(ledger, "variants", clips)
    Worker(jobs_of(ledger)).run_due()
    waiting = ledger.requested_batches.get(batch.batch_id)
    assert (waiting.state, waiting.reason, waiting.made) == ("making", "queue_full", 10)
    ledger.clips._max_queued = 1000
    ledger.database.change(BatchRow.update(next_at=0))
    Worker(jobs_of(ledger)).run_due()
    check(ledger, batch, clips)


def test_clip_that_was_deleted_in_between_is_skipped(ledger: Ledger, clips: Sequence[Clip]) -> None:
    batch = batch_of(ledger, "delete", clips)
    ledger.clips.delete(clips[0].clip_id)
    Worker(jobs_of(ledger)).run_due()
    ended = ledger.requested_batches.get(batch.batch_id)
    assert (ended.made, ended.skipped) == (len(clips) - 1, 1)
    (item,) = ledger.requested_batches.items(batch.batch_id, state="skipped", after=-1, limit=9)
    assert (item.code, item.source_clip_id) == ("clip_not_found", clips[0].clip_id)


def test_number_of_unfinished_batches_is_limited(ledger: Ledger, clips: Sequence[Clip]) -> None:
    for _ in range(100):
        batch_of(ledger, "delete", clips[:1])
    with pytest.raises(QueueFull):
        batch_of(ledger, "delete", clips[:1])


def test_batch_that_needs_a_newer_engine_is_left_to_it(ledger: Ledger, clips: Sequence[Clip]) -> None:
    batch_of(ledger, "variants", clips)
    ledger.database.change(BatchRow.update(needs=ROW_FORMAT + 1))
    assert not jobs_of(ledger).is_due()


def test_batches_of_requests_are_deleted_with_the_history(ledger: Ledger, clips: Sequence[Clip]) -> None:
    batch = batch_of(ledger, "delete", clips)
    Worker(jobs_of(ledger)).run_due()
    ledger.database.change(BatchRow.update(ended_at=1))
    while ledger.retention.run(keep_ms=1000):
        pass
    with pytest.raises(BatchNotFound):
        ledger.requested_batches.get(batch.batch_id)
    assert ledger.database.rows(BatchItemRow.select()) == []
