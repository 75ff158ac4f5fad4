"""The worker of batches, for engines of tests that have no workers."""

from __future__ import annotations

import threading

from clipengine.work.jobs.batches import BatchJobs
from clipengine.work.worker import JobContext, Worker
from tests.support.api import RecordedEngine


def run_batches(engine: RecordedEngine) -> None:
    """Make or delete the clips of all batches that are due."""
    jobs = BatchJobs(
        JobContext(engine.ledger, "test", threading.Event()),
        engine.rule_clips,
        engine.variants,
        admit=engine.admit,
        abandon=engine.abandon,
    )
    Worker(jobs).run_due()
