"""S3 store behind a proxy that truncates, falsifies and delays responses."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clipengine.errors import ObjectMissing, StorageUnavailable, VerificationFailed
from clipengine.stores.base import StoredObject
from clipengine.stores.s3 import S3Store
from clipengine.stores.s3_http import Timeouts
from clipengine.stores.s3_journal import UploadJournal
from tests.support.s3 import S3Server, open_uploads
from tests.support.s3_faults import (
    FaultyS3,
    cut_after_commit,
    cut_before_commit,
    cut_body,
    drip,
    error_in_200,
    ignore_range,
    other_range,
    overrun,
    pad,
    refuse,
    stall,
    swallow,
    without,
)

MakeS3 = Callable[..., S3Store]
SMALL = random.Random(4).randbytes(200_000)
LARGE = random.Random(5).randbytes(1 << 20) * 11  # three parts of 5 MiB


@pytest.fixture
def store(make_s3: MakeS3, faulty_s3: FaultyS3) -> S3Store:
    return make_s3(endpoint=faulty_s3.endpoint)


@pytest.fixture
def direct(make_s3: MakeS3) -> S3Store:
    """The same bucket without the proxy in front."""
    return make_s3()


def put(store: S3Store, key: str, data: bytes) -> StoredObject:
    digest = hashlib.sha256(data).hexdigest()
    return store.put(key, io.BytesIO(data), size=len(data), content_type="video/mp4", sha256=digest)


def read(store: S3Store, key: str) -> bytes:
    reader = store.open(key)
    return reader.read_at(0, reader.info.size)


def keys(store: S3Store) -> list[str]:
    return [found.key for found in store.list()]


# ---- reading


def test_read_resumes_after_a_truncated_response(store: S3Store, direct: S3Store, faulty_s3: FaultyS3) -> None:
    put(direct, "k", SMALL)
    reader = store.open("k")
    faulty_s3.fail(cut_body(after=70_000), method="GET", times=2)
    assert reader.read_at(10, 190_000) == SMALL[10:190_010]
    ranges = [request.headers["range"] for request in faulty_s3.seen if request.method == "GET"]
    assert ranges[0] == "bytes=10-190009"
    assert [int(text.removeprefix("bytes=").split("-")[0]) for text in ranges] == [10, 70_010, 140_010]
    assert {request.headers["if-match"] for request in faulty_s3.seen if request.method == "GET"} == {
        f'"{reader.info.etag}"'
    }


def test_many_objects_are_deleted_in_one_request(store: S3Store, direct: S3Store, faulty_s3: FaultyS3) -> None:
    for number in range(20):
        put(direct, f"{number}", b"x")
    faulty_s3.fail(refuse(503, "SlowDown"), method="POST", query="delete")
    assert store.delete_many([f"{number}" for number in range(20)]) == {}
    assert (faulty_s3.count("POST", "delete"), faulty_s3.count("DELETE")) == (2, 0)
    assert keys(direct) == []


@pytest.mark.parametrize("status", [404, 503])
def test_copy_into_a_part_that_is_not_answered_is_no_refusal(
    store: S3Store, direct: S3Store, faulty_s3: FaultyS3, status: int
) -> None:
    faulty_s3.fail(refuse(status, "Later"), method="PUT", query="partNumber=1", times=100)
    with pytest.raises(StorageUnavailable, match=f"HTTP {status}"):
        store.direct.takes_copies()
    assert keys(direct) == []
    assert direct.direct.takes_copies() is False


@pytest.mark.parametrize("code", ["NotImplemented", "MethodNotAllowed"])
def test_store_without_batches_is_sent_one_request_per_object(
    store: S3Store, direct: S3Store, faulty_s3: FaultyS3, code: str
) -> None:
    for key in ("a", "b"):
        put(direct, key, b"x")
    faulty_s3.fail(refuse(501 if code == "NotImplemented" else 405, code), method="POST", query="delete")
    assert store.delete_many(["a", "b"]) == {}
    assert faulty_s3.count("DELETE") == 2
    assert keys(direct) == []


def test_key_that_xml_cannot_express_is_deleted_alone(store: S3Store, direct: S3Store, faulty_s3: FaultyS3) -> None:
    for key in ("a", "b", "k\ufffe"):
        put(direct, key, b"x")
    assert store.delete_many(["a", "k\ufffe", "b"]) == {}
    assert (faulty_s3.count("POST", "delete"), faulty_s3.count("DELETE")) == (1, 1)
    assert keys(direct) == []


def test_objects_that_the_store_did_not_delete_are_named(store: S3Store, faulty_s3: FaultyS3) -> None:
    body = (
        b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
        b"<Error><Key>b</Key><Code>InternalError</Code></Error><Error><Key>c</Key><Code>NoSuchKey</Code></Error>"
        b"</DeleteResult>"
    )
    faulty_s3.fail(lambda exchange: exchange.answer(200, body), method="POST", query="delete")
    failed = store.delete_many(["a", "b", "c", "d"])
    assert {key: error.code for key, error in failed.items()} == {"a": "storage_denied", "b": "storage_unavailable"}


def test_error_inside_an_answer_of_200_is_not_taken_for_a_deletion(
    store: S3Store, direct: S3Store, faulty_s3: FaultyS3
) -> None:
    for key in ("a", "b"):
        put(direct, key, b"x")
    faulty_s3.fail(error_in_200("InternalError"), method="POST", query="delete", times=100)
    with pytest.raises(StorageUnavailable):
        store.delete_many(["a", "b"])
    assert keys(direct) == ["a", "b"]


def test_response_that_is_always_truncated_is_an_outage(store: S3Store, direct: S3Store, faulty_s3: FaultyS3) -> None:
    put(direct, "k", SMALL)
    reader = store.open("k")
    faulty_s3.fail(cut_body(after=100), method="GET", times=100)
    with pytest.raises(StorageUnavailable):
        reader.read_at(0, 200_000)


@pytest.mark.parametrize("fault", [ignore_range(SMALL), other_range], ids=["200", "other range"])
def test_response_with_a_wrong_range_is_rejected(
    store: S3Store, direct: S3Store, faulty_s3: FaultyS3, fault: Callable[[object], None]
) -> None:
    put(direct, "k", SMALL)
    reader = store.open("k")
    faulty_s3.fail(fault, method="GET")
    assert reader.read_at(5, 10) == SMALL[5:15]
    faulty_s3.fail(fault, method="GET", times=100)
    with pytest.raises(StorageUnavailable, match="range"):
        reader.read_at(5, 10)


def test_bytes_beyond_the_range_are_ignored(store: S3Store, direct: S3Store, faulty_s3: FaultyS3) -> None:
    put(direct, "k", SMALL)
    reader = store.open("k")
    faulty_s3.fail(overrun, method="GET", times=3)
    for offset in (0, 10, 20, 30, 40):
        assert reader.read_at(offset, 10) == SMALL[offset : offset + 10]


def test_object_without_an_etag_is_rejected(store: S3Store, direct: S3Store, faulty_s3: FaultyS3) -> None:
    put(direct, "k", SMALL)
    faulty_s3.fail(without("etag"), method="HEAD", times=100)
    with pytest.raises(StorageUnavailable, match="no length or no ETag"):
        store.open("k")


@pytest.mark.parametrize("fault", [stall(after=1000), drip], ids=["stall", "drip"])
@pytest.mark.typical(1)
def test_stalled_response_is_abandoned_at_its_deadline(
    make_s3: MakeS3, direct: S3Store, faulty_s3: FaultyS3, fault: Callable[[object], None]
) -> None:
    timeouts = Timeouts(connect=10, read=1, grace=2, min_bytes_per_second=10 << 20)
    put(direct, "k", SMALL)
    reader = make_s3(endpoint=faulty_s3.endpoint, timeouts=timeouts).open("k")
    faulty_s3.fail(fault, method="GET")
    started = time.monotonic()
    assert reader.read_at(0, 200_000) == SMALL
    assert time.monotonic() - started < 25
    faulty_s3.fail(fault, method="GET", times=100)
    with pytest.raises(StorageUnavailable, match="in time"):
        reader.read_at(0, 200_000)
    assert time.monotonic() - started < 60


def test_slow_down_responses_are_retried(store: S3Store, faulty_s3: FaultyS3) -> None:
    for method in ("HEAD", "PUT", "GET", "POST"):
        faulty_s3.fail(refuse(503, "SlowDown"), method=method, times=2)
    put(store, "k", SMALL)
    put(store, "large", LARGE)
    assert read(store, "k") == SMALL
    assert keys(store) == ["k", "large"]


def test_list_resumes_after_an_error(store: S3Store, direct: S3Store, faulty_s3: FaultyS3) -> None:
    for n in range(5):
        put(direct, f"{n}", b"x")
    faulty_s3.fail(cut_body(after=50), method="GET", query="list-type")
    faulty_s3.fail(cut_before_commit, method="GET", query="list-type")
    assert keys(store) == ["0", "1", "2", "3", "4"]


# ---- one PUT


def test_put_succeeds_if_only_the_response_is_lost(store: S3Store, faulty_s3: FaultyS3) -> None:
    faulty_s3.fail(cut_after_commit, method="PUT")
    assert put(store, "k", SMALL).size == len(SMALL)


def test_interrupted_put_keeps_the_old_object(store: S3Store, direct: S3Store, faulty_s3: FaultyS3) -> None:
    put(direct, "k", b"old")
    faulty_s3.fail(cut_before_commit, method="PUT", times=100)
    with pytest.raises(StorageUnavailable):
        put(store, "k", SMALL)
    assert read(direct, "k") == b"old"


@pytest.mark.parametrize("old", [None, b"old", bytes(len(SMALL))], ids=["nothing", "other size", "same size"])
def test_put_fails_if_the_store_confirms_but_stores_nothing(
    store: S3Store, direct: S3Store, faulty_s3: FaultyS3, old: bytes | None
) -> None:
    if old is not None:
        put(direct, "k", old)
    faulty_s3.fail(swallow, method="PUT", times=100)
    with pytest.raises(StorageUnavailable, match="confirmed the upload"):
        put(store, "k", SMALL)
    with pytest.raises(StorageUnavailable, match="confirmed the upload"):
        store.put_stream("k", io.BytesIO(SMALL), content_type="video/mp4", limit=1 << 20)


# ---- parts


def test_failed_parts_are_sent_again(store: S3Store, faulty_s3: FaultyS3, s3: S3Server, bucket: str) -> None:
    faulty_s3.fail(cut_before_commit, method="PUT", query="partNumber=2")
    faulty_s3.fail(cut_after_commit, method="PUT", query="partNumber=3")
    stored = put(store, "k", LARGE)
    assert (stored.size, stored.sha256) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    assert read(store, "k") == LARGE
    assert open_uploads(s3, bucket) == []


def test_error_in_the_body_of_a_200_response_fails_the_upload(
    store: S3Store, faulty_s3: FaultyS3, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    faulty_s3.fail(error_in_200("InternalError"), method="POST", query="uploadId")
    put(store, "once", LARGE)
    faulty_s3.fail(error_in_200("InternalError"), method="POST", query="uploadId", times=100)
    with pytest.raises(StorageUnavailable, match="InternalError"):
        put(store, "always", LARGE)
    assert keys(store) == ["once"]
    assert open_uploads(s3, bucket) == []
    assert list((tmp_path / "journal").iterdir()) == []


def test_completion_padded_with_white_space_succeeds(make_s3: MakeS3, faulty_s3: FaultyS3) -> None:
    store = make_s3(endpoint=faulty_s3.endpoint)  # a completion that is lost for its time has a third HEAD
    faulty_s3.fail(pad, method="POST", query="uploadId")
    put(store, "k", LARGE)
    assert faulty_s3.count("POST", "uploadId") == 1
    assert faulty_s3.count("DELETE") == 0
    assert faulty_s3.count("HEAD") == 2  # before and after, none to check for a lost response
    assert read(store, "k") == LARGE


def test_completion_succeeds_if_only_the_response_is_lost(store: S3Store, faulty_s3: FaultyS3, tmp_path: Path) -> None:
    faulty_s3.fail(cut_after_commit, method="POST", query="uploadId", times=100)
    put(store, "k", LARGE)
    assert faulty_s3.count("POST", "uploadId") == 1
    store.put_stream("stream", io.BytesIO(LARGE), content_type="video/mp4", limit=1 << 30)
    assert read(store, "k") == read(store, "stream") == LARGE
    assert list((tmp_path / "journal").iterdir()) == []


@pytest.mark.parametrize("old", [None, bytes(len(LARGE))], ids=["nothing", "same size"])
def test_completion_fails_if_the_store_confirms_but_stores_nothing(
    store: S3Store, direct: S3Store, faulty_s3: FaultyS3, old: bytes | None
) -> None:
    if old:
        put(direct, "k", old)
    claim = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
    faulty_s3.fail(lambda exchange: exchange.answer(200, claim), method="POST", query="uploadId", times=100)
    with pytest.raises(StorageUnavailable, match="confirmed the upload"):
        put(store, "k", LARGE)
    with pytest.raises(StorageUnavailable, match="confirmed the upload"):
        store.put_stream("k", io.BytesIO(LARGE), content_type="video/mp4", limit=1 << 30)


def test_upload_of_a_wrong_body_is_aborted(store: S3Store, s3: S3Server, bucket: str) -> None:
    with pytest.raises(VerificationFailed, match="ended after"):
        store.put("k", io.BytesIO(LARGE[:-1]), size=len(LARGE), content_type="video/mp4", sha256="0" * 64)
    with pytest.raises(VerificationFailed, match="sha256"):
        store.put("k", io.BytesIO(LARGE), size=len(LARGE), content_type="video/mp4", sha256="0" * 64)
    assert (keys(store), open_uploads(s3, bucket)) == ([], [])


# ---- abandoned uploads


def test_failed_abort_keeps_the_original_error_and_is_swept_later(
    store: S3Store, faulty_s3: FaultyS3, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    faulty_s3.fail(error_in_200("InternalError"), method="POST", query="uploadId", times=100)
    faulty_s3.fail(refuse(503, "SlowDown"), method="DELETE", query="uploadId", times=2)
    with pytest.raises(StorageUnavailable, match="InternalError"):
        put(store, "k", LARGE)
    assert len(open_uploads(s3, bucket)) == 1
    assert store.sweep_uploads() == 1
    assert open_uploads(s3, bucket) == []
    assert list((tmp_path / "journal").iterdir()) == []


def test_upload_with_a_lost_id_is_found_by_name_and_aborted(
    store: S3Store, faulty_s3: FaultyS3, s3: S3Server, bucket: str
) -> None:
    faulty_s3.fail(cut_after_commit, method="POST", query="uploads")
    put(store, "a folder/k+ü.mp4", LARGE)
    assert len(open_uploads(s3, bucket)) == 1
    assert store.sweep_uploads() == 1
    assert open_uploads(s3, bucket) == []
    assert store.sweep_uploads() == 0


@pytest.mark.exhaustive
def test_sweep_aborts_only_uploads_of_killed_processes(
    make_s3: MakeS3, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    program = """
