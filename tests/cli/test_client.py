"""Requests, retries and responses of the Python client, with a scripted server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import (
    ApiError,
    AsyncClient,
    Client,
    ClientError,
    Clip,
    JobFailed,
    NotClipengine,
    ServerUnreachable,
    WaitTimeout,
)
from tests.support.receiver import Answer, Receiver, json_answer, redirect

CLIP = {
    "clip_id": "clip_1",
    "recording_id": "rec_1",
    "label": "key-moment",
    "start_seconds": 5.0,
    "end_seconds": 12.5,
    "status": "processing",
    "bucket_path": None,
    "created_at": "2025-04-05T11:00:00.000Z",
    "completed_at": None,
    "progress": 0.25,
    "step": "encoding",
    "error": None,
    "result": None,
    "unknown_key": {"any": "thing"},
}
UPLOAD = {
    "upload_id": "upl_1",
    "offset": 0,
    "size_bytes": 3_000_000,
    "created_at": "2025-04-05T11:00:00.000Z",
    "expires_at": "2025-04-06T11:00:00.000Z",
    "completed_at": None,
    "recording_id": None,
}
DONE = CLIP | {
    "status": "complete",
    "bucket_path": "clips/key-moment-clip_1.mp4",
    "result": {
        "actual_start_seconds": 5.0,
        "actual_end_seconds": 12.5,
        "duration_seconds": 7.5,
        "frames": 187,
        "another": 1,
    },
}


@pytest.fixture
def server() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def client(server: Receiver) -> Iterator[Client]:
    with Client(f"http://{server.host}:{server.port}", "relay_live_x", timeout=300) as client:
        yield client


def test_creating_a_clip_sends_the_documented_request(server: Receiver, client: Client) -> None:
    server.script(json_answer(CLIP, 202))
    clip = client.clips.create("rec_1", "key-moment", 5.0, 12.5)
    (request,) = server.wait_for(1)
    assert (request.method, request.path) == ("POST", "/v1/recordings/rec_1/clips")
    assert json.loads(request.body) == {"label": "key-moment", "start_seconds": 5.0, "end_seconds": 12.5}
    assert request.headers["authorization"] == "Bearer relay_live_x"
    assert (clip.clip_id, clip.progress, clip.step, clip.ended) == ("clip_1", 0.25, "encoding", False)
    assert clip.raw == CLIP


def test_batches_and_changes_send_the_documented_requests(server: Receiver, client: Client) -> None:
    server.script(
        json_answer({"data": [CLIP]}, 202),
        json_answer(CLIP),
        json_answer({"deleted": ["clip_1"], "not_found": ["clip_2"]}),
    )
    item = {"recording_id": "rec_1", "label": "x", "start_seconds": 1, "end_seconds": 2}
    assert [clip.clip_id for clip in client.clips.create_many([item])] == ["clip_1"]
    assert client.clips.update("clip_1", label="y", metadata={"a": None}).clip_id == "clip_1"
    assert client.clips.delete_many(["clip_1", "clip_2"]) == ["clip_1"]
    batch, change, deletion = server.wait_for(3)
    assert (batch.method, batch.path, json.loads(batch.body)) == ("POST", "/v1/clips/batch", {"clips": [item]})
    assert (change.method, change.path) == ("PATCH", "/v1/clips/clip_1")
    assert json.loads(change.body) == {"label": "y", "metadata": {"a": None}}
    assert (deletion.path, json.loads(deletion.body)) == ("/v1/clips/delete", {"clip_ids": ["clip_1", "clip_2"]})
    assert batch.headers["idempotency-key"] != deletion.headers["idempotency-key"]


def test_filters_of_lists_are_sent_as_parameters(server: Receiver, client: Client) -> None:
    server.script(json_answer({"data": [], "next_cursor": None}), json_answer({"data": [], "next_cursor": None}))
    options: dict[str, Any] = {"q": "a b", "tags": ["x", "y"], "metadata": {"k.1": "v"}, "sort": "-size"}
    client.clips.list(**options)
    client.recordings.list(**options)
    for request, path in zip(server.wait_for(2), ("clips", "recordings"), strict=True):
        assert request.path == f"/v1/{path}?q=a+b&tag=x&tag=y&sort=-size&metadata.k.1=v"


def test_unknown_keys_are_ignored(server: Receiver, client: Client) -> None:
    server.script(json_answer(DONE))
    clip = client.clips.get("clip_1")
    assert clip.ended
    assert clip.result is not None
    assert clip.result.frames == 187


def test_optional_fields_are_sent_only_if_given(server: Receiver, client: Client) -> None:
    server.script(json_answer(CLIP, 202))
    options = {"profile": "small", "metadata": {"a": "b"}, "priority": 0, "poster": False}
    client.clips.create("rec_1", "x", 1, 2, **options)  # type: ignore[arg-type]
    (request,) = server.wait_for(1)
    assert json.loads(request.body) == {"label": "x", "start_seconds": 1, "end_seconds": 2, **options}


def test_create_is_retried_with_the_same_idempotency_key(server: Receiver, client: Client) -> None:
    server.script(Answer(hang_up=True), Answer(hang_up=True), json_answer(CLIP, 202))
    assert client.clips.create("rec_1", "x", 1, 2).clip_id == "clip_1"
    requests = server.wait_for(3)
    assert len({request.headers["idempotency-key"] for request in requests}) == 1
    assert len({request.body for request in requests}) == 1


def test_each_create_has_its_own_idempotency_key_unless_given(server: Receiver, client: Client) -> None:
    server.script(*[json_answer(CLIP, 202)] * 3)
    client.clips.create("rec_1", "x", 1, 2)
    client.clips.create("rec_1", "x", 1, 2)
    client.clips.create("rec_1", "x", 1, 2, idempotency_key="mine")
    keys = [request.headers["idempotency-key"] for request in server.wait_for(3)]
    assert keys[0] != keys[1]
    assert keys[2] == "mine"


def test_last_failed_attempt_raises_with_a_hint(server: Receiver, client: Client) -> None:
    server.answer = lambda request: Answer(hang_up=True)
    with pytest.raises(ServerUnreachable) as caught:
        client.recordings.add("a.mp4")
    assert len(server.requests) == 3
    assert "CLIPENGINE_URL" in caught.value.hint


def test_requests_without_a_key_are_not_retried(server: Receiver, client: Client) -> None:
    server.answer = lambda request: Answer(hang_up=True)
    with pytest.raises(ServerUnreachable):
        client.clips.cancel("clip_1")
    with pytest.raises(ServerUnreachable):
        client.clips.retry("clip_1")
    assert len(server.requests) == 2


def test_error_without_retry_after_is_not_retried(server: Receiver, client: Client) -> None:
    server.script(json_answer({"detail": "Queue full", "code": "queue_full"}, 503))
    with pytest.raises(ApiError) as caught:
        client.clips.create("rec_1", "x", 1, 2)
    assert (caught.value.status, caught.value.code, caught.value.detail) == (503, "queue_full", "Queue full")
    assert len(server.requests) == 1


def test_error_with_retry_after_is_retried(server: Receiver, client: Client) -> None:
    busy = Answer(503, {"Retry-After": "0"}, b'{"detail": "Queue full", "code": "queue_full"}')
    server.script(busy, busy, json_answer(CLIP, 202))
    assert client.clips.create("rec_1", "x", 1, 2).clip_id == "clip_1"
    assert len({request.headers["idempotency-key"] for request in server.wait_for(3)}) == 1
    server.script(Answer(503, {"Retry-After": "3600"}, busy.body))
    with pytest.raises(ApiError):
        client.clips.get("clip_1")
    server.script(busy)
    with pytest.raises(ApiError):
        client.clips.cancel("clip_1")
    assert len(server.requests) == 5


def test_error_without_a_problem_document_has_a_code(server: Receiver, client: Client) -> None:
    server.script(Answer(502, body=b"<h1>Bad Gateway</h1>"))
    with pytest.raises(ApiError) as caught:
        client.clips.get("clip_1")
    assert (caught.value.status, caught.value.code) == (502, "http_502")


def test_address_with_another_path_is_no_server(server: Receiver, client: Client) -> None:
    server.script(Answer(404, body=b"Not Found"))
    with pytest.raises(NotClipengine, match="not the root of a clipengine server: it answers 404") as caught:
        client.installation.status()
    assert "without a path" in caught.value.hint


def test_redirect_of_an_api_call_is_an_error(server: Receiver, client: Client) -> None:
    server.script(redirect("http://127.0.0.1:1/elsewhere"))
    with pytest.raises(ApiError):
        client.clips.get("clip_1")


def test_ids_are_escaped_in_paths(server: Receiver, client: Client) -> None:
    server.script(json_answer(CLIP))
    client.clips.get("../webhooks?x=1#y")
    assert server.wait_for(1)[0].path == "/v1/clips/..%2Fwebhooks%3Fx%3D1%23y"


def test_each_fetches_all_pages(server: Receiver, client: Client) -> None:
    second = CLIP | {"clip_id": "clip_2"}
    server.script(
        json_answer({"data": [CLIP], "has_more": True, "next_cursor": "abc"}),
        json_answer({"data": [second], "has_more": False, "next_cursor": None}),
    )
    assert [clip.clip_id for clip in client.clips.each(status="processing")] == ["clip_1", "clip_2"]
    assert [request.path for request in server.requests] == [
        "/v1/clips?status=processing",
        "/v1/clips?status=processing&cursor=abc",
    ]


def test_wait_returns_when_the_clip_has_ended(server: Receiver, client: Client) -> None:
    server.script(json_answer(CLIP), json_answer(CLIP), json_answer(DONE))
    seen: list[float] = []
    clip = client.clips.wait("clip_1", on_progress=lambda clip: seen.append(clip.progress))
    assert clip.status == "complete"
    assert seen == [0.25, 0.25, 0.25]


def test_wait_raises_after_its_timeout(server: Receiver, client: Client) -> None:
    server.answer = lambda request: json_answer(CLIP)
    with pytest.raises(WaitTimeout):
        client.clips.wait("clip_1", timeout=0.05)


def test_incomplete_download_keeps_the_old_file(server: Receiver, client: Client, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    target.write_bytes(b"old")
    server.script(
        Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        Answer(raw=b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        Answer(200, body=b"whole clip"),
    )
    with pytest.raises(ClientError):
        client.clips.download("clip_1", target)
    with pytest.raises(ApiError):
        client.clips.download("clip_1", target)
    assert target.read_bytes() == b"old"
    assert client.clips.download("clip_1", target) == 10
    assert target.read_bytes() == b"whole clip"
    assert list(tmp_path.iterdir()) == [target]


def test_api_key_is_not_sent_to_the_store(server: Receiver, client: Client, tmp_path: Path) -> None:
    with Receiver() as store:
        server.script(redirect(f"http://{store.host}:{store.port}/bucket/clip.mp4?X-Amz-Signature=s"))
        store.script(Answer(200, body=b"clip"))
        client.clips.download("clip_1", tmp_path / "clip.mp4")
        (fetched,) = store.wait_for(1)
    assert "authorization" not in fetched.headers
    assert (tmp_path / "clip.mp4").read_bytes() == b"clip"


def test_proxy_of_the_environment_is_not_used_for_loopback(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.script(json_answer(CLIP))
    with Client(f"http://{server.host}:{server.port}") as client:
        assert client.clips.get("clip_1").clip_id == "clip_1"


def test_raise_for_error_raises_for_a_failed_clip(server: Receiver, client: Client) -> None:
    error = {"code": "disk_full", "message": "No space", "hint": "Free some.", "retryable": True}
    server.script(json_answer(CLIP, 202), json_answer(CLIP | {"status": "failed", "error": error}))
    clip = client.clips.create("rec_1", "x", 1, 2).wait()
    with pytest.raises(JobFailed) as caught:
        clip.raise_for_error()
    assert (caught.value.code, caught.value.hint, caught.value.retryable) == ("disk_full", "Free some.", True)
    with pytest.raises(ClientError, match="did not come from"):
        Clip.from_object(CLIP).wait()


def test_progress_of_downloads_is_reported(server: Receiver, client: Client, tmp_path: Path) -> None:
    moves: list[tuple[int, int | None]] = []
    server.script(Answer(200, body=b"whole clip"))
    client.clips.download("clip_1", tmp_path / "clip.mp4", on_progress=lambda *move: moves.append(move))
    assert moves[-1] == (10, 10)


def test_async_client_behaves_like_the_blocking_client(server: Receiver, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"x" * 3_000_000)

    async def work() -> None:
        async with AsyncClient(f"http://{server.host}:{server.port}", "relay_live_x", timeout=300) as client:
            recording = {"recording_id": "rec_1", "status": "processing"}
            complete = json_answer(recording | {"status": "complete"})
            server.script(json_answer(UPLOAD | {"recording_id": "rec_1"}, 201), json_answer(recording), complete)
            assert (await (await client.recordings.upload(film)).wait()).status == "complete"
            assert server.requests[0].body == film.read_bytes()

            server.script(
                Answer(hang_up=True), json_answer(CLIP, 202), json_answer(DONE), Answer(200, body=b"whole clip")
            )
            clip = await (await client.clips.create("rec_1", "x", 1, 2)).wait()
            assert await clip.download(tmp_path / "clip.mp4") == 10

            pages = [
                json_answer({"data": [CLIP], "next_cursor": "abc"}),
                json_answer({"data": [DONE], "next_cursor": None}),
            ]
            server.script(*pages)
            assert [each.status async for each in client.clips.each()] == ["processing", "complete"]

            server.script(Answer(502))
            with pytest.raises(ApiError):
                await client.request("GET", "/v1/new")

    asyncio.run(work())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "film.mp4"]
