"""The Python client against a real server: one method per route, and the event iterator."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from clipengine.api.http.requests.clips import CreateClip
from clipengine.api.http.requests.recordings import RegisterRecording
from clipengine.cli.remote.clip_create import create
from clipengine.client import (
    ApiError,
    AsyncClient,
    Client,
    ClientError,
    Event,
    NotClipengine,
    ServerUnreachable,
    Suggestions,
)
from clipengine.client.batches import AsyncBatches
from clipengine.client.clips import AsyncClips, ClipFields
from clipengine.client.exchange import Api
from clipengine.client.exchange import Request as Outgoing
from clipengine.client.installation import AsyncInstallation
from clipengine.client.models import RecordingData
from clipengine.client.profiles import AsyncProfiles
from clipengine.client.recordings import AsyncRecordings, RecordingCalls, RecordingFields
from clipengine.client.rules import AsyncRules
from clipengine.client.transcripts import AsyncTranscripts
from clipengine.client.users import AsyncUsers
from clipengine.client.webhooks import AsyncWebhooks
from clipengine.clips.plan.read_jobs import JUMP, WAVEFORM
from clipengine.clips.texts.cues import Cue
from clipengine.mcp import tools
from clipengine.recordings.recording import Recording as LedgerRecording
from tests.support.api import FACTS, ApiServer, RecordedEngine, api_server
from tests.support.receiver import Answer, Receiver, Request
from tests.support.waiting import until

# Routes without a client method, each with the reason.
LEFT_OUT = {
    r"GET /(livez|readyz)": "probes, for whatever watches the process",
    r"POST /v1/ingest/\{source\}": "events, which other systems sign and send",
    r"\w+ /v1/uploads.*": "tus, for its clients",
    r"GET /v1/recordings/\{recording_id\}/proxy\.m3u8": "a playlist, for players",
    r"\w+ /v1/recordings/\{recording_id\}/clips/\{clip_id\}.*": "the same clip, under a second address",
}
ARGUMENTS: dict[str, Any] = {
    "rule": {},
    "clips": [{"recording_id": "x", "label": "x", "start_seconds": 1.0, "end_seconds": 2.0}],
    "clip_ids": ["x"],
    "changes": {"render": "smart"},
    "filter": {"label": "x"},
    "selection": "x",
    "batch_id": "x",
    "segments": [{"start_seconds": 1.0, "end_seconds": 2.0}],
    "ranges": [{"start_seconds": 1.0, "end_seconds": 2.0}],
    "recording_id": "x",
    "clip_id": "x",
    "transcript_id": "x",
    "webhook_id": "x",
    "rule_id": "x",
    "delivery_id": "x",
    "share_id": "x",
    "key_id": "x",
    "user_id": "x",
    "session_id": "x",
    "name": "x",
    "language": "en",
    "query": "x",
    "label": "x",
    "series": ["x"],
    "start_time": "2026-11-28T12:00:00Z",
    "end_time": "2026-11-28T12:00:01Z",
    "start_seconds": 1.0,
    "end_seconds": 2.0,
    "at_seconds": 1.0,
    "to": "scene",
    "bucket_path": "x",
    "folder": "x",
    "pattern": "%H.mp4",
    "url": "http://example.org/",
}


@pytest.fixture
def client(server: ApiServer) -> Iterator[Client]:
    with Client(server.url, server.key, timeout=300) as client:
        yield client


def test_client_has_a_method_for_every_route(http: httpx.Client, tmp_path: Path) -> None:
    document = http.get("/v1/openapi.json").json()
    routes = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    left_out = {route for route in routes if any(re.fullmatch(each, route) for each in LEFT_OUT)}
    called = {_route(request, routes) for request in _calls_of_every_method(tmp_path / "file")}
    assert called - left_out == routes - left_out  # an upload begins with a route of tus
    assert all(any(re.fullmatch(each, route) for route in left_out) for each in LEFT_OUT)


@pytest.mark.parametrize("part", [".", ".."])
def test_id_of_dots_is_rejected(client: Client, part: str) -> None:
    """A URL without dot segments names another route: `DELETE /v1/clips/..` is `DELETE /v1/`."""
    calls: list[Callable[[], object]] = [
        lambda: client.clips.get(part),
        lambda: client.clips.delete(part),
        lambda: client.clips.plan(part, 1.0, 2.0),
        lambda: client.recordings.delete(part),
        lambda: client.recordings.frame(part, "frame.jpg", 1),
        lambda: client.transcripts.delete("rec_1", part),
        lambda: client.clips.unshare("clip_1", part),
        lambda: client.webhooks.delivery(part),
        lambda: client.installation.revoke_key(part),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="is not a valid id"):
            call()


@pytest.mark.exhaustive
def test_connection_that_was_idle_is_not_used_again() -> None:
    """The server closes it after five seconds, maybe while a request is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_first_requests() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                threading.Thread(target=close_at_the_second, args=(connection,), daemon=True).start()

        def close_at_the_second(connection: socket.socket) -> None:
            with connection:
                connection.recv(65536)

        answering = threading.Thread(target=answer_first_requests)
        answering.start()
        with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", "key") as client:
            client.recordings.delete("rec_1")
            time.sleep(2.5)
            client.recordings.delete("rec_1")
        answering.join()


