"""Recordings over HTTP: register, list, delete, and uploads that end early."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clipengine.api.http import body_pipe
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.recordings.recording import Recording, RecordingSpec
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.events import recorded
from tests.support.raw_requests import answer_to, head
from tests.support.waiting import until

KEYS = [
    "recording_id",
    "status",
    "duration_seconds",
    "file_size_bytes",
    "bucket_path",
    "created_at",
    "completed_at",
    "name",
    "metadata",
    "etag",
    "error",
    "media",
    "tags",
    "expires_at",
    "fetched_bytes",
    "pieces",
    "started_at",
    "gaps",
    "gaps_count",
    "variant",
    "revision",
    "clock",
    "last_seen_at",
    "silent_since",
    "warnings",
    "series",
    "folder",
    "clips_count",
    "created_by",
]


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def files(engine: RecordedEngine) -> list[str]:
    return [stored.key for stored in engine.store.list()]


class TestRegister:
    def test_object_of_the_store_is_registered_once(self, http: httpx.Client, engine: RecordedEngine) -> None:
        engine.put("relay/recordings/h_01/recording.mp4", b"media")
        body = {"bucket_path": "relay/recordings/h_01/recording.mp4", "name": "meeting", "metadata": {"team": "a"}}
        first = http.post("/v1/recordings", json=body)
        assert first.status_code == 202
        assert list(first.json()) == KEYS
        assert first.headers["location"] == f"/v1/recordings/{first.json()['recording_id']}"
        assert re.fullmatch(r"rec_[0-9a-z]{26}", first.json()["recording_id"])
        shown = {
            key: first.json()[key] for key in ("status", "duration_seconds", "file_size_bytes", "name", "metadata")
        }
        assert shown == {
            "status": "processing",
            "duration_seconds": None,
            "file_size_bytes": 5,
            "name": "meeting",
            "metadata": {"team": "a"},
        }
        assert engine.calls == [("probes", first.json()["recording_id"])]
        again = http.post("/v1/recordings", json=body)
        assert (again.status_code, again.json()) == (200, first.json())

    def test_metadata_of_jibri_is_read(self, http: httpx.Client, engine: RecordedEngine) -> None:
        key = "recordings/qxkwapdbrtjmbsnz/board_2026-01-31-09-00-00.mp4"
        engine.put(key, b"media")
        engine.put("recordings/qxkwapdbrtjmbsnz/metadata.json", recorded("jibri-metadata"))
        made = http.post("/v1/recordings", json={"bucket_path": key}).json()
        assert (made["name"], made["metadata"]["participants"]) == ("Board meeting", "Anna, Ben, u3")

    def test_url_is_fetched_later(self, http: httpx.Client, engine: RecordedEngine) -> None:
        body = {"url": "http://127.0.0.1:9/a/talk%2Fone.webm?signature=x", "metadata": {"team": "a"}}
        headers = {"Idempotency-Key": "one"}
        first = http.post("/v1/recordings", json=body, headers=headers)
        assert first.status_code == 202
        made = first.json()
        assert list(made) == KEYS
        assert made["bucket_path"] == f"recordings/{made['recording_id']}/one.webm"
        assert (made["status"], made["name"], made["fetched_bytes"], made["file_size_bytes"]) == (
            "processing",
            "one",
            0,
            0,
        )
        assert engine.calls == [("fetches", made["recording_id"])]
        assert http.post("/v1/recordings", json=body, headers=headers).json() == made
        assert "signature" not in http.get("/v1/recordings").text
        assert http.delete(f"/v1/recordings/{made['recording_id']}").status_code == 204
        assert engine.ledger.fetches.ids() == set()
        assert engine.ledger.removals.due() == [made["bucket_path"]]

    @pytest.mark.parametrize(
        ("body", "status", "detail"),
        [
            ({"url": "http://169.254.169.254/a"}, 422, "the URL resolves to a metadata address"),
            ({"url": "http://10.0.0.1/a"}, 422, "the URL resolves to a private address"),
            ({"url": "ftp://example.org/a"}, 422, "the URL must begin with http"),
            ({"url": "http://example.org:25/a"}, 422, "nothing is fetched from port 25"),
            ({"url": "http://example.org/" + "a" * 8192}, 422, "1 to 8192 characters"),
            ({"url": "http://1.1.1.1/a", "bucket_path": "a"}, 422, "either bucket_path or url"),
            ({}, 422, "either bucket_path or url"),
        ],
    )
    def test_invalid_url_is_refused(
        self, http: httpx.Client, engine: RecordedEngine, body: dict[str, str], status: int, detail: str
    ) -> None:
        answer = http.post("/v1/recordings", json=body)
        assert answer.status_code == status
        assert detail in answer.json()["detail"]
        assert engine.ledger.recordings.list(RecordingFilter(limit=1)).data == []

    def test_complete_recording_has_its_facts(self, http: httpx.Client, recording: Recording) -> None:
        body = http.get(f"/v1/recordings/{recording.recording_id}").json()
        assert list(body) == KEYS
        assert (body["status"], body["duration_seconds"]) == ("complete", 5400.04)
        assert body["media"] == {
            "container": "mp4",
            "video": {
                "codec": "h264",
                "width": 1920,
                "height": 1080,
                "fps": 30.0,
                "frame_rate": "30",
                "variable_rate": False,
                "first_frame_seconds": 0.0,
                "rotation": 0,
            },
            "audio": [{"codec": "aac", "channels": 2, "sample_rate": 48000, "language": "eng"}],
            "chapters": [],
        }

    @pytest.mark.parametrize(
        "path", ["../x", "/abs", "a//b", "a/./b", "a\nb", "a\r\nb", "a\x00b", ".clipengine/meta/x"]
    )
    def test_invalid_path_is_rejected(self, http: httpx.Client, path: str) -> None:
        answer = http.post("/v1/recordings", json={"bucket_path": path})
        assert code(answer) == (422, "invalid_bucket_path")
        assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/bucket_path"]

    @pytest.mark.parametrize("path", ["%2e%2e/%2e%2e/etc/passwd", "a\u202eb.mp4", "a\\..\\b"])
    def test_similar_path_is_not_found(self, http: httpx.Client, path: str) -> None:
        assert code(http.post("/v1/recordings", json={"bucket_path": path})) == (404, "object_not_found")

    def test_missing_object_is_not_registered(self, http: httpx.Client, engine: RecordedEngine) -> None:
        assert code(http.post("/v1/recordings", json={"bucket_path": "no/such.mp4"})) == (404, "object_not_found")
        assert http.get("/v1/recordings").json()["data"] == []

    @pytest.mark.parametrize(
        "body",
        [{}, {"bucket_path": ""}, {"bucket_path": 1}]
        + [{"bucket_path": "a", "name": name} for name in ("a\nb", "a\rb", "a\x00b", "x" * 201)],
    )
    def test_invalid_body_is_rejected(self, http: httpx.Client, body: object) -> None:
        assert code(http.post("/v1/recordings", json=body)) == (422, "invalid_request")


class TestListAndDelete:
    def test_recordings_are_listed_in_pages(
        self, http: httpx.Client, engine: RecordedEngine, recording: Recording
    ) -> None:
        other = engine.make_recording("b.mp4")
        page = http.get("/v1/recordings", params={"limit": 1})
        assert [each["recording_id"] for each in page.json()["data"]] == [other.recording_id]
        rest = http.get(page.headers["link"].partition(">")[0][1:]).json()
        assert [each["recording_id"] for each in rest["data"]] == [recording.recording_id]
        assert len(http.get("/v1/recordings?status=complete&name=meeting").json()["data"]) == 2
        assert http.get("/v1/recordings?status=failed").json() == {"data": [], "has_more": False, "next_cursor": None}

    def test_recordings_have_the_number_of_their_clips(
        self, http: httpx.Client, engine: RecordedEngine, recording: Recording
    ) -> None:
        path, other = f"/v1/recordings/{recording.recording_id}", engine.make_recording("b.mp4")
        for label in ("one", "two"):
            clip = {"label": label, "start_seconds": 1.0, "end_seconds": 2.0}
            assert http.post(f"{path}/clips", json=clip).status_code == 202
        listed = {each["recording_id"]: each["clips_count"] for each in http.get("/v1/recordings").json()["data"]}
        assert listed == {recording.recording_id: 2, other.recording_id: 0}
        assert http.get(path).json()["clips_count"] == 2
        assert http.patch(path, json={"name": "named"}).json()["clips_count"] == 2

    def test_unknown_recording_is_not_found(self, http: httpx.Client) -> None:
        assert code(http.get("/v1/recordings/rec_nothing")) == (404, "recording_not_found")
        assert code(http.delete("/v1/recordings/rec_nothing")) == (404, "recording_not_found")
        assert code(http.get("/v1/recordings/rec_nothing/download")) == (404, "recording_not_found")

    def test_recording_is_deleted_without_its_object(
        self, http: httpx.Client, engine: RecordedEngine, recording: Recording
    ) -> None:
        clip = engine.make_clip(recording)
        assert code(http.delete(f"/v1/recordings/{recording.recording_id}")) == (409, "recording_busy")
        engine.finish(clip)
        assert http.delete(f"/v1/recordings/{recording.recording_id}").status_code == 204
        assert engine.ledger.removals.due() == []
        assert code(http.get(f"/v1/recordings/{recording.recording_id}")) == (404, "recording_not_found")

    def test_recording_is_deleted_with_its_object(
        self, http: httpx.Client, engine: RecordedEngine, recording: Recording
    ) -> None:
        path = f"/v1/recordings/{recording.recording_id}"
        assert code(http.delete(f"{path}?object=yes")) == (422, "invalid_request")
        assert http.delete(f"{path}?object=true").status_code == 204
        assert engine.ledger.removals.due() == [recording.bucket_path]
        assert engine.calls == [("removals", "due")]

    def test_object_is_kept_while_another_recording_needs_it(
        self, http: httpx.Client, engine: RecordedEngine, recording: Recording
    ) -> None:
        register = engine.ledger.recordings.register
        newer, _ = register(recording.bucket_path, etag="of the next version", size=1)
        low, _ = register("relay/talk.m3u8", RecordingSpec(variant={"name": "low"}), etag="e", size=1)
        high, _ = register("relay/talk.m3u8", RecordingSpec(variant={"name": "high"}), etag="e", size=1)
        removed = []
        for each in (recording, newer, low, high):
            assert http.delete(f"/v1/recordings/{each.recording_id}?object=true").status_code == 204
            removed.append({*engine.ledger.removals.due()})
        both = {recording.bucket_path, "relay/talk.m3u8"}
        assert removed == [set(), {recording.bucket_path}, {recording.bucket_path}, both]


class TestUpload:
    def test_upload_is_streamed_into_the_store(self, http: httpx.Client, engine: RecordedEngine) -> None:
        pieces = [bytes([number]) * 700_000 for number in range(12)]  # more than the pipe buffers
        answer = http.put("/v1/recordings/upload", params={"name": "Réunion d'été.MP4"}, content=iter(pieces))
        assert answer.status_code == 202
        body = answer.json()
        assert list(body) == KEYS
        assert answer.headers["location"] == f"/v1/recordings/{body['recording_id']}"
        assert re.fullmatch(r"recordings/rec_[0-9a-z]{26}/réunion-d-été\.mp4", body["bucket_path"])
        assert (body["status"], body["name"], body["file_size_bytes"]) == ("processing", "Réunion d'été.MP4", 8_400_000)
        reader = engine.store.open(body["bucket_path"])
        assert reader.read_at(0, 9_000_000) == b"".join(pieces)
        reader.close()
        assert engine.calls == [("probes", body["recording_id"])]

    @pytest.mark.parametrize(
        "name",
        [
            "../../evil.mp4",
            "%2e%2e%2fevil.mp4",
            "..\\evil.mp4",
            "a/b.mp4",
            "..",
            "x" * 200,
            "no-ending",
            "a.m/p4",
            "\u202e4pm.exe",
        ],
    )
    def test_name_cannot_escape_its_folder(self, http: httpx.Client, name: str) -> None:
        answer = http.put("/v1/recordings/upload", params={"name": name}, content=b"x")
        assert answer.status_code == 202
        assert re.fullmatch(r"recordings/rec_[0-9a-z]{26}/[\w-]+(\.[a-z0-9]{1,8})?", answer.json()["bucket_path"])

    @pytest.mark.parametrize(
        "query", ["", "?name=", "?name=a%0Ab", "?name=a%0D", "?name=a%00.mp4", "?name=a&x=1", f"?name={'x' * 2000}"]
    )
    def test_invalid_name_is_rejected(self, http: httpx.Client, engine: RecordedEngine, query: str) -> None:
        assert code(http.put(f"/v1/recordings/upload{query}", content=b"x")) == (422, "invalid_request")
        assert files(engine) == []

    def test_empty_upload_is_rejected(self, http: httpx.Client, engine: RecordedEngine) -> None:
        assert code(http.put("/v1/recordings/upload?name=a.mp4")) == (400, "malformed_request")
        assert files(engine) == []

    def test_client_that_disconnects_leaves_no_file(self, server: ApiServer, engine: RecordedEngine) -> None:
        request = (
            "PUT /v1/recordings/upload?name=a.mp4 HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {server.key}\r\nContent-Length: 10000000\r\n\r\n"
        )
        engine.previews.copies.enable()
        copies = engine.settings.data.folder / "copies"
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(request.encode() + bytes(3_000_000))
            until(lambda: any(engine.settings.store_folder.rglob("*")) and any(copies.glob("*")))
        until(lambda: not leftovers(engine) and not any(copies.iterdir()))
        assert files(engine) == []
        assert engine.ledger.recordings.list(RecordingFilter(limit=10)).data == []

    def test_stalled_upload_is_rejected(
        self, server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(body_pipe, "STALL_SECONDS", 0.3)
        fields = (f"Authorization: Bearer {server.key}", "Content-Length: 2000")
        answer = answer_to(server.port, head("PUT /v1/recordings/upload?name=a.mp4", *fields), bytes(1000))
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b"malformed_request" in answer
        until(lambda: not leftovers(engine))

    def test_server_stop_ends_the_upload(self, server: ApiServer, engine: RecordedEngine) -> None:
        begun, stopped = threading.Event(), threading.Event()

        def body() -> Iterator[bytes]:
            yield b"x" * 100_000
            begun.set()
            stopped.wait(300)

        answers: list[tuple[int, str]] = []

        def upload() -> None:
            with server.client() as http:
                answers.append(code(http.put("/v1/recordings/upload?name=a.mp4", content=body())))

        thread = threading.Thread(target=upload)
        thread.start()
        begun.wait(300)
        until(lambda: bool(leftovers(engine)))
        server.begin_stop()
        server.thread.join(300)
        stopped.set()
        thread.join(300)
        assert answers == [(503, "storage_unavailable")]
        assert not leftovers(engine)


class TestUploadLimit:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[ApiServer]:
        with (
            recorded_engine(tmp_path / "small", limits={"max_upload_bytes": 100_000}) as engine,
            api_server(engine) as server,
        ):
            yield server

    def test_declared_size_above_the_limit_is_rejected(self, small: ApiServer) -> None:
        with small.client() as http:
            answer = http.put("/v1/recordings/upload?name=a.mp4", content=bytes(100_001))
        assert code(answer) == (413, "payload_too_large")
        assert files(small.engine) == []

    def test_received_size_above_the_limit_is_rejected(self, small: ApiServer) -> None:
        with small.client() as http:
            answer = http.put("/v1/recordings/upload?name=a.mp4", content=iter([bytes(60_000), bytes(60_000)]))
            assert code(answer) == (413, "payload_too_large")
            assert http.put("/v1/recordings/upload?name=a.mp4", content=bytes(100_000)).status_code == 202
        assert len(files(small.engine)) == 1
        assert not leftovers(small.engine)


def leftovers(engine: RecordedEngine) -> list[str]:
    """Return files of unfinished uploads."""
    return [path.name for path in (engine.settings.store_folder / ".clipengine" / "tmp").glob("*")]
