"""Downloads: whole files, byte ranges, hostile file names, and signed links of the store."""

from __future__ import annotations

import hashlib
import io
import re
import socket
import time
from email.message import Message
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from clipengine.api.http.ranges import requested_range
from clipengine.api.routes.downloads import content_disposition, file_name
from clipengine.clips.clip import Clip
from clipengine.errors import RangeNotSatisfiable
from clipengine.recordings.recording import Recording
from clipengine.stores.base import Disposition, ObjectReader, StoredObject
from tests.support.api import ApiServer, RecordedEngine, api_server

BYTES = bytes(range(256)) * 5000  # 1,280,000: several chunks
HOSTILE = [
    'a"; filename="evil.exe',
    "a\u202egpj",
    "../../etc/passwd",
    "名前 – été",
    "100% sure; really=yes",
    "...",
    "a\\b/c:d*e?f|g<h>",
    "%0d%0aSet-Cookie: a=b",
    "'quoted'",
    "x" * 200,
    "é" * 200,
]


@pytest.fixture
def done(engine: RecordedEngine, clip: Clip) -> Clip:
    return engine.finish(clip, BYTES)


@pytest.fixture
def path(done: Clip) -> str:
    return f"/v1/clips/{done.clip_id}/download"


class TestWholeFiles:
    def test_download_has_the_bytes_and_headers_of_the_clip(self, http: httpx.Client, path: str) -> None:
        answer = http.get(path)
        assert answer.status_code == 200
        assert answer.content == BYTES
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["content-length"] == str(len(BYTES))
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert re.fullmatch(r'"[^"]+"', answer.headers["etag"])
        assert answer.headers["content-disposition"] == (
            "attachment; filename=\"key-moment.mp4\"; filename*=UTF-8''key-moment.mp4"
        )

    def test_head_has_the_headers_of_get(self, http: httpx.Client, path: str) -> None:
        got, head = http.get(path), http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "content-type", "etag", "accept-ranges", "content-disposition", "last-modified"):
            assert head.headers[name] == got.headers[name]
        assert http.head(path, headers={"Range": "bytes=0-9"}).headers["content-range"] == f"bytes 0-9/{len(BYTES)}"

    def test_clip_is_downloaded_under_its_recording(self, http: httpx.Client, done: Clip) -> None:
        assert http.get(f"/v1/recordings/{done.recording_id}/clips/{done.clip_id}/download").content == BYTES

    def test_matching_etag_returns_304(self, http: httpx.Client, path: str) -> None:
        etag = http.get(path).headers["etag"]
        answer = http.get(path, headers={"If-None-Match": f'"other", W/{etag}'})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)

    def test_incomplete_clip_is_not_served(self, http: httpx.Client, clip: Clip, engine: RecordedEngine) -> None:
        for what in ("download", "poster"):
            answer = http.get(f"/v1/clips/{clip.clip_id}/{what}")
            assert (answer.status_code, answer.json()["code"]) == (409, "clip_not_complete")
            assert http.get(f"/v1/clips/clip_nothing/{what}").status_code == 404
        engine.fail(clip)
        for what in ("download", "poster"):
            answer = http.get(f"/v1/clips/{clip.clip_id}/{what}")
            assert (answer.status_code, answer.json()["code"]) == (409, "clip_not_complete")
            assert f"POST /v1/clips/{clip.clip_id}/retry" in answer.json()["hint"]

    def test_removed_object_is_not_found(
        self, http: httpx.Client, path: str, done: Clip, engine: RecordedEngine
    ) -> None:
        engine.store.delete(done.object_key)
        answer = http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "object_not_found")

    def test_object_replaced_during_the_download_closes_the_connection(
        self, server: ApiServer, engine: RecordedEngine, clip: Clip
    ) -> None:
        big = bytes(64 * 1024 * 1024)
        done = engine.finish(clip, big)
        with (
            server.client() as http,
            http.stream("GET", f"/v1/clips/{done.clip_id}/download") as answer,
        ):
            pieces = answer.iter_raw()
            next(pieces)
            engine.put(done.object_key, b"other")
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)

    def test_recording_is_downloaded(self, http: httpx.Client, engine: RecordedEngine) -> None:
        recording = engine.make_recording("a/b/film.webm", BYTES)
        answer = http.get(f"/v1/recordings/{recording.recording_id}/download", headers={"Range": "bytes=5-9"})
        assert (answer.status_code, answer.content) == (206, BYTES[5:10])
        assert answer.headers["content-type"] == "video/webm"
        assert answer.headers["content-disposition"].startswith('attachment; filename="meeting.webm"')

    def test_replaced_or_removed_recording_is_rejected(self, http: httpx.Client, engine: RecordedEngine) -> None:
        recording = engine.make_recording("a/b/film.mp4", BYTES)
        address = f"/v1/recordings/{recording.recording_id}/download"
        engine.put(recording.bucket_path, b"another file")
        answer = http.get(address)
        assert (answer.status_code, answer.json()["code"]) == (422, "recording_changed")
        engine.store.delete(recording.bucket_path)
        answer = http.get(address)
        assert (answer.status_code, answer.json()["code"]) == (422, "recording_missing")

    def test_uploaded_html_is_served_as_octet_stream(self, http: httpx.Client) -> None:
        made = http.put(
            "/v1/recordings/upload?name=a.html", content=b"<script>", headers={"Content-Type": "text/html"}
        ).json()
        answer = http.get(f"/v1/recordings/{made['recording_id']}/download")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "sandbox" in answer.headers["content-security-policy"]

    def test_poster_is_served_inline(
        self, http: httpx.Client, done: Clip, engine: RecordedEngine, recording: Recording
    ) -> None:
        answer = http.get(f"/v1/clips/{done.clip_id}/poster")
        assert (answer.status_code, answer.content[:2]) == (200, b"\xff\xd8")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-disposition"].startswith('inline; filename="key-moment.jpg"')
        bare = engine.finish(engine.make_clip(recording, "bare"), poster=False)
        missing = http.get(f"/v1/clips/{bare.clip_id}/poster")
        assert (missing.status_code, missing.json()["code"]) == (404, "object_not_found")

    def test_slow_client_holds_no_thread(self, server: ApiServer, path: str) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n".encode()
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(45)]
        try:
            for connection in idle:
                connection.sendall(request)
            with server.client() as http:
                began = time.monotonic()
                assert http.get("/v1/clips").status_code == 200
                assert time.monotonic() - began < 60
        finally:
            for connection in idle:
                connection.close()


