"""The audit log: one row in the transaction of each change, one for each viewing, and counts of what may be a flood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from clipengine.client import Client
from clipengine.ledger.audit.counts import MOST_ADDRESSES
from clipengine.ledger.database.act import Actor
from clipengine.objects.audit import AuditAction
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.audit import Log
from tests.support.batches import run_batches
from tests.support.tus import append, begin

# Recorded by what is no operation of the API.
ELSEWHERE = {"other", "session.begin", "share.view", "share.download", "secrets.reset", "tool.call", "user.create"}
BODY = {"label": "goal", "start_seconds": 1, "end_seconds": 2}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder: Path = tmp_path_factory.mktemp("audit")
    with recorded_engine(folder / "data") as engine, api_server(engine) as server:
        yield server


@pytest.fixture
def engine(shared: ApiServer) -> RecordedEngine:
    return shared.engine


@pytest.fixture
def http(shared: ApiServer) -> Iterator[httpx.Client]:
    with shared.client() as client:
        yield client


@pytest.fixture(scope="module")
def recording(shared: ApiServer) -> Recording:
    return shared.engine.make_recording()


@pytest.fixture
def log(engine: RecordedEngine) -> Log:
    engine.ledger.audit.flush()
    return Log(engine)


def test_every_route_that_changes_or_downloads_has_an_action(shared: ApiServer) -> None:
    found = shared.operations
    for each in found:
        discloses = each.path.endswith(("/download", ".m4s", "/archive", "/shares/{share_id}", "/qr.svg"))
        assert (each.audit is not None) == (each.changes or discloses), each.path
    assert {each.audit for each in found} - {None} | ELSEWHERE == {*get_args(AuditAction)}


def test_change_is_recorded_with_who_what_where_and_which_object(
    engine: RecordedEngine, http: httpx.Client, recording: Recording, log: Log
) -> None:
    parent = recording.recording_id
    path = f"/v1/recordings/{parent}/clips"
    headers = {"Idempotency-Key": "one", "X-Request-Id": "request-1"}
    clip = http.post(path, json=BODY, headers=headers).json()["clip_id"]
    assert http.post(path, json=BODY, headers=headers).headers["idempotent-replayed"] == "true"
    assert http.post(path, json={**BODY, "end_seconds": 99_999}).status_code == 422
    assert http.delete("/v1/clips/clip_x").status_code == 404
    (row,) = log.new()
    me = http.get("/v1/me").json()["id"]
    assert (row.action, row.outcome, row.count) == ("clip.create", "done", 1)
    assert (row.actor_kind, row.actor_id, row.means, row.means_id) == ("key", me, "key", me)
    assert (row.peer, row.object_id, row.within_id, row.request_id) == ("127.0.0.1", clip, parent, "request-1")

    second = http.post("/v1/clips/batch", json={"clips": [{**BODY, "recording_id": parent}] * 2}).json()["data"]
    ids = [each["clip_id"] for each in second]
    assert log.actions() == [("clip.create", each, None) for each in sorted(ids)]
    assert http.post("/v1/clips/delete", json={"clip_ids": [*ids, "clip_x"]}).json()["deleted"] == sorted(ids)
    assert log.actions() == [("clip.delete", each, None) for each in sorted(ids)]
    assert http.patch(f"/v1/clips/{clip}", json={"label": "b"}).status_code == 200
    assert http.put(f"/v1/recordings/{parent}/segments", json={"segments": []}).status_code == 200
    uploaded = http.put("/v1/recordings/upload?name=a.mp4", content=b"media").json()["recording_id"]
    assert http.delete(f"/v1/clips/{clip}").status_code == 204
    assert log.actions() == [
        ("clip.delete", clip, None),
        ("clip.update", clip, None),
        ("recording.create", uploaded, None),
        ("segments.update", parent, None),
    ]


def test_last_request_of_an_upload_adds_a_row_of_the_recording(
    engine: RecordedEngine, http: httpx.Client, log: Log
) -> None:
    begun = begin(http, 6)
    path, upload = begun.headers["location"], begun.json()["upload_id"]
    _, last, repeated = [append(http, path, at, data) for at, data in ((0, b"abc"), (3, b"def"), (3, b"def"))]
    recording = repeated.headers["upload-recording"]
    assert log.actions() == [
        ("recording.create", recording, upload),
        ("upload.append", upload, None),
        ("upload.begin", upload, None),
    ]
    (row,) = http.get("/v1/audit", params={"object": recording}).json()["data"]
    assert (row["actor_kind"], row["means"], row["request_id"]) == ("key", "key", last.headers["x-request-id"])
    whole = begin(http, 3, content=b"abc").json()
    assert ("recording.create", whole["recording_id"], whole["upload_id"]) in log.actions()


def test_deletion_of_nothing_adds_no_row(
    engine: RecordedEngine, http: httpx.Client, recording: Recording, log: Log
) -> None:
    unknown = {"clip_ids": ["clip_x", "clip_y"]}
    for headers in ({}, {"Idempotency-Key": "unknown"}):
        assert http.post("/v1/clips/delete", json=unknown, headers=headers).json()["deleted"] == []
    assert log.actions() == []
    parent = recording.recording_id
    path, body = "/v1/clips/delete", {"filter": {"recording_id": parent, "label": "none"}}
    selection = http.post(path, json={**body, "dry_run": True}).json()["selection"]
    made = [http.post(path, json={**body, "selection": selection})]
    path, query = f"/v1/recordings/{parent}/clips", {"label": "none"}
    selection = http.delete(path, params={**query, "dry_run": "true"}).json()["selection"]
    made.append(http.delete(path, params={**query, "selection": selection}))
    one, two = (each.json()["batch_id"] for each in made)
    assert log.actions() == [("clip.delete", one, None), ("clip.delete", two, parent)]
    run_batches(engine)
    assert log.new() == []


def test_equal_values_add_no_row_and_no_revision(
    engine: RecordedEngine, http: httpx.Client, recording: Recording, log: Log
) -> None:
    clip = engine.finish(engine.make_clip(recording, "same"))
    values = {"tags": ["a", "b"], "metadata": {"k": "v", "none": None}, "expires_at": "2100-01-01T00:00:00Z"}
    recorded = values | {"name": "n", "series": "s", "started_at": "2026-11-28T12:00:00Z"}
    where = "https://example.com/same"
    webhook = http.post("/v1/webhooks", json={"url": where}).json()["webhook_id"]
    changes = {
        f"/v1/clips/{clip.clip_id}": values | {"label": "other"},
        f"/v1/recordings/{recording.recording_id}": recorded,
        f"/v1/webhooks/{webhook}": {"wants": {"tags": ["a"]}, "events": ["clip.ready"], "enabled": False},
    }
    for path, body in changes.items():
        log.new()
        first = http.patch(path, json=body)
        assert first.status_code == 200, first.text
        assert len(log.new()) == 1
        last = engine.ledger.events.last_seq()
        revision = first.json().get("revision")
        assert http.patch(path, json=body).json() == first.json()
        assert log.new() == [], path
        assert (http.get(path).json().get("revision"), engine.ledger.events.last_seq()) == (revision, last)
    body = {"tags": ["b", "a"]}
    assert http.patch(f"/v1/clips/{clip.clip_id}", json=body).json()["tags"] == ["b", "a"]
    assert len(log.new()) == 1


def test_batch_adds_a_row_and_one_for_each_clip_that_it_deletes(
    engine: RecordedEngine, http: httpx.Client, recording: Recording, log: Log
) -> None:
    clips = [engine.finish(engine.make_clip(recording, "batch")) for _ in range(3)]
    body: dict[str, Any] = {"filter": {"label": "batch"}}
    tried = http.post("/v1/clips/delete", json={**body, "dry_run": True}).json()
    batch = http.post("/v1/clips/delete", json={**body, "selection": tried["selection"]}).json()["batch_id"]
    assert http.delete(f"/v1/clips/{clips[0].clip_id}").status_code == 204
    log.new()
    run_batches(engine)
    rows = log.new()
    assert {each.object_id for each in rows} == {each.clip_id for each in clips[1:]}
    assert {(each.action, each.means, each.means_id) for each in rows} == {("clip.delete", "batch", batch)}


def test_secrets_are_in_no_row(
    shared: ApiServer, engine: RecordedEngine, http: httpx.Client, recording: Recording, log: Log
) -> None:
    clip = engine.finish(engine.make_clip(recording)).clip_id
    key = http.post("/v1/keys", json={"name": "secret name", "scopes": ["read"]}).json()
    share = http.post(f"/v1/clips/{clip}/shares", json={}).json()
    hook = http.post(
        "/v1/webhooks", json={"url": "https://example.org/hook?token=abc", "events": ["clip.ready"]}
    ).json()
    shown = http.get(f"/v1/clips/{clip}/shares/{share['share_id']}").json()
    with shared.client("") as page:
        token = page.post("/session", json={"key": shared.key}).cookies["clipengine_session"]
        assert page.delete("/session", headers={"X-Clipengine-Page": "1"}).status_code == 204
    assert http.delete(f"/v1/keys/{key['key_id']}").status_code == 204
    rows = log.new()
    found = {each.action: (each.object_id, each.within_id) for each in rows}
    assert found == {
        "key.create": (key["key_id"], None),
        "share.create": (share["share_id"], clip),
        "webhook.create": (hook["webhook_id"], None),
        "share.read": (share["share_id"], clip),
        "session.begin": (None, None),
        "session.end": (None, None),
        "key.revoke": (key["key_id"], None),
    }
    text = json.dumps([vars(each) for each in rows])
    secrets = [key["key"], shown["url"].rpartition("/")[2], hook["secret"], token, "secret name", "token=abc", "goal"]
    assert [each for each in secrets if each in text] == []


def test_download_is_recorded_once_for_each_viewing(
    engine: RecordedEngine, http: httpx.Client, recording: Recording, log: Log
) -> None:
    clip = engine.finish(engine.make_clip(recording), b"0123456789").clip_id
    path = f"/v1/clips/{clip}/download"
    assert http.head(path).status_code == 200
    assert log.new() == []
    for first in range(4):
        assert http.get(path, headers={"Range": f"bytes={first}-"}).status_code == 206
    assert http.get(path, headers={"Range": "bytes=99-"}).status_code == 416
    assert http.post("/v1/clips/archive", json={"clip_ids": [clip]}).status_code == 200
    assert log.actions() == [("clip.download", clip, None)]
    clock = engine.ledger.audit._clock
    engine.ledger.audit._clock = lambda: clock() + 601
    try:
        assert http.get(path).status_code == 200
        assert log.actions() == [("clip.download", clip, None)]
    finally:
        engine.ledger.audit._clock = clock


def test_refused_requests_and_visits_of_shares_are_counted(
    shared: ApiServer, engine: RecordedEngine, http: httpx.Client, recording: Recording, log: Log
) -> None:
    clip = engine.finish(engine.make_clip(recording)).clip_id
    reader = http.post("/v1/keys", json={"name": "r", "scopes": ["read"]}).json()
    link = http.post(f"/v1/clips/{clip}/shares", json={}).json()
    log.new()
    with shared.client(reader["key"]) as weak, shared.client("") as nobody:
        for _ in range(3):
            assert weak.delete(f"/v1/clips/{clip}").status_code == 403
            assert nobody.delete(f"/v1/clips/{clip}").status_code == 401
            assert nobody.get("/v1/clips").status_code == 401
            assert nobody.get(link["url"]).status_code == 200
            assert nobody.get(f"{link['url']}/download").status_code == 200
        assert nobody.post("/session", json={"key": "wrong"}).status_code == 401
    found = {(each.action, each.outcome, each.actor_id, each.object_id, each.count, each.peer) for each in log.new()}
    assert found == {
        ("clip.delete", "refused", reader["key_id"], None, 3, "127.0.0.1"),
        ("clip.delete", "refused", None, None, 3, "127.0.0.1"),
        ("session.begin", "refused", None, None, 1, "127.0.0.1"),
        ("share.view", "done", link["share_id"], clip, 3, None),
        ("share.download", "done", link["share_id"], clip, 3, None),
    }


def test_flood_of_different_callers_adds_a_bounded_number_of_rows(engine: RecordedEngine, log: Log) -> None:
    for number in range(1000):
        peer = f"192.0.2.{number}"
        engine.ledger.audit.count("clip.delete", Actor("unknown", peer=peer), outcome="refused")
    rows: list[Any] = log.new()
    assert len(rows) == MOST_ADDRESSES + 1
    assert sum(each.count for each in rows) == 1000


def test_log_is_listed_for_operators(shared: ApiServer, http: httpx.Client, recording: Recording, log: Log) -> None:
    path = f"/v1/recordings/{recording.recording_id}"
    keys = [http.post("/v1/keys", json={"name": "r", "scopes": ["read", "write"]}).json() for _ in range(3)]
    with shared.client(keys[0]["key"]) as weak:
        assert weak.patch(path, json={"name": "b"}).status_code == 200
        assert weak.get("/v1/audit").status_code == 403
    with Client(shared.url, shared.key) as client:
        (entry,) = client.installation.audit(object=recording.recording_id, actor=keys[0]["key_id"]).data
        assert (entry.action, entry.means, entry.outcome) == ("recording.update", "key", "done")
        first = client.installation.audit(action="key.create", limit=2, after="2020-01-01T00:00:00Z")
        rest = client.installation.audit(action="key.create", limit=100, cursor=first.next_cursor)
    found = [each.object_id for each in [*first.data, *rest.data]]
    assert {each["key_id"] for each in keys} <= {*found}
    assert len(found) == len({*found})
    assert http.get("/v1/audit?before=2020-01-01T00:00:00Z").json()["data"] == []
    assert http.get("/v1/audit?action=x").status_code == 422
    assert len(log.new()) == 4
