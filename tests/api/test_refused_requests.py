"""Requests that the OpenAPI schema allows and the server refuses: the list of the manual is complete and true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from jsonschema import Draft202012Validator

import clipengine
from clipengine.recordings.recording import Recording

PAGE = Path(clipengine.__file__).parent / "docs" / "refused.md"
CLIP = {"label": "x", "start_seconds": 1, "end_seconds": 3}


class Case(NamedTuple):
    code: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    query: dict[str, str] | None = None


def clip(code: str = "invalid_request", **fields: Any) -> Case:
    return Case(code, "POST", "/v1/recordings/{recording_id}/clips", {**CLIP, **fields})


def output(**options: Any) -> Case:
    return clip(output=options)


def register(code: str = "invalid_request", **fields: Any) -> Case:
    return Case(code, "POST", "/v1/recordings", fields)


def listed(path: str, **query: str) -> Case:
    return Case("invalid_request", "GET", path, query=query)


TIME = "2026-01-31T18:02:05Z"
POINT = {"x": 0.5, "y": 0.5}
# By the first column of the table, in its order.
CASES = {
    "a range that ends before it begins": clip("invalid_time_range", end_seconds=0.5),
    "a range beyond the end of the recording": clip("invalid_time_range", end_seconds=1e6),
    "a kept range that ends before it begins": clip(
        without=["silence"], keep_ranges=[{"start_seconds": 2, "end_seconds": 1}]
    ),
    "captions of more than 60 s": Case(
        "invalid_request",
        "POST",
        "/v1/recordings/{recording_id}/captions",
        {"language": "en", "start_seconds": 0, "end_seconds": 61},
    ),
    "a muted range that ends before it begins": output(mute=[[3, 1]]),
    "points of a movement that are not in order": output(
        aspect="9:16", fit="crop", focus=[{"at_seconds": 2, **POINT}, {"at_seconds": 1, **POINT}]
    ),
    "a crop that ends outside the picture": output(crop={"x": 0.5, "y": 0, "width": 0.6, "height": 1}),
    "a ratio beyond 1:10 or 10:1": output(aspect="100:1"),
    "`camera` or `day` without a `folder`": register(bucket_path="a.mp4", camera="yard"),
    "`fit` without an `aspect` or a `size`": output(fit="crop"),
    "`focus` without an `aspect` or a `size`": output(focus={"x": 0.5, "y": 0.5}),
    "`size` together with `max_height`": output(size={"width": 320, "height": 240}, max_height=240),
    "`to_seconds` together with `speed`": output(speed=2, to_seconds=10),
    "`kind=next` of moments without `to` or `at_seconds`": listed("/v1/recordings/{recording_id}/moments"),
    "parameters of the other `kind` of moments": listed(
        "/v1/recordings/{recording_id}/moments", kind="suggestion", direction="next"
    ),
    "a whole number that is written `1.0`": clip(priority=1.0),
    "a language that is not registered": clip(subtitles={"language": "Uf"}),
    "a cursor that no list has returned": listed("/v1/clips", cursor="abcd"),
    "a search without a letter or a digit": listed("/v1/clips", q="…"),
    "a key of `metadata` without a letter or a digit, in a filter": Case(
        "invalid_request", "GET", "/v1/clips", query={"metadata.§": "x"}
    ),
    "a `pattern` without a time or a number": register("pattern_invalid", folder="cam/", pattern="a.mp4"),
    "a `bucket_path` with control characters": register("invalid_bucket_path", bucket_path="a\u0001.mp4"),
    "a time before 1970 or after 2199": register(bucket_path="a.mp4", started_at="1901-01-01T00:00:00Z"),
    "an `expires_at` in the past": clip(expires_at="2001-01-01T00:00:00Z"),
    "an unknown profile": clip("unknown_profile", profile="no such"),
    "an unknown watermark": clip("unknown_watermark", output={"watermark": "nosuch"}),
    "a `webhook_url` that is not public": clip("invalid_webhook_url", webhook_url="http://169.254.169.254/"),
    "times at which a series has nothing": Case(
        "nothing_recorded",
        "POST",
        "/v1/clips/by-time",
        {"series": ["yard"], "label": "x", "start_time": TIME, "end_time": "2026-01-31T18:02:20Z"},
    ),
    "an `Idempotency-Key` of another request": clip("idempotency_key_reused"),
}


def test_list_of_refused_requests_is_that_of_the_manual() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [row[0] for row in rows if row[0] not in ("request", "---")] == [*CASES]


@pytest.mark.exhaustive
def test_listed_requests_conform_to_the_schema_and_are_refused(http: httpx.Client, recording: Recording) -> None:
    document = http.get("/v1/openapi.json").json()
    ids = {"recording_id": recording.recording_id}
    http.post(f"/v1/recordings/{recording.recording_id}/clips", json=CLIP, headers={"Idempotency-Key": "one"})
    wrong = []
    for name, case in CASES.items():
        operation = document["paths"][case.path][case.method.lower()]
        faults = [*_faults(case, operation, document)]
        headers = {"Idempotency-Key": "one"} if case.code == "idempotency_key_reused" else {}
        body = {**case.body, "end_seconds": 2} if headers and case.body else case.body
        answer = http.request(case.method, case.path.format(**ids), json=body, params=case.query, headers=headers)
        if faults or answer.status_code != 422 or answer.json()["code"] != case.code:
            wrong.append((name, faults, answer.status_code, answer.text))
    assert not wrong, "\n".join(map(str, wrong))


def _faults(case: Case, operation: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Return what the schema says against the body and the parameters."""
    if case.body is not None:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        validator = Draft202012Validator({**schema, "components": document["components"]})
        return [error.message for error in validator.iter_errors(case.body)]
    schemas = {each["name"]: each["schema"] for each in operation["parameters"]}
    known = [(name, value) for name, value in (case.query or {}).items() if not name.startswith("metadata.")]
    return [name for name, value in known if not Draft202012Validator(schemas[name]).is_valid(value)]
