"""U+0000 in texts of requests, which PostgreSQL cannot store: the API rejects it. Row 84 of the faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.hosts import SECONDS, Hosts
from tests.support.postgres import database_url, postgres  # noqa: F401 - fixtures
from tests.support.server import RunningServer

pytestmark = pytest.mark.outage

_NUL = "a\0b"
_SPAN = {"start_seconds": 1, "end_seconds": 2}
_LISTS = ("/v1/recordings", "/v1/clips", "/v1/webhooks", "/v1/keys", "/v1/events", "/v1/search?q=a", "/v1/status")


def _texts(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the path of each text of a schema that is not one of a list of constants; "0" is an item, "*" any name."""
    if "$ref" in schema:
        yield from _texts(schemas[schema["$ref"].rpartition("/")[2]], schemas)
        return
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _texts(choice, schemas)
    if schema.get("type") == "string" and not {"enum", "const"} & schema.keys():
        yield ()
    inner = [
        *schema.get("properties", {}).items(),
        ("0", schema.get("items")),
        ("*", schema.get("additionalProperties")),
    ]
    for name, each in inner:
        if isinstance(each, dict):
            yield from ((name, *rest) for rest in _texts(each, schemas))


def _with(value: Any, path: tuple[str, ...], text: str) -> Any:
    """Return a copy of a body in which the text at the path is this one."""
    if not path:
        return text
    name, *rest = path
    if name == "0":
        return [_with(value[0] if value else _SPAN, tuple(rest), text)]
    fields = value if isinstance(value, dict) else {}
    name = "name" if name == "*" else name
    return fields | {name: _with(fields.get(name), tuple(rest), text)}


def _operations(document: dict[str, Any], ids: dict[str, str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path.format_map(ids), operation


def _body(path: str, field: tuple[str, ...], ids: dict[str, str]) -> Any:
    """Return the required fields of the body of an operation, whose clip has parts if the field is one of a part."""
    clip = {"label": "a"} if "parts" in field else {"label": "a", **_SPAN}
    if path.endswith("/clips/batch"):
        return {"clips": [clip | {"recording_id": ids["recording_id"]}]}
    if path.endswith("/clips/variants"):
        return {"changes": {}} | ({} if field[0] == "clip_ids" else {"filter": {}})
    if path.endswith("/ranges/file"):
        return {"format": "csv", "ranges": [_SPAN]}
    if path.endswith("/segments"):
        return {"segments": []}
    if "/transcripts/" in path:
        return [_SPAN | {"text": "a"}]
    tried, rule = {"recording_id": ids["recording_id"]}, {"ranges": {"kind": "all"}}
    for end, body in (("/rules/try", rule | tried), ("/try", tried), ("/rules", rule | {"name": "a"})):
        if path.endswith(end):
            return body
    if path.endswith("/clips/by-time"):
        times = {"start_time": "2026-11-28T12:00:00Z", "end_time": "2026-11-28T12:00:01Z"}
        return {"label": "a", "series": ["a"], **times}
    if path.endswith("/recordings") and field[0] in ("folder", "pattern", "camera", "day", "timezone"):
        return {"folder": "a/", "pattern": "%H.mp4"}
    if path.endswith("/webhooks") and field[0] == "wants":
        return {"url": "https://example.com/"}
    return clip if path.endswith(("/clips", "/clips/plan")) else {}


@pytest.fixture
def server(hosts: Hosts) -> RunningServer:
    return hosts.server("server")


@pytest.fixture
def ids(server: RunningServer, hosts: Hosts, film: Path) -> dict[str, str]:
    """Return a value of each parameter of the paths."""
    with server.client() as api:
        recording = hosts.recording(api, film)
        api.recordings.update(recording, series="a", started_at="2026-11-28T11:59:59Z")
        clip = api.clips.create(recording, "a", 1, 2).clip_id
        webhook = api.webhooks.create(hosts.receiver.url).webhook_id
        rule = api.rules.create("rule", ranges={"kind": "all"}).rule_id
        batch = api.clips.variants({"render": "smart"}, clip_ids=["x"]).batch_id
        assert api.clips.wait(clip, timeout=SECONDS).status == "complete"
    others = {"language": "en"} | dict.fromkeys(
        (
            "share_id",
            "transcript_id",
            "delivery_id",
            "key_id",
            "source",
            "name",
            "number",
            "upload_id",
            "user_id",
            "session_id",
        ),
        "x",
    )
    return {
        "recording_id": recording,
        "clip_id": clip,
        "webhook_id": webhook,
        "rule_id": rule,
        "batch_id": batch,
    } | others


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=300, trust_env=False) as client:
        yield client


def test_every_text_of_every_request(http: httpx.Client, ids: dict[str, str]) -> None:
    document = http.get("/v1/openapi.json").json()
    fields = 0
    for method, path, operation in _operations(document, ids):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for field in set(_texts(content.get("schema", {}), document["components"]["schemas"])):
            answer = http.request(method, path, json=_with(_body(path, field, ids), field, _NUL))
            if "/transcripts/" in path and answer.is_success:
                assert "\\u0000" not in http.get(path).text  # control characters of cues are removed
                continue
            if path.endswith("/ranges"):
                assert answer.status_code == 422, answer.text  # as a file that has no known format
                continue
            name = next(part for part in reversed(field) if part not in "0*")
            assert answer.status_code in (404, 422), (method, path, field, answer.text)
            assert name in answer.text or "U+0000" in answer.text, (method, path, field, answer.text)
            fields += 1
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                assert _status(http, method, f"{path}?{parameter['name']}=a%00b") < 500, (path, parameter["name"])
    for path in document["paths"]:
        if "{" in path:
            assert _status(http, "GET", path.format_map(dict.fromkeys(ids, "a%00b"))) < 500, path
    assert fields >= 40
    _check_answers(http)


@pytest.mark.parametrize(
    ("media_type", "text"),
    [
        ("text/vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\na\0b\n"),
        ("application/x-subrip", "1\n00:00:00,000 --> 00:00:01,000\na\0b\n"),
        ("application/json", '[{"start_seconds": 0, "end_seconds": 1, "text": "a\\u0000", "speaker": "a"}]'),
    ],
)  # fmt: skip
def test_texts_of_transcripts(media_type: str, text: str, http: httpx.Client, ids: dict[str, str]) -> None:
    path = f"/v1/recordings/{ids['recording_id']}/transcripts/en"
    answer = http.put(path, content=text.encode(), headers={"Content-Type": media_type})
    assert answer.status_code in (200, 201, 422), answer.text
    if answer.status_code != 422:
        assert "\\u0000" not in http.get(path).text
    _check_answers(http)


def _check_answers(http: httpx.Client) -> None:
    for path in _LISTS:
        assert _status(http, "GET", path) == 200, path


def _status(http: httpx.Client, method: str, path: str) -> int:
    """Return the status of the answer, whose body may be a stream without an end."""
    with http.stream(method, path) as answer:
        return answer.status_code
