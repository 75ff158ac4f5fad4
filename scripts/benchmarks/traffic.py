"""Requests at a steady rate, independent of the server: late requests are measured from the time they were due."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

_REST_SECONDS = 3.0  # the server may close a connection that was idle for longer
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: Mapping[str, Any] | None = None

    def encode(self, key: str) -> bytes:
        body = b"" if self.body is None else json.dumps(self.body).encode()
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {key}"]
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class _Connections:
    host: str
    port: int
    resting: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = field(default_factory=list)

    async def exchange(self, raw: bytes) -> bytes:
        """Return the head of the response after its body was received."""
        reader, writer = await self._take()
        writer.write(raw)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        self.resting.append((reader, writer, time.monotonic()))
        return head

    async def _take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self.resting:
            reader, writer, since = self.resting.pop()
            if time.monotonic() - since < _REST_SECONDS:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self.host, self.port)

    def close(self) -> None:
        for _, writer, _ in self.resting:
            writer.close()


def steadily(url: str, key: str, requests: Sequence[Request], *, rate: float) -> dict[str, list[float]]:
    """Send `rate` requests per second; return the seconds from due time to end by method. All must succeed."""
    return uvloop.run(_steadily(url, key, requests, rate))


async def _steadily(url: str, key: str, requests: Sequence[Request], rate: float) -> dict[str, list[float]]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    connections = _Connections(host, int(port))
    took: dict[str, list[float]] = {}

    async def send(request: Request, due: float) -> None:
        head = await connections.exchange(request.encode(key))
        took.setdefault(request.method, []).append(time.perf_counter() - due)
        assert head.split()[1].startswith(b"2"), head

    begin = time.perf_counter()
    sent = []
    for number, request in enumerate(requests):
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sent.append(asyncio.create_task(send(request, due)))
    await asyncio.gather(*sent)
    connections.close()
    return took


def follow(url: str, key: str, *, clients: int, seconds: float, meter: Callable[[], float]) -> float:
    """Hold this many event streams open and return the rise of `meter` per second once all are open."""
    return uvloop.run(_follow(url, key, clients, seconds, meter))


async def _follow(url: str, key: str, clients: int, seconds: float, meter: Callable[[], float]) -> float:
    host, _, port = url.removeprefix("http://").rpartition(":")

    async def listen(opened: asyncio.Semaphore) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(Request("GET", "/v1/events").encode(key))
        try:
            await reader.readuntil(b"\r\n\r\n")
            opened.release()
            while await reader.read(65536):
                pass
        finally:
            writer.close()

    opened = asyncio.Semaphore(0)
    streams = [asyncio.create_task(listen(opened)) for _ in range(clients)]
    for _ in streams:
        await opened.acquire()
    await asyncio.sleep(_SETTLE_SECONDS)
    began, before = time.monotonic(), meter()
    await asyncio.sleep(seconds)
    rate = (meter() - before) / (time.monotonic() - began)
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    return rate
