"""A clip deleted during its upload, webhook or long poll: gone for every client at once, with nothing left over."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from clipengine.client import Client
from tests.support.invariants import check_invariants
from tests.support.receiver import Answer, Receiver, Request
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage


def _recording(api: Client, data: Path, film: Path) -> str:
    target = data / "store" / "h_01" / "meeting.mp4"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(film, target)
    return api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=300).recording_id


def _env(receiver: Receiver, fault: str = "") -> dict[str, str]:
    told = f'[{{url = "{receiver.url}", secret = "a secret of tests", events = ["clip.ready", "clip.failed"]}}]'
    return {"CLIPENGINE_WEBHOOKS__ENDPOINTS": told, "CLIPENGINE_ENCODING__NICE": "0", "CLIPENGINE_FAULT": fault}


def _gone(http: httpx.Client, clip_id: str) -> None:
    """Check that every route reports the clip as not found."""
    for method, path in (
        ("GET", ""),
        ("GET", "?wait=5"),
        ("GET", "/download"),
        ("GET", "/poster"),
        ("GET", "/deliveries"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
    ):
        answer = http.request(method, f"/v1/clips/{clip_id}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "clip_not_found"), (method, path)
    assert http.get("/v1/events", params={"clip_id": clip_id}).status_code == 404


def _client(server: RunningServer) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, timeout=300)


def test_webhook_of_a_deleted_clip_is_still_sent(film: Path, tmp_path: Path) -> None:
    """It has the last state of the clip, and can be redelivered."""
    data = tmp_path / "data"
    with Receiver() as receiver, running_server(data, env=_env(receiver)) as server, _client(server) as http:
        api = server.client()

        def delete_the_clip(request: Request) -> Answer:
            """Refuse the first request, which is repeated 5 s later: too soon for a busy test to delete the clip."""
            if request is not receiver.requests[0]:
                return Answer()
            api.clips.delete(json.loads(request.body)["data"]["clip_id"])
            return Answer(503)

        receiver.answer = delete_the_clip
        recording = _recording(api, data, film)
        clip = api.clips.create(recording, "a", 1.0, 2.0)
        receiver.wait_for(1)
        (endpoint,) = http.get("/v1/webhooks").json()["data"]
        listed = f"/v1/webhooks/{endpoint['webhook_id']}/deliveries"
        (pending,) = http.get(listed).json()["data"]
        until(lambda: http.get(f"/v1/clips/{clip.clip_id}").status_code == 404)
        _gone(http, clip.clip_id)
        until(lambda: not list((data / "store").glob("h_01/clips/*")))
        first, second = receiver.wait_for(2, timeout=300)
        until(lambda: http.get(listed).json()["data"][0]["status"] == "delivered")
        assert second.headers["webhook-id"] == first.headers["webhook-id"]
        assert second.body == first.body
        assert json.loads(second.body)["data"]["clip_id"] == clip.clip_id
        again = http.post(f"/v1/deliveries/{pending['delivery_id']}/redeliver")
        assert again.status_code == 202
        assert receiver.wait_for(3, timeout=300)[2].body == first.body
        assert http.get("/v1/clips").json()["data"] == []
        assert server.stop() == 0


def test_deleting_a_clip_ends_its_upload_stream_and_long_poll(film: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        Receiver() as receiver,
        running_server(data, env=_env(receiver, f"uploaded:until={tmp_path / 'go'}")) as server,
        _client(server) as http,
        ThreadPoolExecutor(1) as pool,
    ):
        api = server.client()
        recording = _recording(api, data, film)
        clip_id = api.clips.create(recording, "a", 0.0, 3.0).clip_id
        told: list[str] = []
        with http.stream("GET", "/v1/events", params={"clip_id": clip_id}) as stream:
            until(lambda: list((data / "store").glob("h_01/clips/*.mp4")))  # not yet recorded in the ledger
            waited = pool.submit(http.get, f"/v1/clips/{clip_id}?wait=30")
            threading.Timer(0.1, lambda: api.clips.delete(clip_id)).start()
            for event in _events(stream):
                told.append(event)
                if event == "clip.deleted":
                    break
        assert told[-2:] == ["clip.failed", "clip.deleted"], told
        (tmp_path / "go").touch()
        assert waited.result(timeout=300).json()["code"] == "clip_not_found"
        _gone(http, clip_id)
        until(lambda: not list((data / "store").glob("h_01/clips/*")))
        (request,) = receiver.wait_for(1, timeout=300)
        body = json.loads(request.body)
        assert (body["event"], body["data"]["error"]["code"]) == ("clip.failed", "cancelled")
        until(lambda: not list((data / "scratch").iterdir()))
        assert server.stop() == 0
    assert check_invariants(data) == []


def _events(stream: httpx.Response) -> Iterator[str]:
    for line in stream.iter_lines():
        if line.startswith("event: "):
            yield line.removeprefix("event: ")
