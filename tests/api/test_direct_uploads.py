"""Uploads whose parts clients send to the bucket themselves, with presigned links."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from clipengine.errors import StorageUnavailable
from clipengine.ledger.audit.audit import AuditFilter
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.limits.shares import LIMITS, Limit
from clipengine.stores.s3 import S3Store
from clipengine.work.direct_uploads import DirectUploads
from clipengine.work.upload_receiver import UploadReceiver
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.s3 import COPYING, QUICK, S3Server, bucket, open_uploads, s3  # noqa: F401 - fixtures
from tests.support.tus import append, begin, offset
from tests.support.waiting import until

PART = 5 << 20
DATA = random.Random(5).randbytes(3 * PART + 1000)
DIRECT = {"storage": {"direct_uploads": True}}
KEY = {"Idempotency-Key": "talk"}


@pytest.fixture
def engine(tmp_path: Path, s3: S3Server, bucket: str) -> Iterator[RecordedEngine]:  # noqa: F811
    store = S3Store(s3.location(bucket), journal=tmp_path / "journal", retries=QUICK, part_bytes=PART)
    with recorded_engine(tmp_path / "data", store=store, **DIRECT) as engine:
        yield engine


def begun(http: httpx.Client, size: int = len(DATA)) -> str:
    answer = begin(http, size)
    assert answer.json()["part_bytes"] == (PART if size > PART else None)
    return str(answer.headers["location"])


def ask(http: httpx.Client, path: str, *numbers: Any) -> httpx.Response:
    return http.post(f"{path}/parts", json={"numbers": numbers})


def links(http: httpx.Client, path: str, *numbers: int) -> dict[int, str]:
    """Return the links of the parts that the store does not have."""
    answer = ask(http, path, *numbers)
    assert answer.status_code == 200, answer.text
    return {each["number"]: each["url"] for each in answer.json()["data"] if each["url"]}


def data_of(number: int) -> bytes:
    return DATA[(number - 1) * PART : number * PART]


def put(url: str, data: bytes) -> int:
    return httpx.put(url, content=data, trust_env=False, timeout=300).status_code


def send(http: httpx.Client, path: str, *numbers: int) -> None:
    for number, url in links(http, path, *numbers).items():
        assert put(url, data_of(number)) == 200


def registered(http: httpx.Client, engine: RecordedEngine, path: str) -> str:
    """Return the recording of a complete upload, which has the same bytes and left nothing in the bucket."""
    (recording,) = engine.ledger.recordings.list(RecordingFilter(limit=9)).data
    assert http.get(path).json()["recording_id"] == recording.recording_id
    (stored,) = engine.store.list()
    assert (stored.key, stored.etag) == (recording.bucket_path, recording.etag)
    found = engine.store.read(stored.key, limit=1 << 30)
    assert found is not None
    assert found[1] == DATA
    return recording.recording_id


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_parts_in_any_order_are_one_recording(http: httpx.Client, engine: RecordedEngine) -> None:
    path = begun(http)
    given = ask(http, path, 4, 1).json()
    assert (given["part_bytes"], given["offset"]) == (PART, 0)
    assert [(each["number"], each["size_bytes"]) for each in given["data"]] == [(4, 1000), (1, PART)]
    send(http, path, 4, 2)
    assert offset(http, path) == 0
    assert links(http, path, 1, 2, 3, 4).keys() == {1, 3}
    send(http, path, 1)
    assert offset(http, path) == 2 * PART
    send(http, path, 3)
    answers = [http.get(path).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert (answers[0]["offset"], answers[0]["part_bytes"]) == (len(DATA), None)
    recording = registered(http, engine, path)
    assert code(ask(http, path, 1)) == (409, "upload_not_direct")
    (row,) = engine.ledger.audit.list(AuditFilter(limit=9, object=recording)).data
    found = (row.action, row.actor_kind, row.means, row.object_id, row.within_id)
    assert found == ("recording.create", "key", "key", recording, path.rpartition("/")[2])


def test_part_of_another_size_is_missing(
    http: httpx.Client,
    engine: RecordedEngine,
    s3: S3Server,  # noqa: F811
) -> None:
    path = begun(http)
    url = links(http, path, 3)[3]
    accepted = 200 if s3.moto else 403  # moto checks no signatures
    assert [put(url, data_of(3)[1:]), put(url, data_of(3) + b"x")] == [accepted, accepted]
    send(http, path, 1, 2, 4)
    assert offset(http, path) == 2 * PART
    assert links(http, path, 3, 4).keys() == {3}
    send(http, path, 3)
    assert offset(http, path) == len(DATA)
    registered(http, engine, path)


def test_bytes_through_the_server_fill_what_is_missing(http: httpx.Client, engine: RecordedEngine) -> None:
    path = begun(http)
    send(http, path, 1, 3)
    assert code(append(http, path, 0, DATA)) == (409, "upload_offset_conflict")
    # Less than a part is kept and moves no part that follows.
    assert append(http, path, PART, DATA[PART : 2 * PART - 7]).headers["upload-offset"] == str(2 * PART - 7)
    assert links(http, path, 2, 3).keys() == {2}
    assert offset(http, path) == 2 * PART - 7
    assert append(http, path, 2 * PART - 7, DATA[2 * PART - 7 : 2 * PART]).headers["upload-offset"] == str(3 * PART)
    last = append(http, path, 3 * PART, DATA[3 * PART :])
    assert last.headers["upload-recording"] == registered(http, engine, path)


def test_part_that_arrives_beside_stored_bytes_replaces_them(http: httpx.Client, engine: RecordedEngine) -> None:
    path = begun(http)
    urls = links(http, path, 1, 2, 3, 4)
    assert append(http, path, 0, DATA[:1000]).headers["upload-offset"] == "1000"
    for number, url in urls.items():
        assert put(url, data_of(number)) == 200
    assert offset(http, path) == len(DATA)
    registered(http, engine, path)


def test_only_the_key_that_began_gets_links(http: httpx.Client, server: ApiServer, engine: RecordedEngine) -> None:
    path = begun(http)
    with server.client(engine.ledger.keys.create("other")[1]) as other:
        assert code(ask(other, path, 1)) == (403, "forbidden")


def test_wrong_numbers_are_refused(http: httpx.Client) -> None:
    path = begun(http)
    for numbers in ([], [0], [5], [10_001], [1, 1], [1.5], ["1"], [*range(1, 102)]):
        assert code(ask(http, path, *numbers)) == (422, "invalid_request")
    assert ask(http, path, *range(1, 5001)).status_code == 413


def test_links_of_an_upload_that_has_ended_do_not_work(
    http: httpx.Client,
    engine: RecordedEngine,
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cancelled, expired = begun(http), begun(http)
    urls = [links(http, path, 1, 2) for path in (cancelled, expired)]
    for each in urls:
        assert put(each[1], data_of(1)) == 200
    assert http.delete(cancelled).status_code == 204
    monkeypatch.setattr(UploadReceiver, "idle_ms", -1)
    assert code(ask(http, expired, 2)) == (404, "upload_not_found")
    assert engine.upload_receiver.remove_idle() == 1
    assert open_uploads(s3, bucket) == []
    assert all(put(each[2], data_of(2)) >= 400 for each in urls)
    assert open_uploads(s3, bucket) == []


def test_registration_after_the_object_was_assembled(
    http: httpx.Client, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("away")

    path = begun(http)
    send(http, path, 1, 2, 3, 4)
    for owner, name in ((engine.store, "finish"), (engine.ledger.resumable_uploads, "complete")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, away)
            assert code(http.get(path)) == (503, "storage_unavailable")
    assert http.get(path).json()["offset"] == len(DATA)
    registered(http, engine, path)


def test_upload_that_is_assembled_shows_its_state(
    http: httpx.Client, server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request assembles the object, for minutes in some stores. Others show the upload, and change nothing."""
    assembling, release, finish = threading.Event(), threading.Event(), engine.store.finish

    def slow(partial: Any) -> Any:
        assembling.set()
        assert release.wait(300)
        return finish(partial)

    path, other = begun(http), begun(http)
    send(http, path, 1, 2, 3, 4)
    send(http, other, 1, 2, 3, 4)
    monkeypatch.setattr(engine.store, "finish", slow)
    monkeypatch.setitem(LIMITS, "assemblies of uploads", Limit(of_all=2))  # of which the share of a key is one
    with server.client() as asking, ThreadPoolExecutor(1) as pool:
        first = pool.submit(asking.get, path)
        assert assembling.wait(300)
        for each in (path, other):
            shown = http.get(each)
            assert (shown.status_code, shown.json()["offset"], shown.json()["recording_id"]) == (200, len(DATA), None)
            assert offset(http, each) == len(DATA)
        for answer in (http.delete(path), ask(http, path, 1), append(http, path, len(DATA), b"")):
            assert code(answer) == (409, "upload_assembling")
        assert ask(http, other, 1).status_code == 200
        release.set()
        assert first.result(300).json()["recording_id"]
    assert http.get(other).json()["recording_id"]
    assert http.delete(path).status_code == 204
    assert len(engine.ledger.recordings.list(RecordingFilter(limit=9)).data) == 2


