"""Slots of uploads: a caller with slow bodies, or a slow store, keeps nobody else from uploading. Row 124."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from clipengine.api.http import body_pipe
from clipengine.api.http.open_streams import OpenStreams
from clipengine.api.http.upload_slots import Slot
from clipengine.errors import Busy, RateLimited
from clipengine.limits.pace import least_pace
from clipengine.limits.shares import LIMITS
from tests.support.api import ApiServer, RecordedEngine
from tests.support.tus import BYTES, append, begin, offset
from tests.support.waiting import until

SHARE = (LIMITS["uploads"].of_all or 0) // 2
SIZE = 1000


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let slow bodies last as long as their test."""
    monkeypatch.setattr(body_pipe, "STALL_SECONDS", 3600)


class SlowBody:
    """A request whose body has begun to arrive."""

    def __init__(self, server: ApiServer, key: str, line: str, *fields: str) -> None:
        head = [f"{line} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", f"Content-Length: {SIZE}", *fields]
        self.connection = socket.create_connection(("127.0.0.1", server.port), timeout=300)
        self.connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode() + b"x")

    def status(self) -> int:
        """Return the status of the response."""
        return int(self.connection.recv(65536).split(b" ", 2)[1])

    def finish(self) -> int:
        self.connection.sendall(b"x" * (SIZE - 1))
        return self.status()


@contextmanager
def slow_bodies(server: ApiServer, key: str, count: int) -> Iterator[list[SlowBody]]:
    """Open so many requests with slow bodies, by turns PATCH and PUT, and wait until each has a slot."""
    streams: OpenStreams = server.app.state.streams
    before = streams.used("uploads")
    with server.client(key) as http, ExitStack() as stack:
        bodies = []
        for number in range(count):
            line, fields = "PUT /v1/recordings/upload?name=a.mp4", ["Content-Type: application/octet-stream"]
            if number % 2:
                line = f"PATCH {begin(http, SIZE).headers['location']}"
                fields = ["Upload-Offset: 0", f"Content-Type: {BYTES}"]
            bodies.append(SlowBody(server, key, line, *fields))
            stack.enter_context(bodies[-1].connection)
        until(lambda: streams.used("uploads") == before + count)
        yield bodies
    until(lambda: streams.used("uploads") == before)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def others_key(engine: RecordedEngine) -> str:
    return engine.ledger.keys.create("other")[1]


def test_caller_with_slow_bodies_leaves_slots_to_others(server: ApiServer, others_key: str) -> None:
    with server.client() as http, server.client(others_key) as other, slow_bodies(server, server.key, SHARE) as bodies:
        mine = begin(http, SIZE).headers["location"]
        for answer in (
            http.put("/v1/recordings/upload?name=a.mp4", content=b"x"),
            append(http, mine, 0, b"x"),
            begin(http, SIZE, content=b"x"),
        ):
            assert code(answer) == (429, "rate_limited")
            assert answer.headers["retry-after"] == "10"
            assert "wait until one ends" in answer.json()["hint"]
        assert (offset(http, mine), http.delete(mine).status_code) == (0, 204)
        path = begin(other, SIZE).headers["location"]
        assert append(other, path, 0, b"x").status_code == 204
        assert other.put("/v1/recordings/upload?name=a.mp4", content=b"x").status_code == 202
        assert (offset(other, path), other.get("/v1/recordings").status_code) == (1, 200)
        assert other.delete(path).status_code == 204
        assert {body.finish() for body in bodies} == {202, 204}
    with server.client() as http:
        assert begin(http, 1, content=b"x").json()["recording_id"]


def test_each_further_caller_gets_half_of_what_is_free(server: ApiServer, engine: RecordedEngine) -> None:
    keys = [engine.ledger.keys.create(str(number))[1] for number in range(6)]
    with ExitStack() as stack:
        for key, count in zip(keys, (8, 4, 2, 1, 1), strict=False):
            stack.enter_context(slow_bodies(server, key, count))
            with server.client(key) as http:
                assert code(begin(http, SIZE, content=b"x")) == (429, "rate_limited")
        with server.client(keys[-1]) as http:
            answer = begin(http, SIZE, content=b"x")
            assert (code(answer), answer.headers["retry-after"]) == ((503, "busy"), "10")
            path = begin(http, SIZE).headers["location"]
            assert (offset(http, path), http.delete(path).status_code) == (0, 204)


def test_share_returns_to_its_size_when_others_end() -> None:
    streams = OpenStreams()
    with ExitStack() as mine:
        for _ in range(5):
            mine.enter_context(streams.one_more("a", "uploads"))
        with ExitStack() as theirs:
            for _ in range(6):
                theirs.enter_context(streams.one_more("b", "uploads"))
            with pytest.raises(RateLimited), streams.one_more("a", "uploads"):
                pass
        for _ in range(3):
            mine.enter_context(streams.one_more("a", "uploads"))
        with pytest.raises(RateLimited), streams.one_more("a", "uploads"):
            pass
    assert streams.used("uploads") == 0
    assert not issubclass(Busy, RateLimited)


