"""POST of a clip: the response of the main job, and which faults are rejected, in which order and with which code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from clipengine.basis.ids import new_id
from clipengine.errors import EncoderFailed
from clipengine.recordings.recording import Recording
from tests.support.api import Check, RecordedEngine, api_server, recorded_engine
from tests.support.clip_requests import BODY, FIXED_KEYS, MOMENT, MORE_KEYS, pointers, post, refused

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("render", ["smart", "encode", None])
def test_render_of_a_request_is_kept_with_the_clip(
    http: httpx.Client, recording: Recording, engine: RecordedEngine, render: str | None
) -> None:
    clip = post(http, recording.recording_id, BODY | {"render": render}).json()
    assert clip["render"] == http.get(f"/v1/clips/{clip['clip_id']}").json()["render"] == render
    assert engine.ledger.clips.get(clip["clip_id"]).render == render
    refused(post(http, recording.recording_id, BODY | {"render": "copy"}), 422, "invalid_request")


def test_response_has_the_documented_fields(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    answer = post(http, recording.recording_id)
    assert answer.status_code == 202
    body = answer.json()
    assert list(body) == FIXED_KEYS + MORE_KEYS
    assert answer.headers["location"] == f"/v1/clips/{body['clip_id']}"
    assert re.fullmatch(r"clip_[0-9a-hjkmnp-tv-z]{26}", body["clip_id"])
    assert MOMENT.match(body.pop("created_at"))
    assert body == {
        "clip_id": body["clip_id"],
        "recording_id": recording.recording_id,
        "label": "key-moment",
        "start_seconds": 120.0,
        "end_seconds": 150.0,
        "status": "processing",
        "bucket_path": None,
        "completed_at": None,
        "progress": 0.0,
        "step": "queued",
        "profile": "default",
        "priority": 0,
        "metadata": {},
        "attempt": 0,
        "error": None,
        "result": None,
        "expires_at": None,
        "request_id": answer.headers["x-request-id"],
        "render": None,
        "output": None,
        "parts": None,
        "snap": None,
        "subtitles": None,
        "queue": None,
        "wait_until": None,
        "start_time": None,
        "end_time": None,
        "without": [],
        "tags": [],
        "variant_of": None,
        "revision": 0,
        "created_by": http.get("/v1/me").json()["id"],
        "waits_for": [],
    }
    assert '"start_seconds":120.0,' in answer.text
    assert engine.calls == [("clips", body["clip_id"])]
    assert http.get(answer.headers["location"]).json()["clip_id"] == body["clip_id"]


def test_request_id_of_the_clip_is_that_of_the_request_that_created_it(
    http: httpx.Client, recording: Recording, engine: RecordedEngine
) -> None:
    given = {"Idempotency-Key": "k-1", "X-Request-Id": "order-4711"}
    made = post(http, recording.recording_id, **given)
    clip_id = made.json()["clip_id"]
    assert made.json()["request_id"] == "order-4711"
    replayed = post(http, recording.recording_id, **given | {"X-Request-Id": "order-4712"})
    assert (replayed.json()["request_id"], replayed.headers["x-request-id"]) == ("order-4711", "order-4712")
    engine.fail(engine.ledger.clips.get(clip_id))
    assert http.post(f"/v1/clips/{clip_id}/retry").json()["request_id"] == "order-4711"


@pytest.mark.parametrize(
    ("headers", "kept"),
    [([TRACEPARENT], TRACEPARENT), ([], None), ([TRACEPARENT, TRACEPARENT], None), (["00-1-2-01"], None)],
)
def test_valid_traceparent_is_kept_and_any_other_ignored(
    http: httpx.Client, recording: Recording, engine: RecordedEngine, headers: list[str], kept: str | None
) -> None:
    path, given = f"/v1/recordings/{recording.recording_id}/clips", [("traceparent", each) for each in headers]
    made = http.post(path, json=BODY, headers=given)
    assert made.status_code == 202
    assert engine.ledger.clips.get(made.json()["clip_id"]).traceparent == kept


def test_integer_times_are_returned_as_floats(http: httpx.Client, recording: Recording) -> None:
    answer = post(http, recording.recording_id, {**BODY, "start_seconds": 0, "end_seconds": 5})
    assert '"start_seconds":0.0,"end_seconds":5.0' in answer.text
    assert '"start_seconds":0.0,' in post(http, recording.recording_id, {**BODY, "start_seconds": -0.0}).text


def test_optional_fields_are_accepted(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    more = {"profile": "default", "metadata": {"a": "ü", "b": ""}, "priority": -10, "poster": False}
    answer = post(http, recording.recording_id, {**BODY, **more, "webhook_url": "http://127.0.0.1:9/hook"})
    assert answer.status_code == 202
    assert {key: answer.json()[key] for key in ("profile", "metadata", "priority")} == {
        key: more[key] for key in ("profile", "metadata", "priority")
    }
    clip = engine.ledger.clips.get(answer.json()["clip_id"])
    assert (clip.poster, clip.webhook_url) == (False, "http://127.0.0.1:9/hook")


def test_expiry_is_normalised_and_validated(http: httpx.Client, recording: Recording) -> None:
    made = post(http, recording.recording_id, {**BODY, "expires_at": "2125-04-05T11:00:00+02:00"})
    assert made.json()["expires_at"] == "2125-04-05T09:00:00.000Z"
    for wrong in ("2020-01-01T00:00:00Z", "2125-04-05T11:00:00", "soon", 4_900_000_000_000, True):
        problem = refused(post(http, recording.recording_id, {**BODY, "expires_at": wrong}), 422, "invalid_request")
        assert pointers(problem) == ["/expires_at"]


def test_end_may_exceed_the_duration_by_a_second(http: httpx.Client, recording: Recording) -> None:
    answer = post(http, recording.recording_id, {**BODY, "start_seconds": 5390, "end_seconds": 5401.04})
    assert answer.json()["end_seconds"] == 5401.04


def test_unknown_recording_is_rejected(http: httpx.Client) -> None:
    answer = post(http, "rec_nothing")
    refused(answer, 404, "recording_not_found")
    assert [each["parameter"] for each in answer.json()["errors"]] == ["recording_id"]
    refused(post(http, new_id("rec"), {**BODY, "end_seconds": 1, "label": ""}), 404, "recording_not_found")


def test_incomplete_recording_is_rejected(http: httpx.Client, engine: RecordedEngine) -> None:
    engine.put("raw.mp4", b"x")
    waiting = http.post("/v1/recordings", json={"bucket_path": "raw.mp4"}).json()
    problem = refused(post(http, waiting["recording_id"]), 409, "recording_not_complete")
    assert f"GET /v1/recordings/{waiting['recording_id']}?wait=30" in problem["detail"]
    probe = engine.ledger.recordings.claim_probe("test")
    assert probe
    assert engine.ledger.recordings.probe_failed(probe, EncoderFailed("no"))
    problem = refused(post(http, waiting["recording_id"]), 409, "recording_not_complete")
    assert "The recording has failed: no (encoder_failed)" in problem["detail"]
    assert "Then register the recording again." in problem["detail"]


@pytest.mark.parametrize(
    ("start", "end", "at_fault"),
    [
        ("150.0", "120.0", "se"),
        ("120", "120", "se"),
        ("-0.5", "10", "s"),
        ("NaN", "10", "s"),
        ("0", "NaN", "e"),
        ("0", "Infinity", "e"),
        ("-Infinity", "10", "s"),
        ("0", "1e400", "e"),
        ("0", "1e308", "e"),
        ("0", "1" + "0" * 400, "e"),
        ("5400.04", "5400.5", "s"),
        ("6000", "6010", "se"),
        ("0", "5401.05", "e"),
        ("-1", "9999", "se"),
        ("0", "1e-9", "se"),
    ],
)
def test_invalid_range_is_rejected(
    http: httpx.Client, recording: Recording, start: str, end: str, at_fault: str
) -> None:
    text = f'{{"label": "x", "start_seconds": {start}, "end_seconds": {end}}}'
    answer = http.post(
        f"/v1/recordings/{recording.recording_id}/clips",
        content=text,
        headers={"Content-Type": "application/json"},
    )
    problem = refused(answer, 422, "invalid_time_range")
    assert pointers(problem) == [{"s": "/start_seconds", "e": "/end_seconds"}[each] for each in at_fault]


@pytest.mark.parametrize("value", ["120", True, [1], {"seconds": 1}])
def test_times_that_are_not_numbers_are_rejected(http: httpx.Client, recording: Recording, value: object) -> None:
    problem = refused(post(http, recording.recording_id, {**BODY, "start_seconds": value}), 422, "invalid_request")
    (fault,) = problem["errors"]
    assert (fault["detail"], fault["pointer"]) == ("must be a number of seconds", "/start_seconds")


@pytest.mark.parametrize(("value", "number"), [("00:01:00", "60"), ("1:02.5", "62.5"), ("120", "120")])
def test_time_of_a_clock_gets_a_hint_with_its_seconds(
    http: httpx.Client, recording: Recording, value: str, number: str
) -> None:
    problem = refused(post(http, recording.recording_id, {**BODY, "start_seconds": value}), 422, "invalid_request")
    assert problem["hint"] == f"Send the number {number}."


@pytest.mark.parametrize(
    "label",
    ["", "  ", "x" * 201, "x" * 2000, "a\nb", "a\rb", "\r\n", "a\x00b", "a\x7f", "a\x85b", "a\u2028b", "\ud800"],
)
def test_invalid_label_is_rejected(http: httpx.Client, recording: Recording, label: str) -> None:
    text = json.dumps({**BODY, "label": label})
    answer = http.post(
        f"/v1/recordings/{recording.recording_id}/clips",
        content=text,
        headers={"Content-Type": "application/json"},
    )
    assert pointers(refused(answer, 422, "invalid_label")) == ["/label"]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ('"label": "a\\udfff"', "/label"),
        ('"label": "a", "metadata": {"k": "\\udfff\\udfff"}', "/metadata/k"),
    ],
)
def test_lone_surrogate_in_a_value_is_named(
    http: httpx.Client, recording: Recording, fields: str, pointer: str
) -> None:
    answer = _post_text(http, recording, f'{{{fields}, "start_seconds": 1, "end_seconds": 2}}')
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == pointer
    assert "has \\udfff in it, one half of a surrogate pair" in fault["detail"]
    assert "\ufffd" not in answer.json()["detail"]


@pytest.mark.parametrize("fields", ['"\\ud800": 1', '"metadata": {"k\\ud800": "v"}'])
def test_lone_surrogate_in_a_key_is_named(http: httpx.Client, recording: Recording, fields: str) -> None:
    answer = _post_text(http, recording, f'{{"label": "a", {fields}, "end_seconds": 2}}')
    problem = refused(answer, 422, "invalid_request")
    assert "a key with \\ud800 in it, one half of a surrogate pair" in problem["detail"]
    assert "\ufffd" not in problem["detail"]


def test_surrogate_pair_is_accepted(http: httpx.Client, recording: Recording) -> None:
    fields = '{"label": "\\ud83d\\ude00", "metadata": {"\\ud83d\\ude00": "x"}, "start_seconds": 1, "end_seconds": 2}'
    answer = _post_text(http, recording, fields)
    assert answer.status_code == 202
    assert (answer.json()["label"], answer.json()["metadata"]) == ("\U0001f600", {"\U0001f600": "x"})


def _post_text(http: httpx.Client, recording: Recording, text: str) -> httpx.Response:
    return http.post(
        f"/v1/recordings/{recording.recording_id}/clips", content=text, headers={"Content-Type": "application/json"}
    )


def test_profile_is_refused_before_range_before_label(http: httpx.Client, recording: Recording) -> None:
    faulty = {"label": "", "start_seconds": 9, "end_seconds": 3, "profile": "none"}
    problem = refused(post(http, recording.recording_id, faulty), 422, "unknown_profile")
    assert pointers(problem) == ["/profile"]
    problem = refused(post(http, recording.recording_id, {**faulty, "profile": "default"}), 422, "invalid_time_range")
    assert pointers(problem) == ["/start_seconds", "/end_seconds"]
    problem = refused(
        post(http, recording.recording_id, {**faulty, "profile": "default", "end_seconds": 12}), 422, "invalid_label"
    )
    assert pointers(problem) == ["/label"]


def test_all_faults_of_the_body_are_listed(http: httpx.Client, recording: Recording) -> None:
    faulty = {
        "label": 5,
        "end_seconds": "1",
        "priority": 11,
        "poster": "yes",
        "metadata": {"a": 1, "b/c~d": None},
        "webhook_url": "ftp://example.com/",
        "Label": "x",
    }
    problem = refused(post(http, recording.recording_id, faulty), 422, "invalid_request")
    assert sorted(pointers(problem)) == [
        "/Label",
        "/end_seconds",
        "/label",
        "/metadata/a",
        "/metadata/b~1c~0d",
        "/poster",
        "/priority",
        "/start_seconds",
        "/webhook_url",
    ]
    assert all(fault["detail"] for fault in problem["errors"])
    details = {fault["pointer"]: fault["detail"] for fault in problem["errors"]}
    assert (details["/Label"], details["/start_seconds"]) == ("is not a known field", "is required")


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com", "http://u:p@example.com/", "http://169.254.169.254/x", "http://10.0.0.1/", "http://a b/"],
)
def test_invalid_webhook_url_is_rejected(http: httpx.Client, recording: Recording, url: str) -> None:
    problem = refused(post(http, recording.recording_id, {**BODY, "webhook_url": url}), 422, "invalid_webhook_url")
    assert pointers(problem) == ["/webhook_url"]


def test_loopback_webhook_url_is_rejected(tmp_path: Path) -> None:
    with recorded_engine(tmp_path / "data") as engine, api_server(engine) as server, server.client() as http:
        recording_id = engine.make_recording().recording_id
        for host in ("localhost", "LOCALHOST.", "a.localhost", "127.0.0.1"):
            url = f"http://{host}:9000/hook"
            refused(post(http, recording_id, {**BODY, "webhook_url": url}), 422, "invalid_webhook_url")
        assert post(http, recording_id, {**BODY, "webhook_url": "http://name.invalid/"}).status_code == 202


def test_full_queue_rejects_new_clips(tmp_path: Path) -> None:
    with (
        recorded_engine(tmp_path / "small", limits={"max_queued_clips": 1}) as engine,
        api_server(engine) as server,
        server.client() as http,
    ):
        recording = engine.make_recording()
        assert post(http, recording.recording_id).status_code == 202
        answer = post(http, recording.recording_id)
        refused(answer, 503, "queue_full")
        assert int(answer.headers["retry-after"]) > 0


def test_clip_waits_for_failing_checks(tmp_path: Path) -> None:
    with recorded_engine(tmp_path / "data") as engine, api_server(engine) as server, server.client() as http:
        recording = engine.make_recording()
        engine.checks = [Check("store", False, "the bucket at 10.0.0.1 cannot be reached"), Check("jobs", True, "")]
        made = post(http, recording.recording_id).json()
        assert made["waits_for"] == ["store"]
        body = {"clips": [{**BODY, "recording_id": recording.recording_id}]}
        (batched,) = http.post("/v1/clips/batch", json=body).json()["data"]
        assert batched["waits_for"] == ["store"]
        path = f"/v1/clips/{made['clip_id']}"
        assert http.get(path).json()["waits_for"] == ["store"]
        engine.checks = []
        assert http.get(path).json()["waits_for"] == []
        engine.checks = [Check("store", False, "away")]
        engine.finish(engine.ledger.clips.get(made["clip_id"]))
        assert http.get(path).json()["waits_for"] == []


def test_low_disk_rejects_new_work(tmp_path: Path) -> None:
    with recorded_engine(tmp_path / "data") as engine, api_server(engine) as server, server.client() as http:
        recording = engine.make_recording()
        accepted = post(http, recording.recording_id, **{"Idempotency-Key": "a"})
        engine.disk_low = True
        upload = http.put("/v1/recordings/upload?name=a.mp4", content=b"x")
        for answer in (post(http, recording.recording_id), upload):
            refused(answer, 503, "disk_low")
            assert int(answer.headers["retry-after"]) > 0
        again = post(http, recording.recording_id, **{"Idempotency-Key": "a"})
        assert (again.status_code, again.json()) == (202, accepted.json())


@pytest.mark.parametrize(
    "label", ["../../etc/passwd", "a/b", "%2e%2e%2f", "\u202egpj.exe", "名前 – été", "CON", "...", "a\\b"]
)
def test_label_cannot_escape_the_clip_folder(
    http: httpx.Client, recording: Recording, engine: RecordedEngine, label: str
) -> None:
    answer = post(http, recording.recording_id, {**BODY, "label": label})
    assert answer.json()["label"] == label
    key = engine.ledger.clips.get(answer.json()["clip_id"]).object_key
    assert re.fullmatch(r"relay/recordings/h_01/clips/[\w-]+-clip_[0-9a-z]{26}\.mp4", key)


def test_profile_that_keeps_nothing_of_the_recording_is_rejected(tmp_path: Path) -> None:
    profiles = {"fourth": {"container": "m4a", "video": "none", "audio_tracks": 3}}
    with recorded_engine(tmp_path / "data", profiles=profiles) as engine, api_server(engine) as server:
        recording = engine.make_recording()
        body = {"label": "x", "start_seconds": 1, "end_seconds": 2, "profile": "fourth"}
        with server.client() as http:
            for path in ("clips", "clips/plan"):
                answer = http.post(f"/v1/recordings/{recording.recording_id}/{path}", json=body)
                assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/profile")
                assert "no such audio" in answer.json()["detail"]
