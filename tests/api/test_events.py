"""`GET /v1/events`: no terminal event is lost or repeated, progress is throttled, and a stop ends the streams."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from clipengine.api.routes import events
from clipengine.clips.clip import Clip
from clipengine.errors import StorageUnavailable
from clipengine.limits import shares
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer, RecordedEngine
from tests.support.waiting import until


@dataclass
class Told:
    event: str
    data: dict[str, Any]
    id: str | None
    at: float


class Reader:
    """Reads a stream in a thread; `next` waits for the next event and skips comments."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.told: queue.Queue[Told | None] = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self.answer.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                if "data" in fields:
                    told = Told(fields["event"], json.loads(fields["data"]), fields.get("id"), time.monotonic())
                    self.told.put(told)
                fields = {}
        except (httpx.HTTPError, httpx.StreamError):
            pass
        self.told.put(None)

    def next(self, seconds: float = 300) -> Told:
        told = self.told.get(timeout=seconds)
        assert told is not None, "the stream ended"
        return told

    def until(self, event: str) -> Told:
        while (told := self.next()).event != event:
            pass
        return told

    def ended(self, seconds: float = 300) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.told.get(timeout=seconds) is None:
                return True
        return False


@contextmanager
def following(
    server: ApiServer, query: str = "", *, after: str | None = None, key: str | None = None
) -> Iterator[Reader]:
    headers = {} if after is None else {"Last-Event-ID": after}
    with server.client(key) as http, http.stream("GET", f"/v1/events{query}", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        wait_until_followed(server)
        yield Reader(answer)


def wait_until_followed(server: ApiServer) -> None:
    until(lambda: server.app.state.changes._watchers)
    time.sleep(0.05)


def test_events_of_a_clip_arrive_in_order(server: ApiServer, engine: RecordedEngine, recording: Recording) -> None:
    with following(server) as reader, server.client() as http:
        clip = engine.make_clip(recording)
        queued = reader.next()
        assert (queued.event, queued.id) == ("clip.updated", None)
        shown = http.get(f"/v1/clips/{clip.clip_id}").json()
        assert queued.data == {"event": "clip.updated", "data": shown | {"queue": None}}
        running = engine.run(clip)
        assert reader.next().data["data"]["step"] == "reading"
        engine.ledger.clips.progress(clip.clip_id, running.attempt, step="encoding", progress=0.5)
        assert reader.next().data["data"]["progress"] == 0.5
        engine.ledger.clips.cancel(clip.clip_id)
        ended = reader.next()
        assert (ended.event, ended.data["event"]) == ("clip.failed", "clip.failed")
        assert list(ended.data) == ["event", "data", "organisation_id", "timestamp", "id"]
        assert ended.id == str(engine.ledger.events.last_seq())
        engine.ledger.clips.delete(clip.clip_id)
        assert reader.until("clip.deleted").data["data"] == {"clip_id": clip.clip_id}


def test_progress_is_throttled_to_four_per_second(server: ApiServer, engine: RecordedEngine, clip: Clip) -> None:
    running = engine.run(clip)
    with following(server) as reader:
        began, steps = time.monotonic(), 0
        while reader.told.qsize() < 5 and steps < 60_000:
            steps += 1
            progress = min(1.0, steps / 1_000_000)
            engine.ledger.clips.progress(clip.clip_id, running.attempt, step="encoding", progress=progress)
            time.sleep(0.005)
        engine.ledger.clips.cancel(clip.clip_id)
        told: list[Told] = []
        while (each := reader.next()).event != "clip.failed":
            told.append(each)
        seconds = time.monotonic() - began
    assert steps > len(told)
    assert 5 <= len(told) <= 4 * seconds + 2


def test_no_event_is_lost_or_repeated(server: ApiServer, engine: RecordedEngine, recording: Recording) -> None:
    with following(server, after="0") as reader:
        assert reader.next().event == "recording.complete"
    ended = [engine.finish(engine.make_clip(recording, f"clip {number}")).clip_id for number in range(150)]
    with following(server, after="1") as reader:
        more = [engine.finish(engine.make_clip(recording, f"more {number}")).clip_id for number in range(5)]
        told: list[Told] = []
        while len(told) < 155:
            each = reader.next()
            if each.event == "clip.ready":
                told.append(each)
        time.sleep(0.6)
        assert not [each for each in list(reader.told.queue) if each and each.event == "clip.ready"]
    assert [each.data["data"]["clip_id"] for each in told] == ended + more
    assert [int(each.id or 0) for each in told] == list(range(2, 157))
    with following(server, after=told[-2].id) as reader:
        assert reader.next().id == told[-1].id


def test_stream_that_resumes_after_a_deleted_event_continues_with_the_oldest_left(
    server: ApiServer, engine: RecordedEngine, recording: Recording
) -> None:
    clips = [engine.finish(engine.make_clip(recording, f"clip {number}")).clip_id for number in range(4)]
    with engine.ledger.transaction():  # as by retention.events_days
        engine.ledger.database.run("DELETE FROM events WHERE seq <= 3")
    for after in ("0", "2", "3"):
        with following(server, after=after) as reader:
            told = [reader.next() for _ in range(2)]
        assert [(each.event, each.id, each.data["data"]["clip_id"]) for each in told] == [
            ("clip.ready", "4", clips[2]),
            ("clip.ready", "5", clips[3]),
        ]


def test_stream_is_filtered_by_clip_or_recording(
    server: ApiServer, engine: RecordedEngine, recording: Recording
) -> None:
    mine = engine.make_clip(recording, "mine")
    other_recording = engine.make_recording("other.mp4")
    with (
        following(server, f"?clip_id={mine.clip_id}") as of_clip,
        following(server, f"?recording_id={other_recording.recording_id}") as of_recording,
    ):
        engine.finish(mine)
        other = engine.finish(engine.make_clip(other_recording, "other"))
        assert of_clip.until("clip.ready").data["data"]["clip_id"] == mine.clip_id
        assert of_recording.until("clip.ready").data["data"]["clip_id"] == other.clip_id
        time.sleep(0.4)
        told = [each for reader in (of_clip, of_recording) for each in list(reader.told.queue)]
        assert [each for each in told if each and each.event == "clip.ready"] == []


def test_changes_of_a_recording_are_sent(server: ApiServer, engine: RecordedEngine) -> None:
    with following(server) as reader, server.client() as http:
        made = http.put("/v1/recordings/upload?name=a.mp4", content=b"x").json()
        assert reader.next().data == {"event": "recording.updated", "data": made}


def test_edits_of_ended_objects_are_sent(
    server: ApiServer, engine: RecordedEngine, clip: Clip, recording: Recording
) -> None:
    engine.finish(clip, b"clip")
    with following(server) as reader, server.client() as http:
        http.patch(f"/v1/clips/{clip.clip_id}", json={"label": "renamed"})
        sent = reader.next()
        assert (sent.event, sent.data["data"]["label"]) == ("clip.updated", "renamed")
        assert sent.data["data"]["status"] == "complete"
        http.patch(f"/v1/recordings/{recording.recording_id}", json={"name": "renamed, too"})
        sent = reader.next()
        assert (sent.event, sent.data["data"]["name"]) == ("recording.updated", "renamed, too")


def test_sample_delivery_is_not_in_the_stream(server: ApiServer, engine: RecordedEngine, clip: Clip) -> None:
    endpoint = engine.ledger.endpoints.create("http://127.0.0.1:9/", ["clip.ready"], "a-secret-of-sixteen")
    with following(server, after="1") as reader, server.client() as http:
        http.post(f"/v1/webhooks/{endpoint.webhook_id}/test").raise_for_status()
        engine.finish(clip)
        assert reader.until("clip.ready").data["data"]["clip_id"] == clip.clip_id


@pytest.mark.parametrize("after", [None, "0"])
@pytest.mark.parametrize("role", ["viewer", "editor", "operator", None])
def test_disabled_webhook_is_streamed_to_operators_and_keys_without_a_user_only(
    server: ApiServer, engine: RecordedEngine, clip: Clip, role: Any, after: str | None
) -> None:
    user = engine.ledger.users.sign_in("ann", source="proxy", name="Ann", role=role).user_id if role else None
    endpoint = engine.ledger.endpoints.create("http://127.0.0.1:9/", ["clip.ready"], "a-secret-of-sixteen")
    _, key = engine.ledger.keys.create("streams", user_id=user)
    with following(server, after=after, key=key) as reader:
        with engine.ledger.transaction():
            engine.ledger.events.endpoint_disabled(endpoint)
        engine.finish(clip)
        received = [reader.next().event]
        while received[-1] != "clip.ready":
            received.append(reader.next().event)
    assert ("endpoint.disabled" in received) is (role in ("operator", None))


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30])
def test_invalid_last_event_id_is_rejected(http: httpx.Client, after: str) -> None:
    answer = http.get("/v1/events", headers={"Last-Event-ID": after})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_unknown_clip_or_recording_is_rejected(http: httpx.Client) -> None:
    assert http.get("/v1/events?clip_id=clip_x").json()["code"] == "clip_not_found"
    assert http.get("/v1/events?recording_id=rec_x").json()["code"] == "recording_not_found"
    assert http.get("/v1/events?clip=x").status_code == 422


