"""Requests of tus 1.0 for tests."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx

HEADERS = {"Tus-Resumable": "1.0.0"}
BYTES = "application/offset+octet-stream"


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def metadata(filename: str | None = "talk.mp4", recording: Any = None) -> str:
    pairs = {} if filename is None else {"filename": encoded(filename)}
    if recording is not None:
        pairs["recording"] = encoded(json.dumps(recording))
    return ",".join(f"{key} {value}" for key, value in pairs.items())


def begin(
    http: httpx.Client, size: int, *, recording: Any = None, content: Any = b"", **headers: str
) -> httpx.Response:
    given = {**HEADERS, "Upload-Length": str(size), "Upload-Metadata": metadata(recording=recording), **headers}
    if content:
        given["Content-Type"] = BYTES
    return http.post("/v1/uploads", content=content, headers=given)


def append(http: httpx.Client, path: str, offset: int, content: Any, **headers: str) -> httpx.Response:
    given = {**HEADERS, "Upload-Offset": str(offset), "Content-Type": BYTES, **headers}
    return http.patch(path, content=content, headers=given)


def offset(http: httpx.Client, path: str) -> int:
    answer = http.head(path, headers=HEADERS)
    assert answer.status_code == 200, answer
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])
