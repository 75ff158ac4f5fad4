"""The OpenAPI document is valid and complete, and routes require the scopes and give the responses it declares."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

import clipengine
from clipengine.api.app import create_app
from clipengine.api.http.former import former_path
from clipengine.basis.events import EventType
from clipengine.clips.clip import Clip
from clipengine.errors import ClipEngineError, by_code
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer, Check, RecordedEngine, api_server, recorded_engine

OPEN = {"/livez", "/readyz", "/v1/ingest/{source}"}  # no API key is needed


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> str:
    with (
        recorded_engine(tmp_path_factory.mktemp("document")) as engine,
        api_server(engine) as server,
        server.client() as http,
    ):
        answer = http.get("/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.text


@pytest.fixture
def document(served: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(served)
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), re.sub(r"\{(\w+)_id\}", r"\1_x", path), described)
        for path, methods in document["paths"].items()
        if path not in OPEN
        for method, described in methods.items()
    ]


def test_api_document_lists_every_route_with_its_scope(document: dict[str, Any]) -> None:
    """Except the second paths of clips, which the document describes together."""
    folder = Path(clipengine.__file__).parent / "docs"
    text = "\n".join(
        (folder / page).read_text("utf-8")
        for page in ("access.md", "api.md", "many-clips.md", "rules.md", "uploads.md")
    )
    listed = set(re.findall(r"^\| `([A-Z]+) (/[^`?]+)(?:\?\w+=)?` \| .+ \| (\w+) \|$", text, re.MULTILINE))
    assert listed == {
        (method.upper(), path, described.get("x-scope", "none"))
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if not path.startswith("/v1/recordings/{recording_id}/clips/{clip_id}")
    }


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [described["operationId"] for _, _, described in operations(document)]
    assert len(set(ids)) == len(ids)


def test_every_route_is_described(document: dict[str, Any], server: ApiServer) -> None:
    routes = {route.path for route in server.app.routes}  # type: ignore[attr-defined]
    former = {former_path(path) for path in document["paths"]} - set(document["paths"])
    described = {path for path in routes if path.startswith("/v1/")} - {"/v1/openapi.json"} - former
    assert described | OPEN == set(document["paths"])


def test_every_route_requires_its_scope(server: ApiServer, engine: RecordedEngine, document: dict[str, Any]) -> None:
    engine.make_recording()
    keys = {
        scope: engine.ledger.keys.create(scope, [other for other in ("read", "write", "admin") if other != scope])[1]
        for scope in ("read", "write", "admin")
    }
    assert len(operations(document)) > 30
    with server.client("") as http:
        for method, path, described in operations(document):
            for header, status, code in (
                (None, 401, "unauthorized"),
                ("Bearer relay_live_wrong", 401, "unauthorized"),
                (f"Bearer {keys[described['x-scope']]}", 403, "forbidden"),
            ):
                answer = http.request(method, path, headers={"Authorization": header} if header else {})
                assert (answer.status_code, answer.json()["code"]) == (status, code), (method, path)
                assert str(status) in described["responses"]


def test_unknown_parameter_is_rejected_everywhere(http: httpx.Client, document: dict[str, Any]) -> None:
    for method, path, described in operations(document):
        body: dict[str, Any] = {"json": {}} if "requestBody" in described else {}
        answer = http.request(method, f"{path}?surprise=1", **body)
        assert answer.status_code == 422, (method, path)
        faults = [(fault.get("parameter"), fault["detail"]) for fault in answer.json()["errors"]]
        assert ("surprise", "is not a known parameter") in faults


def test_every_documented_error_code_exists(document: dict[str, Any]) -> None:
    shared = document["components"]["responses"]
    for _, _, described in operations(document):
        for status, answer in described["responses"].items():
            text = shared[answer["$ref"].rpartition("/")[2]]["description"] if int(status) >= 400 else ""
            for code in re.findall(r"`(\w+)`", text):
                kind: type[ClipEngineError] = by_code(code)
                assert (kind.code, str(kind.status)) == (code, status)


def test_operations_have_the_names_of_their_handlers(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert paths["/v1/clips/{clip_id}"]["get"]["operationId"] == "get_clip"
    assert paths["/v1/recordings/{recording_id}/clips"]["get"]["operationId"] == "list_clips_of_recording"
    assert paths["/v1/webhooks/{webhook_id}/deliveries"]["get"]["operationId"] == "list_deliveries_of_webhook"


def test_generated_clients_need_no_field_that_has_a_default(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert "default" not in described, f"{name}.{field}"
            assert not ("x-default" in described and field in schema.get("required", ())), f"{name}.{field}"
    assert document["components"]["schemas"]["CreateClip"]["properties"]["profile"]["x-default"] == "default"


def test_every_event_is_described_with_its_data(document: dict[str, Any], engine: RecordedEngine) -> None:
    assert set(document["webhooks"]) == set(get_args(EventType))
    made = engine.make_recording()
    (event,) = engine.ledger.events.after(0)
    body = document["webhooks"][event.type]["post"]["requestBody"]["content"]["application/json"]["schema"]
    Draft202012Validator({**body, "components": document["components"]}).validate(event.payload)
    assert event.recording_id == made.recording_id
    wrong = {**event.payload, "event": "clip.ready"}
    assert not Draft202012Validator({**body, "components": document["components"]}).is_valid(wrong)


def test_every_parameter_of_a_path_is_described(document: dict[str, Any]) -> None:
    for _, path, described in operations(document):
        found = [each for each in described.get("parameters", ()) if each["in"] in ("path", "header")]
        assert all(each["description"] for each in found), path


def test_keys_of_maps_are_limited(document: dict[str, Any]) -> None:
    """Keys that match none of `patternProperties` could have any value."""
    assert "patternProperties" not in json.dumps(document)
    metadata = document["components"]["schemas"]["CreateClip"]["properties"]["metadata"]
    clips = Draft202012Validator(metadata)
    assert [clips.is_valid(each) for each in ({"a": "b"}, {"a\0": "b"}, {"a": 1}, {"": "b"})] == [
        True,
        False,
        False,
        False,
    ]


def test_cues_in_json_are_described(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/recordings/{recording_id}/transcripts/{language}"]["put"]["requestBody"]
    schema = {**body["content"]["application/json"]["schema"], "components": document["components"]}
    cue = {"start_seconds": 0, "end_seconds": 1.5, "text": "x"}
    assert Draft202012Validator(schema).is_valid([cue])
    for wrong in ({**cue, "more": 1}, {"text": "x"}, {**cue, "start_seconds": -1}):
        assert not Draft202012Validator(schema).is_valid([wrong])


def test_request_schemas_match_the_validation(document: dict[str, Any]) -> None:
    clip = document["components"]["schemas"]["CreateClip"]
    assert clip["required"] == ["label"]
    assert clip["additionalProperties"] is False
    assert clip["properties"]["start_seconds"]["anyOf"] == [{"type": "number"}, {"type": "null"}]
    assert (clip["properties"]["priority"]["minimum"], clip["properties"]["priority"]["maximum"]) == (-10, 10)
    listing = document["paths"]["/v1/clips"]["get"]["parameters"]
    assert [each["name"] for each in listing] == [
        "status",
        "created_after",
        "created_before",
        "q",
        "tag",
        "metadata",
        "limit",
        "cursor",
        "mine",
        "label",
        "variant_of",
        "sort",
        "recording_id",
    ]
    limit = listing[6]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 100, 50)


def test_responses_match_their_schemas(
    http: httpx.Client, document: dict[str, Any], engine: RecordedEngine, recording: Recording, clip: Clip
) -> None:
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        if "properties" in schema:
            schema["additionalProperties"] = False

    def check(model: str, answer: httpx.Response) -> Any:
        schema = {"$ref": f"#/components/schemas/{model}", "components": {"schemas": schemas}}
        Draft202012Validator(schema).validate(answer.json())
        if "properties" in schemas[model] and answer.status_code < 400:
            assert list(answer.json()) == list(schemas[model]["properties"]), model
        return answer.json()

    check("ClipObject", http.get(f"/v1/clips/{clip.clip_id}"))
    webhook = check("NewWebhookObject", http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"}))
    check("WebhookObject", http.get(f"/v1/webhooks/{webhook['webhook_id']}"))
    engine.finish(clip)
    check("ClipObject", http.get(f"/v1/clips/{clip.clip_id}"))
    check("NewShareObject", http.post(f"/v1/clips/{clip.clip_id}/shares", json={}))
    check("ClipObject", http.get(f"/v1/clips/{engine.fail(engine.make_clip(recording, 'bad')).clip_id}"))
    check("RecordingObject", http.get(f"/v1/recordings/{recording.recording_id}"))
    delivery = check("DeliveryObject", http.post(f"/v1/webhooks/{webhook['webhook_id']}/test"))
    check("DeliveryPayloadObject", http.get(f"/v1/deliveries/{delivery['delivery_id']}"))
    check("ProblemObject", http.get("/v1/clips/clip_x"))
    check("ProblemObject", http.post(f"/v1/recordings/{recording.recording_id}/clips", json={}))
    check("HealthObject", http.get("/readyz"))


class TestHealth:
    def test_liveness_needs_no_key(self, server: ApiServer) -> None:
        with server.client("") as http:
            answer = http.get("/livez")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_readiness_lists_its_checks(self, server: ApiServer, engine: RecordedEngine) -> None:
        with server.client("") as anyone, server.client() as known:
            answer = anyone.get("/readyz")
            assert (answer.status_code, answer.json()) == (
                200,
                {"status": "ok", "checks": [{"name": "database", "ok": True}]},
            )
            engine.checks.append(Check("store", False, "http://10.0.0.5:9000 does not answer"))
            failing = anyone.get("/readyz")
            assert (failing.status_code, failing.json()["status"]) == (503, "failing")
            assert "10.0.0.5" not in failing.text
            assert known.get("/readyz").json()["checks"][1]["detail"] == "http://10.0.0.5:9000 does not answer"


def test_application_can_be_created_more_than_once(engine: RecordedEngine) -> None:
    assert create_app(engine) is not create_app(engine)


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("RegisterRecording", "/v1/recordings", {}),
        ("RegisterRecording", "/v1/recordings", {"bucket_path": "a.mp4", "url": "https://example.org/a.mp4"}),
        ("RegisterRecording", "/v1/recordings", {"bucket_path": "a.mp4", "name": "a\nb"}),
        ("RegisterRecording", "/v1/recordings", {"bucket_path": "a.mp4", "tags": ["a", "a"]}),
        ("RegisterRecording", "/v1/recordings", {"bucket_path": "a.mp4", "tags": [" a"]}),
        ("RegisterRecording", "/v1/recordings", {"bucket_path": "a.mp4", "tags": ["a,b"]}),
        ("RegisterRecording", "/v1/recordings", {"bucket_path": "a.mp4", "metadata": {"a": "\0"}}),
        ("CreateWebhook", "/v1/webhooks", {"url": "https://example.org/", "events": ["clip.ready", "clip.ready"]}),
        ("CreateWebhook", "/v1/webhooks", {"url": "https://example.org/", "secret": "sixteen characters"}),
        ("CreateClip", "/v1/recordings/rec_x/clips", {"label": "a"}),
        ("CreateClip", "/v1/recordings/rec_x/clips", {"label": "a", "start_seconds": 1.0}),
        (
            "CreateClip",
            "/v1/recordings/rec_x/clips",
            {"label": "a", "end_seconds": 1.0, "parts": [{"start_seconds": 0.0, "end_seconds": 1.0}]},
        ),
        ("ArchiveClips", "/v1/clips/archive", {"clip_ids": ["clip_1", "clip_1"]}),
        ("CreateKey", "/v1/keys", {"name": "a\x1bb"}),
    ],
)
@pytest.mark.typical(2)
def test_schema_refuses_what_the_server_refuses(
    http: httpx.Client, document: dict[str, Any], name: str, path: str, body: dict[str, Any]
) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    assert http.post(path, json=body).status_code == 422
    assert not Draft202012Validator(schema).is_valid(body)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("RegisterRecording", {"bucket_path": "a.mp4", "url": None, "name": "Bücher, 日本", "tags": ["a b", "ü"]}),
        ("RegisterRecording", {"url": "https://example.org/a.mp4"}),
        ("CreateClip", {"label": "a", "start_seconds": 1, "end_seconds": 2.5, "parts": None}),
        ("CreateClip", {"label": "a", "parts": [{"start_seconds": 0.0, "end_seconds": 1.0}]}),
    ],
)
@pytest.mark.typical(2)
def test_schema_accepts_what_the_server_accepts(document: dict[str, Any], name: str, body: dict[str, Any]) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    Draft202012Validator(schema).validate(body)


def test_every_tag_and_common_status_is_described(document: dict[str, Any]) -> None:
    used = {tag for _, _, described in operations(document) for tag in described["tags"]}
    assert used <= {tag["name"] for tag in document["tags"]}
    assert all({"401", "403", "429"} <= set(each["responses"]) for _, _, each in operations(document))
    assert all(
        {"400", "431"} <= set(each["responses"]) for path in document["paths"].values() for each in path.values()
    )


@pytest.mark.parametrize("path", ["/v1/ingest/s3", "/v1/clips", "/livez"])
def test_trace_is_answered_with_the_allowed_methods(http: httpx.Client, path: str) -> None:
    answer = http.request("TRACE", path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"]


def _properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all properties inside a schema, except those of conditions, which repeat others."""
    if isinstance(schema, list):
        for each in schema:
            yield from _properties(each)
    elif isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for name, each in schema.items():
            if name not in ("if", "then", "else", "examples", "example"):
                yield from _properties(each)


