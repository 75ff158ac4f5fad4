"""The response of a change is built in its transaction: if that fails, nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clipengine.api.http import operation
from clipengine.api.http.operation import Operation
from clipengine.clips.variant import selection_of
from clipengine.ledger.automation.batches import BatchItem
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.database.schema import TABLES
from clipengine.rules.rule import RuleSpec
from tests.api.test_roles import LATER, make
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.postgres import kinds_of_ledger, migrated_location, postgres  # noqa: F401 - fixtures

NUMBERS = count()
SEEN = ("last_used_at", "last_seen_at")  # by the request itself, whatever comes of it
TUS = {"Tus-Resumable": "1.0.0"}
# Changes whose response has nothing of a row that they change.
WITHOUT_ROWS = {
    "PATCH /v1/uploads/{upload_id}": "the bytes are stored when they arrive; 204 has the offset in a header",
    "POST /v1/uploads/{upload_id}/parts": "links of the store",
}

Prepared = tuple[str, dict[str, Any]]  # path and options of a request
Prepare = Callable[[RecordedEngine], Prepared]


def on_recording(path: str = "", **options: Any) -> Prepare:
    return lambda engine: (f"/v1/recordings/{make(engine, None).recording.recording_id}{path}", options)


def on_clip(path: str = "", **options: Any) -> Prepare:
    return lambda engine: (f"/v1/clips/{make(engine, None).clip.clip_id}{path}", options)


def on_queued(path: str) -> Prepare:
    return lambda engine: (f"/v1/clips/{engine.make_clip(make(engine, None).recording).clip_id}{path}", {})


def on_cancelled(engine: RecordedEngine) -> Prepared:
    clip = engine.make_clip(make(engine, None).recording)
    engine.ledger.clips.cancel(clip.clip_id)
    return f"/v1/clips/{clip.clip_id}/retry", {}


def to_register(engine: RecordedEngine) -> Prepared:
    key = f"relay/recordings/answers/{next(NUMBERS)}.mp4"
    engine.put(key, b"media")
    return "/v1/recordings", {"json": {"bucket_path": key}}


def to_create_clips(engine: RecordedEngine) -> Prepared:
    clips = [
        {"recording_id": make(engine, None).recording.recording_id, "label": "x", "start_seconds": 1, "end_seconds": 2}
        for _ in range(2)
    ]
    return "/v1/clips/batch", {"json": {"clips": clips}}


def to_create_clips_by_time(engine: RecordedEngine) -> Prepared:
    series = f"camera {next(NUMBERS)}"
    values = {"series": series, "given_start": 1_700_000_000_000}
    engine.ledger.recordings.update(make(engine, None).recording.recording_id, values, {})
    times = {"start_time": "2023-11-14T22:13:30Z", "end_time": "2023-11-14T22:13:40Z"}
    return "/v1/clips/by-time", {"json": {"series": [series], "label": "x", **times}}


def to_create_variants(engine: RecordedEngine) -> Prepared:
    return "/v1/clips/variants", {"json": {"clip_ids": [make(engine, None).clip.clip_id], "changes": {"tags": ["x"]}}}


def to_delete_clips(engine: RecordedEngine) -> Prepared:
    return "/v1/clips/delete", {"json": {"clip_ids": [make(engine, None).clip.clip_id]}}


def on_batch(engine: RecordedEngine) -> Prepared:
    items = [BatchItem("", 0, "pending", source_clip_id="clip_x")]
    return f"/v1/batches/{engine.ledger.requested_batches.create('delete', items).batch_id}/cancel", {}


def on_transcription(engine: RecordedEngine) -> Prepared:
    made = engine.ledger.transcriptions.add(make(engine, None).recording.recording_id, source="local")
    return f"/v1/transcriptions/{made.transcript_id}/cancel", {}


def on_webhook(path: str = "", **options: Any) -> Prepare:
    def prepare(engine: RecordedEngine) -> Prepared:
        made = engine.ledger.endpoints.create("https://93.184.216.34/x", ["clip.ready"], "whsec_" + "A" * 32)
        return f"/v1/webhooks/{made.webhook_id}{path}", options

    return prepare


def on_delivery(engine: RecordedEngine) -> Prepared:
    clip = engine.make_clip(make(engine, None).recording, webhook_url="https://93.184.216.34/x")
    engine.ledger.clips.cancel(clip.clip_id)
    made = engine.ledger.deliveries.list(clip_id=clip.clip_id, limit=1).data[0]
    return f"/v1/deliveries/{made.delivery_id}/redeliver", {}


def rule(engine: RecordedEngine) -> str:
    spec = RuleSpec.model_validate({"ranges": {"kind": "all"}})
    return engine.ledger.rules.create(f"rule {next(NUMBERS)}", spec, enabled=True).rule_id


def on_backfill(engine: RecordedEngine) -> Prepared:
    made = rule(engine)
    engine.ledger.rules.start_backfill(made, created_after=None)
    return f"/v1/rules/{made}/backfill", {}


def on_user(engine: RecordedEngine) -> Prepared:
    user = engine.ledger.users.sign_in(f"u{next(NUMBERS)}", source="proxy", name="U", role="viewer")
    return f"/v1/users/{user.user_id}", {"json": {"role": "editor"}}


def to_delete_clips_of_recording(engine: RecordedEngine) -> Prepared:
    made = make(engine, None)
    selection = selection_of("delete", [made.clip.clip_id])
    return f"/v1/recordings/{made.recording.recording_id}/clips", {"params": {"selection": selection}}


CUE = [{"start_seconds": 0, "end_seconds": 1, "text": "x"}]
REQUESTS: dict[str, Prepare] = {
    "POST /v1/recordings": to_register,
    "PUT /v1/recordings/upload": lambda engine: (
        "/v1/recordings/upload",
        {"params": {"name": "a.mp4"}, "content": b"media", "headers": {"Content-Type": "application/octet-stream"}},
    ),
    "POST /v1/uploads": lambda engine: (
        "/v1/uploads",
        {"headers": {**TUS, "Upload-Length": "5", "Upload-Metadata": "filename YS5tcDQ="}},
    ),
    "POST /v1/clips/batch": to_create_clips,
    "POST /v1/clips/by-time": to_create_clips_by_time,
    "POST /v1/clips/variants": to_create_variants,
    "POST /v1/clips/delete": to_delete_clips,
    "POST /v1/webhooks": lambda engine: (
        "/v1/webhooks",
        {"json": {"url": f"https://93.184.216.34/{next(NUMBERS)}", "events": ["clip.ready"]}},
    ),
    "POST /v1/rules": lambda engine: (
        "/v1/rules",
        {"json": {"name": f"rule {next(NUMBERS)}", "ranges": {"kind": "all"}}},
    ),
    "POST /v1/keys": lambda engine: ("/v1/keys", {"json": {"name": "x"}}),
    "PATCH /v1/recordings/{recording_id}": on_recording(json={"name": "new", "expires_at": LATER}),
    "POST /v1/recordings/{recording_id}/end": on_recording("/end"),
    "POST /v1/recordings/{recording_id}/transcripts": on_recording("/transcripts", json={"language": "de"}),
    "POST /v1/transcriptions/{transcript_id}/cancel": on_transcription,
    "PUT /v1/recordings/{recording_id}/segments": on_recording("/segments", json={"segments": [], "title": "x"}),
    "POST /v1/recordings/{recording_id}/clips": on_recording(
        "/clips", json={"label": "x", "start_seconds": 1, "end_seconds": 2}
    ),
    "DELETE /v1/recordings/{recording_id}/clips": to_delete_clips_of_recording,
    "PATCH /v1/clips/{clip_id}": on_clip(json={"label": "new", "tags": ["x"], "expires_at": LATER}),
    "POST /v1/clips/{clip_id}/cancel": on_queued("/cancel"),
    "POST /v1/clips/{clip_id}/retry": on_cancelled,
    "POST /v1/batches/{batch_id}/cancel": on_batch,
    "POST /v1/clips/{clip_id}/shares": on_clip("/shares", json={}),
    "PATCH /v1/webhooks/{webhook_id}": on_webhook(json={"events": ["clip.failed"]}),
    "POST /v1/webhooks/{webhook_id}/test": on_webhook("/test"),
    "POST /v1/deliveries/{delivery_id}/redeliver": on_delivery,
    "PATCH /v1/rules/{rule_id}": lambda engine: (f"/v1/rules/{rule(engine)}", {"json": {"max_clips": 2}}),
    "POST /v1/rules/{rule_id}/backfill": lambda engine: (f"/v1/rules/{rule(engine)}/backfill", {"json": {}}),
    "DELETE /v1/rules/{rule_id}/backfill": on_backfill,
    "PATCH /v1/users/{user_id}": on_user,
    "PUT /v1/recordings/{recording_id}/transcripts/{language}": on_recording("/transcripts/de", json=CUE),
}


@pytest.fixture(params=kinds_of_ledger())
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedEngine]:
    sections: dict[str, Any] = {"transcription": {"url": "http://127.0.0.1:9/"}}
    if request.param == "postgres":
        place: PostgresLocation = request.getfixturevalue("migrated_location")
        sections["database"] = {"url": place.url, "secrets_key": place.secrets_key}
    with recorded_engine(tmp_path / "engine", **sections) as engine:
        yield engine


@pytest.fixture
def server(engine: RecordedEngine) -> Iterator[ApiServer]:
    with api_server(engine) as server:
        yield server


def stored(engine: RecordedEngine) -> dict[str, list[str]]:
    """Return all rows of the ledger, without the times at which the caller was seen."""
    found = {}
    with engine.ledger.session():
        for model in TABLES:
            rows = engine.ledger.database.rows(model.select())
            kept = [{name: value for name, value in row.items() if name not in SEEN} for row in rows]
            found[model.__name__] = sorted(map(str, kept))
    return found


def _unwanted(engine: RecordedEngine, name: str) -> dict[str, list[str]]:
    """Return the rows that remain of a request that has failed: the object of an upload is deleted later."""
    return {"RemovalRow": stored(engine)["RemovalRow"]} if name == "PUT /v1/recordings/upload" else {}


@contextmanager
def failing_serialiser(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Let the last step of a response fail, after which it has only to be sent. Yield the bodies."""
    bodies: list[Any] = []

    def dumps(value: Any, **options: Any) -> str:
        if "allow_nan" in options:
            bodies.append(value)
            raise ValueError("no JSON")
        return json.dumps(value, **options)

    with monkeypatch.context() as patch:
        patch.setattr(operation, "json", SimpleNamespace(dumps=dumps))
        yield bodies