def test_both_clients_have_the_same_methods() -> None:
    with Client() as blocking:
        resources = {name: each for name, each in vars(blocking).items() if name[0] != "_"}
    awaiting = {
        "clips": AsyncClips,
        "recordings": AsyncRecordings,
        "webhooks": AsyncWebhooks,
        "rules": AsyncRules,
        "batches": AsyncBatches,
        "profiles": AsyncProfiles,
        "transcripts": AsyncTranscripts,
        "installation": AsyncInstallation,
        "users": AsyncUsers,
    }
    assert set(resources) == set(awaiting)
    for name, each in resources.items():
        assert {of for of in dir(each) if of[0] != "_"} == {of for of in dir(awaiting[name]) if of[0] != "_"}
    assert {of for of in dir(Client) if of[0] != "_"} == {of for of in dir(AsyncClient) if of[0] != "_"}


def _calls_of_every_method(file: Path) -> list[Request]:
    """Call every method with its required arguments only and return the requests."""
    with Receiver() as receiver, Client(f"http://{receiver.host}:{receiver.port}", retries=0) as client:
        receiver.answer = lambda request: Answer(404, body=b'{"code": "not_found"}')
        arguments = ARGUMENTS | dict.fromkeys(("path", "source"), file.with_suffix(".vtt"))
        file = arguments["path"]
        methods: list[Callable[..., Any]] = [lambda: next(client.events())]
        resources = [each for name, each in vars(client).items() if name[0] != "_"]
        for resource in resources:
            methods += [method for name, method in inspect.getmembers(resource, callable) if name[0] != "_"]
        for method in methods:
            file.write_bytes(b"x")
            needed = inspect.signature(method).parameters.values()
            given = {
                each.name: arguments[each.name]
                for each in needed
                if each.default is each.empty and each.kind is not each.VAR_KEYWORD
            }
            with pytest.raises(ApiError):
                next(method(**given))  # Only iterators get here; all other calls have raised.
        # These methods have two routes.
        with pytest.raises(ApiError):
            client.recordings.proxy_segment("x", file, 0)
        with pytest.raises(ApiError):
            client.clips.list(recording_id="x")
        with pytest.raises(ApiError):
            client.transcripts.search("x", recording_id="x", language="en")
        return list(receiver.requests)


def _route(request: Request, routes: set[str]) -> str:
    """Return the route that a request matches. Fixed paths take precedence over paths with parameters."""
    path = request.path.partition("?")[0]
    for route in sorted(routes, key=lambda each: each.count("{")):
        method, template = route.split(" ")
        if method == request.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return route
    raise AssertionError(f"{request.method} {path} is no route")


def test_expiry_may_be_a_datetime_or_text(client: Client, recording: LedgerRecording) -> None:
    in_an_hour = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    clip = client.clips.create(recording.recording_id, "short-lived", 1.0, 2.0, expires_at=in_an_hour)
    assert clip.expires_at == in_an_hour.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert client.clips.create(recording.recording_id, "x", 1.0, 2.0, expires_at=clip.expires_at).expires_at
    assert client.clips.create(recording.recording_id, "x", 1.0, 2.0).expires_at is None
    with pytest.raises(ValueError, match="zone"):
        client.clips.create(recording.recording_id, "x", 1.0, 2.0, expires_at=datetime(2040, 1, 1))


def test_query_of_a_path_is_merged_with_params() -> None:
    async def call(url: str) -> None:
        async with AsyncClient(url) as client:
            await client.request("GET", "/v1/x?limit=1&a=b%26c")
            await client.request("GET", "/v1/x?limit=1&a=b", params={"limit": 2, "on": True})

    with Receiver() as receiver:
        receiver.answer = lambda request: Answer(200, body=b"{}")
        url = f"http://{receiver.host}:{receiver.port}"
        with Client(url) as client:
            client.request("GET", "/v1/x?limit=1&a=b%26c")
            client.request("GET", "/v1/x?limit=1&a=b", params={"limit": 2, "on": True})
        asyncio.run(call(url))
        queries = [urlsplit(request.path).query for request in receiver.requests]
    parameters = [{"limit": "1", "a": "b&c"}, {"limit": "2", "a": "b", "on": "true"}]
    assert [dict(parse_qsl(query)) for query in queries] == parameters * 2


