"""Conformance suite of the store protocol, run for every kind of store."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from clipengine.errors import (
    InvalidBucketPath,
    ObjectChanged,
    ObjectMissing,
    PayloadTooLarge,
    StorageError,
    VerificationFailed,
)
from clipengine.stores.base import Store, StoredObject

MEBIBYTE = 1 << 20
ODD_KEYS = [
    "плёнка/会议 2025.mp4",
    "a b/c+d%20e&f=g?h#i.mp4",
    "quotes'\"<>`{}|\\^~[]@!$(),;:*.mp4",
    "emoji 🎬/e\u0301 and \u00e9.mp4",
    "trailing.dot./ leading space.mp4",
    "..two-dots-are-a-name/...mp4",
    "long/" + "x" * 200 + "/" + "é" * 100,
]
BAD_KEYS = ["", " ", "/abs", "a//b", "a/", "../up", "a/../b", "./a", "a/.", "nul\0", "line\nfeed", "\ud800", "x" * 1025]


def put(store: Store, key: str, data: bytes, content_type: str = "video/mp4") -> StoredObject:
    digest = hashlib.sha256(data).hexdigest()
    return store.put(key, io.BytesIO(data), size=len(data), content_type=content_type, sha256=digest)


def read(store: Store, key: str) -> bytes:
    reader = store.open(key)
    try:
        return reader.read_at(0, reader.info.size)
    finally:
        reader.close()


def keys(store: Store, prefix: str = "") -> list[str]:
    return [found.key for found in store.list(prefix)]


@pytest.mark.parametrize("size", [0, 1, 3 * MEBIBYTE + 7])
def test_stored_object_can_be_read_back(store: Store, size: int) -> None:
    data = random.Random(size).randbytes(size)
    stored = put(store, "relay/h_01/clip.mp4", data)
    assert stored == store.head("relay/h_01/clip.mp4")
    assert (stored.key, stored.size, stored.content_type) == ("relay/h_01/clip.mp4", size, "video/mp4")
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert stored.modified > 1_700_000_000_000
    assert stored.etag
    assert '"' not in stored.etag
    assert read(store, "relay/h_01/clip.mp4") == data


def test_range_reads_return_exactly_the_requested_bytes(store: Store) -> None:
    data = random.Random(1).randbytes(100_000)
    put(store, "r.bin", data)
    reader = store.open("r.bin")
    try:
        spans = [(0, 1), (0, 100_000), (99_999, 1), (99_999, 5), (50_000, 100_000), (65_535, 2), (0, 1 << 40), (7, 0)]
        for offset, length in spans:
            assert reader.read_at(offset, length) == data[offset : offset + length]
        assert reader.read_at(100_000, 1) == b""
        assert reader.read_at(1 << 50, 10) == b""
        with ThreadPoolExecutor(8) as pool:
            offsets = [random.Random(2).randrange(100_000) for _ in range(40)]
            assert list(pool.map(lambda at: reader.read_at(at, 777), offsets)) == [
                data[at : at + 777] for at in offsets
            ]
    finally:
        reader.close()


def test_empty_object_reads_as_empty_bytes(store: Store) -> None:
    put(store, "empty", b"")
    assert read(store, "empty") == b""


def test_missing_objects_are_reported_and_deleting_them_is_not_an_error(store: Store) -> None:
    put(store, "there/file", b"x")
    for key in ("nothing", "there", "there/file/below"):
        with pytest.raises(ObjectMissing):
            store.head(key)
        with pytest.raises(ObjectMissing):
            store.open(key)
        store.delete(key)
    assert keys(store) == ["there/file"]


@pytest.mark.parametrize("key", BAD_KEYS, ids=range(len(BAD_KEYS)))
@pytest.mark.typical(2)
def test_every_method_rejects_invalid_keys(store: Store, key: str) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: store.head(key),
        lambda: store.open(key),
        lambda: store.delete(key),
        lambda: store.link(key, filename="f", content_type="video/mp4"),
        lambda: put(store, key, b"x"),
        lambda: store.put_stream(key, io.BytesIO(b"x"), content_type="video/mp4", limit=10),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidBucketPath):
            attempt()


@pytest.mark.parametrize("key", ODD_KEYS, ids=range(len(ODD_KEYS)))
def test_keys_with_unusual_characters_are_stored_unchanged(store: Store, key: str) -> None:
    stored = put(store, key, key.encode())
    assert stored.key == key
    assert read(store, key) == key.encode()
    assert keys(store) == [key]
    assert keys(store, key) == [key]
    store.delete(key)
    assert keys(store) == []


def test_list_returns_matching_keys_in_key_order(store: Store) -> None:
    names = ["a/b", "a-b", "a.b", "a0", "b/c/d", "b/c/e", "b/c-e/f", "b/d", "bb", "Z", "é", "z", "会", "𐍈"]
    for name in names:
        put(store, name, name.encode())
    in_order = sorted(names, key=str.encode)
    assert keys(store) == in_order
    for prefix in ("a", "a/", "b/", "b/c", "b/c/", "b/c/d", "nothing/", "b/x", "é"):
        assert keys(store, prefix) == [name for name in in_order if name.startswith(prefix)]
    listed = {found.key: found for found in store.list()}
    assert all((listed[name].size, listed[name].etag) == (len(name.encode()), store.head(name).etag) for name in names)


def test_list_rejects_a_prefix_outside_the_store(store: Store) -> None:
    for prefix in ("../", "a/../b", "/etc/", "nul\0"):
        with pytest.raises(InvalidBucketPath):
            list(store.list(prefix))


def test_putting_the_same_content_again_keeps_the_object(store: Store) -> None:
    first = put(store, "k", b"content")
    assert put(store, "k", b"content") == first


def test_putting_different_content_replaces_the_object(store: Store) -> None:
    first = put(store, "k", b"one")
    second = put(store, "k", b"two", "audio/mp4")
    assert second.etag != first.etag
    assert (read(store, "k"), second.content_type) == (b"two", "audio/mp4")
    assert second.sha256 == hashlib.sha256(b"two").hexdigest()
    assert keys(store) == ["k"]


def test_deleted_object_is_gone_and_can_be_deleted_again(store: Store) -> None:
    put(store, "d/k", b"x")
    store.delete("d/k")
    store.delete("d/k")
    with pytest.raises(ObjectMissing):
        store.head("d/k")
    assert keys(store) == []


def test_many_objects_are_deleted_in_one_call(store: Store) -> None:
    names = [*ODD_KEYS, "d/k", "nothing"]
    for name in names:
        if name != "nothing":
            put(store, name, b"x")
    put(store, "d/kept", b"x")
    assert store.delete_many([]) == {}
    assert store.delete_many(names) == {}
    assert keys(store) == ["d/kept"]
    assert store.delete_many(names) == {}


def test_invalid_key_does_not_stop_the_deletion_of_others(store: Store) -> None:
    for name in ("a", "b"):
        put(store, name, b"x")
    failed = store.delete_many(["a", "../up", "b"])
    assert {key: error.code for key, error in failed.items()} == {"../up": "invalid_bucket_path"}
    assert keys(store) == []


def test_reader_raises_once_the_object_is_replaced(store: Store) -> None:
    stored = put(store, "k", b"first content")
    with pytest.raises(ObjectChanged):
        store.open("k", etag="another")
    reader = store.open("k", etag=stored.etag)
    try:
        assert reader.info == stored
        assert reader.read_at(0, 5) == b"first"
        put(store, "k", b"other content")
        with pytest.raises(ObjectChanged):
            reader.read_at(5, 5)
    finally:
        reader.close()
    with pytest.raises(ObjectChanged):
        store.open("k", etag=stored.etag)


def test_reader_raises_once_the_object_is_deleted(store: Store) -> None:
    put(store, "k", b"content")
    reader = store.open("k")
    try:
        store.delete("k")
        with pytest.raises(ObjectMissing):
            reader.read_at(0, 5)
    finally:
        reader.close()


def test_body_of_wrong_length_or_digest_stores_nothing(store: Store) -> None:
    right = hashlib.sha256(b"content").hexdigest()
    for body, size, digest in ((b"conte", 7, right), (b"content", 7, "0" * 64), (b"", 7, right)):
        with pytest.raises(VerificationFailed):
            store.put("k", io.BytesIO(body), size=size, content_type="video/mp4", sha256=digest)
        assert keys(store) == []


def test_exception_of_the_body_is_passed_on_and_stores_nothing(store: Store) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 100:
                raise ConnectionResetError("the client went away")
            return super().read(min(size or 0, 100))

    put(store, "k", b"old")
    sends: list[Callable[[], object]] = [
        lambda: store.put_stream("k", Broken(bytes(200)), content_type="video/mp4", limit=1000),
        lambda: store.put("k", Broken(bytes(200)), size=200, content_type="video/mp4", sha256="0" * 64),
    ]
    for send in sends:
        with pytest.raises(ConnectionResetError, match="went away"):
            send()
    assert (read(store, "k"), keys(store)) == (b"old", ["k"])


def test_bytes_after_the_announced_size_are_not_stored(store: Store) -> None:
    digest = hashlib.sha256(b"content").hexdigest()
    body = io.BytesIO(b"content and more")
    store.put("k", body, size=7, content_type="video/mp4", sha256=digest)
    assert read(store, "k") == b"content"


class Trickle(io.RawIOBase):
    """A stream with short reads, like a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, 1000))


