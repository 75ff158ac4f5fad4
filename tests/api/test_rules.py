"""Rules over the API: their changes, the dry run and the log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import httpx
import pytest

from clipengine.client import Client
from clipengine.clips import suggested
from clipengine.clips.texts.cues import Cue
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database.database import compact_json
from clipengine.ledger.database.schema import BatchItemRow
from clipengine.rules.rule import ConfiguredRule
from tests.support.api import FACTS, ApiServer, RecordedEngine
from tests.support.batches import run_batches

TRANSCRIPT = {"event": "transcript.ready"}
RULE: dict[str, Any] = {"name": "Meetings", "ranges": {"kind": "first", "seconds": 30}}


@pytest.fixture
def client(server: ApiServer) -> Iterator[Client]:
    with Client(server.url, server.key) as client:
        yield client


def work(engine: RecordedEngine) -> None:
    while engine.ledger.rule_matching.act():
        pass
    run_batches(engine)


def test_dry_run_equals_byte_for_byte_what_is_made(engine: RecordedEngine, client: Client) -> None:
    clip = {
        "label": "$name – $number",
        "output": {"aspect": "9:16", "fade_seconds": 0.5},
        "snap": {"to": "silence", "within_seconds": 1.0},
        "tags": ["auto"],
        "metadata": {"a": "ä\U0001f600"},
        "expires_in_days": 3.5,
        "webhook_url": "http://127.0.0.1:9/hook",
    }
    rule = client.rules.create("Meetings", ranges={"kind": "last", "seconds": 33.333333}, clip=clip)
    recording = engine.make_recording()
    tried = client.rules.try_out(rule.rule_id, recording.recording_id)
    assert tried.matches
    assert [each["error"] for each in tried.data] == [None]
    assert engine.ledger.clips.list(ClipFilter(limit=10)).data == []
    assert client.rules.batches(rule.rule_id).data == []
    work(engine)
    stored = engine.ledger.database.rows(BatchItemRow.select())
    assert [compact_json(row["body"]) for row in stored] == [compact_json(each["body"]) for each in tried.data]
    (made,) = engine.ledger.clips.list(ClipFilter(limit=10)).data
    requested = client.request("POST", f"/v1/recordings/{recording.recording_id}/clips", json=tried.data[0]["body"])
    shown = client.clips.get(made.clip_id).raw
    own = {"clip_id", "request_id", "created_at", "queue", "object_key", "bucket_path", "traceparent", "created_by"}
    assert (shown["created_by"], requested["created_by"]) == (rule.rule_id, client.users.me().id)
    assert {key: value for key, value in shown.items() if key not in own} == {
        key: value for key, value in requested.items() if key not in own
    }
    (batch,) = client.rules.batches(rule.rule_id).data
    assert (batch.state, batch.made, batch.recording_id) == ("complete", 1, recording.recording_id)
    assert [each["clip_id"] for each in batch.items] == [made.clip_id]


@pytest.mark.parametrize("ranges", [{"kind": "words", "words": ["price"], "before": 0.3}, {"kind": "suggestions"}])
def test_dry_run_of_a_transcript_equals_what_is_made(
    engine: RecordedEngine, client: Client, ranges: dict[str, Any]
) -> None:
    rule = client.rules.create("Said", when={"event": "transcript.ready"}, ranges=ranges, clip={"label": "$title"})
    recording = engine.make_recording()
    cues = [Cue(each * 5000, each * 5000 + 4900, f"What is the price of {each}?", "ab"[each % 2]) for each in range(9)]
    engine.ledger.transcripts.put(recording.recording_id, "en", cues)
    tried = client.rules.try_out(rule.rule_id, recording.recording_id)
    work(engine)
    stored = engine.ledger.database.rows(BatchItemRow.select())
    assert stored
    assert [compact_json(row["body"]) for row in stored] == [compact_json(each["body"]) for each in tried.data]


def test_long_transcripts_are_searched_in_a_child(
    engine: RecordedEngine, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transcript of 2 MiB takes seconds of CPU."""
    recording = engine.make_recording(facts=FACTS.model_copy(update={"duration": Fraction(300)}))
    cues = [Cue(at * 1000, at * 1000 + 900, f"What is the price of number {at} in the office?") for at in range(300)]
    engine.ledger.transcripts.put(recording.recording_id, "en", cues)
    monkeypatch.setattr(suggested, "_sentences", None)  # of this process
    for ranges in ({"kind": "suggestions"}, {"kind": "words", "words": ["number 299"], "before": 1}):
        tried = client.rules.try_new(
            recording.recording_id, when={"event": "transcript.ready"}, ranges=ranges, clip={"label": "$title"}
        )
        assert tried.data
    assert client.recordings.suggestions(recording.recording_id).data


