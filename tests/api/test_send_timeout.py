"""Clients that read nothing of a response: the connection is closed, not only the response."""

from __future__ import annotations

import errno
import logging
import socket
import time
from contextlib import ExitStack

import pytest

from clipengine.api.routes import downloads, events
from clipengine.clips.clip import Clip
from clipengine.limits import shares
from clipengine.server import http_server
from tests.support.api import ApiServer, RecordedEngine
from tests.support.memory import memory_growth_below
from tests.support.waiting import until


def asked(server: ApiServer, path: str) -> socket.socket:
    """Open a connection, send a request and leave the response unread."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n".encode())
    return connection


def send_for(connection: socket.socket, seconds: float) -> None:
    """Send as much as possible. Raises the exception that ends the connection."""
    connection.setblocking(False)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            connection.send(bytes(65536))
        except BlockingIOError:
            time.sleep(0.05)


def test_unread_download_closes_the_connection(
    server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(downloads, "SEND_SECONDS", 0.3)
    recording = engine.make_recording(body=bytes(30_000_000))
    with caplog.at_level(logging.INFO), asked(server, f"/v1/recordings/{recording.recording_id}/download"):
        until(lambda: "the client read nothing for 0.3 s; connection aborted" in caplog.text)
        until(lambda: not server.server.server_state.connections)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.exhaustive
def test_open_downloads_of_a_link_are_limited(
    server: ApiServer, engine: RecordedEngine, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 88 of the faults: a public link must not fill the memory with downloads that are not read."""
    engine.finish(clip, bytes(30_000_000))
    with server.client() as http:
        links = [http.post(f"/v1/clips/{clip.clip_id}/shares", json={}).json()["video_url"] for _ in range(2)]
        paths = [link.partition(str(server.port))[2] for link in links]
        download = f"/v1/clips/{clip.clip_id}/download"
        with ExitStack() as stack:
            for _ in range(220):
                stack.enter_context(asked(server, paths[0]))
            until(lambda: http.get(links[0], headers={"Range": "bytes=0-9"}).status_code == 429)
            refused = http.get(links[0], headers={"Range": "bytes=0-9"})
            assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate_limited", "10")
            for path in (links[1], download):
                assert http.get(path, headers={"Range": "bytes=0-9"}).status_code == 206
        until(lambda: http.get(links[0], headers={"Range": "bytes=0-9"}).status_code == 206)
        monkeypatch.setitem(shares.LIMITS, "downloads", shares.Limit(0))
        archive = http.post("/v1/clips/archive", json={"clip_ids": [clip.clip_id]})
        assert [http.get(download).status_code, archive.status_code] == [429, 429]


@pytest.mark.exhaustive
def test_downloads_that_are_not_read_use_little_memory(server: ApiServer, engine: RecordedEngine, clip: Clip) -> None:
    """Row 88 of the faults."""
    engine.finish(clip, bytes(30_000_000))
    with server.client() as http:
        link = http.post(f"/v1/clips/{clip.clip_id}/shares", json={}).json()["video_url"]
    with memory_growth_below(100), ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(asked(server, link.partition(str(server.port))[2]))
        time.sleep(1)


def test_unread_stream_closes_the_connection(
    server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "SEND_SECONDS", 0.3)
    recording = engine.make_recording()
    with caplog.at_level(logging.INFO), asked(server, "/v1/events"):
        until(lambda: server.app.state.changes._watchers)
        for _ in range(40):
            metadata = {f"k{number}": "x" * 2000 for number in range(100)}
            engine.ledger.clips.cancel(engine.make_clip(recording, metadata=metadata).clip_id)
        until(lambda: "GET /v1/events: the client read nothing for 0.3 s; connection aborted" in caplog.text)
        until(lambda: not server.server.server_state.connections)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_kernel_drops_unacknowledged_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a close no response is pending, but the kernel still holds the sent bytes for the client."""
    monkeypatch.setattr(http_server, "SEND_TIMEOUT_SECONDS", 1.0)
    with http_server.listen("127.0.0.1", 0) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        connection, _ = listener.accept()
        with connection:
            with pytest.raises(OSError, match="timed out") as caught:
                send_for(connection, seconds=300)
            assert caught.value.errno == errno.ETIMEDOUT