@pytest.mark.parametrize("size", [0, 1, 4096, 5000])
def test_stream_of_unknown_length_is_stored(store: Store, size: int) -> None:
    data = random.Random(size).randbytes(size)
    body = Trickle(data)
    stored = store.put_stream("up.mp4", body, content_type="video/mp4", limit=5000)  # type: ignore[arg-type]
    assert stored == store.head("up.mp4")
    assert (stored.size, stored.content_type) == (size, "video/mp4")
    assert stored.sha256 in (None, hashlib.sha256(data).hexdigest())
    assert read(store, "up.mp4") == data


def test_stream_above_its_limit_stores_nothing(store: Store) -> None:
    with pytest.raises(PayloadTooLarge):
        store.put_stream("up.mp4", io.BytesIO(bytes(5001)), content_type="video/mp4", limit=5000)
    assert keys(store) == []


@pytest.mark.typical(2)
def test_object_larger_than_a_single_put_is_stored_in_parts(store: Store) -> None:
    # Not a multiple of the part size.
    block = random.Random(3).randbytes(MEBIBYTE)
    data = block * 71 + b"tail"
    stored = put(store, "big.mp4", data)
    assert (stored.size, stored.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert put(store, "big.mp4", data) == stored
    reader = store.open("big.mp4", etag=stored.etag)
    try:
        for offset in (0, 16 * MEBIBYTE - 3, 64 * MEBIBYTE - 3, len(data) - 6):
            assert reader.read_at(offset, 6) == data[offset : offset + 6]
        assert reader.read_at(0, len(data)) == data
    finally:
        reader.close()
    streamed = store.put_stream("big.mp4", io.BytesIO(data[::-1]), content_type="video/webm", limit=len(data))
    assert (streamed.size, streamed.content_type) == (len(data), "video/webm")
    with pytest.raises(PayloadTooLarge):
        store.put_stream("other.mp4", io.BytesIO(data), content_type="video/webm", limit=len(data) - 1)
    assert [(found.key, found.size) for found in store.list()] == [("big.mp4", len(data))]


def test_store_is_thread_safe(store: Store) -> None:
    contents = [random.Random(n).randbytes(200_000) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda n: put(store, f"many/{n}", contents[n]), range(8)))
        assert list(pool.map(lambda n: read(store, f"many/{n}"), range(8))) == contents
        same = list(pool.map(lambda _: put(store, "one", contents[0]), range(8)))
    assert [found.sha256 for found in stored] == [hashlib.sha256(data).hexdigest() for data in contents]
    assert {found.sha256 for found in same} == {stored[0].sha256}
    assert read(store, "one") == contents[0]


