"""What fills the store."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock, patch

import httpx
import pytest

from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.client import Client
from clipengine.clips.clip import Clip
from clipengine.ledger.stored_objects import storage_use
from clipengine.recordings.recording import Recording
from tests.api.test_downloads import BYTES
from tests.support.api import ApiServer, RecordedEngine

_DAY_MS = 24 * 3_600_000


def use(http: httpx.Client) -> dict[str, Any]:
    answer = http.get("/v1/storage")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_counts_and_sizes(http: httpx.Client, engine: RecordedEngine, recording: Recording, clip: Clip) -> None:
    assert use(http)["clips"] == {"count": 0, "bytes": 0}  # it is queued
    engine.finish(clip, BYTES)
    cache = engine.settings.data.folder / "previews"
    cache.mkdir(exist_ok=True)
    (cache / "a").write_bytes(b"12345")
    found = use(http)
    assert found["recordings"] == {"count": 1, "bytes": recording.file_size_bytes}
    assert found["clips"] == {"count": 1, "bytes": len(BYTES)}
    assert found["previews"] == {"count": 1, "bytes": 5}
    assert found["ledger_bytes"] > 0
    assert found["largest_recordings"] == [
        {"recording_id": recording.recording_id, "name": recording.name or "", "bytes": recording.file_size_bytes}
    ]
    assert found["largest_clips"] == [{"clip_id": clip.clip_id, "label": clip.label, "bytes": len(BYTES)}]


def test_blocks_that_are_reserved_for_root_are_not_used(http: httpx.Client, engine: RecordedEngine) -> None:
    assert use(http)["used_bytes"] > 0
    with patch("os.statvfs", return_value=Mock(f_frsize=4096, f_blocks=1000, f_bfree=900, f_bavail=700)):
        assert use(http)["used_bytes"] == 100 * 4096
    engine.settings.store_folder.rmdir()
    assert use(http)["used_bytes"] is None


def test_ten_largest_are_listed(http: httpx.Client, engine: RecordedEngine, recording: Recording) -> None:
    for number in range(12):
        engine.finish(engine.make_clip(recording, f"clip {number}"), BYTES[: 100 + number])
    found = use(http)["largest_clips"]
    assert [each["bytes"] for each in found] == [100 + number for number in range(11, 1, -1)]


def test_what_expires_soon(http: httpx.Client, engine: RecordedEngine, recording: Recording) -> None:
    for label, days in (("soon", 0.5), ("later", 5), ("much later", 100), ("never", None)):
        clip = engine.finish(engine.make_clip(recording, label), BYTES)
        expires = {} if days is None else {"expires_at": rfc3339(now_ms() + round(days * _DAY_MS))}
        assert http.patch(f"/v1/clips/{clip.clip_id}", json=expires).status_code == 200
    path = f"/v1/recordings/{recording.recording_id}"
    http.patch(path, json={"expires_at": rfc3339(now_ms() + 20 * _DAY_MS)})

    def removed() -> list[tuple[int, int, int, int]]:
        return [
            (each["within_days"], each["clips"]["count"], each["clips"]["bytes"], each["recordings"]["count"])
            for each in use(http)["removed"]
        ]

    size = len(BYTES)
    assert removed() == [(1, 1, size, 0), (7, 2, 2 * size, 0), (30, 2, 2 * size, 1)]
    retention = engine.settings.retention.model_copy(update={"clips_days": 6})
    engine.settings = engine.settings.model_copy(update={"retention": retention})
    assert removed() == [(1, 1, size, 0), (7, 3, 3 * size, 0), (30, 3, 3 * size, 1)]


def test_limit_of_clips(http: httpx.Client, engine: RecordedEngine, recording: Recording) -> None:
    engine.finish(engine.make_clip(recording, "kept for an hour"), BYTES)
    assert use(http)["clips_limit"] is None
    levels = []
    for limit in (2 * len(BYTES), len(BYTES), len(BYTES) - 1):
        retention = engine.settings.retention.model_copy(update={"max_clips_bytes": limit})
        engine.settings = engine.settings.model_copy(update={"retention": retention})
        assert engine.ledger.clip_limit.run(limit) == 0
        assert use(http)["clips_limit"]["max_bytes"] == limit
        levels.append(use(http)["clips_limit"]["state"])
    assert levels == ["ok", "warning", "unmet"]


def test_days_are_kept_for_a_month(
    http: httpx.Client, engine: RecordedEngine, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = now_ms()
    ledger = engine.ledger
    for day in (0, 1, 2, 2, 31):
        monkeypatch.setattr(storage_use, "now_ms", lambda day=day: start + day * _DAY_MS)
        ledger.storage_use.note_day()
    found = use(http)["history"]
    assert [each["at"] for each in found] == [rfc3339((start // _DAY_MS + day) * _DAY_MS) for day in (2, 31)]
    assert found[-1]["recordings"] == {"count": 1, "bytes": recording.file_size_bytes}


def test_reading_needs_read(server: ApiServer, engine: RecordedEngine) -> None:
    _, reader = engine.ledger.keys.create("reader", ["read"])
    with Client(server.url, reader) as client:
        assert client.installation.storage()["transcripts"] == 0
    with server.client("") as http:
        assert http.get("/v1/storage").status_code == 401
