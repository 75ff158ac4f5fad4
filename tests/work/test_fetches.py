"""Fetches of recordings from URLs: resumed after interruptions and crashes, bounded, and never half in the store."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clipengine.errors import DiskLow, StorageUnavailable
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.fetches import Origin
from clipengine.outbound.download import Downloader
from clipengine.recordings.recording import Recording, RecordingSpec
from clipengine.settings.settings import Fetching
from clipengine.stores.folder import FolderStore
from clipengine.work.jobs.fetches import Fetcher
from clipengine.work.jobs.partial_file import PartialFile
from clipengine.work.previews.copies import LocalCopies
from clipengine.work.worker import JobContext, Worker
from tests.support.api import recorded_engine
from tests.support.origin_server import OriginServer, origin_server
from tests.support.waiting import until

BODY = random.Random(7).randbytes(1_000_000)


@dataclass
class Bench:
    """A fetcher over a real ledger and a folder store. `restarted` is another engine after the death of the first."""

    ledger: Ledger
    store: FolderStore
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    disk_low: bool = False
    owner: str = "first"

    def __post_init__(self) -> None:
        self.stopping = threading.Event()
        self.copies = LocalCopies(self.folder.with_name("copies"))
        self.fetcher = Fetcher(
            JobContext(self.ledger, self.owner, self.stopping),
            self.store,
            Downloader(["127.0.0.0/8"], stall_seconds=100),
            self.folder,
            self.copies,
            settings=Fetching(**self.settings),
            check_disk=self._check_disk,
        )
        self.worker = Worker(self.fetcher)

    def restarted(self) -> Bench:
        self.ledger.fetches.release_orphans("second")
        return Bench(self.ledger, self.store, self.folder, self.settings, owner="second")

    def _check_disk(self) -> None:
        if self.disk_low:
            raise DiskLow("the disk is full")

    def add(self, origin: OriginServer, **options: Any) -> Recording:
        recording, new = self.ledger.fetches.add(Origin(f"{origin.url}/talk.mp4"), "talk.mp4", RecordingSpec(**options))
        assert new
        return recording

    def run(self) -> int:
        """Run the fetches, also those that wait for a retry."""
        self.make_due()
        return self.worker.run_due()

    def make_due(self) -> None:
        with self.ledger.transaction():
            self.ledger.database.run("UPDATE fetches SET next_at = 0")

    def state(self, recording: Recording) -> Recording:
        return self.ledger.recordings.get(recording.recording_id)

    def code(self, recording: Recording) -> str:
        found = self.state(recording)
        assert found.state == "failed"
        assert found.error is not None
        assert self.parts() == []
        return str(found.error["code"])

    def stored(self, recording: Recording) -> bytes:
        found = self.state(recording)
        info = self.store.head(found.bucket_path)
        assert (info.etag, info.size) == (found.etag, found.file_size_bytes)
        assert found.fetched_bytes == info.size
        reader = self.store.open(found.bucket_path)
        try:
            return reader.read_at(0, info.size)
        finally:
            reader.close()

    def parts(self) -> list[str]:
        return sorted(each.name for each in self.folder.iterdir()) if self.folder.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with recorded_engine(tmp_path / "data") as engine:
        store = engine.store
        assert isinstance(store, FolderStore)
        yield Bench(engine.ledger, store, tmp_path / "fetches")


def test_recording_is_fetched_and_probed_only_then(bench: Bench) -> None:
    with origin_server(BODY) as origin:
        recording = bench.add(origin, name="Talk", metadata={"team": "blue"})
        assert recording.bucket_path == f"recordings/{recording.recording_id}/talk.mp4"
        assert bench.ledger.recordings.claim_probe("test") is None
        assert bench.ledger.recordings.waiting(limit=5) == 0
        assert bench.run() == 1
    assert bench.stored(recording) == BODY
    assert bench.parts() == []
    probe = bench.ledger.recordings.claim_probe("test")
    assert probe is not None
    assert (probe.recording.name, probe.recording.metadata) == ("Talk", {"team": "blue"})
    assert bench.run() == 0


def test_fetched_file_is_kept_for_the_previews(bench: Bench) -> None:
    bench.copies.enable()
    with origin_server(BODY) as origin:
        recording = bench.add(origin)
        bench.run()
    assert bench.stored(recording) == BODY
    assert bench.parts() == []
    reader = bench.copies.open(bench.state(recording))
    assert reader is not None
    assert reader.read_at(0, 2 * len(BODY)) == BODY
    reader.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_interrupted_fetch_is_resumed(bench: Bench, chunked: bool) -> None:
    with origin_server(BODY, cut_after=300_000, chunked=chunked) as origin:
        recording = bench.add(origin)
        bench.run()
        first = bench.state(recording)
        assert first.state == "processing"
        origin.cut_after = 300_000
        bench.run()
        bench.run()
    assert bench.stored(recording) == BODY
    first_range, second, third = origin.asked_ranges
    assert first_range is None
    assert second is not None
    assert third is not None
    assert 0 < int(second[6:-1]) < int(third[6:-1])
    assert origin.requests[1][1]["if-range"] == '"v1"'


def test_changed_resource_is_fetched_from_its_start(bench: Bench) -> None:
    with origin_server(BODY, cut_after=300_000) as origin:
        recording = bench.add(origin)
        bench.run()
        origin.body, origin.etag = BODY[::-1], '"v2"'
        bench.run()
    assert bench.stored(recording) == BODY[::-1]


@pytest.mark.parametrize("options", [{"ranges": False}, {"etag": None}, {"etag": 'W/"weak"'}])
def test_server_that_cannot_resume_is_asked_from_the_start(bench: Bench, options: dict[str, Any]) -> None:
    with origin_server(BODY, cut_after=300_000, **options) as origin:
        recording = bench.add(origin)
        bench.run()
        bench.run()
    assert bench.stored(recording) == BODY


def test_shorter_resource_with_the_same_etag_starts_again(bench: Bench) -> None:
    with origin_server(BODY, cut_after=300_000) as origin:
        recording = bench.add(origin)
        bench.run()
        origin.body = BODY[:1000]
        bench.run()  # 416
        bench.run()
    assert bench.stored(recording) == BODY[:1000]


def test_other_size_in_a_range_starts_again(bench: Bench) -> None:
    with origin_server(BODY, cut_after=300_000) as origin:
        recording = bench.add(origin)
        bench.run()
        origin.body = BODY + b"more"
        bench.run()
        bench.run()
    assert bench.stored(recording) == BODY + b"more"


def test_killed_engine_continues_where_the_synced_part_ends(bench: Bench) -> None:
    with origin_server(BODY, pause_after=524_288) as origin:
        recording = bench.add(origin)
        running = threading.Thread(target=bench.run, daemon=True)
        running.start()
        assert origin.paused.wait(300)
        part = bench.folder / f"{recording.recording_id}.part"
        until(lambda: part.stat().st_size >= 400_000)
        bench.stopping.set()  # the thread cannot write to the ledger any more, as if it were killed
        origin.go.set()
        running.join(300)
        assert not running.is_alive()
        origin.pause_after = None
        # As after a power failure: bytes that were written after the last sync have other values.
        with part.open("r+b") as file:
            file.seek(0, 2)
            file.write(b"\0" * 5000)
        bench = bench.restarted()
        bench.run()
    assert bench.stored(recording) == BODY
    assert origin.asked_ranges[-1] is not None


def test_part_of_a_lost_claim_is_not_stored(bench: Bench) -> None:
    with origin_server(BODY, pause_after=524_288) as origin:
        recording = bench.add(origin)
        running = threading.Thread(target=bench.run, daemon=True)
        running.start()
        assert origin.paused.wait(300)
        bench.ledger.recordings.delete(recording.recording_id)
        origin.go.set()
        running.join(300)
    assert list(bench.store.list()) == []
    assert bench.parts() == []
    assert bench.ledger.fetches.ids() == set()
    assert bench.ledger.removals.due() == [recording.bucket_path]


@pytest.mark.parametrize("pause_after", [0, 524_288])
def test_fetch_of_a_deleted_recording_ends_although_its_server_is_silent(bench: Bench, pause_after: int) -> None:
    """Row 83 of the faults: the deletion ends the connection, frees the slot and removes the part."""
    with origin_server(BODY, pause_after=pause_after) as origin:
        recording = bench.add(origin)
        running = threading.Thread(target=bench.run, daemon=True)
        running.start()
        assert origin.paused.wait(300)
        until(bench.parts)
        bench.ledger.recordings.delete(recording.recording_id)
        began = time.monotonic()
        bench.fetcher.end_deleted()
        running.join(300)
        assert time.monotonic() - began < 50  # it stalls after 100
    assert bench.parts() == []
    assert bench.ledger.removals.due() == [recording.bucket_path]


def test_part_of_a_deleted_recording_that_waits_for_a_retry_is_deleted(bench: Bench) -> None:
    """Row 83 of the faults."""
    with origin_server(BODY, cut_after=300_000) as origin:
        recording = bench.add(origin)
        bench.run()
    assert bench.parts()
    bench.fetcher.end_deleted()
    assert bench.parts()
    bench.ledger.recordings.delete(recording.recording_id)
    bench.fetcher.end_deleted()
    assert bench.parts() == []


def test_deletion_ends_the_upload_of_the_part_into_the_store(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 83 of the faults."""
    put_stream = bench.store.put_stream

    def delete_and_put(*arguments: Any, **options: Any) -> Any:
        bench.ledger.recordings.delete(recording.recording_id)
        bench.fetcher.end_deleted()
        return put_stream(*arguments, **options)

    monkeypatch.setattr(bench.store, "put_stream", delete_and_put)
    with origin_server(BODY) as origin:
        recording = bench.add(origin)
        bench.run()
    assert list(bench.store.list()) == []