def name_of(each: Operation) -> str:
    return f"{each.method} {each.path}"


def test_change_whose_response_cannot_be_built_is_not_stored(
    server: ApiServer, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, prepare in REQUESTS.items():
        method, (path, options) = name.split(" ")[0], prepare(engine)
        headers = {**options.pop("headers", {}), "Idempotency-Key": f"key-{next(NUMBERS)}"}
        with server.client() as http:
            before = stored(engine)
            with failing_serialiser(monkeypatch) as bodies:
                answer = http.request(method, path, headers=headers, **options)
            assert (answer.status_code, len(bodies)) == (500, 1), (name, answer.text)
            assert stored(engine) == before | _unwanted(engine, name), name
            again = http.request(method, path, headers=headers, **options)
            assert again.is_success, (name, again.text)
            assert "Idempotent-Replayed" not in again.headers, name
            assert stored(engine) != before, name
        for clip in engine.ledger.clips.list(ClipFilter(limit=100, status="processing")).data:
            engine.ledger.clips.cancel(clip.clip_id)  # before `make` acts as the worker of its own clip


def test_each_operation_that_changes_rows_is_tried(server: ApiServer) -> None:
    changing = {
        name_of(each)
        for each in server.operations
        if each.changes and not each.is_former and (each.method != "DELETE" or any(one.model for one in each.answers))
    }
    assert changing == {*REQUESTS, *WITHOUT_ROWS}
