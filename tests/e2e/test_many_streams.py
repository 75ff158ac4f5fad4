"""The maximum number of event streams, half of them never read, on a real server with real sockets."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from itertools import cycle
from pathlib import Path

import httpx
import pytest

from clipengine.api.routes.events import MAX_STREAMS, SEND_SECONDS
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage

HALF = MAX_STREAMS // 2
LARGE = {f"k{number}": "x" * 2000 for number in range(30)}  # makes an event of 60 kB
EVENTS = 6  # recordings that end, each announced by one event with its number


@pytest.fixture(autouse=True)
def _sockets_for_all() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"{hard} open files are allowed here, and this test needs more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Listeners:
    """Streams that are read in one thread. A client that is disconnected, as on a busy machine, reconnects.

    `ids` has the event ids that each client received, `returned` the clients that reconnected.
    """

    def __init__(self, server: RunningServer, count: int) -> None:
        self.ids: list[list[int]] = [[] for _ in range(count)]
        self.ended = self.returned = 0
        self._server = server
        threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True).start()

    async def _all(self) -> None:
        await asyncio.gather(*(self._listen(ids) for ids in self.ids))

    async def _listen(self, ids: list[int]) -> None:
        try:
            await self._read(ids)
            while self._server.process.poll() is None:
                self.returned += 1
                await asyncio.sleep(0.5)
                await self._read(ids)
        except ConnectionError:
            pass  # the server has stopped
        self.ended += 1

    async def _read(self, ids: list[int]) -> None:
        url = httpx.URL(self._server.url)
        reader, writer = await asyncio.open_connection(url.host, url.port, limit=1 << 20)
        try:
            writer.write(request(self._server, f"Last-Event-ID: {ids[-1] if ids else 0}\r\n"))
            number = 0
            while line := await reader.readline():
                if line.startswith(b"id: "):
                    number = int(line[4:])
                elif line.startswith(b"event: recording.failed"):
                    ids.append(number)
        finally:
            writer.close()


@cache
def keys(url: str, key: str) -> Iterator[str]:
    """Return keys in turn: one has fewer streams than the server."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=300) as http:
        made = [http.post("/v1/keys", json={"name": str(number)}).json()["key"] for number in range(10)]
    return cycle(made)


def request(server: RunningServer, fields: str = "") -> bytes:
    key = next(keys(server.url, server.key))
    return f"GET /v1/events HTTP/1.1\r\nHost: x\r\n{fields}Authorization: Bearer {key}\r\n\r\n".encode()


def silent(server: RunningServer) -> socket.socket:
    """Open a stream of events as a remote client and read nothing."""
    url = httpx.URL(server.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)  # the default of loopback would buffer megabytes
    connection.connect((url.host, url.port))
    connection.sendall(request(server))
    return connection


def sockets_of(pid: int) -> int:
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except OSError:
            continue
    return found


def say_much(http: httpx.Client, data: Path, name: str) -> None:
    """Send events of a third of a megabyte to all streams: recordings that fail."""
    for number in range(EVENTS):
        place = data / "store" / name / f"{number}.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x")
        http.post("/v1/recordings", json={"bucket_path": f"{name}/{number}.mp4", "metadata": LARGE}).raise_for_status()


def slowest(http: httpx.Client, seconds: float) -> float:
    """Return the 99th percentile of the time of a list request during these seconds, in ms."""
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        assert http.get("/v1/clips").status_code == 200
        took.append(time.perf_counter() - began)
        time.sleep(0.005)
    return sorted(took)[int(len(took) * 0.99)] * 1000


def test_clients_that_never_read_do_not_slow_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running_server(tmp_path / "data"))
        http = stack.enter_context(
            httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, timeout=300)
        )
        pid = server.process.pid
        alone, quiet = sockets_of(pid), slowest(http, 2)
        dead = [stack.enter_context(silent(server)) for _ in range(HALF)]
        listeners = Listeners(server, HALF)
        until(lambda: http.head("/v1/events").status_code == 503)  # the limit is reached
        busy = slowest(http, 2)
        say_much(http, server.data, "first")
        loud = slowest(http, SEND_SECONDS / 2)
        until(lambda: all(len(ids) == EVENTS for ids in listeners.ids))
        # The silent clients are disconnected and their sockets released: a graceful close would never end.
        until(lambda: sockets_of(pid) <= alone + HALF + 5)
        assert http.head("/v1/events").status_code == 200

        more = [stack.enter_context(silent(server)) for _ in range(HALF)]
        until(lambda: http.head("/v1/events").status_code == 503)
        say_much(http, server.data, "second")
        until(lambda: all(len(ids) == 2 * EVENTS for ids in listeners.ids))
        returned, began = listeners.returned, time.monotonic()
        assert server.stop() == 0
        stopped = time.monotonic() - began
        until(lambda: listeners.ended == HALF)
        assert all(ids == list(range(1, 2 * EVENTS + 1)) for ids in listeners.ids)
        text = server.log.read_text()
        assert len(dead) == len(more) == HALF
        assert len(re.findall("read nothing for 10 s; connection aborted", text)) >= HALF
        assert "Traceback" not in text
        assert "leaving what is still running" not in text  # it ended within the ten seconds
    with capsys.disabled():
        print(f"\np99 of a list: {quiet:.0f} ms alone, {busy:.0f} ms with {MAX_STREAMS} streams", end="")
        print(f", {loud:.0f} ms while they are told; stopped in {stopped:.1f} s; {returned} of {HALF} had come back")