def test_too_large_recording_fails(bench: Bench) -> None:
    bench = Bench(bench.ledger, bench.store, bench.folder, {"max_bytes": 999_999})
    for chunked in (False, True):
        with origin_server(BODY, chunked=chunked) as origin:
            recording = bench.add(origin)
            bench.run()
        assert bench.code(recording) == "fetch_failed"
        error = bench.state(recording).error
        assert error is not None
        assert "larger than 999999 bytes" in error["message"]
    assert list(bench.store.list()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"status": 403}, "status 403"),
        ({"content_type": "text/html; charset=utf-8"}, "a web page"),
        ({"headers": {"Content-Encoding": "gzip"}}, "compresses"),
        ({"body": b""}, "an empty file"),
    ],
)
def test_response_that_is_no_media_file_fails(bench: Bench, options: dict[str, Any], message: str) -> None:
    with origin_server(**{"body": BODY, **options}) as origin:
        recording = bench.add(origin)
        bench.run()
    assert bench.code(recording) == "fetch_failed"
    error = bench.state(recording).error
    assert error is not None
    assert message in error["message"]
    assert [event.type for event in bench.ledger.events.after(0)] == ["recording.failed"]


def test_fetch_is_given_up_after_its_deadline(bench: Bench) -> None:
    with origin_server(BODY, status=503) as origin:
        recording = bench.add(origin)
        bench.run()
        assert bench.state(recording).state == "processing"
        with bench.ledger.transaction():
            bench.ledger.database.run("UPDATE fetches SET created_at = created_at - 21601000")
        bench.run()
    assert bench.code(recording) == "timeout"


