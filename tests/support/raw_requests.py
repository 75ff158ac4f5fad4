"""Requests as bytes, also such as no client library sends."""

from __future__ import annotations

import contextlib
import socket
import time

CHUNKED = "Transfer-Encoding: chunked"
# What follows the head of a chunked request, and a piece that a client repeats: row 82 of the faults.
ENDLESS = {
    "trailers": (b"0\r\n", b"a:\r\n" * 16_384),
    "trailer value": (b"0\r\n", b"a: " + b"a" * 65_536),
    "trailer name": (b"0\r\na", b"a" * 65_536),
    "chunk extensions": (b"5;", b"name=value;" * 6_000),
}
PIECES = 384  # of 64 KiB


def answer_to(port: int, *pieces: bytes, pause: float = 0.0, times: int = 1) -> bytes:
    """Return the bytes received until the server closes; send the pieces `times` times with pauses."""
    with socket.create_connection(("127.0.0.1", port), timeout=300) as connection:
        with contextlib.suppress(OSError):
            for _ in range(times):
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


def head(line: str, *fields: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()


def floods(line: str) -> dict[str, list[bytes]]:
    """Return requests with this first line that try to fill the memory of a server, by name and as pieces."""
    chunked, livez = head(line, CHUNKED, "Connection: close"), head("GET /livez")
    upgrade = head(line, "Connection: Upgrade", "Upgrade: h2c")
    return {
        **{name: [chunked + start, *[piece] * PIECES] for name, (start, piece) in ENDLESS.items()},
        "chunks of a byte": [chunked, *[b"1\r\n \r\n" * 10_000] * 100, b"0\r\n\r\n"],
        "pipelining": [livez * 2_000 + head("GET /livez", "Connection: close")],
        "Expect": [head(line, "Expect: 100-continue", "Content-Length: 1000000000", "Connection: close")],
        "Upgrade": [upgrade, *[b"x" * 65_536] * PIECES],
    }
