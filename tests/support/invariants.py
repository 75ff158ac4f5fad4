"""What must hold of a data folder whenever no engine runs on it: checked after every test of faults and load."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from pathlib import Path

from clipengine.clips.clip import Clip
from clipengine.ledger.ledger import Ledger
from clipengine.stores.folder import FolderStore


def check_invariants(data: Path, *, settled: bool = True) -> list[Clip]:
    """Every clip of the ledger, after proving that nothing is lost, doubled or left over (folder store).

    `settled`: every clip has ended and every unwanted object is gone.
    """
    with sqlite3.connect(data / "ledger.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    ledger = Ledger.open(data / "ledger.db", key_prefix="relay_live", organisation_id="org_local", max_queued=10_000)
    try:
        clips = ledger.clips.list(limit=1000).data
        events = Counter(
            (event.clip_id, event.type) for event in ledger.events.after(0, limit=100_000) if event.clip_id is not None
        )
    finally:
        ledger.close()
    for clip in clips:
        assert not settled or clip.ended, clip
        if clip.ended:
            kind = "clip.ready" if clip.state == "complete" else "clip.failed"
            assert events[clip.clip_id, kind] == 1, (clip, events)
    _check_objects(data, clips, settled=settled)
    scratch = data / "scratch"
    assert not scratch.exists() or not list(scratch.iterdir()), list(scratch.iterdir())
    assert not children_of(data), children_of(data)
    return clips


def _check_objects(data: Path, clips: list[Clip], *, settled: bool) -> None:
    store = FolderStore(data / "store", "")
    stored = {each.key: each for each in store.list() if "/clips/" in each.key}
    expected: set[str] = set()
    for clip in clips:
        if clip.state == "complete":
            assert clip.result is not None
            found = store.head(clip.object_key)
            assert (found.size, found.sha256) == (clip.result.size_bytes, clip.result.sha256)
            expected.add(clip.object_key)
            if clip.result.poster_path:
                assert clip.result.poster_path in stored
                expected.add(clip.result.poster_path)
    if settled:
        assert set(stored) == expected


def children_of(data: Path) -> list[int]:
    """Encoder children whose parent is gone, anywhere on this machine, that hold files of this data folder open."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            if b"clipengine.media.child" not in command:
                continue
            files = [os.readlink(each) for each in (entry / "fd").iterdir()]
        except OSError:
            continue
        if any(name.startswith(str(data)) for name in files):
            found.append(int(entry.name))
    return found