def test_wait_for_recording_is_one_long_poll(client: Client, engine: RecordedEngine) -> None:
    engine.put("new.mp4", b"media")
    asked: list[str] = []
    added = client.recordings.add("new.mp4")
    client._transport._http.event_hooks["request"] = [lambda request: asked.append(str(request.url))]
    done = _after(0.6, lambda: _read(engine, added.recording_id))
    assert added.wait(timeout=300).status == "complete"
    done()
    assert len(asked) == 1
    assert re.search(rf"/v1/recordings/{added.recording_id}\?wait=\d+", asked[0])


def test_suggested_moments_are_returned(
    client: Client, engine: RecordedEngine, recording: LedgerRecording, server: ApiServer
) -> None:
    cues = [Cue(0, 30_000, "What does the new office cost?"), Cue(30_000, 40_000, "Nobody knows it.")]
    engine.ledger.transcripts.put(recording.recording_id, "en", cues)
    found = client.recordings.suggestions(recording.recording_id, language="en", limit=5)
    assert (found.language, [each["end_seconds"] for each in found.data]) == ("en", [40.0])

    async def work() -> Suggestions:
        async with AsyncClient(server.url, server.key, timeout=300) as client:
            return await client.recordings.suggestions(recording.recording_id)

    assert asyncio.run(work()) == found


def test_profiles_deliveries_and_previews_are_returned(client: Client, recording: LedgerRecording) -> None:
    assert [profile.name for profile in client.profiles.list().data] == ["default"]
    clip = client.clips.create(recording.recording_id, "x", 1.0, 2.0)
    assert client.clips.deliveries(clip.clip_id).data == []
    hook = client.webhooks.create("http://127.0.0.1:9/hook", enabled=False)
    assert not hook.enabled
    with pytest.raises(ApiError) as caught:
        client.recordings.frame(recording.recording_id, "frame.jpg", -1)
    assert [fault["parameter"] for fault in caught.value.errors] == ["at_seconds"]


