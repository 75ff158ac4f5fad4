"""Cleanup: one run deletes everything that is due, however many batches that takes, and a stop ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.ledger import Ledger
from clipengine.settings.settings import Retention
from clipengine.stores.folder import FolderStore
from clipengine.work.jobs.removals import Remover
from clipengine.work.upkeep.cleanup import Cleanup
from clipengine.work.worker import JobContext, Worker
from tests.support.ledgers import open_copied_ledger

CLIPS = 350


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = open_copied_ledger(tmp_path / "ledger.db", max_queued=10)
    with closing(made):
        recording, _ = made.recordings.register("a.mp4", etag="e", size=1)
        row = "?, ?, 'made', 0, 1, 'complete', ?, 1, 1, 1, 'default', 0, '{}', 1, FALSE, 0, 1, 1"
        names = """clip_id, recording_id, label, start_seconds, end_seconds, state, object_key, created_at,
            completed_at, progress, profile, priority, metadata, attempt, poster, crashes, next_at, expires_at"""
        with made.transaction():
            for number in range(CLIPS):
                values = (f"clip_{uuid4().hex}", recording.recording_id, f"clips/{number}.mp4")
                made.database.run(f"INSERT INTO clips ({names}) VALUES ({row})", values)
        yield made


def test_one_run_deletes_every_expired_clip(ledger: Ledger) -> None:
    Cleanup(ledger, Retention()).run()
    assert ledger.clips.list(ClipFilter(limit=1)).data == []
    events = ledger.events.after(0, limit=2 * CLIPS)
    assert len({event.clip_id for event in events}) == len(events) == CLIPS
    assert len(ledger.removals.due(limit=10 * CLIPS)) == 2 * CLIPS


def test_stopped_cleanup_deletes_nothing_more(ledger: Ledger) -> None:
    cleanup = Cleanup(ledger, Retention())
    cleanup.stop()
    cleanup.run()
    assert len(ledger.clips.list(ClipFilter(limit=100)).data) == 100


def test_limit_of_clips_is_kept_once_a_minute(ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.database.run("UPDATE clips SET size_bytes = 10, expires_at = NULL")
    cleanup = Cleanup(ledger, Retention(max_clips_bytes=1000))
    cleanup.run()
    assert ledger.storage_use.clips().bytes == 950
    with ledger.transaction():
        ledger.database.run("UPDATE clips SET size_bytes = 20")
    cleanup.run()
    assert ledger.storage_use.clips().bytes == 1900


def test_cleanup_is_not_due_again_right_after_a_run(ledger: Ledger) -> None:
    cleanup = Cleanup(ledger, Retention())
    assert cleanup.is_due()
    cleanup.run()
    assert not cleanup.is_due()


def test_one_run_of_the_remover_deletes_all_full_batches(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipengine.work.jobs.removals.MAX_DELETE", 100)
    store = FolderStore(tmp_path / "store")
    clips = tmp_path / "store" / "clips"
    clips.mkdir(parents=True)
    for number in range(CLIPS):
        (clips / f"{number}.mp4").write_bytes(b"x")
    Cleanup(ledger, Retention()).run()
    Worker(Remover(JobContext(ledger, "me", threading.Event()), store)).run_due()
    assert not list(clips.glob("*.mp4"))
    assert ledger.removals.due() == []
