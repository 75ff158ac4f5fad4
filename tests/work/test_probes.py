"""Probe reports that cannot be stored fail their recording."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clipengine.ledger.ledger import Ledger
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import Encoding
from clipengine.stores.folder import FolderStore
from clipengine.work.jobs.probes import Prober
from clipengine.work.worker import JobContext, Worker
from tests.support.hostile_child import HostilePool
from tests.support.ledgers import open_copied_ledger

FACTS = {"container": "mp4", "origin": "0", "duration": "60", "video": None, "audio": [], "warnings": []}
UNSTORABLE: dict[str, Any] = {
    "duration beyond a float": {**FACTS, "duration": "1" + 400 * "0"},
    "lone surrogate": {**FACTS, "container": "\ud800"},
    "no facts": {},
    "a track without a codec": {**FACTS, "audio": [{"index": 1}]},
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = open_copied_ledger(tmp_path / "ledger.db", max_queued=10)
    with closing(made):
        yield made


@pytest.fixture
def recording(ledger: Ledger, tmp_path: Path) -> Recording:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a.mp4").write_bytes(b"media")
    return ledger.recordings.register("a.mp4", etag="e", size=5)[0]


@pytest.mark.parametrize("facts", UNSTORABLE.values(), ids=UNSTORABLE)
@pytest.mark.typical(1)
def test_report_that_cannot_be_stored_is_retried_twice_and_fails_its_recording(
    ledger: Ledger, recording: Recording, tmp_path: Path, facts: dict[str, Any]
) -> None:
    with closing(HostilePool({"type": "result", "facts": facts, "seek_index": None})) as pool:
        store = FolderStore(tmp_path / "store")
        context = JobContext(ledger, "me", threading.Event())
        prober = Worker(Prober(context, store, pool, suspects_allowed=bool, encoding=Encoding()))
        deadline = time.monotonic() + 300
        attempts = set()
        while not ledger.recordings.get(recording.recording_id).ended:
            assert time.monotonic() < deadline
            prober.run_due()
            ledger.recordings.release_orphans("me", in_flight=prober.in_flight)
            attempts.add(ledger.recordings.probe_attempts(recording.recording_id))
            time.sleep(0.05)
    ended = ledger.recordings.get(recording.recording_id)
    assert ended.error is not None
    assert (ended.state, ended.error["code"]) == ("failed", "decoder_crashed")
    assert attempts == {1, 2, 3}
    assert [event.type for event in ledger.events.after(0)] == ["recording.failed"]
