"""Probes that take long: of deleted recordings, and of playlists with very many runs, which make way for others."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.recordings import Probe
from clipengine.recordings.playlist import VariantChoice
from clipengine.settings.settings import Encoding
from clipengine.stores.base import ObjectReader
from clipengine.stores.folder import FolderStore
from clipengine.work.children import jobs
from clipengine.work.children.jobs import Job, Message, probe_job
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.running import RunningChildren
from clipengine.work.jobs import measuring, probes
from clipengine.work.jobs.piece_probe import read_piece_facts
from clipengine.work.jobs.probes import Prober
from clipengine.work.worker import JobContext, Worker
from tests.support.children import holding
from tests.support.hostile import CASES
from tests.support.ledgers import open_copied_ledger
from tests.support.playlists import ts_playlist
from tests.support.waiting import until

KEY = "broken/index.m3u8"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(open_copied_ledger(tmp_path / "ledger.db", max_queued=10)) as made:
        yield made


@pytest.fixture
def pool() -> Iterator[ChildPool]:
    with closing(ChildPool(ahead=0)) as made:
        yield made


def prober_of(ledger: Ledger, pool: ChildPool, folder: Path) -> Worker[Probe]:
    context = JobContext(ledger, "me", threading.Event())
    return Worker(Prober(context, FolderStore(folder), pool, suspects_allowed=bool, encoding=Encoding()))


def write_breaks(path: Path, names: list[str]) -> None:
    """Write a playlist with a discontinuity before each segment, all of which are copies of one."""
    made = path.parent / "made" / "index.m3u8"
    ts_playlist(made)
    for name in set(names):
        shutil.copy(made.with_name("index001.ts"), path.with_name(name))
    listed = "#EXT-X-DISCONTINUITY\n".join(f"#EXTINF:2,\n{name}\n" for name in names)
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{listed}#EXT-X-ENDLIST\n")


def test_deletion_of_a_recording_ends_its_probe(ledger: Ledger, pool: ChildPool, tmp_path: Path) -> None:
    path = tmp_path / "store" / "slow.flv"
    path.parent.mkdir()
    CASES["a million packets of one byte"].make(path)
    recording = ledger.recordings.register("slow.flv", etag="e", size=5)[0]
    thread = threading.Thread(target=prober_of(ledger, pool, path.parent).run_due)
    thread.start()
    until(lambda: holding(os.getpid(), path))
    for child in holding(os.getpid(), path):
        os.kill(child, signal.SIGSTOP)  # it would take minutes, or hang
    ledger.recordings.delete(recording.recording_id)
    thread.join(300)
    assert not thread.is_alive()
    assert not holding(os.getpid(), path)


def test_segment_that_a_playlist_names_many_times_is_read_once(pool: ChildPool, tmp_path: Path) -> None:
    write_breaks(tmp_path / "store" / KEY, ["same.ts"] * 300)
    store, children, messages = FolderStore(tmp_path / "store"), RunningChildren(pool.take), list[Message]()

    def run(job: Job, reader: ObjectReader) -> Message:
        messages.append(job.message)
        return children.run(job, reader, watch=lambda message: None)[0]

    with closing(store.open(KEY)) as playlist:
        found = read_piece_facts(store, playlist, VariantChoice(), probe_job(Encoding()), run)
    found.reader.close()
    assert [(each["job"], len(each["pieces"]["offsets"])) for each in messages] == [("probe_pieces", 1)]
    assert found.index.counts.runs == 300
    assert float(found.facts.duration) == pytest.approx(600, abs=20)


def test_playlist_of_many_runs_makes_way_for_others_and_goes_on(
    ledger: Ledger, pool: ChildPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "_TURN_SECONDS", 0)
    monkeypatch.setattr(measuring, "_PIECES_AT_FIRST", 2)
    monkeypatch.setattr(jobs, "_SCAN_SECONDS", 0)
    store = tmp_path / "store"
    write_breaks(store / KEY, [f"{number}.ts" for number in range(6)])
    shutil.copy(store / "broken" / "0.ts", store / "short.ts")
    ids = [ledger.recordings.register(key, etag="e", size=5)[0].recording_id for key in (KEY, "short.ts")]
    ledger.database.run("UPDATE recordings SET next_at = 0 WHERE bucket_path = ?", (KEY,))
    prober = prober_of(ledger, pool, store)

    def states() -> list[str]:
        return [ledger.recordings.get(id).state for id in ids]

    assert prober.run_next()
    assert states() == ["processing", "processing"]
    assert ledger.recordings.probe_attempts(ids[0]) == 0
    assert prober.run_next()
    assert states() == ["processing", "complete"]
    assert prober.run_next()
    assert states() == ["complete", "complete"]
    assert ledger.recordings.get(ids[0]).pieces == {
        "count": 6,
        "runs": 6,
        "tracks": 1,
        "bytes": 6 * (store / "short.ts").stat().st_size,
    }
