"""A ledger of many clips, as after years of use, generated in about a minute."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

from clipengine.ledger.database.migrations import MIGRATIONS
from clipengine.ledger.ledger import Ledger

RECORDINGS = 10_000
LABELS = 997
QUEUED = 8_000
BEGAN_MS = 1_743_850_800_000
_NEVER_MS = 2**53  # keeps this engine from cutting queued clips

_RESULT = {
    "actual_start_seconds": 120.0, "actual_end_seconds": 150.0, "duration_seconds": 30.0, "frames": 900, "width": 1920,
    "height": 1080, "video_codec": "h264", "audio_codec": "aac", "size_bytes": 4_000_000, "sha256": "ab" * 32,
    "poster_path": "relay/h_01/clips/key-moment.jpg", "encode_seconds": 3.5, "bytes_read": 9_000_000, "warnings": [],
}  # fmt: skip
_ERROR = {"code": "timeout", "message": "too slow", "hint": "Ask again.", "retryable": True}

# Each inserts :clips rows numbered `n`; the newest are queued, and every twentieth of the others has failed.
_ROWS = (
    f"""INSERT INTO recordings (recording_id, state, bucket_path, etag, file_size_bytes, created_at, completed_at, name,
        metadata, attempts, next_at)
      SELECT printf('rec_%026d', n), 'complete', printf('r/%d/recording.mp4', n), 'e', 1000, {BEGAN_MS} + n * 1000,
        {BEGAN_MS} + n * 1000, printf('meeting %d', n % 500), '{{}}', 1, 0 FROM numbers WHERE n < {RECORDINGS}""",
    f"""INSERT INTO clips (clip_id, recording_id, label, start_seconds, end_seconds, state, object_key, created_at,
        completed_at, progress, step, profile, priority, metadata, attempt, error, result, poster, crashes, next_at)
      SELECT printf('clip_%026d', n), printf('rec_%026d', n % {RECORDINGS}), printf('label %d', n % {LABELS}), 120, 150,
        CASE WHEN n >= :clips - {QUEUED} THEN 'queued' WHEN n % 20 = 0 THEN 'failed' ELSE 'complete' END,
        printf('r/%d/clips/label-clip_%026d.mp4', n % {RECORDINGS}, n), {BEGAN_MS} + n * 100,
        CASE WHEN n < :clips - {QUEUED} THEN {BEGAN_MS} + n * 100 + 5000 END, 1,
        CASE WHEN n >= :clips - {QUEUED} THEN 'queued' END, 'default', 0, '{{}}', 1,
        CASE WHEN n < :clips - {QUEUED} AND n % 20 = 0 THEN :error END,
        CASE WHEN n < :clips - {QUEUED} AND n % 20 THEN :result END, 1, 0, {_NEVER_MS} FROM numbers""",
    f"""INSERT INTO events (event_id, type, clip_id, recording_id, payload, created_at)
      SELECT printf('evt_%026d', n), 'clip.ready', printf('clip_%026d', n), printf('rec_%026d', n % {RECORDINGS}),
        '{{"event":"clip.ready","data":' || :result || '}}', {BEGAN_MS} + n * 100 FROM numbers""",
    f"""INSERT INTO deliveries (delivery_id, event_id, event_type, clip_id, recording_id, endpoint_id, url, target,
        status, attempt, created_at, last_status_code)
      SELECT printf('dlv_%026d', n), printf('evt_%026d', n), 'clip.ready', printf('clip_%026d', n),
        printf('rec_%026d', n % {RECORDINGS}), 'whk_1', 'https://a.test/', 'whk_1', 'delivered', 1,
        {BEGAN_MS} + n * 100, 200 FROM numbers""",
)


def data_folder(cache: Path, clips: int) -> Path:
    """Return a cached data folder whose ledger has this many clips, each with an event and a delivery."""
    made = cache / f"ledger-{len(MIGRATIONS)}-{clips}"
    if not made.exists():
        partial = made.with_name(f"partial-{made.name}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        open_ledger(partial).close()
        _fill(partial / "ledger.db", clips)
        partial.rename(made)
    return made


def open_ledger(data: Path) -> Ledger:
    return Ledger.open(data / "ledger.db", key_prefix="relay_live", organisation_id="org_local", max_queued=10_000)


def _fill(path: Path, clips: int) -> None:
    """Insert the rows before creating their indexes, which is many times faster."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    made = indexes.fetchall()
    for name, _ in made:
        connection.execute(f"DROP INDEX {name}")
    numbers = "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < :clips - 1)"
    values = {"clips": clips, "result": json.dumps(_RESULT), "error": json.dumps(_ERROR)}
    for rows in _ROWS:
        connection.execute(f"{numbers} {rows}", values)
    for _, sql in made:
        connection.execute(sql)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
