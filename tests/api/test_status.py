"""The status of the installation, its settings, and API keys."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from clipengine import __version__
from clipengine.basis.moments import rfc3339
from clipengine.clips.clip import Clip
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer, Check, RecordedEngine, api_server, recorded_engine


def test_status_counts_queues_engines_and_ended_clips(
    http: httpx.Client, engine: RecordedEngine, recording: Recording
) -> None:
    engine.ledger.engines.beat(engine.instance_id, encoders=3)
    failed = [engine.fail(engine.make_clip(recording)) for _ in range(2)][-1]
    ready = engine.finish(engine.make_clip(recording))
    engine.make_clip(recording)
    found = http.get("/v1/status").json()
    assert (found["status"], found["version"], found["engine_id"]) == ("ok", __version__, engine.instance_id)
    assert found["queue"]["clips_queued"] == 1
    assert found["watch"] == {"left_out": 3}
    assert 0 < found["queue"]["oldest_queued_seconds"] < 60
    (own,) = found["engines"]
    assert (own["engine_id"], own["encoders"], own["encoders_busy"]) == (engine.instance_id, 3, 0)
    assert found["disk"]["total_bytes"] > found["disk"]["free_bytes"] > found["disk"]["min_free_bytes"] > 0
    assert found["store"]["kind"] == "folder"
    assert found["store"]["total_bytes"] > found["store"]["free_bytes"] > 0
    day = found["last_day"]
    assert (day["clips_ready"], day["clips_failed"]) == (1, 2)
    assert day["failures"] == [{"code": "encoder_failed", "clips": 2, "last_clip_id": failed.clip_id}]
    assert ready.completed_at is not None
    hour = ready.completed_at // 3_600_000 * 3_600_000
    assert day["hours"][-1]["at"] == rfc3339(hour)
    assert sum(each["clips_failed"] for each in day["hours"]) == 2


def test_status_shows_a_failing_check(http: httpx.Client, engine: RecordedEngine, clip: Clip) -> None:
    engine.checks = [Check("store", False, "the bucket does not exist. Create it.")]
    engine.ledger.engines.beat("inst_b", encoders=2)
    running = engine.ledger.clips.claim("inst_b")
    assert running is not None
    found = http.get("/v1/status").json()
    assert found["status"] == "failing"
    assert found["checks"] == [{"name": "store", "ok": False, "detail": "the bucket does not exist. Create it."}]
    assert [each["encoders_busy"] for each in found["engines"]] == [1]
    assert found["last_day"] == {"clips_ready": 0, "clips_failed": 0, "hours": [], "failures": []}


def test_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    hook = {"url": "https://example.org/hook", "secret": "not-to-be-shown-0123"}
    with (
        recorded_engine(tmp_path / "data", webhooks={"endpoints": [hook]}) as engine,
        api_server(engine) as server,
        server.client() as http,
    ):
        answer = http.get("/v1/settings")
    assert answer.json()["webhooks"]["endpoints"][0]["url"] == hook["url"]
    assert answer.json()["limits"]["max_queued_clips"] == engine.settings.limits.max_queued_clips
    assert hook["secret"] not in answer.text


def test_key_is_created_used_and_revoked(http: httpx.Client, server: ApiServer) -> None:
    body = {"name": "laptop", "scopes": ["read"]}
    created = http.post("/v1/keys", json=body, headers={"Idempotency-Key": "one"})
    assert created.status_code == 201
    again = http.post("/v1/keys", json=body, headers={"Idempotency-Key": "one"})
    assert again.json() == created.json()
    text = created.json().pop("key")
    with server.client(text) as reader:
        assert reader.get("/v1/clips").status_code == 200
        assert reader.get("/v1/keys").status_code == 403
        assert http.delete(f"/v1/keys/{created.json()['key_id']}").status_code == 204
        assert reader.get("/v1/clips").status_code == 401
    listed = http.get("/v1/keys").json()["data"]
    revoked = next(each for each in listed if each["name"] == "laptop")
    assert revoked["revoked_at"] is not None
    assert revoked["last_used_at"] is not None
    assert "key" not in revoked


def test_key_has_no_admin_scope_by_default(http: httpx.Client) -> None:
    assert http.post("/v1/keys", json={"name": "tool"}).json()["scopes"] == ["read", "write"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": "line\nbreak"}, "/name"),
        ({"name": "laptop", "scopes": []}, "/scopes"),
        ({"name": "laptop", "scopes": ["root"]}, "/scopes/0"),
        ({"name": "laptop", "scopes": ["read"] * 4}, "/scopes"),
        ({"scopes": ["read"]}, "/name"),
    ],
)
def test_invalid_key_is_rejected(http: httpx.Client, body: dict[str, object], pointer: str) -> None:
    answer = http.post("/v1/keys", json=body)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


def test_unknown_key_and_name_of_a_key_are_not_found(http: httpx.Client, engine: RecordedEngine) -> None:
    engine.ledger.keys.create("phone")
    for unknown in ("key_unknown", "phone"):
        answer = http.delete(f"/v1/keys/{unknown}")
        assert (answer.status_code, answer.json()["code"]) == (404, "key_not_found")