def test_every_property_and_parameter_is_described(document: dict[str, Any]) -> None:
    undescribed = [name for name, each in _properties(document) if not each.get("description")]
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            parameters = described.get("parameters", [])
            undescribed += [f"{method} {path}: {each['name']}" for each in parameters if not each.get("description")]
    assert undescribed == []


def test_every_response_has_a_valid_example(document: dict[str, Any]) -> None:
    checked = 0
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            for status, response in described["responses"].items():
                for content in response.get("content", {}).values():
                    if "schema" in content and status.startswith("2"):
                        schema = {**content["schema"], "components": document["components"]}
                        faults = [each.message for each in Draft202012Validator(schema).iter_errors(content["example"])]
                        assert faults == [], (method, path)
                        checked += 1
    assert checked > 40


def test_header_and_payload_of_events_are_described(document: dict[str, Any]) -> None:
    headers = [each for each in document["paths"]["/v1/events"]["get"]["parameters"] if each["in"] == "header"]
    assert [each["name"] for each in headers] == ["Last-Event-ID"]
    payload = document["components"]["schemas"]["DeliveryPayloadObject"]["properties"]["payload"]
    events = [each["$ref"].rpartition("/")[2] for each in payload["oneOf"]]
    named = [document["components"]["schemas"][each]["properties"]["event"]["const"] for each in events]
    assert named == list(get_args(EventType))


@pytest.mark.exhaustive
def test_redocly_finds_no_error(document: dict[str, Any], tmp_path: Path) -> None:
    node, sources = shutil.which("node"), Path(__file__).parents[2] / "scripts" / "typescript"
    redocly = sources / "node_modules" / ".bin" / "redocly"
    if node is None or not redocly.exists():
        pytest.skip("needs node, and redocly from `npm ci` (make check)")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(map(int, version.removeprefix("v").split(".")[:2])) < (20, 19):
        pytest.skip(f"redocly needs Node 20.19 or newer; this is {version}")
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    done = subprocess.run(
        [node, redocly, "lint", "--config", sources / "redocly.yaml", "openapi.json"],
        cwd=tmp_path,
        env={"PATH": str(Path(node).parent), "HOME": str(tmp_path), "REDOCLY_TELEMETRY": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_address_of_other_servers_redirects_to_the_document(http: httpx.Client) -> None:
    answer = http.get("/openapi.json")
    assert (answer.status_code, answer.headers["location"]) == (308, "/v1/openapi.json")