import json, os, signal, sys
from pathlib import Path
from clipengine.stores.s3 import S3Store
from clipengine.stores.s3_client import S3Location
location, journal = json.loads(sys.argv[1]), Path(sys.argv[2])
class Body:
    sent = 0
    def read(self, size):
        if self.sent > 7 << 20:
            os.kill(os.getpid(), signal.SIGKILL)
        self.sent += size
        return bytes(size)
store = S3Store(S3Location(**location), journal=journal, part_bytes=5 << 20)
store.put_stream('killed', Body(), content_type='a/b', limit=1 << 30)
"""
    location = {
        "endpoint": s3.endpoint,
        "bucket": bucket,
        "access_key": s3.access_key,
        "secret_key": s3.secret_key,
        "region": s3.region,
    }
    arguments = [sys.executable, "-c", program, json.dumps(location), str(tmp_path / "journal")]
    assert subprocess.run(arguments, check=False).returncode == -9
    assert [name for name, _ in open_uploads(s3, bucket)] == ["killed"]
    store = make_s3()
    swept: list[int] = []

    class SweepsHalfWay(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 5 << 20 and not swept:
                swept.append(store.sweep_uploads())
            return super().read(size)

    store.put_stream("living", SweepsHalfWay(LARGE), content_type="video/mp4", limit=1 << 30)
    assert swept == [1]
    assert read(store, "living") == LARGE
    assert open_uploads(s3, bucket) == []
    with pytest.raises(ObjectMissing):
        store.head("killed")


def test_journal_does_not_recreate_a_missing_data_folder(tmp_path: Path) -> None:
    journal = UploadJournal(tmp_path / "data" / "uploads", endpoint="http://127.0.0.1", bucket="b")
    with pytest.raises(StorageUnavailable, match="is missing"), journal.record("k"):
        pass
    assert not (tmp_path / "data").exists()
