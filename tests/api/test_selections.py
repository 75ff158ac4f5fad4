"""Variants of clips and deletions by a filter: dry run, frozen ids, progress and cancellation."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from clipengine.clips.clip import Clip
from clipengine.clips.options.output import Output
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database.database import compact_json, insert_statement
from clipengine.ledger.database.schema import BatchItemRow, ClipRow
from clipengine.ledger.recordings.recordings import RecordingFilter
from tests.support.api import ApiServer, RecordedEngine
from tests.support.batches import run_batches

VERTICAL = {"output": {"aspect": "9:16"}}


@pytest.fixture
def http(server: ApiServer) -> Any:
    with server.client() as client:
        yield client


def listed(engine: RecordedEngine) -> list[Clip]:
    return engine.ledger.clips.list(ClipFilter(limit=100)).data


def finished(engine: RecordedEngine, *labels: str, **values: Any) -> list[Clip]:
    known = engine.ledger.recordings.list(RecordingFilter(limit=1)).data
    recording = known[0] if known else engine.make_recording()
    return [engine.finish(engine.make_clip(recording, label, **values)) for label in labels]


def test_dry_run_of_variants_equals_byte_for_byte_what_is_made(engine: RecordedEngine, http: httpx.Client) -> None:
    (source,) = finished(
        engine, "goal", tags=["auto"], metadata={"a": "ä"}, output=Output(fps=25, max_height=720), poster=False
    )
    body: dict[str, Any] = {"filter": {"tag": ["auto"], "q": "goal"}, "changes": {"output": {"aspect": "9:16"}}}
    tried = http.post("/v1/clips/variants", json={**body, "dry_run": True})
    assert tried.status_code == 200
    (shown,) = tried.json()["data"]
    assert (tried.json()["count"], tried.json()["skipped"], shown["error"]) == (1, 0, None)
    assert shown["body"]["output"] == {"fps": 25, "max_height": 720, "aspect": "9:16"}
    assert len(listed(engine)) == 1
    answer = http.post("/v1/clips/variants", json={**body, "selection": tried.json()["selection"]})
    assert answer.status_code == 202
    batch = answer.json()
    assert (batch["kind"], batch["state"], batch["total"]) == ("variants", "making", 1)
    stored = engine.ledger.database.rows(BatchItemRow.select())
    assert [compact_json(row["body"]) for row in stored] == [compact_json(shown["body"])]
    run_batches(engine)
    batch = http.get(answer.headers["Location"]).json()
    assert (batch["state"], batch["made"]) == ("complete", 1)
    made = http.get(f"/v1/clips/{batch['items'][0]['clip_id']}").json()
    assert (made["variant_of"], made["priority"], made["request_id"]) == (source.clip_id, -5, batch["batch_id"])
    for path in ("/v1/clips", f"/v1/recordings/{source.recording_id}/clips"):
        for of, found in ((source.clip_id, [made["clip_id"]]), (made["clip_id"], [])):
            page = http.get(path, params={"variant_of": of, "label": "goal"}).json()
            assert [each["clip_id"] for each in page["data"]] == found
    chosen = {"filter": {"variant_of": source.clip_id}, "include_processing": True, "dry_run": True}
    assert [each["clip_id"] for each in http.post("/v1/clips/delete", json=chosen).json()["data"]] == [made["clip_id"]]
    (again,) = http.post("/v1/clips/batch", json={"clips": [shown["body"]]}).json()["data"]
    own = {"clip_id", "request_id", "created_at", "queue", "bucket_path", "variant_of"}
    assert {name: value for name, value in made.items() if name not in own} == {
        name: value for name, value in again.items() if name not in own
    }
    assert again["variant_of"] is None


def test_clips_of_which_no_variant_is_made_are_skipped_with_a_code(engine: RecordedEngine, http: httpx.Client) -> None:
    recording = engine.make_recording()
    vertical = engine.finish(engine.make_clip(recording, "vertical", output=Output(aspect="9:16")))
    failed = engine.fail(engine.make_clip(recording, "failed"))
    queued = engine.make_clip(recording, "queued")
    ids = [vertical.clip_id, failed.clip_id, queued.clip_id, "clip_missing"]
    tried = http.post("/v1/clips/variants", json={"clip_ids": ids, "changes": VERTICAL, "dry_run": True}).json()
    codes = {each["clip_id"]: each["error"]["code"] for each in tried["data"]}
    assert codes == {
        vertical.clip_id: "unchanged",
        failed.clip_id: "clip_not_complete",
        queued.clip_id: "clip_not_complete",
        "clip_missing": "clip_not_found",
    }
    assert (tried["count"], tried["skipped"], tried["refused"]) == (0, 4, 0)
    location = http.post("/v1/clips/variants", json={"clip_ids": ids, "changes": VERTICAL}).headers["Location"]
    run_batches(engine)
    batch = http.get(location, params={"items": "skipped", "after": 0}).json()
    assert (batch["state"], batch["made"], batch["skipped"], len(batch["items"])) == ("complete", 0, 4, 3)


def test_null_in_the_changes_restores_a_default(engine: RecordedEngine, http: httpx.Client) -> None:
    finished(engine, "goal", output=Output(fps=25, aspect="9:16"), tags=["a"], metadata={"a": "1", "b": "2"})
    changes = {"output": {"aspect": None}, "metadata": {"a": None}, "tags": None}
    tried = http.post("/v1/clips/variants", json={"filter": {}, "changes": changes, "dry_run": True}).json()
    body = tried["data"][0]["body"]
    assert (body["output"], body["metadata"], "tags" in body) == ({"fps": 25}, {"b": "2"}, False)


def test_variant_that_its_recording_does_not_allow_is_refused_in_the_dry_run_and_the_batch(
    engine: RecordedEngine, http: httpx.Client
) -> None:
    finished(engine, "goal")
    changes = {"subtitles": {"mode": "burn"}}
    body = {"filter": {}, "changes": changes}
    tried = http.post("/v1/clips/variants", json={**body, "dry_run": True}).json()
    assert (tried["count"], tried["refused"], tried["data"][0]["error"]["code"]) == (0, 1, "invalid_request")
    location = http.post("/v1/clips/variants", json=body).headers["Location"]
    run_batches(engine)
    batch = http.get(location).json()
    assert (batch["state"], batch["failed"], batch["items"][0]["code"]) == ("complete", 1, "invalid_request")


def test_selection_that_has_changed_is_refused_and_frozen_ids_do_not_grow(
    engine: RecordedEngine, http: httpx.Client
) -> None:
    finished(engine, "one", tags=["auto"])
    for path, body in (
        ("/v1/clips/variants", {"filter": {"tag": ["auto"]}, "changes": VERTICAL}),
        ("/v1/clips/delete", {"filter": {"tag": ["auto"]}}),
    ):
        selection = http.post(path, json={**body, "dry_run": True}).json()["selection"]
        finished(engine, f"later {path}", tags=["auto"])
        refused = http.post(path, json={**body, "selection": selection})
        assert (refused.status_code, refused.json()["code"]) == (409, "selection_changed")
        selection = http.post(path, json={**body, "dry_run": True}).json()["selection"]
        assert http.post(path, json={**body, "selection": selection}).status_code == 202
        finished(engine, f"too late {path}", tags=["auto"])
    before = len(listed(engine))
    run_batches(engine)
    made = [clip for clip in listed(engine) if clip.variant_of]
    assert (before, len(made)) == (5, 2)
    assert sorted(clip.label for clip in listed(engine) if not clip.variant_of) == ["too late /v1/clips/delete"]


def test_deletion_by_a_filter_needs_a_selection_and_says_its_bytes(engine: RecordedEngine, http: httpx.Client) -> None:
    recording = engine.make_recording()
    done = [engine.finish(engine.make_clip(recording, "old"), body=b"clip" * size) for size in (1, 2)]
    queued = engine.make_clip(recording, "old")
    other = engine.make_clip(recording, "other")
    body = {"filter": {"label": "old"}}
    missing = http.post("/v1/clips/delete", json=body)
    assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "/selection")
    tried = http.post("/v1/clips/delete", json={**body, "dry_run": True}).json()
    assert (tried["count"], tried["bytes"], tried["skipped"]) == (2, 12, 1)
    assert {each["clip_id"] for each in tried["data"]} == {clip.clip_id for clip in done}
    all_of = http.post("/v1/clips/delete", json={**body, "dry_run": True, "include_processing": True}).json()
    assert (all_of["count"], all_of["skipped"]) == (3, 0)
    body |= {"include_processing": True, "selection": all_of["selection"]}
    location = http.post("/v1/clips/delete", json=body).headers["Location"]
    engine.calls.clear()
    run_batches(engine)
    batch = http.get(location).json()
    assert (batch["kind"], batch["state"], batch["made"]) == ("delete", "complete", 3)
    assert [clip.clip_id for clip in listed(engine)] == [other.clip_id]
    assert ("abandon", queued.clip_id) in engine.calls
    events = [event.type for event in engine.ledger.events.after(0, limit=100)]
    assert events.count("clip.failed") == 1  # as a single deletion of a queued clip


def test_clips_of_a_recording_are_deleted(engine: RecordedEngine, http: httpx.Client) -> None:
    (first,) = finished(engine, "one")
    other = engine.make_recording("relay/other.mp4", b"other")
    kept = engine.make_clip(other, "other")
    path = f"/v1/recordings/{first.recording_id}/clips"
    assert http.delete(path).json()["errors"][0]["parameter"] == "selection"
    tried = http.delete(path, params={"dry_run": "true"}).json()
    assert (tried["count"], tried["data"][0]["label"]) == (1, "one")
    answer = http.delete(path, params={"selection": tried["selection"]})
    assert (answer.status_code, answer.json()["recording_id"]) == (202, first.recording_id)
    run_batches(engine)
    assert [clip.clip_id for clip in listed(engine)] == [kept.clip_id]
    assert http.delete(path, params={"selection": tried["selection"]}).json()["code"] == "selection_changed"


def test_cancelled_batch_does_nothing_more(engine: RecordedEngine, http: httpx.Client) -> None:
    finished(engine, "one")
    location = http.post("/v1/clips/variants", json={"filter": {}, "changes": VERTICAL}).headers["Location"]
    assert http.post(f"{location}/cancel").json()["state"] == "cancelled"
    assert http.post(f"{location}/cancel").json()["code"] == "batch_ended"
    run_batches(engine)
    assert len(listed(engine)) == 1
    assert [each["state"] for each in http.get("/v1/batches").json()["data"]] == ["cancelled"]


def test_repeated_request_with_a_key_makes_one_batch(engine: RecordedEngine, http: httpx.Client) -> None:
    finished(engine, "one")
    headers = {"Idempotency-Key": "once"}
    body = {"filter": {}, "changes": VERTICAL}
    first, second = (http.post("/v1/clips/variants", json=body, headers=headers) for _ in range(2))
    assert (first.json(), second.headers["Idempotent-Replayed"]) == (second.json(), "true")
    other = {**body, "changes": {"output": {"aspect": "9:16", "fps": None}}}
    assert http.post("/v1/clips/variants", json=other, headers=headers).json()["code"] == "idempotency_key_reused"


def test_many_clips_are_limited(engine: RecordedEngine, http: httpx.Client) -> None:
    ids = [f"clip_{number}" for number in range(1001)]
    answer = http.post("/v1/clips/variants", json={"clip_ids": ids, "changes": VERTICAL})
    assert answer.status_code in (400, 422)
    answer = http.post("/v1/clips/variants", json={"clip_ids": ids[:1000], "changes": VERTICAL, "dry_run": True})
    assert answer.json()["skipped"] == 1000
    assert len(answer.json()["data"]) == 100
    engine.make_clip(engine.make_recording(), "many")
    (row,) = engine.ledger.database.rows(ClipRow.select())
    copies = [{**row, "clip_id": f"clip_{number:05}"} for number in range(1000)]
    engine.ledger.database.insert_many(insert_statement(ClipRow, without=("status",)), copies)
    refused = http.post("/v1/clips/variants", json={"filter": {}, "changes": VERTICAL})
    assert (refused.status_code, refused.json()["code"]) == (422, "too_many_clips")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"changes": VERTICAL}, "/clip_ids"),
        ({"clip_ids": ["a"]}, "/changes"),
        ({"clip_ids": ["a"], "filter": {}, "changes": {}}, "/clip_ids"),
        ({"clip_ids": ["a", "a"], "changes": {}}, "/clip_ids"),
        ({"filter": {"sort": "label"}, "changes": {}}, "/filter/sort"),
        ({"filter": {"tag": ["a\x00"]}, "changes": {}}, "/filter/tag/0"),
        ({"filter": {"label": "a\x00"}, "changes": {}}, "/filter/label"),
        ({"filter": {"recording_id": "a\x00"}, "changes": {}}, "/filter/recording_id"),
        ({"filter": {"metadata": {"a": "\x00"}}, "changes": {}}, "/filter/metadata/a"),
        ({"filter": {}, "changes": {"label": "x"}}, "/changes/label"),
        ({"filter": {}, "changes": {"output": {"aspect": "x"}}}, "/changes/output/aspect"),
        ({"filter": {}, "changes": {"profile": "missing"}}, "/changes/profile"),
        ({"filter": {}, "changes": {"webhook_url": "http://169.254.169.254/"}}, "/changes/webhook_url"),
        ({"filter": {}, "changes": {"priority": 11}}, "/changes/priority"),
        ({"filter": {}, "changes": {}, "selection": "\x00"}, "/selection"),
    ],
)
def test_fault_of_a_request_has_its_place(http: httpx.Client, body: dict[str, Any], pointer: str) -> None:
    answer = http.post("/v1/clips/variants", json=body)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


def test_key_that_reads_may_follow_a_batch_and_nothing_else(server: ApiServer, engine: RecordedEngine) -> None:
    finished(engine, "one")
    with server.client() as http:
        batch = http.post("/v1/clips/variants", json={"filter": {}, "changes": VERTICAL}).json()
    _, key = engine.ledger.keys.create("reader", ["read"])
    with server.client(key) as http:
        assert http.get(f"/v1/batches/{batch['batch_id']}").status_code == 200
        for method, path in (
            ("POST", f"/v1/batches/{batch['batch_id']}/cancel"),
            ("POST", "/v1/clips/variants"),
            ("POST", "/v1/clips/delete"),
            ("DELETE", f"/v1/recordings/{listed(engine)[0].recording_id}/clips"),
        ):
            assert http.request(method, path, json={"filter": {}, "changes": VERTICAL}).status_code == 403


def test_batch_of_a_rule_is_no_batch_of_a_request(engine: RecordedEngine, http: httpx.Client) -> None:
    rule = http.post("/v1/rules", json={"name": "Rule", "ranges": {"kind": "first", "seconds": 9}}).json()["rule_id"]
    engine.make_recording()
    engine.ledger.rule_matching.act()
    (batch,) = http.get(f"/v1/rules/{rule}/batches").json()["data"]
    assert http.get(f"/v1/batches/{batch['batch_id']}").json()["code"] == "batch_not_found"
    assert http.get("/v1/batches").json()["data"] == []
