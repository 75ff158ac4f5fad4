"""Rights that end while a request sends its body or waits: it changes nothing any more, and shows nothing."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from threading import Event
from typing import Any

import httpx
import pytest
from starlette.concurrency import run_in_threadpool

from clipengine.api.http import long_poll, operation, rights, validation
from clipengine.api.http.body_pipe import BodyPipe
from clipengine.api.http.operation import Call
from clipengine.mcp.http import McpEndpoint
from tests.support.api import ApiServer, RecordedEngine, api_server
from tests.support.audit import Log
from tests.support.raw_requests import CHUNKED, head
from tests.support.tus import BYTES, append, begin

Lose = Callable[[], object]
TUS = "Tus-Resumable: 1.0.0"
FRAMINGS = {"Content-Length: 1000": b"{", CHUNKED: b"1\r\n{\r\n"}  # and the first byte of a body
LOSSES = {"key revoked": 401, "user disabled": 401, "role reduced": 403}


class Losing:
    """A key of an operator, and what ends its rights."""

    def __init__(self, engine: RecordedEngine, loss: str) -> None:
        ledger = engine.ledger
        user = ledger.users.sign_in("ann", source="proxy", name="Ann", role="operator")
        key, self.text = ledger.keys.create("ann", user_id=user.user_id)
        self.status = LOSSES[loss]
        self.lose: Lose = {
            "key revoked": lambda: ledger.keys.revoke(key.key_id),
            "user disabled": lambda: ledger.users.set_disabled(user.user_id, True),
            "role reduced": lambda: ledger.users.set_role(user.user_id, "viewer"),
        }[loss]


@pytest.fixture(params=LOSSES)
def losing(request: pytest.FixtureRequest, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch) -> Losing:
    monkeypatch.setattr(rights, "CHECK_SECONDS", 0)
    return Losing(engine, request.param)


@pytest.fixture
def server(engine: RecordedEngine) -> Iterator[ApiServer]:
    with api_server(engine, [McpEndpoint(engine)]) as server:
        yield server


@pytest.fixture
def ann(server: ApiServer, losing: Losing) -> Iterator[httpx.Client]:
    with server.client(losing.text) as client:
        yield client


def after(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, lose: Lose) -> Event:
    """Call `lose` after each call of a coroutine function. The event is set after the first one."""
    function: Callable[..., Awaitable[Any]] = getattr(place, name)
    lost = Event()

    async def losing(*given: Any, **named: Any) -> Any:
        found = await function(*given, **named)
        await run_in_threadpool(lose)
        lost.set()
        return found

    monkeypatch.setattr(place, name, losing)
    return lost


def test_body_is_refused(
    engine: RecordedEngine, ann: httpx.Client, losing: Losing, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(monkeypatch, operation, "read_body", losing.lose)
    made = len(engine.ledger.keys.list())
    answer = ann.post("/v1/keys", json={"name": "for later", "scopes": ["read", "write", "admin"]})
    assert answer.status_code == losing.status, answer.text
    assert len(engine.ledger.keys.list()) <= made


def test_upload_is_refused_and_leaves_nothing(
    engine: RecordedEngine, ann: httpx.Client, losing: Losing, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(monkeypatch, BodyPipe, "send", losing.lose)
    answer = ann.put("/v1/recordings/upload", params={"name": "a.mp4"}, content=b"media")
    assert answer.status_code == losing.status, answer.text
    assert not list(engine.store.list(""))


def test_upload_that_resumes_gets_no_further_bytes(
    engine: RecordedEngine, ann: httpx.Client, losing: Losing, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = begin(ann, 10).headers["location"]
    lost = after(monkeypatch, BodyPipe, "send", losing.lose)

    def body() -> Iterator[bytes]:
        yield b"12345"
        lost.wait(300)
        yield b"67890"

    answer = append(ann, path, 0, body())
    assert answer.status_code == losing.status, answer.text
    assert engine.upload_receiver.get(path.rpartition("/")[2]).partial.offset == 5


def test_long_poll_is_refused(
    engine: RecordedEngine, ann: httpx.Client, losing: Losing, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.put("a.mp4", b"media")
    recording = ann.post("/v1/recordings", json={"bucket_path": "a.mp4"}).json()["recording_id"]
    in_session = Call.in_session

    async def losing_first(call: Call[Any, Any], work: Callable[[], Any]) -> Any:
        await run_in_threadpool(losing.lose)
        return await in_session(call, work)

    monkeypatch.setattr(Call, "in_session", losing_first)
    answer = ann.get(f"/v1/recordings/{recording}", params={"wait": 1})
    readable = losing.status == 403  # a viewer may still read
    assert answer.status_code == (200 if readable else losing.status), answer.text


def test_long_poll_ends_before_its_time_if_nothing_changes(
    engine: RecordedEngine, ann: httpx.Client, losing: Losing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "RIGHTS_SECONDS", 0.1)
    engine.put("a.mp4", b"media")
    recording = ann.post("/v1/recordings", json={"bucket_path": "a.mp4"}).json()["recording_id"]
    in_session, reads = Call.in_session, []

    async def losing_then(call: Call[Any, Any], work: Callable[[], Any]) -> Any:
        reads.append(work)
        found = await in_session(call, work)
        await run_in_threadpool(losing.lose)
        return found

    monkeypatch.setattr(Call, "in_session", losing_then)
    readable = losing.status == 403  # a viewer may still read
    answer = ann.get(f"/v1/recordings/{recording}", params={"wait": 1 if readable else 60})
    assert answer.status_code == (200 if readable else losing.status), answer.text
    # A second read would be at the end. On a slow machine, the first one may be there already.
    assert len(reads) in ((1, 2) if readable else (1,))


class Sending:
    """A request whose body does not arrive. The server reads the body when the request has begun."""

    def __init__(self, server: ApiServer, key: str, line: str, *fields: str, begin: bytes = b"") -> None:
        self.line = line
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=300)
        self._socket.sendall(head(line, f"Authorization: Bearer {key}", "Expect: 100-continue", *fields))
        expected = b"HTTP/1.1 100 Continue\r\n\r\n"
        found = self._socket.recv(len(expected), socket.MSG_WAITALL)
        assert found == expected, (line, found, self._socket.recv(65536))
        self._socket.sendall(begin)

    def answer(self, *, drip: bytes = b"") -> bytes:
        """Return the bytes until the server closes the connection; send `drip` while none arrive."""
        answer = b""
        self._socket.settimeout(0.2 if drip else 300)
        with self._socket, contextlib.suppress(ConnectionError):
            while True:
                try:
                    chunk = self._socket.recv(65536)
                except TimeoutError:
                    self._socket.sendall(drip)
                    continue
                if not chunk:
                    break
                answer += chunk
        return answer

    def status(self, *, drip: bytes = b"") -> int:
        answer = self.answer(drip=drip)
        assert answer.startswith(b"HTTP/1.1 "), (self.line, answer)
        return int(answer.split()[1])


@pytest.mark.parametrize("framing", FRAMINGS)
def test_body_that_stalls_is_refused_at_each_route(
    server: ApiServer, engine: RecordedEngine, losing: Losing, monkeypatch: pytest.MonkeyPatch, framing: str
) -> None:
    """Walk over the routes. A body that is read until its deadline, which the walk does not reach, is 400."""
    monkeypatch.setattr(validation, "READ_SECONDS", 240)
    sent: list[Sending] = []
    audited = 0

    def send(line: str, media_type: str = "application/json") -> None:
        fields = (framing, f"Content-Type: {media_type}")
        sent.append(Sending(server, losing.text, line, *fields, begin=FRAMINGS[framing]))

    for each in server.operations:
        if each.takes_json and (losing.status == 401 or each.scope != "read"):
            send(f"{each.method} {re.sub(r'{[^}]*}', 'x', each.path)}")
            audited += each.audit is not None
    assert len(sent) > 15
    send("PUT /v1/recordings/x/transcripts/en", "text/vtt")
    audited += 1
    if losing.status == 401:
        send("POST /v1/recordings/x/ranges", "text/csv")
        send("POST /mcp")
        audited += 1
    log = Log(engine)
    losing.lose()
    assert [(each.line, each.status()) for each in sent] == [(each.line, losing.status) for each in sent]
    rows = [row for row in log.new() if row.outcome == "refused"]
    assert sum(row.count for row in rows) == audited


def test_body_that_arrives_slowly_is_refused(server: ApiServer, engine: RecordedEngine, losing: Losing) -> None:
    made = len(engine.ledger.keys.list())
    sending = Sending(server, losing.text, "POST /v1/keys", "Content-Type: application/json", CHUNKED)
    losing.lose()
    assert sending.status(drip=b"1\r\n \r\n") == losing.status
    assert len(engine.ledger.keys.list()) <= made


def test_upload_that_stalls_is_refused(
    server: ApiServer, engine: RecordedEngine, ann: httpx.Client, losing: Losing
) -> None:
    path = begin(ann, 10).headers["location"]
    whole = Sending(server, losing.text, "PUT /v1/recordings/upload?name=a.mp4", "Content-Length: 9", begin=b"media")
    fields = (TUS, "Upload-Offset: 0", f"Content-Type: {BYTES}", "Content-Length: 10")
    resumable = Sending(server, losing.text, f"PATCH {path}", *fields, begin=b"12345")
    losing.lose()
    assert (whole.status(), resumable.status()) == (losing.status, losing.status)
    assert engine.upload_receiver.get(path.rpartition("/")[2]).partial.offset <= 5


@pytest.mark.parametrize("framing", ["Content-Length: 21", CHUNKED])
def test_slow_body_is_whole_after_its_rights_were_looked_up(
    server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch, framing: str
) -> None:
    looked_up = after(monkeypatch, operation, "check_rights", lambda: None)
    pieces = [b'{"name": "f', b'or later"}']
    if framing == CHUNKED:
        pieces = [b"b\r\n%s\r\n" % pieces[0], b"a\r\n%s\r\n0\r\n\r\n" % pieces[1]]
    fields = ("Content-Type: application/json", "Connection: close", framing)
    sending = Sending(server, server.key, "POST /v1/keys", *fields, begin=pieces[0])
    assert looked_up.wait(300)
    sending._socket.sendall(pieces[1])
    assert sending.status() == 201
    assert "for later" in [each.name for each in engine.ledger.keys.list()]