def test_options_of_all_clips_of_a_rule_are_limited(server: ApiServer) -> None:
    """Each clip has them: 1,000 places of a box for 200 clips are 12 MB, also in the answer of a dry run."""
    places = [{"at_seconds": at, "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2} for at in range(1000)]
    rule = {**RULE, "clip": {"output": {"blur": [{"box": places}]}}}
    with server.client() as http:
        for given, status in (({}, 422), ({"max_clips": 12}, 201)):
            answer = http.post("/v1/rules", json={**rule, **given})
            assert answer.status_code == status, answer.text
            if status == 422:
                assert [each["pointer"] for each in answer.json()["errors"]] == ["/max_clips"]
        rule_id = answer.json()["rule_id"]
        assert http.patch(f"/v1/rules/{rule_id}", json={"max_clips": 200}).status_code == 422


def test_share_of_a_rule_is_in_the_log_and_works_when_the_clip_is_complete(
    engine: RecordedEngine, client: Client, server: ApiServer
) -> None:
    rule = client.rules.create("Shared", ranges={"kind": "first", "seconds": 3}, clip={"share": {}})
    recording = engine.make_recording()
    assert "share" not in client.rules.try_out(rule.rule_id, recording.recording_id).data[0]["body"]
    work(engine)
    (batch,) = client.rules.batches(rule.rule_id).data
    (item,) = batch.items
    url = item["share_url"]
    assert httpx.get(url).status_code == 404
    engine.finish(engine.ledger.clips.get(item["clip_id"]))
    assert httpx.get(url).status_code == 200
    (share,) = client.request("GET", f"/v1/clips/{item['clip_id']}/shares")["data"]
    assert client.request("GET", f"/v1/clips/{item['clip_id']}/shares/{share['share_id']}")["url"] == url


def test_rule_that_is_not_stored_is_tried_and_says_what_it_leaves_out(engine: RecordedEngine, client: Client) -> None:
    recording = engine.make_recording()
    tried = client.rules.try_new(recording.recording_id, ranges={"kind": "chapters"}, when={"tag": "missing"})
    assert (tried.matches, tried.data, [each["code"] for each in tried.skipped]) == (False, [], ["no_chapters"])
    tried = client.rules.try_new(recording.recording_id, ranges={"kind": "all"}, clip={"subtitles": {"mode": "burn"}})
    assert [each["error"]["code"] for each in tried.data if each["error"]] == ["invalid_request"]
    assert client.rules.list().data == []


def test_rule_is_changed_and_listed(client: Client, server: ApiServer) -> None:
    first = client.rules.create("First", ranges={"kind": "all"}, clip={"tags": ["a"], "label": "x"}, max_clips=3)
    second = client.rules.create("Second", ranges={"kind": "all"}, enabled=False)
    page = client.rules.list(limit=1)
    assert [rule.name for rule in page.data] == ["Second"]
    assert [rule.name for rule in client.rules.list(limit=1, cursor=page.next_cursor).data] == ["First"]
    changed = client.rules.update(first.rule_id, name="Other", ranges={"kind": "first", "seconds": 5.0})
    assert (changed.revision, changed.name, changed.ranges) == (2, "Other", {"kind": "first", "seconds": 5.0})
    assert (changed.clip, changed.max_clips, changed.when) == (first.clip, 3, {"event": "recording.complete"})
    assert client.rules.update(second.rule_id, enabled=True).enabled
    with server.client() as http:
        assert http.patch(f"/v1/rules/{second.rule_id}", json={"name": "Other"}).status_code == 409
        assert http.post("/v1/rules", json={**RULE, "name": "Other"}).json()["code"] == "conflict"
    client.rules.delete(first.rule_id)
    assert [rule.name for rule in client.rules.list().data] == ["Second"]


def test_backfill_is_requested_and_cancelled(engine: RecordedEngine, client: Client) -> None:
    engine.make_recording()
    rule = client.rules.create("Past", ranges={"kind": "all"})
    assert rule.backfill is None
    begun = client.rules.backfill(rule.rule_id, created_after="2020-01-01T00:00:00Z").backfill
    assert begun is not None
    assert (begun["state"], begun["total"], begun["created_after"]) == ("running", 1, "2020-01-01T00:00:00.000Z")
    ended = client.rules.cancel_backfill(rule.rule_id).backfill
    assert ended is not None
    assert ended["state"] == "cancelled"


def test_rule_of_the_settings_is_only_enabled_and_disabled(engine: RecordedEngine, server: ApiServer) -> None:
    configured = ConfiguredRule.model_validate({**RULE, "clip": {"label": "x"}})
    engine.ledger.rules.sync_settings([configured])
    (rule,) = engine.ledger.rules.all()
    with server.client() as http:
        path = f"/v1/rules/{rule.rule_id}"
        assert http.patch(path, json={"enabled": False}).json()["enabled"] is False
        assert http.patch(path, json={"max_clips": 2}).status_code == 409
        assert http.delete(path).status_code == 409


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a\u202e\x00"}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"ranges": {"kind": "first"}}, "/ranges"),
        ({"ranges": {"kind": "all", "seconds": 3}}, "/ranges"),
        ({"ranges": {"kind": "hours", "timezone": "Mars/Olympus"}}, "/ranges/timezone"),
        ({"ranges": {"kind": "suggestions"}}, "/ranges/kind"),
        ({"ranges": {"kind": "words", "words": ["a\0b"]}}, "/ranges/words/0"),
        ({"when": TRANSCRIPT, "ranges": {"kind": "suggestions", "limit": 51}}, "/ranges/limit"),
        ({"when": TRANSCRIPT, "ranges": {"kind": "words", "words": ["a"] * 51}}, "/ranges/words"),
        ({"ranges": {"kind": "markers", "labels": ["a"] * 51}}, "/ranges/labels"),
        ({"ranges": {"kind": "markers", "before": 600.1}}, "/ranges/before"),
        ({"ranges": {"kind": "chapters", "title_words": ["a"] * 51}}, "/ranges/title_words"),
        ({"ranges": {"kind": "hours", "to_hour": 25}}, "/ranges/to_hour"),
        ({"when": {"event": "transcript.ready", "language": "x\0"}}, "/when/language"),
        ({"when": {"min_seconds": 1e309}}, "/when/min_seconds"),
        ({"when": {"prefix": "x" * 1001}}, "/when/prefix"),
        ({"clip": {"label": "$unknown"}}, "/clip/label"),
        ({"clip": {"label": "$" * 300}}, None),
        ({"clip": {"label": "x" * 10_000}}, "/clip/label"),
        ({"clip": {"profile": "missing"}}, "/clip/profile"),
        ({"clip": {"start_seconds": 1}}, "/clip/start_seconds"),
        ({"clip": {"priority": 10}}, "/clip/priority"),
        ({"clip": {"expires_in_days": 0}}, "/clip/expires_in_days"),
        ({"clip": {"share": {"expires_in_days": 1e308}}}, "/clip/share/expires_in_days"),
        ({"clip": {"webhook_url": "http://169.254.169.254/"}}, "/clip/webhook_url"),
        ({"clip": {"output": {"watermark": "missing"}}}, "/clip/output/watermark"),
        ({"max_clips": 201}, "/max_clips"),
        ({"max_clips": True}, "/max_clips"),
    ],
)
def test_hostile_rule_is_refused_with_its_place(server: ApiServer, change: dict[str, Any], pointer: str | None) -> None:
    with server.client() as http:
        body = json.dumps({**RULE, **change})
        answer = http.post("/v1/rules", content=body, headers={"Content-Type": "application/json"})
        if pointer is None:
            assert answer.status_code == 201
            return
        assert answer.status_code == 422, answer.text
        assert [each.get("pointer") for each in answer.json()["errors"]] == [pointer]
        assert http.get("/v1/rules").json()["data"] == []


