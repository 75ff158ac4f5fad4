"""Refreshes of recordings that are still written, with real children."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clipengine.clips.clip import Recording
from clipengine.ledger.ledger import Ledger
from clipengine.settings import Encoding
from clipengine.stores.folder import FolderStore
from clipengine.work.children.pool import ChildPool
from clipengine.work.jobs.probes import Prober
from clipengine.work.jobs.refreshes import Refresher
from clipengine.work.worker import JobContext, Worker
from tests.support.children import working
from tests.support.ledgers import open_copied_ledger
from tests.support.playlists import first_segments, ts_playlist

KEY = "live/index.m3u8"


class Live:
    """A recording of three segments of 2 s that grows, and its refreshes."""

    def __init__(self, ledger: Ledger, pool: ChildPool, folder: Path) -> None:
        self._ledger = ledger
        self._path = folder / KEY
        ts_playlist(self._path)
        self._made = self._path.with_name("made.m3u8")
        self._path.rename(self._made)
        store, context = FolderStore(folder), JobContext(ledger, "me", threading.Event())
        self.jobs = Refresher(context, store, pool, encoding=Encoding())
        self._refresher = Worker(self.jobs)
        self.write(3)
        self.id = ledger.recordings.register(KEY, etag="e", size=5, live=True)[0].recording_id
        Worker(Prober(context, store, pool, suspects_allowed=bool, encoding=Encoding())).run_due()
        assert self.recording.state == "recording"

    @property
    def recording(self) -> Recording:
        return self._ledger.recordings.get(self.id)

    @property
    def count(self) -> int:
        return (self.recording.pieces or {})["count"]

    def write(self, count: int, *, stated: float = 2) -> None:
        """List so many segments, whose stated durations may be wrong."""
        text = first_segments(self._made, count)
        self._path.write_text(re.sub(r"#EXTINF:[\d.]+", f"#EXTINF:{stated}", text))

    def refresh(self, *, wanted: bool) -> None:
        """Do one refresh, as soon after a request for the recording, or long after it."""
        self._ledger.live.want(self.id, at_once=True)
        if not wanted:
            self._ledger.database.run("UPDATE live_recordings SET wanted_at = 0")
        assert self._refresher.run_due() == 1


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with (
        closing(open_copied_ledger(tmp_path / "ledger.db", max_queued=10)) as ledger,
        closing(ChildPool(ahead=0)) as pool,
    ):
        made = Live(ledger, pool, tmp_path / "store")
        yield made
        made.jobs.interrupt()


def test_one_child_reads_what_is_added_while_somebody_looks(live: Live) -> None:
    others = set(working(os.getpid()))
    children = []
    for count in (4, 5):
        live.write(count)
        live.refresh(wanted=True)
        assert live.count == count
        assert live.recording.duration_seconds == pytest.approx(2 * count, abs=0.2)
        children.append(set(working(os.getpid())) - others)
    assert len(children[0]) == 1
    assert children[0] == children[1]
    live.jobs.interrupt()
    assert not set(working(os.getpid())) - others


def test_what_nobody_looks_at_counts_by_its_stated_durations(live: Live) -> None:
    others = set(working(os.getpid()))
    before = live.recording.duration_seconds or 0
    for count in (4, 5):
        live.write(count)
        live.refresh(wanted=False)
        assert live.count == 3
        assert live.recording.duration_seconds == pytest.approx(before + 2 * (count - 3), abs=0.01)
    assert not set(working(os.getpid())) - others
    live.refresh(wanted=True)
    assert live.count == 5


def test_stated_durations_are_corrected_by_those_that_were_measured(live: Live) -> None:
    live.write(4, stated=2.5)
    live.refresh(wanted=True)
    before = live.recording.duration_seconds or 0
    assert before == pytest.approx(8, abs=0.2)
    live.write(6, stated=2.5)
    live.refresh(wanted=False)
    assert live.count == 4
    assert live.recording.duration_seconds == pytest.approx(before + 4, abs=0.2)
