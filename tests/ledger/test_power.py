"""Durability after a power cut, and growth of the WAL during a long read."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from clipengine.clips.clip import Clip
from clipengine.ledger.ledger import Ledger

Open = Callable[..., Ledger]


def wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def test_acknowledged_commits_survive_a_power_cut(
    ledger: Ledger, open_ledger: Open, queue: Callable[..., Clip], path: Path, tmp_path: Path
) -> None:
    """Data after the last synced byte may be present, truncated or garbage; it was not acknowledged."""
    acknowledged: list[tuple[int, str]] = []
    for _ in range(12):
        clip_id = queue().clip_id
        acknowledged.append((wal(path).stat().st_size, clip_id))
    whole = wal(path).read_bytes()
    chance = random.Random(18)
    for number in range(12):
        synced = acknowledged[number][0]
        rest = whole[synced:]
        kept = chance.randrange(len(rest) + 1)
        left = [rest[:kept], rest[:kept] + bytes(len(rest) - kept), chance.randbytes(len(rest))][number % 3]
        copy = tmp_path / f"cut{number}" / path.name
        copy.parent.mkdir()
        shutil.copy(path, copy)
        for beside in path.parent.iterdir():
            if beside not in (path, wal(path)) and not beside.name.endswith("-shm"):
                shutil.copy(beside, copy.parent)
        wal(copy).write_bytes(whole[:synced] + left)
        after = open_ledger(at=copy)
        for _, clip_id in acknowledged[: number + 1]:
            assert after.clips.get(clip_id).state == "queued"
        connection = sqlite3.connect(copy)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def test_clean_stop_leaves_one_complete_file(
    ledger: Ledger, open_ledger: Open, queue: Callable[..., Clip], path: Path
) -> None:
    clip = queue()
    ledger.close()
    for left in (wal(path), path.with_name(path.name + "-shm")):
        left.unlink(missing_ok=True)
    assert open_ledger().clips.get(clip.clip_id) == clip


def test_wal_is_reused_after_a_long_reader_ends(ledger: Ledger, queue: Callable[..., Clip], path: Path) -> None:
    """A backup tool or a shell may hold a snapshot for long: the WAL grows during it, but not after."""
    clip = queue()
    running = ledger.clips.claim("me")
    assert running is not None

    def write(times: int) -> int:
        for number in range(times):
            ledger.clips.progress(clip.clip_id, 1, step="encoding", progress=number / times)
        return wal(path).stat().st_size

    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM clips").fetchone()
    grown = write(1500)
    assert grown > 5_000_000  # more than the thousand pages of a checkpoint
    reader.execute("COMMIT")
    grown = write(100)
    assert write(1500) == grown
    # No connection of the engine prevents the checkpoint.
    busy, _, _ = reader.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    reader.close()
    assert not busy
    assert wal(path).stat().st_size == 0
