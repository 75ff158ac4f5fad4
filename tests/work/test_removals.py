"""The remover with SQLite: each object is deleted, and again after the recheck delay, in few requests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from clipengine.ledger.ledger import Ledger
from clipengine.ledger.stored_objects.removals import Removal
from clipengine.stores.s3 import S3Store
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.jobs.removals import Remover
from clipengine.work.worker import JobContext, Worker
from tests.support.ledgers import open_copied_ledger
from tests.support.s3 import QUICK, S3Server, bucket, deletions, faulty_s3, s3
from tests.support.s3_faults import FaultyS3, refuse

__all__ = ["bucket", "faulty_s3", "s3"]

KEYS = [f"h_01/clips/{number}.mp4" for number in range(80)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = open_copied_ledger(tmp_path / "ledger.db", max_queued=10)
    with closing(made):
        yield made


@pytest.fixture
def remover(
    ledger: Ledger, s3: S3Server, bucket: str, faulty_s3: FaultyS3, tmp_path: Path
) -> Worker[Sequence[Removal]]:
    store = S3Store(s3.location(bucket, endpoint=faulty_s3.endpoint), journal=tmp_path / "journal", retries=QUICK)
    context = JobContext(ledger, "me", threading.Event(), FaultInjection("outage:pace=600"))
    return Worker(Remover(context, store))


def _run(remover: Worker[Sequence[Removal]], ledger: Ledger) -> list[int]:
    """Delete with four threads, and release orphans, until no row is left. Return all values of `looks` seen."""
    seen = []
    with ThreadPoolExecutor(4) as pool:
        deadline = time.monotonic() + 300
        while left := [looks for (looks,) in ledger.database.run("SELECT looks FROM removals")]:
            assert time.monotonic() < deadline
            seen += left
            for done in [pool.submit(remover.run_due) for _ in range(4)]:
                done.result()
            ledger.removals.release_orphans("me", in_flight=remover.in_flight)
            time.sleep(0.01)
    return seen


def test_each_object_is_deleted_twice(ledger: Ledger, remover: Worker[Sequence[Removal]], faulty_s3: FaultyS3) -> None:
    with ledger.transaction():
        for key in KEYS:
            ledger.removals.add(key, looks=2)
    assert min(_run(remover, ledger)) == 1
    assert deletions(faulty_s3) == dict.fromkeys(KEYS, 2)
    assert len(faulty_s3.seen) == 2


def test_only_failed_objects_are_retried(
    ledger: Ledger, remover: Worker[Sequence[Removal]], faulty_s3: FaultyS3
) -> None:
    body = b"<DeleteResult><Error><Key>%s</Key><Code>InternalError</Code></Error></DeleteResult>" % KEYS[3].encode()
    faulty_s3.fail(lambda exchange: exchange.answer(200, body), method="POST", query="delete")
    for key in KEYS:
        ledger.removals.add(key)
    _run(remover, ledger)
    assert deletions(faulty_s3) == Counter({**dict.fromkeys(KEYS, 1), KEYS[3]: 2})


def test_unavailable_store_keeps_all_removals_due(
    ledger: Ledger, remover: Worker[Sequence[Removal]], faulty_s3: FaultyS3
) -> None:
    for key in KEYS:
        ledger.removals.add(key)
    faulty_s3.fail(refuse(503, "SlowDown"), method="POST", query="delete", times=QUICK.attempts)
    remover.run_due()
    assert ledger.database.run("SELECT COUNT(*) FROM removals WHERE owner IS NULL") == [(len(KEYS),)]
    _run(remover, ledger)
