"""Uploads that resume over HTTP: tus 1.0, its limits, interruptions, and the registration of the recording."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.api.http.requests.tus import MAX_METADATA_CHARACTERS, MAX_METADATA_PAIRS
from clipengine.errors import StorageUnavailable, UploadLocked
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.work.upload_receiver import UploadReceiver
from tests.support.api import ApiServer, RecordedEngine, recorded_engine
from tests.support.tus import BYTES, HEADERS, append, begin, encoded, metadata, offset
from tests.support.waiting import until

DATA = random.Random(52).randbytes(3_000_000)


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["tus-resumable"] == "1.0.0"
    return answer.status_code, answer.json()["code"]


def content(engine: RecordedEngine) -> list[bytes]:
    """Return the content of each object."""
    return [engine.store.read(each.key, limit=1 << 30)[1] for each in engine.store.list()]  # type: ignore[index]


def leftovers(engine: RecordedEngine) -> list[str]:
    return [path.name for path in (engine.settings.store_folder / ".clipengine" / "uploads").glob("*")]


def recordings(engine: RecordedEngine) -> list[Any]:
    return list(engine.ledger.recordings.list(RecordingFilter(limit=9)).data)


def begun(http: httpx.Client, size: int = len(DATA), **more: Any) -> str:
    answer = begin(http, size, **more)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def interrupted(server: ApiServer, path: str, at: int, data: bytes) -> None:
    """Send some bytes of a larger request, and end the connection."""
    fields = [f"Upload-Offset: {at}", f"Content-Type: {BYTES}", f"Content-Length: {len(DATA) - at}"]
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        request = [f"PATCH {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.key}", *fields, "", ""]
        connection.sendall("\r\n".join(request).encode() + data)


def test_upload_in_several_requests_is_one_recording(http: httpx.Client, engine: RecordedEngine) -> None:
    described = {"name": "Board", "metadata": {"team": "blue"}, "tags": ["a"], "started_at": "2025-04-05T11:00:00.000Z"}
    answer = begin(http, len(DATA), recording={**described, "series": "hall"})
    assert answer.status_code == 201
    path = answer.headers["location"]
    assert answer.json() | {"created_at": "", "expires_at": ""} == {
        "upload_id": path.rpartition("/")[2],
        "offset": 0,
        "size_bytes": len(DATA),
        "created_at": "",
        "expires_at": "",
        "completed_at": None,
        "recording_id": None,
        "part_bytes": None,
    }
    expires = parsedate_to_datetime(answer.headers["upload-expires"])
    assert expires.isoformat()[:19] == answer.json()["expires_at"][:19]
    for start, end in [(0, 1), (1, 2_000_000), (2_000_000, len(DATA))]:
        assert offset(http, path) == start
        assert recordings(engine) == []
        answer = append(http, path, start, DATA[start:end])
        assert (answer.status_code, answer.headers["upload-offset"], answer.content) == (204, str(end), b"")
    (recording,) = recordings(engine)
    assert http.get(path).json()["recording_id"] == recording.recording_id
    registered = http.get(f"/v1/recordings/{recording.recording_id}").json()
    assert {name: registered[name] for name in described} == described
    assert registered["series"] == "hall"
    assert engine.calls == [("probes", recording.recording_id)]
    assert content(engine) == [DATA]
    assert leftovers(engine) == []
    shown = http.head(path)
    assert shown.headers["upload-length"] == str(len(DATA))
    assert shown.headers["upload-metadata"] == metadata(recording={**described, "series": "hall"})


def test_repeated_last_request_gets_the_same_answer(http: httpx.Client, engine: RecordedEngine) -> None:
    path = begun(http, content=DATA[:1000])
    answers = [append(http, path, 1000, DATA[1000:]) for _ in range(2)]
    assert [(each.status_code, each.headers["upload-offset"]) for each in answers] == [(204, str(len(DATA)))] * 2
    assert append(http, path, len(DATA), b"").status_code == 204
    assert code(append(http, path, 0, DATA[:1000])) == (409, "upload_offset_conflict")
    assert len(recordings(engine)) == 1
    assert http.delete(path, headers=HEADERS).status_code == 204
    assert code(http.get(path)) == (404, "upload_not_found")
    assert content(engine) == [DATA]


def test_creation_with_all_bytes_is_repeated_safely(http: httpx.Client, engine: RecordedEngine) -> None:
    key = {"Idempotency-Key": "once"}
    first = begin(http, len(DATA), content=DATA, **key)
    again = begin(http, len(DATA), content=DATA, **key)
    assert first.json()["recording_id"] == recordings(engine)[0].recording_id
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert code(begin(http, 5, content=b"other", **key)) == (422, "idempotency_key_reused")
    assert content(engine) == [DATA]


def test_bytes_before_an_interruption_are_kept(http: httpx.Client, server: ApiServer, engine: RecordedEngine) -> None:
    path = begun(http)
    interrupted(server, path, 0, DATA[:1_500_000])
    until(lambda: offset(http, path) == 1_500_000)
    until(lambda: not engine.upload_receiver.in_flight())
    assert append(http, path, 1_500_000, DATA[1_500_000:]).status_code == 204
    assert content(engine) == [DATA]


def test_second_writer_is_refused(http: httpx.Client, server: ApiServer, engine: RecordedEngine) -> None:
    path, sent, release = begun(http), threading.Event(), threading.Event()
    answers: list[int] = []

    def slow() -> Iterator[bytes]:
        yield DATA[:1000]
        sent.set()
        release.wait(300)
        yield DATA[1000:]

    def write() -> None:
        with server.client() as other:
            answers.append(append(other, path, 0, slow()).status_code)

    thread = threading.Thread(target=write)
    thread.start()
    sent.wait(300)
    until(lambda: bool(engine.upload_receiver.in_flight()))
    assert code(append(http, path, 0, DATA)) == (423, "upload_locked")
    assert code(http.delete(path)) == (423, "upload_locked")
    assert engine.upload_receiver.remove_idle() == 0
    assert engine.ledger.resumable_uploads.release_orphans("inst_test", in_flight=engine.upload_receiver.in_flight) == 0
    release.set()
    thread.join(300)
    assert answers == [204]
    assert content(engine) == [DATA]


def test_engine_that_lost_its_claim_records_nothing(http: httpx.Client, engine: RecordedEngine) -> None:
    path = begun(http)
    uploads, id = engine.ledger.resumable_uploads, path.rpartition("/")[2]
    lost = uploads.claim(id, "inst_dead", since=0)
    assert code(append(http, path, 0, DATA)) == (423, "upload_locked")
    assert uploads.release_orphans("inst_test", in_flight=engine.upload_receiver.in_flight) == 1
    assert append(http, path, 0, DATA[:1000]).status_code == 204
    for change in (
        lambda: uploads.advance(lost, replace(lost.partial, offset=5)),
        lambda: uploads.complete(lost, etag="x"),
        lambda: uploads.expire(lost),
    ):
        with pytest.raises(UploadLocked):
            change()
    uploads.delete(lost)
    uploads.release(lost)
    assert offset(http, path) == 1000
    assert recordings(engine) == []


class TestChunkedBodies:
    """A body without a declared length that goes beyond the end is refused as one with it."""

    @pytest.mark.parametrize(
        "chunks",
        [
            [DATA + b"x"],
            [DATA, b"x"],
            [DATA[:2_000_000], DATA[2_000_000:], b"x" * 3000],
            [DATA[:2_000_000], DATA[2_000_000:] + b"x"],
        ],
        ids=["one chunk", "chunk behind the end", "several chunks", "last chunk across the end"],
    )
    def test_body_beyond_the_end_registers_nothing(
        self, http: httpx.Client, engine: RecordedEngine, chunks: list[bytes]
    ) -> None:
        path = begun(http)
        assert code(append(http, path, 0, iter(chunks))) == (413, "payload_too_large")
        assert offset(http, path) < len(DATA)
        assert recordings(engine) == []
        at = offset(http, path)
        assert append(http, path, at, iter([DATA[at:]])).status_code == 204
        assert content(engine) == [DATA]

    def test_body_with_its_checksum_stores_nothing_beyond_the_end(self, http: httpx.Client) -> None:
        path, digest = begun(http), encoded(hashlib.sha1(DATA + b"x").digest())
        answer = append(http, path, 0, iter([DATA, b"x"]), **{"Upload-Checksum": f"sha1 {digest}"})
        assert code(answer) == (413, "payload_too_large")
        assert offset(http, path) == 0

    def test_creation_with_a_body_beyond_the_end_registers_nothing(
        self, http: httpx.Client, engine: RecordedEngine
    ) -> None:
        answer = begin(http, len(DATA), content=iter([DATA, b"x"]))
        assert code(answer) == (413, "payload_too_large")
        assert recordings(engine) == []

    def test_bytes_after_the_last_one_are_refused(self, http: httpx.Client, engine: RecordedEngine) -> None:
        path = begun(http, content=DATA)
        assert append(http, path, len(DATA), iter([b""])).status_code == 204
        assert code(append(http, path, len(DATA), iter([b"x"]))) == (413, "payload_too_large")
        assert content(engine) == [DATA]

    def test_last_bytes_before_an_interruption_are_kept(
        self, http: httpx.Client, server: ApiServer, engine: RecordedEngine
    ) -> None:
        path = begun(http, 5)
        fields = ["Upload-Offset: 0", f"Content-Type: {BYTES}", "Transfer-Encoding: chunked"]
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            request = [f"PATCH {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.key}", *fields, "", ""]
            connection.sendall("\r\n".join(request).encode() + b"5\r\nhello\r\n")
            until(lambda: bool(engine.upload_receiver.in_flight()))
            assert content(engine) == []  # more may follow
        until(lambda: content(engine) == [b"hello"])


class TestChecksum:
    @pytest.mark.parametrize("name", ["sha1", "sha256", "md5"])
    def test_body_with_its_checksum_is_stored(self, http: httpx.Client, engine: RecordedEngine, name: str) -> None:
        path = begun(http)
        for start, end in [(0, 1000), (1000, len(DATA))]:
            body = DATA[start:end]
            digest = encoded(hashlib.new(name, body).digest())
            assert append(http, path, start, body, **{"Upload-Checksum": f"{name} {digest}"}).status_code == 204
        assert content(engine) == [DATA]

    def test_other_body_is_not_stored(self, http: httpx.Client, engine: RecordedEngine) -> None:
        path = begun(http, content=DATA[:10])
        digest = encoded(hashlib.sha1(DATA[10:]).digest())
        wrong = append(http, path, 10, bytes(len(DATA) - 10), **{"Upload-Checksum": f"sha1 {digest}"})
        assert code(wrong) == (460, "checksum_mismatch")
        assert offset(http, path) == 10
        assert append(http, path, 10, DATA[10:], **{"Upload-Checksum": f"sha1 {digest}"}).status_code == 204
        assert content(engine) == [DATA]

    @pytest.mark.parametrize("header", ["crc32 AAAA", "sha1", "sha1 !", "sha1 AAAA", "sha256 " + "A" * 9999])
    def test_invalid_checksum_is_rejected(self, http: httpx.Client, header: str) -> None:
        path = begun(http)
        answer = append(http, path, 0, b"x", **{"Upload-Checksum": header})
        assert code(answer) == (422, "invalid_request")
        assert offset(http, path) == 0


class TestRequests:
    def test_options_say_what_is_supported(self, server: ApiServer) -> None:
        with server.client("") as http:
            answer = http.options("/v1/uploads")
        assert answer.status_code == 204
        assert answer.headers["tus-version"] == "1.0.0"
        assert answer.headers["tus-max-size"] == "1099511627776"
        extensions = "creation,creation-with-upload,expiration,checksum,termination"
        assert answer.headers["tus-extension"] == extensions
        assert answer.headers["tus-checksum-algorithm"] == "sha256,sha1,md5"

    def test_other_version_is_refused(self, http: httpx.Client) -> None:
        answer = begin(http, 5, **{"Tus-Resumable": "0.2.2"})
        assert code(answer) == (412, "tus_version_unsupported")
        assert answer.headers["tus-version"] == "1.0.0"

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"Upload-Length": ""}, "invalid_request"),
            ({"Upload-Length": "-1"}, "invalid_request"),
            ({"Upload-Length": "1e3"}, "invalid_request"),
            ({"Upload-Length": "0"}, "invalid_request"),
            ({"Upload-Length": "9" * 5000}, "invalid_request"),
            ({"Upload-Length": str(2**62)}, "payload_too_large"),
            ({"Upload-Defer-Length": "1"}, "invalid_request"),
            ({"Upload-Concat": "partial"}, "invalid_request"),
            ({"Upload-Concat": "final;/v1/uploads/upl_1 /v1/uploads/upl_2"}, "invalid_request"),
            ({"Upload-Metadata": ""}, "invalid_request"),
            ({"Upload-Metadata": "filename"}, "invalid_request"),
            ({"Upload-Metadata": "filename !!!"}, "invalid_request"),
            ({"Upload-Metadata": f"filename {encoded(b'a' * 201)}"}, "invalid_request"),
            ({"Upload-Metadata": f"filename {encoded('a' + chr(0))}"}, "invalid_request"),
            ({"Upload-Metadata": f"filename {encoded(bytes([255]))}"}, "invalid_request"),
            ({"Upload-Metadata": f"filename {encoded('a')},filename {encoded('b')}"}, "invalid_request"),
            ({"Upload-Metadata": f"filename {encoded('a')},,b"}, "invalid_request"),
            ({"Upload-Metadata": f"filename {encoded('a')},recording {encoded('[1]')}"}, "invalid_request"),
            ({"Upload-Metadata": f"filename {encoded('a')},recording {encoded('{')}"}, "invalid_request"),
            ({"Upload-Metadata": metadata(recording={"bucket_path": "a.mp4"})}, "invalid_request"),
            ({"Upload-Metadata": metadata(recording={"name": "a\0"})}, "invalid_request"),
            ({"Upload-Metadata": metadata(recording={"metadata": {"a": "\0"}})}, "invalid_request"),
            ({"Upload-Metadata": metadata(recording=[[[[]]]] * 9000)[:MAX_METADATA_CHARACTERS]}, "invalid_request"),
            ({"Upload-Metadata": metadata() + ",x " + "A" * MAX_METADATA_CHARACTERS}, "invalid_request"),
            (
                {"Upload-Metadata": metadata() + "".join(f",x{n}" for n in range(MAX_METADATA_PAIRS))},
                "invalid_request",
            ),
        ],
    )
    def test_invalid_header_is_rejected(
        self, http: httpx.Client, engine: RecordedEngine, changes: dict[str, str], expected: str
    ) -> None:
        answer = begin(http, 5, **changes)
        assert code(answer)[1] == expected
        if expected == "invalid_request":
            assert answer.json()["errors"][0]["header"] in changes
        assert engine.ledger.resumable_uploads.idle(1 << 60, limit=5) == []

    def test_most_metadata_is_accepted(self, http: httpx.Client) -> None:
        pairs = "".join(f",x{n} {encoded('x' * 300)}" for n in range(MAX_METADATA_PAIRS - 1))
        header = metadata() + pairs
        assert len(header) < MAX_METADATA_CHARACTERS
        path = begun(http, **{"Upload-Metadata": header})
        assert http.head(path).headers["upload-metadata"] == header

    def test_wrong_requests_are_rejected(self, http: httpx.Client, engine: RecordedEngine) -> None:
        path = begun(http, 10)
        assert code(append(http, path, 0, b"x" * 11)) == (413, "payload_too_large")
        assert code(append(http, path, 3, b"x")) == (409, "upload_offset_conflict")
        assert code(append(http, path, 0, b"x", **{"Content-Type": "video/mp4"})) == (415, "unsupported_content_type")
        assert code(append(http, path, 0, b"x", **{"Upload-Offset": "a"})) == (422, "invalid_request")
        assert code(append(http, path, 0, b"x", **{"Tus-Resumable": "2.0.0"})) == (412, "tus_version_unsupported")
        assert code(begin(http, 5, content=b"x" * 6)) == (413, "payload_too_large")
        missing = "/v1/uploads/upl_x"
        assert code(append(http, missing, 0, b"x")) == (404, "upload_not_found")
        assert code(http.get(missing)) == (404, "upload_not_found")
        assert code(http.delete(missing)) == (404, "upload_not_found")
        engine.disk_low = True
        assert code(append(http, path, 0, b"x")) == (503, "disk_low")
        assert code(begin(http, 5)) == (503, "disk_low")
        assert offset(http, path) == 0

    def test_only_the_key_that_began_may_continue(
        self, http: httpx.Client, server: ApiServer, engine: RecordedEngine
    ) -> None:
        path = begun(http, 10)
        _, other_key = engine.ledger.keys.create("other", ["read", "write"])
        _, reader_key = engine.ledger.keys.create("reader", ["read"])
        for key in (other_key, reader_key):
            with server.client(key) as other:
                assert code(append(other, path, 0, b"x")) == (403, "forbidden")
                assert code(other.get(path)) == (403, "forbidden")
                assert code(other.delete(path)) == (403, "forbidden")
        with server.client("") as nobody:
            assert code(append(nobody, path, 0, b"x")) == (401, "unauthorized")
        assert offset(http, path) == 0


class TestEnd:
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[RecordedEngine]:
        with recorded_engine(tmp_path / "few", limits={"open_uploads": 3, "max_upload_bytes": 10_000_000}) as engine:
            yield engine

    def test_open_uploads_are_counted_by_key(
        self, http: httpx.Client, server: ApiServer, engine: RecordedEngine
    ) -> None:
        paths = [begun(http) for _ in range(3)]
        answer = begin(http, 5)
        assert code(answer) == (429, "rate_limited")
        assert answer.headers["retry-after"] == "60"
        _, other = engine.ledger.keys.create("other")
        with server.client(other) as client:
            begun(client)
        assert append(http, paths[0], 0, DATA).status_code == 204
        paths.append(begun(http))
        assert code(begin(http, 5)) == (429, "rate_limited")
        assert http.delete(paths[1]).status_code == 204
        begun(http)

    def test_ended_upload_leaves_nothing(self, http: httpx.Client, engine: RecordedEngine) -> None:
        path = begun(http, content=DATA[:1000])
        assert len(leftovers(engine)) == 1
        assert http.delete(path, headers=HEADERS).status_code == 204
        assert leftovers(engine) == []
        assert code(append(http, path, 1000, DATA[1000:])) == (404, "upload_not_found")

    def test_idle_uploads_are_deleted(
        self, http: httpx.Client, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        complete, partial = begun(http, content=DATA), begun(http, content=DATA[:1000])
        assert engine.upload_receiver.remove_idle() == 0
        monkeypatch.setattr(UploadReceiver, "idle_ms", -1)
        for path in (complete, partial):
            assert code(http.get(path)) == (404, "upload_not_found")
            assert code(append(http, path, 1000, DATA[1000:])) == (404, "upload_not_found")
        assert engine.upload_receiver.remove_idle() == 2
        assert engine.upload_receiver.remove_idle() == 0
        assert content(engine) == [DATA]
        assert leftovers(engine) == []

    def test_registration_that_was_interrupted_is_done_by_the_next_request(
        self, http: httpx.Client, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: object) -> None:
            raise StorageUnavailable("away")

        path = begun(http)
        with monkeypatch.context() as patch:
            patch.setattr(engine.store, "finish", away)
            assert code(append(http, path, 0, DATA)) == (503, "storage_unavailable")
            assert code(http.get(path)) == (503, "storage_unavailable")
        assert recordings(engine) == []
        assert offset(http, path) == len(DATA)
        assert http.get(path).json()["recording_id"] == recordings(engine)[0].recording_id
        assert content(engine) == [DATA]

    def test_bytes_that_the_store_lost_end_the_upload(self, http: httpx.Client, engine: RecordedEngine) -> None:
        path = begun(http, content=DATA[:1000])
        engine.store.discard(engine.upload_receiver.get(path.rpartition("/")[2]).partial)
        answer = append(http, path, 1000, DATA[1000:])
        assert code(answer) == (404, "upload_not_found")
        assert "lost" in answer.json()["detail"]
        assert code(http.get(path)) == (404, "upload_not_found")

    def test_store_that_is_away_keeps_the_upload_until_it_is_deleted(
        self, http: httpx.Client, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: object) -> None:
            raise StorageUnavailable("away")

        path = begun(http, content=DATA[:1000])
        with monkeypatch.context() as patch:
            patch.setattr(engine.store, "discard", away)
            assert http.delete(path).status_code == 204
            assert code(http.get(path)) == (404, "upload_not_found")
            assert engine.upload_receiver.remove_idle() == 0
        assert engine.upload_receiver.remove_idle() == 1
        assert leftovers(engine) == []


def test_server_that_stops_keeps_what_has_arrived(server: ApiServer, engine: RecordedEngine) -> None:
    sent, stopped = threading.Event(), threading.Event()
    answers: list[httpx.Response] = []

    def slow() -> Iterator[bytes]:
        yield DATA[:1000]
        sent.set()
        stopped.wait(300)

    with server.client() as http:
        path = begun(http)

        def write() -> None:
            with server.client() as other:
                answers.append(append(other, path, 0, slow()))

        thread = threading.Thread(target=write)
        thread.start()
        sent.wait(300)
        id = path.rpartition("/")[2]
        until(lambda: bool(leftovers(engine)))
        server.begin_stop()
        server.thread.join(300)
        stopped.set()
        thread.join(300)
    assert [code(each) for each in answers] == [(503, "storage_unavailable")]
    assert engine.upload_receiver.get(id).partial.offset == 1000
