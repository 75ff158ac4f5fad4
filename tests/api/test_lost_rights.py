"""Rights that end while a request sends its body or waits: it changes nothing any more, and shows nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from threading import Event
from typing import Any

import httpx
import pytest
from starlette.concurrency import run_in_threadpool

from clipengine.api.http import operation, rights
from clipengine.api.http.body_pipe import BodyPipe
from clipengine.api.http.operation import Call
from tests.support.api import ApiServer, RecordedEngine
from tests.support.tus import append, begin

Lose = Callable[[], object]
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
