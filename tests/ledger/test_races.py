"""Races and kill -9: a clip is claimed once, has one outcome and event, and no acknowledged write is lost."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import ClipEnded
from clipengine.ledger.ledger import Ledger

pytestmark = pytest.mark.proof

Queue = Callable[..., Clip]


def _together(*calls: Callable[[], object]) -> list[object]:
    """Run the calls at the same time, each in its own thread, and return their results."""
    barrier = threading.Barrier(len(calls))
    found: list[object] = [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait(300)
        found[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_concurrent_threads_claim_each_clip_once(ledger: Ledger, queue: Queue) -> None:
    with ledger.transaction():
        made = {queue().clip_id for _ in range(120)}

    def work() -> list[str]:
        mine = []
        while (clip := ledger.clips.claim("me")) is not None:
            mine.append(clip.clip_id)
        return mine

    claimed = [clip_id for mine in _together(*[work] * 12) for clip_id in mine]  # type: ignore[attr-defined]
    assert len(claimed) == 120
    assert set(claimed) == made


def test_concurrent_threads_claim_each_delivery_once(ledger: Ledger, queue: Queue) -> None:
    with ledger.transaction():
        for number in range(30):
            ledger.clips.cancel(queue(webhook_url=f"https://h{number % 5}.test/").clip_id)

    def work() -> list[str]:
        mine = []
        while taken := ledger.deliveries.claim_due(limit=2, per_target=6):
            mine += [delivery.delivery_id for delivery in taken]
        return mine

    taken = [ident for mine in _together(*[work] * 6) for ident in mine]  # type: ignore[attr-defined]
    assert len(taken) == len(set(taken)) == 30


def test_cancel_racing_complete_has_one_winner_and_one_event(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    for _ in range(25):
        clip = queue()
        ledger.clips.claim("me")

        def cancel(clip_id: str = clip.clip_id) -> bool:
            try:
                ledger.clips.cancel(clip_id)
            except ClipEnded:
                return False
            return True

        def complete(clip_id: str = clip.clip_id) -> bool:
            return ledger.clips.complete(clip_id, 1, result)

        cancelled, also_cancelled, completed = _together(cancel, cancel, complete)
        assert [cancelled, also_cancelled, completed].count(True) == 1
        end = ledger.clips.get(clip.clip_id)
        assert end.state == ("complete" if completed else "failed")
        events = [event.type for event in ledger.events.after(0, limit=1000) if event.clip_id == clip.clip_id]
        assert events == ["clip.ready" if completed else "clip.failed"]
        keys = ledger.removals.due(limit=1000)
        assert (clip.object_key in keys) == (not completed)


def test_two_connections_of_two_ledgers_claim_each_clip_once(
    ledger: Ledger, open_ledger: Callable[..., Ledger], queue: Queue
) -> None:
    other = open_ledger()
    with ledger.transaction():
        made = {queue().clip_id for _ in range(40)}

    def work(of: Ledger) -> list[str]:
        mine = []
        while (clip := of.clips.claim("me")) is not None:
            mine.append(clip.clip_id)
        return mine

    claimed = [ident for mine in _together(lambda: work(ledger), lambda: work(other)) for ident in mine]  # type: ignore[attr-defined]
    assert len(claimed) == 40
    assert set(claimed) == made


_CREATE_FOR_EVER = """
import sys, threading
from pathlib import Path
from clipengine.clips.request import ClipRequest
from clipengine.ledger.ledger import Ledger

ledger = Ledger.open(Path(sys.argv[1]), key_prefix="k", organisation_id="o", max_queued=100000)
recording = ledger.recordings.get(sys.argv[2])

def create():
    while True:
        clip = ledger.clips.create(recording, ClipRequest("x", 0, 1), extension="mp4")
        sys.stdout.write(clip.clip_id + "\\n")
        sys.stdout.flush()

for _ in range(3):
    threading.Thread(target=create).start()
"""


@pytest.mark.parametrize("acknowledged", [1, 40, 150])
@pytest.mark.typical(1)
def test_kill_9_loses_nothing_that_was_acknowledged(
    ledger: Ledger,
    open_ledger: Callable[..., Ledger],
    queue: Queue,
    path: Path,
    acknowledged: int,
) -> None:
    recording_id = queue().recording_id
    ledger.close()
    command = [sys.executable, "-c", _CREATE_FOR_EVER, str(path), recording_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        seen = [child.stdout.readline() for _ in range(acknowledged)]
        child.send_signal(signal.SIGKILL)
        seen += [line for line in child.stdout if line.endswith("\n")]
    after = open_ledger()
    for line in seen:
        assert after.clips.get(line.strip()).state == "queued"
    assert after.clips.counts()["queued"] > len(seen)
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    raw.close()
