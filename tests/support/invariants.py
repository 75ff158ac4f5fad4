"""Invariants of a data folder without a running engine, checked after every test of faults and load."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from clipengine.clips.clip import Clip
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.ledger import Ledger
from clipengine.stores.base import Store
from clipengine.stores.folder import FolderStore
from tests.support.children import is_child
from tests.support.waiting import until


def check_invariants(
    data: Path, *, settled: bool = True, store: Store | None = None, open_uploads: Collection[Any] = ()
) -> list[Clip]:
    """Return every clip of the ledger after checking that nothing is lost, duplicated or left over.

    `settled`: all clips and deliveries have ended and all unwanted objects are deleted. `store` defaults to the folder
    store of the data folder; `open_uploads` are its multipart uploads.
    """
    connection = sqlite3.connect(data / "ledger.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchone() is None
        connection.row_factory = sqlite3.Row
        _check_deliveries(connection, settled=settled)
        finished = {
            f"{row['clip_id']}-{row['attempt']}": json.loads(row["finished"])["result"]["size_bytes"]
            for row in connection.execute("SELECT * FROM clips WHERE finished IS NOT NULL")
        }
    finally:
        connection.close()
    ledger = Ledger.open(data / "ledger.db", key_prefix="relay_live", organisation_id="org_local", max_queued=10_000)
    try:
        clips = _all_clips(ledger)
        events = Counter(
            (event.clip_id, event.type) for event in ledger.events.after(0, limit=1_000_000) if event.clip_id
        )
    finally:
        ledger.close()
    for clip in clips:
        assert clip.ended or clip.state in ("queued", "cutting", "uploading"), clip
        assert not settled or clip.ended, clip
        if clip.ended:
            kind = "clip.ready" if clip.state == "complete" else "clip.failed"
            assert events[clip.clip_id, kind] >= 1, (clip, events)
    doubled = {each: number for each, number in events.items() if number > 1 and each[1] == "clip.ready"}
    assert not doubled, doubled
    _check_objects(store or FolderStore(data / "store"), clips, settled=settled)
    assert not settled or not open_uploads, open_uploads
    _check_scratch(data / "scratch", finished, settled=settled)
    until(lambda: not children_of(data), 10)  # the kernel kills them after their parent, with a delay
    return clips


def _all_clips(ledger: Ledger) -> list[Clip]:
    clips: list[Clip] = []
    cursor: str | None = None
    while True:
        page = ledger.clips.list(ClipFilter(limit=1000, cursor=cursor))
        clips += page.data
        cursor = page.next_cursor
        if cursor is None:
            return clips


def _check_deliveries(connection: sqlite3.Connection, *, settled: bool) -> None:
    """Check that each event has one delivery to each endpoint subscribed then, and no other."""
    made = Counter(
        (row["event_id"], row["endpoint_id"])
        for row in connection.execute("SELECT event_id, endpoint_id FROM deliveries WHERE endpoint_id IS NOT NULL")
    )
    assert all(number == 1 for number in made.values()), made
    for endpoint in connection.execute("SELECT * FROM endpoints WHERE enabled"):
        wanted = json.loads(endpoint["events"])
        for event in connection.execute("SELECT * FROM events WHERE created_at > ?", (endpoint["created_at"],)):
            if event["type"] in wanted and (event["clip_id"] or event["recording_id"]):
                assert made[event["event_id"], endpoint["webhook_id"]] == 1, dict(event)
    if settled:
        assert connection.execute("SELECT 1 FROM deliveries WHERE status = 'sending'").fetchone() is None


def _check_objects(store: Store, clips: list[Clip], *, settled: bool) -> None:
    stored = {each.key: each for each in store.list() if "/clips/" in f"/{each.key}"}
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
            if clip.result.manifest_path:
                expected.add(clip.result.manifest_path)
    if settled:
        assert set(stored) == expected, set(stored) ^ expected


def _check_scratch(scratch: Path, finished: dict[str, int], *, settled: bool) -> None:
    """Check that only whole clips waiting for their upload are left; a killed engine leaves more until it restarts."""
    found = {each.name: each for each in scratch.iterdir()} if scratch.exists() else {}
    assert not settled or not found, found
    for name, size in finished.items():
        assert [each.stat().st_size for each in found[name].glob("clip.*")] == [size]


def children_of(data: Path) -> list[int]:
    """Return children without a parent, on this machine, that have files of this data folder open."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if not is_child(entry):
                continue
            files = [os.readlink(each) for each in (entry / "fd").iterdir()]
        except OSError:
            continue
        if any(name.startswith(str(data)) for name in files):
            found.append(int(entry.name))
    return found