class TestRanges:
    @pytest.mark.parametrize(
        ("header", "start", "end"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=0-", 0, len(BYTES)),
            ("bytes=100-199", 100, 200),
            ("bytes=-10", len(BYTES) - 10, len(BYTES)),
            ("bytes=-99999999", 0, len(BYTES)),
            ("bytes=600000-99999999", 600_000, len(BYTES)),
            (f"bytes={len(BYTES) - 1}-", len(BYTES) - 1, len(BYTES)),
            ("BYTES=1-2", 1, 3),
            (f"bytes=0-{10**20}", 0, len(BYTES)),
            (f"bytes=600000-{10**20}", 600_000, len(BYTES)),
            (f"bytes=-{10**20}", 0, len(BYTES)),
            ("bytes=0-" + "9" * 30_000, 0, len(BYTES)),
            ("bytes=" + "0" * 30 + "5-" + "0" * 30 + "9", 5, 10),
        ],
    )
    def test_range_is_clamped_and_returns_206(
        self, http: httpx.Client, path: str, header: str, start: int, end: int
    ) -> None:
        answer = http.get(path, headers={"Range": header})
        assert answer.status_code == 206
        assert answer.content == BYTES[start:end]
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(BYTES)}"
        assert answer.headers["content-length"] == str(end - start)
        head = http.head(path, headers={"Range": header})
        assert (head.status_code, head.headers["content-range"]) == (206, answer.headers["content-range"])

    @pytest.mark.parametrize(
        "header",
        [
            f"bytes={len(BYTES)}-",
            "bytes=99999999-",
            "bytes=-0",
            "bytes=0-1,3-4",
            "bytes=" + "0-0," * 12_000,
            "bytes=" + "9" * 40 + "-",
        ],
    )
    def test_range_outside_the_object_is_rejected(self, http: httpx.Client, path: str, header: str) -> None:
        answer = http.get(path, headers={"Range": header})
        assert answer.status_code == 416
        assert answer.json()["code"] == "range_not_satisfiable"
        assert answer.headers["content-range"] == f"bytes */{len(BYTES)}"

    @pytest.mark.parametrize(
        "header", ["bytes=5-2", "bytes=a-b", "items=0-5", "bytes=-", "bytes", "bytes=1", "bytes=+1-5"]
    )
    def test_malformed_range_is_ignored(self, http: httpx.Client, path: str, header: str) -> None:
        answer = http.get(path, headers={"Range": header})
        assert (answer.status_code, len(answer.content)) == (200, len(BYTES))

    def test_stale_if_range_returns_the_whole_file(self, http: httpx.Client, path: str) -> None:
        known = http.get(path).headers
        for current in (known["etag"], known["last-modified"]):
            assert http.get(path, headers={"Range": "bytes=0-4", "If-Range": current}).status_code == 206
        for stale in ('"other"', f"W/{known['etag']}", "Tue, 01 Jan 2019 00:00:00 GMT"):
            answer = http.get(path, headers={"Range": "bytes=0-4", "If-Range": stale})
            assert (answer.status_code, answer.content) == (200, BYTES)

    def test_empty_object_has_no_satisfiable_range(self) -> None:
        assert requested_range(None, 0) is None
        with pytest.raises(RangeNotSatisfiable):
            requested_range("bytes=0-", 0)
        with pytest.raises(RangeNotSatisfiable):
            requested_range("bytes=-5", 0)


