"""Objects that are stored in steps, in every kind of store."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from clipengine.basis.disk_space import DiskSpace
from clipengine.errors import DiskFull, ObjectMissing, StorageUnavailable
from clipengine.recordings.partial_object import PartialObject
from clipengine.stores.base import Store
from clipengine.stores.folder import FolderStore
from clipengine.stores.s3 import S3Store
from tests.stores.conftest import MakeS3
from tests.stores.test_conformance import keys, read
from tests.support.full_disk import disk, grow
from tests.support.s3 import S3Server

MEBIBYTE = 1 << 20
KEY = "recordings/rec_1/talk.mp4"


def begun(size: int) -> PartialObject:
    return PartialObject("upl_1", KEY, size, "video/mp4")


def extended(store: Store, partial: PartialObject, data: bytes) -> PartialObject:
    """Return the last state after these bytes, as a caller records each of them."""
    for reached in store.extend(partial, io.BytesIO(data)):
        store.forget(partial)
        partial = reached
    return partial


def leftovers(store: Store) -> list[str]:
    """Return what a store has besides the objects that it lists."""
    if isinstance(store, S3Store):
        client = store._client
        names = [each.object_name or "" for each in client.page(".clipengine/", after="")]
        return [*names, *client.call(lambda minio: minio.find_uploads(client.bucket, client.name(KEY)))]
    assert isinstance(store, FolderStore)
    return [path.name for name in ("uploads", "tmp") for path in (store._reserved / name).glob("*")]


@pytest.mark.parametrize(
    ("size", "cuts"),
    [
        (7, []),
        (100, [1, 99]),
        pytest.param(12 * MEBIBYTE, [6 * MEBIBYTE, 7 * MEBIBYTE], marks=pytest.mark.exhaustive),
        (34 * MEBIBYTE + 5, [1, 3 * MEBIBYTE, 10 * MEBIBYTE, 33 * MEBIBYTE]),
    ],
)
def test_object_that_arrives_in_steps_is_whole(store: Store, size: int, cuts: list[int]) -> None:
    data, partial = random.Random(size).randbytes(size), begun(size)
    for start, end in zip([0, *cuts], [*cuts, size], strict=True):
        assert partial.offset == start
        partial = extended(store, partial, data[start:end])
    assert partial.is_whole
    stored = store.finish(partial)
    assert (stored.key, stored.size, stored.content_type) == (KEY, size, "video/mp4")
    assert read(store, KEY) == data
    assert store.finish(partial).etag == stored.etag  # an engine was killed before it recorded the object
    assert keys(store) == [KEY]
    assert leftovers(store) == []


def test_bytes_that_were_not_recorded_are_sent_again(store: Store) -> None:
    size = 17 * MEBIBYTE
    data, other = random.Random(1).randbytes(size), random.Random(2).randbytes(size)
    partial = extended(store, begun(size), data[: 2 * MEBIBYTE])
    lost = next(iter(store.extend(partial, io.BytesIO(other[:MEBIBYTE]))))
    assert lost.offset == 3 * MEBIBYTE
    *_, lost = store.extend(partial, io.BytesIO(other[: 16 * MEBIBYTE]))
    partial = extended(store, partial, data[2 * MEBIBYTE :])
    store.finish(partial)
    assert read(store, KEY) == data
    assert leftovers(store) == []


@pytest.mark.parametrize("size", [100, 17 * MEBIBYTE])
def test_discarded_object_leaves_nothing_unless_it_is_finished(store: Store, size: int) -> None:
    data = bytes(size)
    store.discard(begun(size))
    partial = extended(store, begun(size), data[:-1])
    store.discard(partial)
    assert leftovers(store) == []
    whole = extended(store, begun(size), data)
    store.finish(whole)
    store.discard(whole)
    assert (keys(store), leftovers(store)) == ([KEY], [])  # a recording may need it by now


def test_lost_bytes_are_noticed(store: Store) -> None:
    partial = extended(store, begun(100), b"x" * 50)
    store.discard(partial)
    with pytest.raises(ObjectMissing):
        extended(store, partial, b"x")
    with pytest.raises((ObjectMissing, StorageUnavailable)):
        store.finish(replace(partial, offset=100))


def test_lost_multipart_upload_is_noticed(true_s3: S3Server, make_s3: MakeS3) -> None:
    store = make_s3()
    partial = extended(store, begun(11 * MEBIBYTE), bytes(6 * MEBIBYTE))
    assert partial.handle
    store.discard(partial)
    with pytest.raises(ObjectMissing):
        extended(store, replace(partial, rest=0), bytes(5 * MEBIBYTE))


def test_many_small_steps_have_as_many_parts_as_are_allowed(make_s3: MakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipengine.stores.s3_partial.MAX_PARTS", 3)
    monkeypatch.setattr("clipengine.stores.s3_upload.MAX_PARTS", 3)
    store, size = make_s3(), 18 * MEBIBYTE
    data, partial = random.Random(3).randbytes(size), begun(size)
    for start in range(0, size, 5 * MEBIBYTE):
        partial = extended(store, partial, data[start : start + 5 * MEBIBYTE])
    assert len(partial.parts) == 3
    store.finish(partial)
    assert read(store, KEY) == data


def test_file_has_one_writer(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    writing = store.extend(begun(40 * MEBIBYTE), io.BytesIO(bytes(40 * MEBIBYTE)))
    next(iter(writing))
    with pytest.raises(StorageUnavailable, match="another process"):
        extended(store, begun(40 * MEBIBYTE), b"x")
    assert sum(1 for _ in writing) == 2


def test_folder_keeps_what_was_appended_before_the_disk_was_low(tmp_path: Path) -> None:
    folder, size = tmp_path / "disk", 30 * MEBIBYTE
    data, reached = random.Random(5).randbytes(size), [begun(size)]
    with disk(folder, 24):
        store = FolderStore(folder, disk=DiskSpace(folder, 4_000_000))

        def extend() -> None:
            for each in store.extend(reached[-1], io.BytesIO(data[reached[-1].offset :])):
                reached.append(each)

        with pytest.raises(DiskFull, match=r"limits\.min_free_bytes"):
            extend()
        assert reached[1].offset == 16 * MEBIBYTE
        assert 16 * MEBIBYTE < reached[-1].offset < 20 * MEBIBYTE
        with pytest.raises(DiskFull):
            store.put_stream("other", io.BytesIO(data), content_type="a/b", limit=size)
        # A clip that was accepted may use half of what is kept free.
        clip = data[:MEBIBYTE]
        store.put("clip", io.BytesIO(clip), size=len(clip), content_type="a/b", sha256=sha256(clip).hexdigest())
        assert leftovers(store) == ["upl_1"]
        grow(folder, 48)
        extend()
        store.finish(reached[-1])
        assert read(store, KEY) == data
