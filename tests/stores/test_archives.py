"""ZIP archives of clips, read from both stores."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from clipengine.api.routes.archives import ArchiveResponse
from clipengine.clips.clip import Clip
from clipengine.errors import ObjectChanged
from clipengine.stores.base import ObjectReader, Store, StoredObject

BODIES = {"a.mp4": b"first" * 300_000, "b.mp4": b"", "c.mp4": b"third"}


def stored(store: Store, key: str, body: bytes) -> tuple[Clip, StoredObject]:
    sha256 = hashlib.sha256(body).hexdigest()
    found = store.put(key, io.BytesIO(body), size=len(body), content_type="video/mp4", sha256=sha256)
    return _clip(f"clip_{key}", key.removesuffix(".mp4"), key), found


def _clip(id: str, label: str, key: str) -> Clip:
    return Clip(label, 0, 1, clip_id=id, recording_id="rec_1", state="complete", object_key=key, created_at=1)


async def body_of(response: ArchiveResponse) -> bytes:
    chunks = cast(AsyncIterator[bytes], response.body_iterator)
    return b"".join([chunk async for chunk in chunks])


@pytest.mark.typical(1)
def test_archive_contains_the_objects_and_has_the_announced_size(store: Store) -> None:
    response = ArchiveResponse(store, [stored(store, key, body) for key, body in BODIES.items()])
    archive = asyncio.run(body_of(response))
    assert response.headers["content-length"] == str(len(archive))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert {info.filename: opened.read(info) for info in opened.infolist()} == BODIES
        assert {info.compress_type for info in opened.infolist()} == {zipfile.ZIP_STORED}


def test_replaced_object_ends_the_archive(store: Store) -> None:
    entries = [stored(store, key, body) for key, body in BODIES.items()]
    stored(store, "c.mp4", b"other")
    with pytest.raises(ObjectChanged):
        asyncio.run(body_of(ArchiveResponse(store, entries)))


class _Zeros:
    """A store with one object of any size that consists of zeros."""

    def __init__(self, size: int) -> None:
        self.info = StoredObject("big.mp4", size, "e", 1)
        self.largest = 0

    def open(self, key: str, *, etag: str | None = None) -> ObjectReader:
        return cast(ObjectReader, self)

    def read_at(self, offset: int, length: int) -> bytes:
        self.largest = max(self.largest, length)
        return bytes(min(length, self.info.size - offset))

    def close(self) -> None:
        pass


def test_archive_of_more_than_4_gib_has_64_bit_sizes() -> None:
    """Only its beginning is made: the header already has the extension."""
    store: Any = _Zeros(5 << 30)
    clip = _clip("clip_1", "big", "big.mp4")
    response = ArchiveResponse(store, [(clip, store.info)])
    assert int(response.headers["content-length"]) > 5 << 30

    async def beginning() -> bytes:
        return bytes(await anext(cast(AsyncIterator[bytes], response.body_iterator)))

    header = asyncio.run(beginning())
    assert header[26:30] == (7).to_bytes(2, "little") + (20).to_bytes(2, "little")  # the name, and the ZIP64 field
    assert header[37:39] == b"\x01\x00"
    assert store.largest <= 1 << 20