class TestFileNames:
    @pytest.mark.parametrize("label", HOSTILE)
    @pytest.mark.typical(3)
    def test_label_is_encoded_in_the_header(
        self, http: httpx.Client, engine: RecordedEngine, recording: Recording, label: str
    ) -> None:
        done = engine.finish(engine.make_clip(recording, label), b"clip")
        answer = http.get(f"/v1/clips/{done.clip_id}/download")
        assert answer.content == b"clip"
        assert "set-cookie" not in answer.headers
        header = answer.headers["content-disposition"]
        match = re.fullmatch(
            r"attachment; filename=\"([A-Za-z0-9._-]+)\"; filename\*=UTF-8''([A-Za-z0-9._~%-]+)", header
        )
        assert match is not None
        name = unquote(match[2])
        assert name.endswith(".mp4")
        assert not set('/\\:*?"<>|\r\n\u202e') & set(name)
        assert not name.startswith(".")
        assert len(name.encode()) <= 200
        parsed = Message()
        parsed["content-disposition"] = header
        assert parsed.get_content_disposition() == "attachment"

    def test_file_name_keeps_letters_of_any_script(self) -> None:
        assert file_name("名前 – été", "mp4") == "名前 – été.mp4"
        assert file_name("", "mp4") == file_name(" . ", "mp4") == "clip.mp4"
        assert content_disposition("inline", "é.mp4") == "inline; filename=\"e.mp4\"; filename*=UTF-8''%C3%A9.mp4"


class LinkingStore:
    """A folder store that offers presigned links, as S3 does."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.asked: list[tuple[str, str, str]] = []
        self.kinds: list[tuple[Disposition, int | None]] = []
        self.opened = 0

    def link(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        kind: Disposition = "attachment",
        seconds: int | None = None,
    ) -> str | None:
        self.asked.append((key, filename, content_type))
        self.kinds.append((kind, seconds))
        return f"https://store.example/b/{key}?X-Amz-Signature=a%2Fb"

    def head(self, key: str) -> StoredObject:
        stored: StoredObject = self._store.head(key)
        return stored

    def open(self, key: str, *, etag: str | None = None) -> ObjectReader:
        self.opened += 1
        reader: ObjectReader = self._store.open(key, etag=etag)
        return reader


def test_download_redirects_to_a_presigned_link(engine: RecordedEngine, done: Clip) -> None:
    linking = LinkingStore(engine.store)
    engine.store = linking  # type: ignore[assignment]
    with api_server(engine) as server, server.client() as http:
        answer = http.get(f"/v1/clips/{done.clip_id}/download")
        assert answer.status_code == 302
        assert answer.headers["location"] == f"https://store.example/b/{done.object_key}?X-Amz-Signature=a%2Fb"
        assert answer.headers["cache-control"] == "no-store"
        assert linking.asked == [(done.object_key, "key-moment.mp4", "video/mp4")]
        assert linking.opened == 0
        # The link is signed for GET only.
        head = http.head(f"/v1/clips/{done.clip_id}/download")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(BYTES)))
        assert (head.headers["content-type"], "etag" in head.headers) == ("video/mp4", True)
        assert len(linking.asked) == 1


def test_no_link_is_signed_for_a_missing_or_replaced_object(engine: RecordedEngine, done: Clip) -> None:
    recording = engine.ledger.recordings.get(done.recording_id)
    plain, engine.store = engine.store, LinkingStore(engine.store)  # type: ignore[assignment]
    with api_server(engine) as server, server.client() as http:
        for method in ("GET", "HEAD"):
            assert http.request(method, f"/v1/recordings/{recording.recording_id}/download").status_code in (200, 302)
        plain.delete(done.object_key)
        answer = http.get(f"/v1/clips/{done.clip_id}/download")
        assert (answer.status_code, answer.json()["code"]) == (404, "object_not_found")
        sha256 = hashlib.sha256(b"new").hexdigest()
        plain.put(recording.bucket_path, io.BytesIO(b"new"), size=3, content_type="video/mp4", sha256=sha256)
        answer = http.get(f"/v1/recordings/{recording.recording_id}/download")
        assert (answer.status_code, answer.json()["code"]) == (422, "recording_changed")
        assert http.head(f"/v1/recordings/{recording.recording_id}/download").status_code == 422
        plain.delete(recording.bucket_path)
        answer = http.get(f"/v1/recordings/{recording.recording_id}/download")
        assert (answer.status_code, answer.json()["code"]) == (422, "recording_missing")
