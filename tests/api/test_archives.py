"""Archives of clips in the API: names, errors before the first byte, and disconnected clients."""

from __future__ import annotations

import io
import time
import zipfile
from typing import Any

import httpx
import pytest

from clipengine.clips.clip import Clip
from clipengine.recordings.recording import Recording
from clipengine.stores.base import ObjectReader
from tests.support.api import RecordedEngine
from tests.support.waiting import until

PATH = "/v1/clips/archive"


def archive(http: httpx.Client, *clips: Clip) -> httpx.Response:
    return http.post(PATH, json={"clip_ids": [clip.clip_id for clip in clips]})


def test_files_have_unique_and_safe_names_of_the_labels(
    http: httpx.Client, engine: RecordedEngine, recording: Recording
) -> None:
    labels = ["goal", "Goal", "goal", "goal (2)", "../../etc/passwd", "名前", "e\u0301", "x" * 200]
    clips = [engine.finish(engine.make_clip(recording, label), label.encode()) for label in labels]
    answer = archive(http, *clips)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "clips.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        names = opened.namelist()
        assert [opened.read(name).decode() for name in names] == labels
    assert names[:4] == ["goal.mp4", "Goal (2).mp4", "goal (3).mp4", "goal (2) (2).mp4"]
    assert names[4:7] == ["_.._etc_passwd.mp4", "名前.mp4", "\u00e9.mp4"]


def test_clips_that_cannot_be_archived_are_named_before_the_first_byte(
    http: httpx.Client, engine: RecordedEngine, recording: Recording
) -> None:
    done = engine.finish(engine.make_clip(recording))
    failed = engine.fail(engine.make_clip(recording))
    queued = engine.make_clip(recording)
    ids = [done.clip_id, "clip_none", queued.clip_id, failed.clip_id]
    answer = http.post(PATH, json={"clip_ids": ids})
    assert (answer.status_code, answer.json()["code"]) == (404, "clip_not_found")
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [
        ("/clip_ids/1", "clip_not_found"),
        ("/clip_ids/2", "clip_not_complete"),
        ("/clip_ids/3", "clip_not_complete"),
    ]
    engine.store.delete(done.object_key)
    answer = archive(http, done)
    assert (answer.status_code, answer.json()["code"]) == (404, "object_not_found")
    assert answer.json()["errors"][0]["pointer"] == "/clip_ids/0"


@pytest.mark.parametrize("ids", [[], ["clip_1"] * 2, [f"clip_{number}" for number in range(101)], [1], [""], "clip_1"])
def test_invalid_lists_of_clips_are_rejected(http: httpx.Client, ids: Any) -> None:
    answer = http.post(PATH, json={"clip_ids": ids})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/clip_ids")


def test_nothing_is_read_for_a_client_that_has_disconnected(
    http: httpx.Client, engine: RecordedEngine, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 200 << 20
    clip = engine.finish(engine.make_clip(recording), bytes(1))
    with open(engine.settings.store_folder / clip.object_key, "r+b") as file:
        file.truncate(size)
    reads: list[int] = []
    closed: list[bool] = []
    original = engine.store.open

    def opened(key: str, *, etag: str | None = None) -> ObjectReader:
        reader: Any = original(key, etag=etag)
        read_at, close = reader.read_at, reader.close
        monkeypatch.setattr(reader, "read_at", lambda offset, length: reads.append(length) or read_at(offset, length))
        monkeypatch.setattr(reader, "close", lambda: closed.append(True) or close())
        return reader  # type: ignore[no-any-return]

    monkeypatch.setattr(engine.store, "open", opened)
    with http.stream("POST", PATH, json={"clip_ids": [clip.clip_id]}) as answer:
        assert answer.status_code == 200
        next(answer.iter_raw())
    until(lambda: closed)
    assert sum(reads) < size / 2
    before = len(reads)
    time.sleep(0.1)
    assert len(reads) == before