def test_low_disk_and_unavailable_store_are_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with origin_server(BODY) as origin:
        recording = bench.add(origin)
        bench.disk_low = True
        bench.run()
        assert bench.state(recording).state == "processing"
        bench.disk_low = False

        def unavailable(*_: object, **__: object) -> None:
            raise StorageUnavailable("the store is restarting")

        monkeypatch.setattr(bench.store, "put_stream", unavailable)
        bench.run()
        assert bench.state(recording).state == "processing"
        monkeypatch.undo()
        count = len(origin.requests)
        bench.run()
        assert len(origin.requests) == count  # it was complete already
    assert bench.stored(recording) == BODY


def test_link_of_a_service_is_requested_with_its_token(bench: Bench) -> None:
    with origin_server(BODY) as media, origin_server(b"") as service:
        service.body = f'{{"download_link": "{media.url}/signed"}}'.encode()
        origin = Origin(f"{service.url}/access-link", "t0ken", "download_link")
        recording, _ = bench.ledger.fetches.add(origin, "talk.mp4")
        bench.run()
        broken, _ = bench.ledger.fetches.add(Origin(f"{service.url}/x", "t0ken", "url"), "talk.mp4")
        bench.run()
    assert bench.stored(recording) == BODY
    assert service.requests[0][1]["authorization"] == "Bearer t0ken"
    assert "authorization" not in media.requests[0][1]
    assert bench.code(broken) == "fetch_failed"


def test_source_id_is_registered_once(bench: Bench) -> None:
    first, new = bench.ledger.fetches.add(Origin("https://a.example/"), "a.mp4", source_id="zoom 1")
    again, new_again = bench.ledger.fetches.add(Origin("https://a.example/"), "a.mp4", source_id="zoom 1")
    assert (new, new_again, first.recording_id) == (True, False, again.recording_id)


def test_url_and_token_are_encrypted_in_the_ledger(bench: Bench) -> None:
    bench.ledger.fetches.add(Origin("https://a.example/secret", "t0ken"), "a.mp4")
    (row,) = bench.ledger.database.run("SELECT origin FROM fetches")
    assert row[0].startswith("sealed1:")


@pytest.mark.parametrize(
    "state", [b"", b"{", b"[]", b'{"received": 5}', b'{"received": "x", "total": 1, "validator": ""}']
)
def test_damaged_state_of_a_part_is_ignored(tmp_path: Path, state: bytes) -> None:
    (tmp_path / "rec_1.part").write_bytes(b"12345")
    (tmp_path / "rec_1.json").write_bytes(state)
    part = PartialFile(tmp_path, "rec_1")
    part.close()
    assert (part.received, part.total, part.validator) == (0, 0, "")


def test_parts_of_unknown_recordings_are_deleted(bench: Bench) -> None:
    bench.fetcher.end_deleted()  # without the folder
    with origin_server(BODY) as origin:
        known = bench.add(origin).recording_id
    bench.folder.mkdir()
    for name in (f"{known}.part", f"{known}.json", "rec_2.part", "rec_2.new"):
        (bench.folder / name).touch()
    bench.fetcher.end_deleted()
    assert bench.parts() == [f"{known}.json", f"{known}.part"]