def test_offset_is_shown_while_another_request_sends_bytes(
    http: httpx.Client, server: ApiServer, engine: RecordedEngine
) -> None:
    path, release = begun(http), threading.Event()
    send(http, path, 1)

    def slow() -> Iterator[bytes]:
        yield DATA[PART : 2 * PART]
        release.wait(300)

    with server.client() as sending, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(append, sending, path, PART, slow())
        until(lambda: bool(engine.upload_receiver.in_flight()))  # a HEAD that comes first would lock it
        until(lambda: offset(http, path) == 2 * PART)
        assert http.get(path).json()["offset"] == 2 * PART
        assert code(ask(http, path, 3)) == (423, "upload_locked")
        release.set()
        assert sent.result(300).status_code == 204


def test_part_that_is_replaced_while_the_object_is_assembled(
    http: httpx.Client, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = begun(http)
    url = links(http, path, 1)[1]
    send(http, path, 1, 2, 3, 4)
    finish = engine.store.finish

    def late(partial: Any) -> Any:
        assert put(url, data_of(1)) == 200
        return finish(partial)

    monkeypatch.setattr(engine.store, "finish", late)
    assert http.get(path).json()["offset"] == len(DATA)
    registered(http, engine, path)


def test_uploads_of_one_part_and_begun_ones_go_through_the_server(http: httpx.Client) -> None:
    small, other = begun(http, PART), begun(http)
    assert code(ask(http, small, 1)) == (409, "upload_not_direct")
    append(http, other, 0, DATA[:1000])
    assert http.get(other).json()["part_bytes"] is None
    assert code(ask(http, other, 1)) == (409, "upload_not_direct")


class TestWithoutLinks:
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[RecordedEngine]:
        with recorded_engine(tmp_path / "data", **DIRECT) as engine:
            yield engine

    def test_folder_store_takes_all_bytes_through_the_server(self, http: httpx.Client) -> None:
        answer = begin(http, len(DATA))
        assert answer.json()["part_bytes"] is None
        assert code(ask(http, answer.headers["location"], 1)) == (409, "upload_not_direct")


@pytest.fixture
def copying(s3: S3Server) -> Iterator[str]:  # noqa: F811
    """Yield a bucket whose policy allows copies into parts."""
    if not s3.moto:
        pytest.skip("the policy of a real store is not known")
    name = f"{COPYING}{uuid4().hex}"
    s3.client.make_bucket(name)
    yield name
    for found in s3.client.list_objects(name, recursive=True):
        s3.client.remove_object(name, found.object_name or "")
    s3.client.remove_bucket(name)


def test_store_that_copies_objects_into_parts_gets_no_links(
    tmp_path: Path,
    s3: S3Server,  # noqa: F811
    copying: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = S3Store(s3.location(copying), journal=tmp_path / "journal", retries=QUICK, part_bytes=PART)
    now = time.monotonic
    with (
        recorded_engine(tmp_path / "data", store=store, **DIRECT) as engine,
        api_server(engine) as server,
        server.client() as http,
    ):
        answer = begin(http, len(DATA))
        assert answer.json()["part_bytes"] is None
        path = answer.headers["location"]
        refused = ask(http, path, 1)
        assert code(refused) == (409, "upload_not_direct")
        assert "docs/direct-uploads" in refused.json()["hint"]
        assert [each.levelname for each in caplog.records if "direct_uploads is off" in each.message] == ["ERROR"]
        assert append(http, path, 0, DATA).status_code == 204
        registered(http, engine, path)
        assert open_uploads(s3, copying) == []
        # The operator denies copies.
        monkeypatch.setattr(store.direct, "takes_copies", lambda: False)
        assert begin(http, len(DATA)).json()["part_bytes"] is None
        monkeypatch.setattr("clipengine.work.direct_uploads.time.monotonic", lambda: now() + 601)
        assert begin(http, len(DATA)).json()["part_bytes"] == PART


def test_restarted_engine_checks_the_store_before_it_shows_an_upload(
    http: httpx.Client, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = begin(http, len(DATA), **KEY).headers["location"]
    for show in (lambda: begin(http, len(DATA), **KEY), lambda: http.get(path)):
        monkeypatch.setattr(engine.upload_receiver, "_direct", DirectUploads(engine.store, link_seconds=900))
        assert show().json()["part_bytes"] == PART


def test_links_wait_until_the_store_could_be_checked(
    http: httpx.Client, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> bool:
        raise StorageUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(engine.store.direct, "takes_copies", away)
        answer = begin(http, len(DATA))
        assert answer.json()["part_bytes"] is None
        path = answer.headers["location"]
        assert code(ask(http, path, 1)) == (409, "upload_not_direct")
    send(http, path, 1, 2, 3, 4)
    assert offset(http, path) == len(DATA)
    assert http.get(path).json()["recording_id"]
    registered(http, engine, path)


def test_check_of_copies_leaves_nothing_in_the_bucket(
    engine: RecordedEngine,
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
) -> None:
    assert engine.store.direct is not None
    assert not engine.store.direct.takes_copies()
    assert open_uploads(s3, bucket) == []
    assert not list(s3.client.list_objects(bucket, recursive=True))