def test_head_opens_no_stream(http: httpx.Client) -> None:
    assert http.head("/v1/events").status_code == 200


def test_revoked_key_ends_its_stream(
    server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RIGHTS_SECONDS", 0.2)
    key, text = engine.ledger.keys.create("short-lived")
    with following(server, key=text) as reader, following(server) as other:
        engine.ledger.keys.revoke(key.key_id)
        assert reader.ended()
        assert other.thread.is_alive()


@pytest.mark.parametrize("role", ["viewer", "operator", "none"])
def test_changed_role_ends_the_streams_of_a_user(
    server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch, role: Any
) -> None:
    """A stream keeps the rights with which it began: a former operator would still receive the events of operators."""
    monkeypatch.setattr(events, "RIGHTS_SECONDS", 0.2)
    former: Any = "viewer" if role == "operator" else "operator"
    ids = {name: engine.ledger.users.sign_in(name, source="proxy", name=name, role=former).user_id for name in "ab"}
    keys = {name: engine.ledger.keys.create("streams", user_id=ids[name])[1] for name in ids}
    with following(server, key=keys["a"]) as reader, following(server, key=keys["b"]) as other:
        engine.ledger.users.set_role(ids["a"], role)
        assert reader.ended()
        assert other.thread.is_alive()


def test_server_stop_ends_the_streams(server: ApiServer) -> None:
    with following(server) as one, following(server) as another:
        began = time.monotonic()
        server.begin_stop()
        assert one.ended()
        assert another.ended()
        server.thread.join(300)
        assert time.monotonic() - began < 60


def test_streams_above_the_limit_are_rejected(
    server: ApiServer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_STREAMS", 1)
    with following(server):
        answer = http.get("/v1/events")
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert answer.headers["retry-after"] == "10"


@pytest.mark.exhaustive
def test_streams_of_one_key_are_limited_and_others_are_not(
    server: ApiServer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(shares.LIMITS, "event streams", shares.Limit(2))
    other = http.post("/v1/keys", json={"name": "other"}).json()["key"]
    with following(server), following(server):
        answer = http.get("/v1/events")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert answer.json()["detail"].startswith("2 event streams of this key or link are open")
        assert answer.headers["retry-after"] == "10"
        with server.client(other) as client, client.stream("GET", "/v1/events") as stream:
            assert stream.status_code == 200
    until(lambda: not server.app.state.streams.used("event streams"))
    with following(server):
        pass


def test_slow_client_is_disconnected() -> None:
    stream = events.Stream("key_x", None, None)
    for number in range(events._BACKLOG + 1):
        stream.offer(events.Message("clip.ready", {}, seq=number))
    assert stream.closed
    assert len(stream.pending) == events._BACKLOG


def test_disconnected_client_is_removed(server: ApiServer) -> None:
    request = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request.encode())
        wait_until_followed(server)
    until(lambda: not server.app.state.changes._on_close)


def test_streams_opened_together_get_each_event_once(server: ApiServer, engine: RecordedEngine, clip: Clip) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            opened = list(
                pool.map(lambda http: http.send(http.build_request("GET", "/v1/events"), stream=True), clients)
            )
        readers = [Reader(answer) for answer in opened]
        wait_until_followed(server)
        assert len(server.app.state.changes._watchers) == 1
        engine.finish(clip)
        for reader in readers:
            assert reader.until("clip.ready").data["data"]["clip_id"] == clip.clip_id
        time.sleep(0.4)
        assert not [told for reader in readers for told in list(reader.told.queue)]


def test_client_with_the_headers_misses_no_event(
    server: ApiServer, engine: RecordedEngine, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_reader = events.Feed._start_reader

    async def slowly(feed: events.Feed) -> None:
        await asyncio.sleep(0.5)
        await start_reader(feed)

    monkeypatch.setattr(events.Feed, "_start_reader", slowly)
    with server.client() as http, http.stream("GET", "/v1/events") as answer:
        engine.finish(clip)
        assert Reader(answer).until("clip.ready").data["data"]["clip_id"] == clip.clip_id


def test_stream_survives_a_ledger_error(
    server: ApiServer, engine: RecordedEngine, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    with following(server) as reader:
        with monkeypatch.context() as patched:

            def broken(*_: object) -> None:
                raise StorageUnavailable("away")

            patched.setattr(engine.ledger.events, "after", broken)
            engine.finish(clip)
            time.sleep(0.6)
        engine.make_clip(engine.ledger.recordings.get(clip.recording_id), "next")
        assert reader.until("clip.ready").data["data"]["clip_id"] == clip.clip_id
