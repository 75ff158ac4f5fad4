"""Cache of the headers of recordings."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clipengine.errors import ObjectChanged
from clipengine.stores.base import StoredObject
from clipengine.work.children.header_cache import HeaderCache

_DATA = random.Random(1).randbytes(1_000_000)


class _Object:
    """An object that records the ranges that are read."""

    def __init__(self, etag: str = "1", data: bytes = _DATA, key: str = "a.mp4") -> None:
        self.info = StoredObject(key, len(data), etag, 0)
        self.reads: list[tuple[int, int]] = []
        self.replaced = False
        self._data = data

    def read_at(self, offset: int, length: int) -> bytes:
        if self.replaced:
            raise ObjectChanged("replaced")
        self.reads.append((offset, length))
        return self._data[offset : offset + length]

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 16_384), (5, 100_000), (990_000, 16_384), (999_999, 1), (16_384, 300)]
)
def test_cached_range_is_not_read_again(offset: int, length: int) -> None:
    cache, first, second = HeaderCache(), _Object(), _Object()
    expected = _DATA[offset : offset + length]
    data, read = cache.read(first, offset, length, keep=True)
    assert data == expected
    assert read >= len(data)
    assert cache.read(second, offset, length, keep=True) == (expected, 0)
    assert second.reads == []
    other = _Object(etag="2", data=bytes(1_000_000))
    assert cache.read(other, offset, length, keep=True)[0] == bytes(len(expected))


def test_only_missing_blocks_are_read() -> None:
    cache, first = HeaderCache(), _Object()
    cache.read(first, 0, 32_768, keep=True)
    data, read = cache.read(first, 16_384, 65_536, keep=True)
    assert (data, read) == (_DATA[16_384:81_920], 49_152)
    assert first.reads == [(0, 32_768), (32_768, 49_152)]


def test_range_read_without_keep_is_not_cached() -> None:
    cache, first = HeaderCache(), _Object()
    for _ in range(2):
        assert cache.read(first, 7, 100_000, keep=False) == (_DATA[7:100_007], 100_000)
    assert first.reads == [(7, 100_000)] * 2
    assert cache.size == 0


def test_failed_read_caches_nothing() -> None:
    cache, first = HeaderCache(), _Object()
    first.replaced = True
    with pytest.raises(ObjectChanged):
        cache.read(first, 0, 100, keep=True)
    first.replaced = False
    assert cache.read(first, 0, 100, keep=True) == (_DATA[:100], 16_384)


def test_least_recently_used_recordings_are_evicted_at_the_limit() -> None:
    cache = HeaderCache(limit=200_000, per_object=100_000)
    for number in range(10):
        cache.read(_Object(key=f"{number}.mp4"), 0, 500_000, keep=True)
        assert cache.size <= 200_000
        again = _Object(key="0.mp4")
        cache.read(again, 0, 16_384, keep=True)
        assert again.reads == []  # the most recently used
    gone = _Object(key="1.mp4")
    cache.read(gone, 0, 16_384, keep=True)
    assert gone.reads == [(0, 16_384)]


def test_clips_that_start_together_read_a_header_once() -> None:
    began, gate = threading.Event(), threading.Event()

    class Slow(_Object):
        def read_at(self, offset: int, length: int) -> bytes:
            began.set()
            assert gate.wait(300)
            return super().read_at(offset, length)

    cache, first, second = HeaderCache(), Slow(), _Object()
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(cache.read, first, 0, 100_000, keep=True)
        assert began.wait(300)
        waiting = pool.submit(cache.read, second, 16_384, 50_000, keep=True)
        other = cache.read(_Object(), 500_000, 10, keep=True)
        gate.set()
        assert reading.result(300) == (_DATA[:100_000], 114_688)
        assert waiting.result(300) == (_DATA[16_384:66_384], 0)
    assert other[0] == _DATA[500_000:500_010]
    assert second.reads == []


def test_waiting_clip_reads_a_header_itself_after_a_failure() -> None:
    began, gate = threading.Event(), threading.Event()

    class Failing(_Object):
        def read_at(self, offset: int, length: int) -> bytes:
            began.set()
            assert gate.wait(300)
            raise ObjectChanged("replaced")

    cache, second = HeaderCache(), _Object()
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(cache.read, Failing(), 0, 100, keep=True)
        assert began.wait(300)
        waiting = pool.submit(cache.read, second, 0, 100, keep=True)
        gate.set()
        with pytest.raises(ObjectChanged):
            reading.result(300)
        assert waiting.result(300) == (_DATA[:100], 16_384)
