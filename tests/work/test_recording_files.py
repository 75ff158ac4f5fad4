"""Files that are copied back into the folder store: the same content under a new time."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clipengine.errors import RecordingChanged, RecordingMissing
from clipengine.recordings.recording import Recording
from clipengine.stores.content_digest import content_digest
from clipengine.stores.s3 import S3Store
from clipengine.work.recording_files import open_recording
from tests.support.api import RecordedEngine, api_server, recorded_engine
from tests.support.s3 import QUICK, S3Server

KEY = "in/talk.mp4"
CONTENT = os.urandom(3_000_000)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RecordedEngine]:
    with recorded_engine(tmp_path / "data") as engine:
        yield engine


def file_of(engine: RecordedEngine, key: str = KEY) -> Path:
    return engine.settings.store_folder / key


def copy_back(engine: RecordedEngine, key: str = KEY) -> None:
    """Copy the file away and back with `cp`, which gives it another time."""
    path = file_of(engine, key)
    aside = path.with_suffix(".bak")
    shutil.copy(path, aside)
    made = path.stat().st_mtime
    path.unlink()
    shutil.copy(aside, path)
    os.utime(path, (made + 1, made + 1))  # within a tick of the clock, it would have the same
    aside.unlink()


def read(engine: RecordedEngine, recording: Recording) -> bytes:
    with closing(open_recording(engine.store, engine.ledger.recordings, recording)) as reader:
        return reader.read_at(0, len(CONTENT))


def test_copied_file_is_the_same_recording(engine: RecordedEngine) -> None:
    recording = engine.make_recording(KEY, CONTENT)
    copy_back(engine)
    stored = engine.store.head(KEY)
    assert stored.etag != recording.etag
    assert read(engine, recording) == CONTENT
    assert engine.ledger.recordings.get(recording.recording_id).etag == stored.etag


def test_copied_file_is_not_registered_again(engine: RecordedEngine) -> None:
    recording = engine.make_recording(KEY, CONTENT)
    copy_back(engine)
    with api_server(engine) as server, server.client() as http:
        answer = http.post("/v1/recordings", json={"bucket_path": KEY})
        assert (answer.status_code, answer.json()["recording_id"]) == (200, recording.recording_id)
        copy_back(engine)
        assert http.get(f"/v1/recordings/{recording.recording_id}/download").content == CONTENT


@pytest.mark.parametrize("content", [b"x" + CONTENT[1:], CONTENT[:-1] + b"x", CONTENT + b"x", os.urandom(len(CONTENT))])
def test_other_content_is_refused_in_plain_words(engine: RecordedEngine, content: bytes) -> None:
    recording = engine.make_recording(KEY, CONTENT)
    made = file_of(engine).stat().st_mtime
    file_of(engine).write_bytes(content)
    os.utime(file_of(engine), (made + 1, made + 1))
    with pytest.raises(RecordingChanged) as refused:
        read(engine, recording)
    assert refused.value.message == f"{KEY} was replaced or changed"
    assert "put the original back" in refused.value.hint
    assert engine.ledger.recordings.get(recording.recording_id).etag == recording.etag


def test_deleted_file_is_missing(engine: RecordedEngine) -> None:
    recording = engine.make_recording(KEY, CONTENT)
    file_of(engine).unlink()
    with pytest.raises(RecordingMissing):
        read(engine, recording)


def test_recording_of_an_older_version_gets_its_digest_when_it_is_read(engine: RecordedEngine) -> None:
    recording = engine.make_recording(KEY, CONTENT, digest=False)
    assert read(engine, recording) == CONTENT
    copy_back(engine)
    assert read(engine, engine.ledger.recordings.get(recording.recording_id)) == CONTENT


def test_digest_covers_the_size_the_ends_and_samples(engine: RecordedEngine) -> None:
    def digest(content: bytes) -> str:
        engine.put(KEY, content)
        with closing(engine.store.open(KEY)) as reader:
            return content_digest(reader)

    contents = [b"", b"a", b"ab", CONTENT, CONTENT[:-1], CONTENT[:1_500_000] + bytes(300_000) + CONTENT[1_800_000:]]
    assert len({digest(content) for content in contents}) == len(contents)


def test_reading_from_s3_writes_nothing(
    engine: RecordedEngine, s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects of S3 have no digest, so one must not be stored each time."""
    engine.store = S3Store(s3.location(bucket), journal=tmp_path / "journal", retries=QUICK)
    stored = engine.store.put_stream(KEY, io.BytesIO(CONTENT), content_type="video/mp4", limit=len(CONTENT))
    made, _ = engine.ledger.recordings.register(KEY, etag=stored.etag, size=stored.size)
    monkeypatch.setattr(engine.ledger.database, "transaction", forbidden)
    assert read(engine, made) == CONTENT


def forbidden(**options: bool) -> None:
    raise AssertionError("a transaction was begun")