class TestEvents:
    def test_events_of_a_clip_arrive_in_order(
        self, client: Client, engine: RecordedEngine, recording: LedgerRecording, server: ApiServer
    ) -> None:
        events = client.events(recording_id=recording.recording_id)
        received: list[Event[Any, Any]] = []
        done = _after(0.5, lambda: engine.finish(engine.make_clip(recording)))
        for event in events:
            received.append(event)
            if event.event == "clip.ready":
                break
        done()
        ready = received[-1]
        assert {event.event for event in received[:-1]} <= {"clip.updated"}
        assert ready.clip.result.frames == 900
        assert ready.clip.status == "complete"
        assert ready.recording is None
        assert ready.last_event_id == str(engine.ledger.events.last_seq())
        assert ready.event_id is not None
        assert ready.event_id.startswith("evt_")
        assert ready.data == client.clips.get(ready.clip.clip_id).raw

    def test_iterator_resumes_after_a_server_restart(self, engine: RecordedEngine, recording: LedgerRecording) -> None:
        with api_server(engine) as first, Client(first.url, first.key) as client:
            events = client.events(patience=0)
            done = _after(0.5, lambda: engine.finish(engine.make_clip(recording, "one")))
            last = next(event for event in events if event.event == "clip.ready").last_event_id
            done()
            first.begin_stop()
            with pytest.raises(ServerUnreachable):
                next(events)
        engine.finish(engine.make_clip(recording, "two"))
        other = engine.make_recording("other.mp4", b"other")
        engine.finish(engine.make_clip(other, "not asked for"))
        engine.finish(engine.make_clip(recording, "three"))
        with api_server(engine) as second, Client(second.url, second.key) as client:
            events = client.events(recording_id=recording.recording_id, last_event_id=last)
            labels = [event.clip.label for event in (next(events), next(events)) if event.clip]
        assert labels == ["two", "three"]

    def test_stream_broken_before_the_first_event_misses_nothing(self) -> None:
        """The events are as the server sends them; only the break is scripted."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        ready = b'event: clip.ready\nid: %d\ndata: {"event": "clip.ready", "data": {"clip_id": "clip_%d"}}\n\n'
        with Receiver() as receiver, Client(f"http://{receiver.host}:{receiver.port}", retries=0) as client:
            receiver.script(
                Answer(raw=head + b"id: 41\n\n: ping\n\n"),
                Answer(503, {"Retry-After": "1"}, b"{}"),
                Answer(hang_up=True),
                Answer(raw=head + b"id: 41\n\n" + ready % (42, 1) + (ready % (43, 2))[:50]),
                Answer(raw=head + b"id: 42\n\n" + (ready % (43, 2)).replace(b"\n", b"\r\n")),
                Answer(404, body=b'{"code": "clip_not_found", "detail": "There is no such clip"}'),
            )
            events = client.events(clip_id="clip_1")
            assert [next(events).last_event_id, next(events).last_event_id] == ["42", "43"]
            with pytest.raises(ApiError, match="no such clip"):
                next(events)
            asked = [request.headers.get("last-event-id") for request in receiver.requests]
        assert asked == [None, "41", "41", "41", "42", "43"]
        assert receiver.requests[0].path == "/v1/events?clip_id=clip_1"

    def test_response_that_is_no_event_stream_is_rejected(self) -> None:
        with Receiver() as receiver, Client(f"http://{receiver.host}:{receiver.port}") as client:
            receiver.answer = lambda request: Answer(200, {"Content-Type": "text/html"}, b"<p>Hello\n\n</p>")
            with pytest.raises(NotClipengine):
                next(client.events())
            assert len(receiver.requests) == 1

    def test_async_client_iterates_events(
        self, engine: RecordedEngine, recording: LedgerRecording, server: ApiServer
    ) -> None:
        async def first(events: AsyncIterator[Event[Any, Any]]) -> Event[Any, Any]:
            async for event in events:
                if event.event == "clip.ready":
                    return event
            raise AssertionError

        async def work() -> tuple[Event[Any, Any], Event[Any, Any]]:
            async with AsyncClient(server.url, server.key, timeout=300) as client:
                following = asyncio.create_task(first(client.events()))
                await asyncio.to_thread(until, lambda: server.app.state.changes._watchers)
                await asyncio.to_thread(lambda: engine.finish(engine.make_clip(recording)))
                live = await following
                return live, await first(client.events(last_event_id="0"))

        live, again = asyncio.run(work())
        assert live.clip == again.clip
        assert live.event_id == again.event_id

    def test_invalid_filter_is_raised(self, client: Client) -> None:
        with pytest.raises(ApiError) as caught:
            next(client.events(clip_id="clip_none", recording_id="rec_none"))
        assert caught.value.status == 404


def _after(seconds: float, work: Callable[[], object]) -> Callable[[], None]:
    """Call the function in a thread after a delay; the returned function joins the thread."""
    timer = threading.Timer(seconds, work)
    timer.start()
    return timer.join


def _read(engine: RecordedEngine, recording_id: str) -> None:
    stored = engine.store.head("new.mp4")
    probe = engine.ledger.recordings.claim_probe("test")
    assert probe
    assert probe.recording.recording_id == recording_id
    assert engine.ledger.recordings.probe_complete(probe, FACTS, etag=stored.etag, size=stored.size)


def test_request_of_a_long_job_waits_for_the_deadline_of_the_server() -> None:
    calls = RecordingCalls(Api(retries=0), RecordingData.from_object)
    for kind, request in (
        (WAVEFORM, next(calls.waveform("rec_1"))),
        (JUMP, next(calls.next_moment("rec_1", "scene", 1.5))),
    ):
        assert isinstance(request, Outgoing)
        assert request.extra_time == kind.deadline_seconds


def test_client_has_each_field_of_a_clip() -> None:
    assert ClipFields.__annotations__.keys() == CreateClip.model_fields.keys() - {
        "label",
        "start_seconds",
        "end_seconds",
    }


def test_client_has_each_field_of_a_recording() -> None:
    places = {"bucket_path", "url", "folder", "pattern", "camera", "day", "timezone", "variant", "live"}
    assert RecordingFields.__annotations__.keys() == RegisterRecording.model_fields.keys() - places


def test_client_rejects_a_field_that_clips_do_not_have() -> None:
    with Client("http://127.0.0.1:9", retries=0) as client, pytest.raises(TypeError, match="unexpected fields: colour"):
        client.clips.create("rec_1", "goal", 1, 2, colour="red")  # type: ignore[call-arg]


def test_tool_of_agents_lacks_only_fields_of_scripts() -> None:
    lacking = {"metadata", "tags", "priority", "webhook_url", "poster", "expires_at", "wait_until", "gaps"}
    assert CreateClip.model_fields.keys() - tools.CreateClip.model_fields.keys() == lacking


def test_command_has_each_field_of_a_clip() -> None:
    """Flags that have another name, or that several flags make."""
    names = {"last_seconds": "last", "output": "fps", "metadata": "meta", "poster": "no_poster"}
    names |= {"snap": "snap_to", "without": "kinds", "keep_ranges": "kept"}
    names |= {"start_seconds": "start", "end_seconds": "end", "start_time": "start", "end_time": "end"}
    flags = {str(each.name) for each in create.params}
    assert {names.get(name, name) for name in CreateClip.model_fields} - flags == set()