def test_least_pace_grows_with_the_load() -> None:
    assert [least_pace(used) for used in (0, 8, 9, 10, 12, 14, 16)] == [
        *(1024, 1024, 1024),
        *(2048, 4096, 8192, 16384),
    ]


def test_slow_senders_lose_their_slots_when_slots_are_rare(
    server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is fast enough for an idle engine is too slow for one with other callers."""
    monkeypatch.setattr(body_pipe, "STALL_SECONDS", 0.5)
    needed: list[int] = []
    least = Slot.least_pace

    def seen(slot: Slot) -> int:
        needed.append(least(slot))
        return -1 if needed[-1] < least_pace(12) else needed[-1]  # so that silence is fast enough before

    monkeypatch.setattr(Slot, "least_pace", seen)
    keys = [engine.ledger.keys.create(str(number))[1] for number in range(2)]
    with slow_bodies(server, keys[0], 8) as slow:
        until(lambda: needed.count(1024) > 40)  # each has been checked several times
        assert server.app.state.streams.used("uploads") == 8
        others = [SlowBody(server, keys[1], "PUT /v1/recordings/upload?name=a.mp4") for _ in range(4)]
        answered, _, _ = select.select([body.connection for body in slow], [], [], 300)
        assert answered[0].recv(65536).startswith(b"HTTP/1.1 400 ")
        for body in others:
            body.connection.close()
    assert max(needed) == least_pace(12)


@pytest.fixture
def held(engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], threading.Semaphore]]:
    """Let calls of a method of the store wait until the test ends; return the semaphore that each releases first."""
    release = threading.Event()

    def hold(name: str) -> threading.Semaphore:
        begun, method = threading.Semaphore(0), getattr(engine.store, name)

        def wait(*values: Any) -> Any:
            begun.release()
            assert release.wait(300)
            return method(*values)

        monkeypatch.setattr(engine.store, name, wait)
        return begun

    hold.release = release.set  # type: ignore[attr-defined]
    yield hold
    release.set()


def test_caller_with_a_slow_store_leaves_threads_to_the_requests_of_others(
    server: ApiServer, others_key: str, held: Any
) -> None:
    with server.client() as http, server.client(others_key) as other, ThreadPoolExecutor(4) as pool:
        paths = [begin(http, SIZE).headers["location"] for _ in range(5)]
        theirs = [begin(other, SIZE).headers["location"] for _ in range(3)]
        assert append(other, theirs[0], 0, b"x").status_code == 204
        discarding = held("discard")
        ends = [pool.submit(http.delete, path) for path in paths[:4]]
        for _ in ends:
            assert discarding.acquire(timeout=300)
        answer = http.delete(paths[4])
        assert (code(answer), answer.headers["retry-after"]) == ((429, "rate_limited"), "1")
        assert append(http, paths[4], 0, b"x").status_code == 204  # bodies have threads of their own
        assert offset(other, theirs[0]) == 1
        assert other.get("/v1/recordings").status_code == 200
        ending = ThreadPoolExecutor(1).submit(other.delete, theirs[1])
        assert discarding.acquire(timeout=300)  # it has a thread
        held.release()
        assert [each.result(300).status_code for each in [*ends, ending]] == [204] * 5
        assert http.delete(paths[4]).status_code == 204


def test_upload_that_is_assembled_shows_its_state(server: ApiServer, held: Any) -> None:
    with server.client() as http, server.client() as other, ThreadPoolExecutor(1) as pool:
        path = begin(http, SIZE, **{"Idempotency-Key": "once"}).headers["location"]
        finishing = held("finish")
        sent = pool.submit(append, other, path, 0, bytes(SIZE))
        assert finishing.acquire(timeout=300)
        shown = http.get(path)
        assert (shown.status_code, shown.json()["offset"], shown.json()["recording_id"]) == (200, SIZE, None)
        assert offset(http, path) == SIZE
        again = begin(http, SIZE, content=bytes(SIZE), **{"Idempotency-Key": "once"})
        assert (again.status_code, again.json()["offset"], again.json()["recording_id"]) == (201, SIZE, None)
        for answer in (http.delete(path), append(http, path, SIZE, b"")):
            assert code(answer) == (409, "upload_assembling")
            assert "recording_id" in answer.json()["hint"]
        held.release()
        recording_id = sent.result(300).headers["upload-recording"]
        assert http.get(path).json()["recording_id"] == recording_id
        assert http.delete(path).status_code == 204
