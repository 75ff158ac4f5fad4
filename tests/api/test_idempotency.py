"""Idempotency-Key: a repeated request is executed once, also if sent in parallel."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from clipengine.api.http.operation import fingerprint
from clipengine.api.http.requests.clips import CreateClip
from clipengine.api.http.requests.fields import Body
from clipengine.api.http.requests.recordings import RegisterRecording
from clipengine.api.http.validation import idempotency_key
from clipengine.errors import InvalidRequest
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine

BODY = {"label": "key-moment", "start_seconds": 120.0, "end_seconds": 150.0}


@pytest.fixture
def path(recording: Recording) -> str:
    return f"/v1/recordings/{recording.recording_id}/clips"


def post(http: httpx.Client, path: str, key: str, body: object = BODY) -> httpx.Response:
    return http.post(path, json=body, headers={"Idempotency-Key": key})


def test_repeated_request_gets_the_same_response(http: httpx.Client, path: str, engine: RecordedEngine) -> None:
    first, second = post(http, path, "abc"), post(http, path, "abc")
    assert first.status_code == second.status_code == 202
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert engine.calls == [("clips", first.json()["clip_id"])]
    assert len(http.get("/v1/clips").json()["data"]) == 1


def test_quoted_and_bare_form_are_the_same_key(http: httpx.Client, path: str) -> None:
    post(http, path, "abc")
    assert post(http, path, '"abc"').headers["idempotent-replayed"] == "true"
    assert post(http, path, "ABC").headers.get("idempotent-replayed") is None


def test_equivalent_json_is_the_same_request(http: httpx.Client, path: str) -> None:
    post(http, path, "abc")
    same = {"poster": True, "end_seconds": 150, "start_seconds": 120, "label": "key-moment", "metadata": {}}
    assert post(http, path, "abc", same).headers["idempotent-replayed"] == "true"


def test_key_reused_for_another_request_is_rejected(http: httpx.Client, path: str) -> None:
    post(http, path, "abc")
    answer = post(http, path, "abc", {**BODY, "end_seconds": 151})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_rejected_request_is_not_recorded(http: httpx.Client, path: str) -> None:
    assert post(http, path, "abc", {**BODY, "end_seconds": 1}).status_code == 422
    assert post(http, path, "abc").status_code == 202


def test_keys_are_scoped_to_path_and_caller(
    server: ApiServer, http: httpx.Client, path: str, engine: RecordedEngine
) -> None:
    other = engine.make_recording("other.mp4")
    _, key = engine.ledger.keys.create("other")
    post(http, path, "abc")
    assert "idempotent-replayed" not in post(http, f"/v1/recordings/{other.recording_id}/clips", "abc").headers
    with server.client(key) as other_caller:
        assert "idempotent-replayed" not in post(other_caller, path, "abc").headers
    assert len(http.get("/v1/clips").json()["data"]) == 3


def test_parallel_requests_create_one_clip(server: ApiServer, path: str, engine: RecordedEngine) -> None:
    with server.client() as http, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(http, path, "abc"), range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 99
    assert engine.calls == [("clips", answers[0].json()["clip_id"])]
    assert engine.ledger.clips.counts()["queued"] == 1


def test_response_is_replayed_after_a_restart(tmp_path: Path) -> None:
    texts: list[bytes] = []
    key = ""
    for _ in range(2):
        with recorded_engine(tmp_path / "data") as engine:
            key = key or engine.ledger.keys.create("kept")[1]
            recording = (engine.ledger.recordings.list(RecordingFilter(limit=1)).data or [engine.make_recording()])[0]
            with api_server(engine) as server, server.client(key) as http:
                texts.append(post(http, f"/v1/recordings/{recording.recording_id}/clips", "abc").content)
    assert texts[0] == texts[1]


def test_every_post_that_creates_accepts_a_key(http: httpx.Client, engine: RecordedEngine) -> None:
    engine.put("a.mp4", b"x")
    recording = [post(http, "/v1/recordings", "abc", {"bucket_path": "a.mp4"}) for _ in range(2)]
    assert [answer.status_code for answer in recording] == [202, 202]
    webhook = [post(http, "/v1/webhooks", "abc", {"url": "http://127.0.0.1:9/"}) for _ in range(2)]
    assert webhook[0].json() == webhook[1].json()  # including the secret: the first response may have been lost
    test = [
        http.post(f"/v1/webhooks/{webhook[0].json()['webhook_id']}/test", headers={"Idempotency-Key": "a"})
        for _ in range(2)
    ]
    assert test[0].json() == test[1].json()


@pytest.mark.parametrize("header", ["", " ", '""', "a b", "x" * 256, "é", '"a\tb"'])
def test_invalid_key_is_rejected(header: str) -> None:
    with pytest.raises(InvalidRequest):
        idempotency_key(header)


def test_valid_keys_are_parsed(http: httpx.Client, path: str) -> None:
    assert idempotency_key(None) is None
    assert idempotency_key(' "a\\"b\\\\c" ') == 'a"b\\c'
    assert idempotency_key("x" * 255) == "x" * 255
    answer = post(http, path, "a b")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    (fault,) = answer.json()["errors"]
    assert (fault["detail"], fault["header"]) == ("must be 1 to 255 visible ASCII characters", "Idempotency-Key")


class _Base(Body):
    always_hashed = ("name",)

    name: str | None = None


class _Later(_Base):
    added: str = "default"


def test_field_of_a_later_release_leaves_the_fingerprint_of_old_requests_unchanged() -> None:
    assert fingerprint(_Later()) == fingerprint(_Base())
    assert fingerprint(_Later(added="default")) == fingerprint(_Base())
    assert fingerprint(_Later(added="other")) != fingerprint(_Base())


def test_fingerprints_are_those_of_0_1_0() -> None:
    clip = CreateClip(label="queued", start_seconds=0, end_seconds=1)
    assert fingerprint(clip) == "591e16ab87157bd8d7cd82e7883acefc15350273005891e7b620078020a6ce8b"
    recording = RegisterRecording(bucket_path="a.mp4")
    values = '{"bucket_path":"a.mp4","metadata":{},"name":null}'
    assert fingerprint(recording) == hashlib.sha256(values.encode()).hexdigest()
