"""Requests for a clip over HTTP, the fields of the response, and checks of a rejection."""

from __future__ import annotations

import re
from typing import Any

import httpx

BODY = {"label": "key-moment", "start_seconds": 120.0, "end_seconds": 150.0}
FIXED_KEYS = [
    "clip_id",
    "recording_id",
    "label",
    "start_seconds",
    "end_seconds",
    "status",
    "bucket_path",
    "created_at",
    "completed_at",
]
MORE_KEYS = ["progress", "step", "profile", "priority", "metadata", "attempt", "error", "result", "expires_at"]
MORE_KEYS += ["request_id", "render", "output", "parts", "tags", "snap", "subtitles", "queue", "wait_until"]
MORE_KEYS += ["start_time", "end_time", "without", "variant_of", "revision", "created_by", "waits_for"]
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


def post(http: httpx.Client, recording_id: str, body: object = BODY, **headers: str) -> httpx.Response:
    return http.post(f"/v1/recordings/{recording_id}/clips", json=body, headers=headers)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    return problem


def pointers(problem: dict[str, Any]) -> list[str]:
    return [fault["pointer"] for fault in problem["errors"]]