def test_number_of_rules_is_limited(client: Client, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipengine.ledger.automation.rules.MAX_RULES", 2)
    for number in range(2):
        client.rules.create(f"rule {number}", ranges={"kind": "all"})
    with server.client() as http:
        assert http.post("/v1/rules", json=RULE).status_code == 409


@pytest.mark.parametrize("path", ["/v1/rules", "/v1/rules/rul_x", "/v1/rules/rul_x/batches"])
def test_rules_are_for_administrators(engine: RecordedEngine, server: ApiServer, path: str) -> None:
    _, text = engine.ledger.keys.create("reader", ["read", "write"])
    with server.client(text) as http:
        assert http.get(path).status_code == 403
    with server.client() as http:
        assert http.get(path).status_code in (200, 404)


def test_repeated_request_makes_one_rule(server: ApiServer) -> None:
    def post(http: httpx.Client) -> dict[str, Any]:
        answer: dict[str, Any] = http.post("/v1/rules", json=RULE, headers={"Idempotency-Key": "k"}).json()
        return answer

    with server.client() as http:
        assert post(http) == post(http)
        assert len(http.get("/v1/rules").json()["data"]) == 1


def test_lists_and_requests_for_clips_cost_no_statement_more_with_or_without_rules(
    engine: RecordedEngine, server: ApiServer, http: httpx.Client
) -> None:
    """The numbers are those before rules, and with a clip an INSERT into the audit log.

    Keys are written, and queued clips counted, now and then.
    """
    recording = engine.make_recording()
    path = f"/v1/recordings/{recording.recording_id}/clips"
    body = {"label": "goal", "start_seconds": 1, "end_seconds": 2}
    requests = {
        "clips": (1, lambda: http.get("/v1/clips")),
        "clips of a recording": (2, lambda: http.get(path)),
        "recordings": (1, lambda: http.get("/v1/recordings")),
        "clip": (5, lambda: http.post(path, json=body)),
    }
    passed: list[str] = []
    engine.ledger.database._connections.query_hooks.append(lambda query: passed.append(query.sql))
    for rules in ("none", "one"):
        if rules == "one":
            assert http.post("/v1/rules", json=RULE).status_code == 201
        for name, (number, ask) in requests.items():
            passed.clear()
            answer = ask()
            found = [sql for sql in passed if re.match('(SELECT|INSERT|UPDATE|DELETE)(?!.*("api_keys"|COUNT))', sql)]
            assert (answer.is_success, len(found)) == (True, number), (name, rules, found)
        engine.ledger.clips.cancel(answer.json()["clip_id"])  # the place of a queued clip costs more
