"""Local copies of new recordings: whole or not at all, bounded, and never a reason for an upload to fail."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import pytest

from clipengine.basis.disk_space import DiskSpace
from clipengine.recordings.recording import Recording
from clipengine.stores.base import StoredObject
from clipengine.work.previews import copies as module
from clipengine.work.previews.copies import LocalCopies
from tests.support.api import recorded_engine
from tests.support.full_disk import disk

BODY = bytes(range(256)) * 4000


class Bench(NamedTuple):
    copies: LocalCopies
    folder: Path
    recording: Recording
    stored: StoredObject

    def upload(self, *, fails: bool = False) -> bytes:
        """Read the body like a store, and keep the copy. Return what was read."""
        with self.copies.copied(io.BytesIO(BODY)) as body:
            read = b"".join(iter(lambda: cast(BinaryIO, body).read(100_000), b""))
            if fails:
                raise ConnectionError
            body.keep(self.recording.recording_id, self.stored)
        return read

    def found(self, recording: Recording | None = None) -> bytes | None:
        reader = self.copies.open(recording or self.recording)
        if reader is None:
            return None
        with closing(reader):
            return reader.read_at(0, len(BODY))

    @property
    def files(self) -> int:
        return len(list(self.folder.iterdir())) if self.folder.exists() else 0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with recorded_engine(tmp_path / "data") as engine:
        recording = engine.make_recording(body=BODY)
        copies = LocalCopies(tmp_path / "copies")
        copies.enable()
        stored = StoredObject(recording.bucket_path, len(BODY), recording.etag, 0)
        yield Bench(copies, tmp_path / "copies", recording, stored)


def test_copy_has_the_bytes_of_the_upload(bench: Bench) -> None:
    assert bench.upload() == BODY
    assert bench.found() == BODY
    assert bench.upload() == BODY  # again: it replaces the first
    assert bench.files == 1
    bench.copies.drop(bench.recording.recording_id)
    assert (bench.found(), bench.files) == (None, 0)


def test_failed_upload_leaves_no_copy(bench: Bench) -> None:
    with pytest.raises(ConnectionError):
        bench.upload(fails=True)
    assert bench.files == 0


def test_copy_leaves_free_what_is_kept_free_on_its_disk(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    folder = bench.folder.with_name("limited")
    copies = LocalCopies(folder, disk=DiskSpace(folder.parent, 1 << 60))
    copies.enable()
    limited = bench._replace(copies=copies, folder=folder)
    assert limited.upload() == BODY
    assert (limited.found(), limited.files) == (None, 0)
    assert "limits.min_free_bytes" in caplog.text


def test_copy_of_another_size_is_not_kept(bench: Bench) -> None:
    shorter = StoredObject(bench.stored.key, len(BODY) - 1, bench.stored.etag, 0)
    bench._replace(stored=shorter).upload()
    assert bench.files == 0


def test_replaced_recording_is_not_read_from_its_copy(bench: Bench) -> None:
    bench._replace(stored=StoredObject(bench.stored.key, len(BODY), "other", 0)).upload()
    assert bench.found() is None


def test_nothing_is_copied_before_it_is_enabled(tmp_path: Path, bench: Bench) -> None:
    other = bench._replace(copies=LocalCopies(tmp_path / "other"), folder=tmp_path / "other")
    file = tmp_path / "fetched.part"
    file.write_bytes(BODY)
    assert other.upload() == BODY
    other.copies.take(file, bench.recording.recording_id, bench.stored)
    assert (other.found(), other.files, file.exists()) == (None, 0, True)


def test_fetched_file_becomes_a_copy(tmp_path: Path, bench: Bench) -> None:
    file = tmp_path / "fetched.part"
    file.write_bytes(BODY)
    bench.copies.take(file, bench.recording.recording_id, bench.stored)
    assert (bench.found(), bench.files, file.exists()) == (BODY, 1, False)
    bench.copies.take(file, bench.recording.recording_id, bench.stored)  # it was deleted meanwhile
    assert bench.files == 1


@pytest.mark.parametrize("checked", [1, 1 << 30], ids=["while it is written", "at its end"])
def test_copies_leave_most_of_the_disk_free(bench: Bench, monkeypatch: pytest.MonkeyPatch, checked: int) -> None:
    """A quarter of the space that would be free without them."""
    monkeypatch.setattr(module, "_CHECKED_BYTES", checked)
    usage = shutil.disk_usage(bench.folder.parent)
    free = 3 * len(BODY)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    bench.upload()
    assert bench.found() == BODY
    free -= 4
    bench.copies.clear()
    assert bench.upload() == BODY
    assert (bench.found(), bench.files) == (None, 0)


def test_upload_goes_on_if_the_copy_cannot_be_written(bench: Bench) -> None:
    with disk(bench.folder, 0.5):
        assert bench.upload() == BODY
        assert (bench.found(), bench.files) == (None, 0)


def test_old_copies_are_deleted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.upload()
    bench.copies.purge()
    assert bench.files == 1
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)
    bench.upload()
    bench.copies.purge()
    assert (bench.found(), bench.files) == (None, 0)


def test_copies_of_an_earlier_engine_are_deleted(bench: Bench) -> None:
    bench.upload()
    LocalCopies(bench.folder).clear()
    assert (bench.files, bench.found()) == (0, None)
