"""A counting S3 endpoint: one object in one bucket, served in ranges from a file with a configurable delay.

It checks no signature and counts each byte handed to the kernel. Its send buffer is small, so that bytes which a
client leaves unread are not counted.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 32 * 1024
_SEND_BUFFER_BYTES = 64 * 1024


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        found = path.stat()
        self.path = path
        self.size = found.st_size
        self.modified = formatdate(found.st_mtime, usegmt=True)
        self.etag = hashlib.md5(f"{path} {found.st_mtime_ns}".encode()).hexdigest()
        self.delay = delay
        self.lock = threading.Lock()
        self.requests = self.sent = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect when they have their bytes."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        time.sleep(self.server.delay)  # opening a connection takes one round trip
        super().setup()

    def do_HEAD(self) -> None:
        self._head(200, 0, self.server.size)

    def do_GET(self) -> None:
        size = self.server.size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        end = min(int(wanted[2]) + 1, size) if wanted and wanted[2] else size
        self._head(206 if wanted else 200, start, end)
        with self.server.path.open("rb") as file:
            file.seek(start)
            while start < end and (chunk := file.read(min(_CHUNK_BYTES, end - start))):
                self.wfile.write(chunk)
                start += len(chunk)
                with self.server.lock:
                    self.server.sent += len(chunk)

    def _head(self, status: int, start: int, end: int) -> None:
        time.sleep(self.server.delay)
        with self.server.lock:
            self.server.requests += 1
        self.send_response_only(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{self.server.size}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{self.server.etag}"')
        self.send_header("Last-Modified", self.server.modified)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Endpoint:
    """Serves the file as `/recordings/recording` while the block runs; `delay` is the round trip in seconds."""

    bucket, key = "recordings", "recording"

    def __init__(self, path: Path, *, delay: float) -> None:
        self._server = _Server(path, delay)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def taken(self) -> tuple[int, int]:
        """Return the bytes sent and requests answered since the last call."""
        with self._server.lock:
            taken = self._server.sent, self._server.requests
            self._server.sent = self._server.requests = 0
        return taken

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