def test_concurrent_readers_never_see_a_partial_object(store: Store) -> None:
    versions = [bytes([n]) * 300_000 for n in (1, 2)]
    put(store, "k", versions[0])

    def try_read(_: int) -> bytes | None:
        try:
            return read(store, "k")
        except StorageError:
            return None  # changed between open and read

    with ThreadPoolExecutor(5) as pool:
        seen = pool.map(try_read, range(60))
        for n in range(10):
            put(store, "k", versions[n % 2])
        assert {data for data in seen if data is not None} <= set(versions)


def test_sweep_finds_nothing_after_completed_puts(store: Store) -> None:
    put(store, "k", b"x")
    assert store.sweep_uploads() == 0
    store.check()


def test_unchanged_object_is_not_read_again(store: Store) -> None:
    first = put(store, "live/index.m3u8", b"one\n")
    read_first = store.read("live/index.m3u8", limit=100)
    assert read_first is not None
    assert (read_first[0].key, read_first[0].etag, read_first[0].size) == (first.key, first.etag, 4)
    assert read_first[1] == b"one\n"
    assert store.read("live/index.m3u8", limit=100, unless=first.etag) is None
    second = put(store, "live/index.m3u8", b"one\ntwo\n")
    found = store.read("live/index.m3u8", limit=5, unless=first.etag)
    assert found is not None
    assert (found[0].etag, found[0].size, found[1]) == (second.etag, 8, b"one\nt")
    with pytest.raises(ObjectMissing):
        store.read("live/gone.m3u8", limit=100, unless=first.etag)


def test_list_continues_after_a_key(store: Store) -> None:
    for name in ("a", "b", "é"):
        for number in range(3):
            put(store, f"live/{name}{number}.ts", b"x")
    names = [found.key for found in store.list("live/", after="live/b0")]
    assert names == ["live/b0.ts", "live/b1.ts", "live/b2.ts", "live/é0.ts", "live/é1.ts", "live/é2.ts"]
    assert [found.key for found in store.list("live/", after="live/b2.ts")][:1] == ["live/é0.ts"]
