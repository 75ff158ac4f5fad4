"""The watch with an S3 store: slow uploads, replacements, restarts, and many objects."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from minio import Minio
from minio.datatypes import Part

from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.stores.s3 import S3Store
from clipengine.work.upkeep.watch import Watch
from tests.support.s3 import QUICK, S3Server
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive

PART_BYTES = 5 << 20


class Found:
    """A ledger and a store, for one watch after another."""

    def __init__(self, ledger: Ledger, store: S3Store) -> None:
        self.ledger = ledger
        self.store = store
        self.calls = 0

    @contextmanager
    def watching(self, *, seconds: float = 0.05) -> Iterator[Watch]:
        watch = Watch(
            self.ledger,
            self.store,
            prefixes=("in/",),
            rule="$stem",
            seconds=seconds,
            settle_seconds=0,
            folder=None,
        )
        watch.start()
        try:
            yield watch
        finally:
            watch.stop(300)

    def registered(self) -> list[tuple[str, int]]:
        """Return path and size of all recordings, oldest first."""
        found = self.ledger.recordings.list(RecordingFilter(limit=100)).data
        return [(each.bucket_path, each.file_size_bytes) for each in reversed(found)]


@pytest.fixture
def found(s3: S3Server, bucket: str, tmp_path: Path) -> Iterator[Found]:
    ledger = Ledger.open(
        tmp_path / "ledger.db", key_prefix="relay_live", organisation_id="org_local", max_queued=10_000
    )
    store = S3Store(s3.location(bucket), journal=tmp_path / "journal", link_seconds=60, retries=QUICK)
    try:
        yield Found(ledger, store)
    finally:
        ledger.close()


@pytest.fixture
def client(s3: S3Server) -> Minio:
    return s3.client


def put(client: Minio, bucket: str, key: str, body: bytes) -> None:
    client.put_object(bucket, key, io.BytesIO(body), len(body))


def test_slow_multipart_upload_is_registered_once_when_complete(found: Found, client: Minio, bucket: str) -> None:
    upload = client._create_multipart_upload(bucket, "in/long.mp4", {})
    parts: list[Part] = []
    with found.watching():
        for number, body in enumerate((b"a" * PART_BYTES, b"b" * PART_BYTES, b"end"), 1):
            etag = client._upload_part(bucket, "in/long.mp4", body, {}, upload, number)
            parts.append(Part(number, etag))
            time.sleep(0.7)
            assert found.registered() == []
    with found.watching():  # a restart in the middle
        time.sleep(0.7)
        assert found.registered() == []
        client._complete_multipart_upload(bucket, "in/long.mp4", upload, parts)
        until(lambda: len(found.registered()) == 1)
        time.sleep(1.2)
    assert found.registered() == [("in/long.mp4", 2 * PART_BYTES + 3)]


def test_replaced_object_is_registered_and_a_restart_registers_nothing_twice(
    found: Found, client: Minio, bucket: str
) -> None:
    put(client, bucket, "in/a.mp4", b"one")
    put(client, bucket, "in/sub/b ü.mkv", b"b")
    put(client, bucket, "elsewhere/c.mp4", b"c")
    put(client, bucket, "in/notes.txt", b"no film")
    with found.watching():
        until(lambda: len(found.registered()) == 2)
        put(client, bucket, "in/a.mp4", b"three")
        until(lambda: len(found.registered()) == 3)
    wanted = {("in/a.mp4", 3), ("in/sub/b ü.mkv", 1), ("in/a.mp4", 5)}
    assert set(found.registered()) == wanted
    with found.watching():
        time.sleep(1.5)
        put(client, bucket, "in/a.mp4", b"three")  # the same bytes: the same ETag, the same recording
        time.sleep(1.5)
    assert len(found.registered()) == 3
    with found.watching():
        client.remove_object(bucket, "in/a.mp4")
        until(lambda: list(found.ledger.watched.all()) == ["in/sub/b ü.mkv"])


def test_scan_of_many_known_objects_is_cheap(found: Found, client: Minio, bucket: str) -> None:
    """Scan 2,000 objects that are registered already, as each scan of an archive does."""
    keys = [f"in/{number % 40:02}/recording-{number:04}.mp4" for number in range(2000)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: put(client, bucket, key, key.encode()), keys))
    with found.ledger.transaction():
        for stored in found.store.list("in/"):
            found.ledger.watched.mark(stored.key, stored.etag)
    asked: list[str] = []
    page = found.store._client.page

    def counted(prefix: str, *, after: str) -> object:
        asked.append(after)
        return page(prefix, after=after)

    found.store._client.page = counted  # type: ignore[method-assign, assignment]
    assert len(list(found.store.list("in/00/"))) == 50
    assert asked == [""]  # one request for few objects
    asked.clear()
    with found.watching(seconds=3600) as watch:
        until(lambda: asked.count("") == 1 and len(asked) >= 3)
    assert len(asked) == 3  # two full pages and an empty one
    began, cpu = time.monotonic(), time.thread_time()
    watch._scan("in/")
    print(f"a scan of 2,000 objects: {time.monotonic() - began:.3f} s, {time.thread_time() - cpu:.3f} s of CPU")
    assert found.registered() == []
