"""Users and roles: what each role may do on every route, with its own objects and with those of others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, get_args

import httpx
import pytest

from clipengine.access.roles import Role
from clipengine.api.http.access import _ADMINISTRATION, Object, may
from clipengine.basis.ids import new_id
from clipengine.client import Client
from clipengine.clips.clip import Clip
from clipengine.clips.texts.cues import Cue
from clipengine.errors import ClipNotFound
from clipengine.ledger.automation.batches import BatchItem
from clipengine.ledger.people.principals import Principal
from clipengine.ledger.people.users import User
from clipengine.ledger.retention import expiry
from clipengine.mcp.http import McpEndpoint
from clipengine.mcp.tools import TOOLS
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine

ROLES = get_args(Role)
SCOPES = {"viewer": {"read"}, "editor": {"read", "write"}, "operator": {"read", "write", "admin"}}
# DELETE routes that are no deletion of an object that another may have made.
NO_DELETION = {"/v1/uploads/{upload_id}", "/v1/recordings/{recording_id}/clips", "/v1/rules/{rule_id}/backfill"}
LATER = "2050-01-01T00:00:00.000Z"
DUE_FIRST = "2049-01-01T00:00:00.000Z"  # before what other tests leave


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder: Path = tmp_path_factory.mktemp("roles")
    proxy = {"enabled": True, "peers": ["127.0.0.1"], "groups_header": ""}
    with (
        recorded_engine(folder / "data", auth={"proxy": proxy}) as engine,
        api_server(engine, [McpEndpoint(engine)]) as server,
    ):
        yield server


@pytest.fixture
def engine(server: ApiServer) -> RecordedEngine:
    return server.engine


class Person(NamedTuple):
    """A user with a key of all scopes, so that only the role limits it."""

    user: User
    http: httpx.Client


@pytest.fixture(scope="module")
def people(server: ApiServer) -> Iterator[dict[str, Person]]:
    """A viewer, an editor and an operator, and `other`, another editor."""
    made = {}
    for name in (*ROLES, "other"):
        role: Role = "editor" if name == "other" else name
        user = server.engine.ledger.users.sign_in(name, source="proxy", name=name.title(), role=role)
        made[name] = Person(user, server.client(key_of(server, user)))
    yield made
    for each in made.values():
        each.http.close()


def key_of(server: ApiServer, user: User) -> str:
    return server.engine.ledger.keys.create(user.name, user_id=user.user_id)[1]


def send(http: httpx.Client, method: str, path: str) -> int:
    """Return the status of a request for objects that do not exist, with a body that no route accepts."""
    headers = {"Content-Type": "application/json"} if method in ("POST", "PUT", "PATCH") else {}
    with http.stream(method, re.sub(r"\{\w+\}", "x", path), headers=headers, content=b"[]" if headers else None) as got:
        return got.status_code


@pytest.mark.parametrize("role", ROLES)
def test_role_may_use_the_routes_of_its_scopes(server: ApiServer, people: dict[str, Person], role: Role) -> None:
    found = server.operations
    assert len(found) > 90
    refused = {f"{each.method} {each.path}" for each in found if send(people[role].http, each.method, each.path) == 403}
    assert refused == {f"{each.method} {each.path}" for each in found if each.scope not in SCOPES[role]}


def test_every_deletion_and_cancel_is_admitted_for_own_objects_or_for_operators(server: ApiServer) -> None:
    for each in server.operations:
        kind = each.path.split("/")[2]
        ends = each.method == "DELETE" or each.path.endswith("/cancel")
        if ends and each.path not in NO_DELETION and not each.is_former:
            assert each.action == "delete", each.path
            assert each.own == (kind not in _ADMINISTRATION), each.path
        else:
            assert not each.own or each.is_former, each.path
    editor = Principal("user_1", "a", ("read", "write"), User("user_1", "a", "proxy", "a", "editor", 0))
    assert not may(editor, "delete", Object("clips", "clip_1"))


@pytest.mark.parametrize("role", ROLES)
def test_role_may_use_the_tools_of_its_scopes(server: ApiServer, people: dict[str, Person], role: Role) -> None:
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    text = people[role].http.post("/mcp", json=body, headers=headers).text
    listed = set(re.findall(r'"name":"(\w+)"', text))
    admin, write = SCOPES[role] >= {"admin"}, SCOPES[role] >= {"write"}
    wanted = {tool.name for tool in TOOLS if (admin if tool.object.kind == "rules" else tool.action == "read" or write)}
    assert listed == wanted


class Made(NamedTuple):
    recording: Recording
    clip: Clip


NUMBERS = count()


def make(engine: RecordedEngine, created_by: str | None, key: str | None = None) -> Made:
    """Make a recording with a clip and a transcript."""
    key = key or f"relay/recordings/roles/{next(NUMBERS)}.mp4"
    engine.put(key, b"media")
    recording = engine.make_recording(key)
    own = f"UPDATE recordings SET created_by = ? WHERE recording_id = '{recording.recording_id}'"
    with engine.ledger.session():
        engine.ledger.database.run(own, (created_by,))
    clip = engine.finish(engine.make_clip(recording, created_by=created_by))
    clip = engine.ledger.clips.update(clip.clip_id, {"tags": ["keep"]}, {})
    engine.ledger.transcripts.put(recording.recording_id, "en", [Cue(0, 1000, "budget")], created_by=created_by)
    return Made(recording, clip)


def share(engine: RecordedEngine, made: Made, created_by: str | None) -> str:
    shares = engine.ledger.shares
    options: Any = {"expires_at": None, "download": True, "embed": True}
    return shares.create(made.clip.clip_id, **options, created_by=created_by)[0].share_id


def batch(engine: RecordedEngine, made: Made, created_by: str | None) -> str:
    items = [BatchItem("", 0, "pending", source_clip_id=made.clip.clip_id)]
    return engine.ledger.requested_batches.create("delete", items, created_by=created_by).batch_id


def transcription(engine: RecordedEngine, made: Made, created_by: str | None) -> str:
    transcriptions, id = engine.ledger.transcriptions, made.recording.recording_id
    return transcriptions.add(id, language="de", source="local", track=0, created_by=created_by).transcript_id


def cancel(http: httpx.Client, engine: RecordedEngine, made: Made, created_by: str | None) -> httpx.Response:
    """Cancel a clip that is queued, which is not left in the queue if that is refused."""
    clip = engine.make_clip(made.recording, created_by=created_by)
    answer = http.post(f"/v1/clips/{clip.clip_id}/cancel")
    if not answer.is_success:
        engine.ledger.clips.delete(clip.clip_id)
    return answer


Delete = Callable[[httpx.Client, RecordedEngine, Made, str | None], httpx.Response]
DELETIONS: dict[str, Delete] = {
    "clip": lambda http, engine, made, by: http.delete(f"/v1/clips/{made.clip.clip_id}"),
    "clip of a recording": lambda http, engine, made, by: http.delete(
        f"/v1/recordings/{made.recording.recording_id}/clips/{made.clip.clip_id}"
    ),
    "clips by id": lambda http, engine, made, by: http.post("/v1/clips/delete", json={"clip_ids": [made.clip.clip_id]}),
    "expiry of a clip": lambda http, engine, made, by: http.patch(
        f"/v1/clips/{made.clip.clip_id}", json={"expires_at": LATER}
    ),
    "expiry of a recording": lambda http, engine, made, by: http.patch(
        f"/v1/recordings/{made.recording.recording_id}", json={"expires_at": LATER}
    ),
    "no expiry of a clip": lambda http, engine, made, by: http.patch(
        f"/v1/clips/{made.clip.clip_id}", json={"expires_at": None}
    ),
    "no expiry of a recording": lambda http, engine, made, by: http.patch(
        f"/v1/recordings/{made.recording.recording_id}", json={"expires_at": None}
    ),
    "end of the tag that keeps a clip": lambda http, engine, made, by: http.patch(
        f"/v1/clips/{made.clip.clip_id}", json={"tags": ["x"]}
    ),
    "share": lambda http, engine, made, by: http.delete(
        f"/v1/clips/{made.clip.clip_id}/shares/{share(engine, made, by)}"
    ),
    "transcript": lambda http, engine, made, by: http.delete(
        f"/v1/recordings/{made.recording.recording_id}/transcripts/en"
    ),
    "recording": lambda http, engine, made, by: http.delete(f"/v1/recordings/{made.recording.recording_id}"),
    "cancel of a clip": lambda http, engine, made, by: cancel(http, engine, made, by),
    "cancel of a batch": lambda http, engine, made, by: http.post(f"/v1/batches/{batch(engine, made, by)}/cancel"),
    "cancel of a transcription": lambda http, engine, made, by: http.post(
        f"/v1/transcriptions/{transcription(engine, made, by)}/cancel"
    ),
}


@pytest.mark.parametrize("role", ROLES)
def test_editor_deletes_only_own_objects_and_an_operator_all(
    engine: RecordedEngine, people: dict[str, Person], role: Role
) -> None:
    person = people[role]
    for owner in (person.user.user_id, people["other"].user.user_id, None):
        allowed = role == "operator" or (role == "editor" and owner == person.user.user_id)
        for name, delete in DELETIONS.items():
            answer = delete(person.http, engine, make(engine, owner), owner)
            assert answer.is_success is allowed, (name, owner, answer.text)
            assert answer.status_code == 403 or allowed, (name, answer.text)


def test_editor_deletes_no_file_that_was_only_registered(
    server: ApiServer, engine: RecordedEngine, people: dict[str, Person]
) -> None:
    """Otherwise an editor could register the file of a clip of someone else, and delete it."""
    with server.client() as admin:
        file = admin.get(f"/v1/clips/{make(engine, None).clip.clip_id}").json()["bucket_path"]
        engine.put(file, b"a clip of another")
        for http, status in ((people["editor"].http, 403), (people["operator"].http, 204), (admin, 204)):
            made = http.post("/v1/recordings", json={"bucket_path": file}).json()["recording_id"]
            assert http.delete(f"/v1/recordings/{made}?object=true").status_code == status
            assert http.delete(f"/v1/recordings/{made}").status_code == (204 if status == 403 else 404)


def test_own_recording_with_a_clip_of_another_is_not_deleted(engine: RecordedEngine, people: dict[str, Person]) -> None:
    editor = people["editor"]
    made = make(engine, editor.user.user_id)
    engine.finish(engine.make_clip(made.recording, created_by=people["other"].user.user_id))
    answer = editor.http.delete(f"/v1/recordings/{made.recording.recording_id}")
    assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden")
    assert engine.ledger.recordings.get(made.recording.recording_id)


WORKS: dict[str, Callable[[RecordedEngine, Made, str], object]] = {
    "transcript": lambda engine, made, by: engine.ledger.transcripts.put(
        made.recording.recording_id, "de", [Cue(0, 1000, "x")], created_by=by
    ),
    "transcription": lambda engine, made, by: transcription(engine, made, by),
    "segments": lambda engine, made, by: segments(engine, made, by),
    "title of segments": lambda engine, made, by: segments(engine, made, by, empty=True, title="Goals"),
    "look of segments": lambda engine, made, by: segments(engine, made, by, empty=True, look={"output": {}}),
}


def segments(
    engine: RecordedEngine,
    made: Made,
    created_by: str,
    *,
    empty: bool = False,
    title: str = "",
    look: dict[str, Any] | None = None,
) -> None:
    values: list[dict[str, Any]] = [] if empty else [{"start_seconds": 0, "end_seconds": 1, "label": ""}]
    engine.ledger.segment_lists.put(
        made.recording.recording_id,
        title=title,
        segments=values,
        look=look or {},
        created_by=created_by,
        check=lambda stored: None,
    )


@pytest.mark.parametrize("work", WORKS)
def test_own_recording_with_a_work_of_another_is_not_deleted_and_does_not_expire(
    engine: RecordedEngine, people: dict[str, Person], work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = people["editor"]
    made = make(engine, editor.user.user_id)
    id = made.recording.recording_id
    assert editor.http.patch(f"/v1/recordings/{id}", json={"expires_at": DUE_FIRST}).status_code == 200
    WORKS[work](engine, made, people["other"].user.user_id)
    monkeypatch.setattr(expiry, "now_ms", lambda: engine.ledger.recordings.get(id).expires_at)
    assert editor.http.delete(f"/v1/recordings/{id}").status_code == 403
    assert editor.http.patch(f"/v1/recordings/{id}", json={"expires_at": None}).status_code == 403
    assert engine.ledger.expiry.run_recordings(keep_ms=None) == 0
    assert people["operator"].http.delete(f"/v1/recordings/{id}").status_code == 204


def test_own_recording_with_emptied_segments_or_subtitles_of_its_file_is_deleted(
    engine: RecordedEngine, people: dict[str, Person]
) -> None:
    editor = people["editor"]
    made = make(engine, editor.user.user_id)
    for empty in (False, True):
        segments(engine, made, people["other"].user.user_id, empty=empty)
    engine.ledger.transcripts.put(made.recording.recording_id, "de", [Cue(0, 1000, "x")], source="embedded")
    assert editor.http.delete(f"/v1/recordings/{made.recording.recording_id}").status_code == 204


def test_user_who_fills_an_empty_list_becomes_its_creator(engine: RecordedEngine, people: dict[str, Person]) -> None:
    editor, other = people["editor"], people["other"].user.user_id
    made = make(engine, editor.user.user_id)
    path = f"/v1/recordings/{made.recording.recording_id}"
    segments(engine, made, editor.user.user_id)
    segments(engine, made, other)  # a change
    assert editor.http.get(f"{path}/segments").json()["created_by"] == editor.user.user_id
    for creator, empty in ((editor.user.user_id, True), (other, False)):
        segments(engine, made, creator, empty=empty)
    assert editor.http.get(f"{path}/segments").json()["created_by"] == other
    assert editor.http.delete(path).status_code == 403


@pytest.mark.parametrize("role", ["editor", "operator"])
def test_expiry_of_an_editor_waits_while_others_have_clips_of_the_recording(
    engine: RecordedEngine, people: dict[str, Person], role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may cut from it after the editor has set its expiry. That of an operator takes all clips along."""
    made = make(engine, people["editor"].user.user_id)
    id = made.recording.recording_id
    assert people[role].http.patch(f"/v1/recordings/{id}", json={"expires_at": DUE_FIRST}).status_code == 200
    theirs = engine.finish(engine.make_clip(made.recording, created_by=people["other"].user.user_id))
    monkeypatch.setattr(expiry, "now_ms", lambda: engine.ledger.recordings.get(id).expires_at)
    if role == "editor":
        assert engine.ledger.expiry.run_recordings(keep_ms=None) == 0
        assert engine.ledger.clips.get(theirs.clip_id)
        assert people["other"].http.delete(f"/v1/clips/{theirs.clip_id}").status_code == 204
    assert engine.ledger.expiry.run_recordings(keep_ms=None) == 1
    for clip in (made.clip, theirs):
        with pytest.raises(ClipNotFound):
            engine.ledger.clips.get(clip.clip_id)


@pytest.mark.parametrize("role", ["editor", "operator"])
def test_expiry_of_an_editor_keeps_a_file_that_was_only_registered(
    engine: RecordedEngine, people: dict[str, Person], role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    http, owner = people[role].http, people["other"].user.user_id
    uploaded = make(engine, owner, f"recordings/{new_id('rec')}/talk.mp4").recording
    people["other"].http.delete(f"/v1/recordings/{uploaded.recording_id}")
    body = {"bucket_path": uploaded.bucket_path}
    id = http.post("/v1/recordings", json=body).json()["recording_id"]
    http.patch(f"/v1/recordings/{id}", json={"expires_at": DUE_FIRST})
    monkeypatch.setattr(expiry, "now_ms", lambda: engine.ledger.recordings.get(id).expires_at)
    assert engine.ledger.expiry.run_recordings(keep_ms=None) == 1
    assert (uploaded.bucket_path in engine.ledger.removals.due(1000)) is (role == "operator")


def test_deletion_by_ids_is_refused_as_a_whole_and_one_by_filter_leaves_others_out(
    engine: RecordedEngine, people: dict[str, Person]
) -> None:
    editor, other = people["editor"], people["other"]
    made = make(engine, editor.user.user_id)
    theirs = engine.finish(engine.make_clip(made.recording, created_by=other.user.user_id)).clip_id
    both = {"clip_ids": [made.clip.clip_id, theirs]}
    assert editor.http.post("/v1/clips/delete", json=both).status_code == 403
    assert engine.ledger.clips.get(made.clip.clip_id)

    wanted: dict[str, Any] = {"filter": {"recording_id": made.recording.recording_id}}
    tried = editor.http.post("/v1/clips/delete", json={**wanted, "dry_run": True}).json()
    assert [each["clip_id"] for each in tried["data"]] == [made.clip.clip_id]
    assert (tried["count"], tried["skipped"]) == (1, 1)
    all_of_it = people["operator"].http.post("/v1/clips/delete", json={**wanted, "dry_run": True}).json()
    assert all_of_it["count"] == 2
    foreign = editor.http.post("/v1/clips/delete", json={**wanted, "selection": all_of_it["selection"]})
    assert foreign.json()["code"] == "selection_changed"
    answer = editor.http.post("/v1/clips/delete", json={**wanted, "selection": tried["selection"]})
    assert (answer.status_code, answer.json()["total"]) == (202, 1)


def test_change_of_an_object_of_another_is_no_deletion(engine: RecordedEngine, people: dict[str, Person]) -> None:
    made = make(engine, people["other"].user.user_id)
    http = people["editor"].http
    assert http.patch(f"/v1/clips/{made.clip.clip_id}", json={"label": "b", "tags": ["keep", "x"]}).status_code == 200
    assert http.patch(f"/v1/recordings/{made.recording.recording_id}", json={"name": "b"}).status_code == 200


def test_recording_whose_expiry_its_editor_ended_expires_by_the_setting_of_the_operator(
    engine: RecordedEngine, people: dict[str, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with clips of others, which the expiry of an editor waits for."""
    made = make(engine, people["editor"].user.user_id)
    one = f"/v1/recordings/{made.recording.recording_id}"
    for expires_at in (LATER, None):
        assert people["editor"].http.patch(one, json={"expires_at": expires_at}).status_code == 200
    engine.finish(engine.make_clip(made.recording, created_by=people["other"].user.user_id))
    completed = engine.ledger.recordings.get(made.recording.recording_id).completed_at
    assert completed is not None
    monkeypatch.setattr(expiry, "now_ms", lambda: completed + 1000)
    assert engine.ledger.expiry.run_recordings(keep_ms=None) == 0
    while engine.ledger.expiry.run_recordings(keep_ms=1000):
        pass  # those of other tests are due as well, a hundred at a time
    assert people["editor"].http.get(one).status_code == 404


def test_replaced_transcript_stays_that_of_its_creator(engine: RecordedEngine, people: dict[str, Person]) -> None:
    """Otherwise an editor could replace the transcript of another, and then delete it."""
    editor, other = people["editor"].http, people["other"].user.user_id
    recording = make(engine, other).recording.recording_id
    transcript = f"/v1/recordings/{recording}/transcripts/en"
    cues = [{"start_seconds": 0, "end_seconds": 1, "text": "mine"}]
    assert editor.put(transcript, json=cues).json()["created_by"] == other
    assert editor.delete(transcript).status_code == 403


def test_objects_name_who_has_created_them_and_lists_filter_by_it(
    server: ApiServer, engine: RecordedEngine, people: dict[str, Person]
) -> None:
    user = people["editor"].user
    with Client(server.url, key_of(server, user)) as client, Client(server.url, server.key) as keyed:
        engine.put("relay/recordings/mine.mp4", b"media")
        client.recordings.add("relay/recordings/mine.mp4")
        recording = engine.make_recording("relay/recordings/mine.mp4").recording_id
        clip = client.clips.create(recording, "mine", 1, 2)
        keyed.clips.create(recording, "of the key", 1, 2)
        client.transcripts.put(recording, "en", [{"start_seconds": 1, "end_seconds": 2, "text": "x"}])
        client.recordings.put_segments(recording, [{"start_seconds": 1, "end_seconds": 2}], version=0)
        keyed.recordings.put_segments(recording, [], version=1)
        found = [client.recordings.get(recording), clip, client.recordings.segments(recording)]
        found += client.transcripts.list(recording).data
        assert [each.created_by for each in found] == [user.user_id] * 4
        assert [each.label for each in client.clips.list(mine=True, recording_id=recording).data] == ["mine"]
        assert [each.label for each in keyed.clips.list(mine=True, recording_id=recording).data] == ["of the key"]
        assert recording in {each.recording_id for each in client.recordings.list(mine=True).data}
        assert client.users.me().id == user.user_id
        assert keyed.users.me().user is None
        assert keyed.users.me().id == keyed.rules.create("r", ranges={"kind": "all"}).created_by


def test_key_has_no_more_scopes_than_its_user(server: ApiServer, engine: RecordedEngine) -> None:
    users = engine.ledger.users
    user = users.sign_in("changing", source="proxy", name="Changing", role="operator")
    with server.client(key_of(server, user)) as http, server.client() as admin:
        one = f"/v1/users/{user.user_id}"
        assert http.get("/v1/users").status_code == 200
        assert http.patch(one, json={"role": "viewer"}).json()["code"] == "conflict"
        assert admin.patch(one, json={"role": "viewer"}).json()["role"] == "viewer"
        answer = http.get("/v1/users")
        assert "role `viewer` does not allow this" in answer.json()["detail"]
        assert http.get("/v1/me").json()["scopes"] == ["read"]
        assert admin.patch(one, json={"disabled": True}).json()["disabled_at"] is not None
        assert http.get("/v1/me").status_code == 401
        assert admin.patch(one, json={"disabled": False}).status_code == 200
        assert http.get("/v1/me").status_code == 200
        assert admin.delete(one).status_code == 204
        assert http.get("/v1/me").status_code == 401
        assert users.sign_in("changing", source="proxy", name="Changing", role="viewer").user_id != user.user_id
        assert http.get("/v1/me").status_code == 401


def test_key_of_a_user_starts_no_session_and_is_unknown_to_the_release_before(
    server: ApiServer, engine: RecordedEngine, people: dict[str, Person]
) -> None:
    """0.2.0 compares the hash of the text alone, and would ignore the role."""
    key, text = engine.ledger.keys.create("mine", user_id=people["editor"].user.user_id)
    with engine.ledger.session():
        rows = engine.ledger.database.run("SELECT sha256 FROM api_keys WHERE key_id = ?", (key.key_id,))
    assert rows[0][0] != hashlib.sha256(text.encode()).hexdigest()
    with server.client("") as http:
        assert http.post("/session", json={"key": text}).status_code == 403


def test_upload_belongs_to_the_user_with_any_key(server: ApiServer, people: dict[str, Person]) -> None:
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Metadata": "filename YS5tcDQ="}
    made = people["editor"].http.post("/v1/uploads", headers=headers)
    path, tus = made.headers["location"], {"Tus-Resumable": "1.0.0"}
    with server.client(key_of(server, people["editor"].user)) as second, server.client() as admin:
        assert second.head(path, headers=tus).status_code == 200
        assert people["other"].http.head(path, headers=tus).status_code == 403
        assert admin.head(path, headers=tus).status_code == 403
        assert people["other"].http.delete(path, headers=tus).status_code == 403
        assert people["operator"].http.delete(path, headers=tus).status_code == 204


def test_sessions_are_listed_for_their_user_and_ended_by_an_operator(
    server: ApiServer, engine: RecordedEngine, people: dict[str, Person]
) -> None:
    editor, other = people["editor"], people["other"]
    session, token = engine.ledger.user_sessions.begin(editor.user.user_id)
    path = f"/v1/sessions/{session.session_id}"
    with server.client("", cookies={"clipengine_session": token}) as page:
        page.headers["Remote-User"] = "editor"
        shown = page.get("/session").json()
        assert shown.pop("may")["clips"]["delete"] == "own"
        assert shown == {
            "id": editor.user.user_id,
            "name": "Editor",
            "scopes": ["read", "write"],
            "role": "editor",
        }
        listed = [each["session_id"] for each in editor.http.get("/v1/sessions").json()["data"]]
        assert listed == [session.session_id]
        assert other.http.get("/v1/sessions").json()["data"] == []
        assert other.http.get(f"/v1/sessions?user_id={editor.user.user_id}").status_code == 403
        assert other.http.get("/v1/sessions?all=true").status_code == 403
        assert other.http.delete(path).status_code == 403
        assert page.get("/v1/me").status_code == 200
        assert people["operator"].http.get("/v1/sessions?all=true").json()["data"][0]["session_id"] in listed
        assert people["operator"].http.delete(path).status_code == 204
        assert page.get("/v1/me").status_code == 401
    _, token = engine.ledger.user_sessions.begin(editor.user.user_id)
    with server.client("", cookies={"clipengine_session": token}) as page:
        page.headers["Remote-User"] = "editor"
        assert page.delete("/session", headers={"X-Clipengine-Page": "1"}).status_code == 204
        assert page.get("/v1/me", headers={"Cookie": f"clipengine_session={token}"}).status_code == 401
