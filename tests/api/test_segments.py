"""The list of segments of a recording."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from clipengine.api.http.requests.ranges import MAX_SEGMENTS
from clipengine.client import ApiError, Client
from clipengine.clips.options.without import MAX_REMOVED
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer

SEGMENTS = [
    {"start_seconds": 61.5, "end_seconds": 70.0, "label": "Tor, zum 1:0"},
    {"start_seconds": 5.0, "end_seconds": 12.5, "label": ""},
]
LOOK = {
    "output": {"aspect": "9:16", "fit": "crop", "focus": {"x": 0.25, "y": 0.5}},
    "subtitles": {"mode": "burn", "language": "en", "style": {"name": "word", "size": 0.06, "speaker": False}},
    "without": ["silence", "fillers"],
    "keep_ranges": [{"start_seconds": 1.5, "end_seconds": 2.25, "part": None}],
}


@pytest.fixture
def path(recording: Recording) -> str:
    return f"/v1/recordings/{recording.recording_id}/segments"


def put(http: httpx.Client, path: str, if_match: str | None = None, **body: Any) -> httpx.Response:
    headers = {} if if_match is None else {"If-Match": if_match}
    return http.put(path, json={"segments": SEGMENTS} | body, headers=headers)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_list_is_empty_at_first(http: httpx.Client, path: str, recording: Recording) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"0"')
    look = {"output": None, "subtitles": None, "without": [], "keep_ranges": []}
    empty = {"version": 0, "title": "", "segments": [], "look": look, "updated_at": None, "created_by": None}
    assert answer.json() == {"recording_id": recording.recording_id, **empty}


def test_stored_list_is_returned(http: httpx.Client, path: str) -> None:
    stored = put(http, path, title="Highlights", look=LOOK)
    assert (stored.status_code, stored.headers["etag"]) == (200, '"1"')
    found = http.get(path)
    assert found.headers["etag"] == '"1"'
    assert found.json() == stored.json()
    body = found.json()
    assert (body["title"], body["segments"], body["look"], body["version"]) == ("Highlights", SEGMENTS, LOOK, 1)
    replaced = put(http, path, '"1"', segments=[])
    assert (replaced.json()["segments"], replaced.json()["title"], replaced.headers["etag"]) == ([], "", '"2"')


def test_list_that_was_replaced_meanwhile_is_kept(http: httpx.Client, path: str) -> None:
    assert put(http, path, '"0"').status_code == 200
    assert put(http, path, '"1"', title="first").status_code == 200
    for stale in ('"0"', '"1"', '"7"', "2", '"0", "1"'):
        assert code(put(http, path, stale, title="second")) == (412, "segments_changed")
    assert http.get(path).json()["title"] == "first"
    for current in ('"1", "2"', 'W/"3"', "*"):  # proxies that compress make an ETag weak
        assert put(http, path, current, title="second").status_code == 200
    assert http.get(path).json()["version"] == 5


def test_if_match_is_limited(http: httpx.Client, path: str) -> None:
    longest = ", ".join(['"0"'] * 40)
    assert put(http, path, longest).status_code == 200
    answer = put(http, path, longest + ', "0000"')
    assert code(answer) == (422, "invalid_request")
    assert [each["header"] for each in answer.json()["errors"]] == ["If-Match"]


def test_if_match_may_be_missing_only_while_there_is_no_list(http: httpx.Client, path: str) -> None:
    assert put(http, path).status_code == 200
    assert code(put(http, path, segments=[])) == (428, "precondition_missing")
    assert http.get(path).json()["segments"] == SEGMENTS


def test_list_is_deleted_with_its_recording(http: httpx.Client, path: str) -> None:
    put(http, path)
    assert http.delete(path.removesuffix("/segments")).status_code == 204
    assert code(http.get(path)) == (404, "recording_not_found")
    assert code(put(http, path)) == (404, "recording_not_found")


def test_largest_list_is_stored(http: httpx.Client, path: str) -> None:
    longest = [{"start_seconds": n, "end_seconds": n + 0.5, "label": "\U0001f600" * 200} for n in range(MAX_SEGMENTS)]
    answer = put(http, path, segments=longest)
    assert answer.status_code == 200, answer.text
    assert http.get(path).json()["segments"] == longest
    answer = put(http, path, "*", segments=[*longest, SEGMENTS[0]])
    assert code(answer) == (422, "invalid_request")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/segments"]
    kept = [{"start_seconds": number, "end_seconds": number + 0.5, "part": 0} for number in range(MAX_REMOVED)]
    look = {**LOOK, "keep_ranges": kept}
    answer = put(http, path, "*", look=look)
    assert answer.json()["look"]["keep_ranges"] == kept
    answer = put(http, path, "*", look={**LOOK, "keep_ranges": [*kept, kept[0]]})
    assert code(answer) == (400, "malformed_request")
    assert f"more than {MAX_REMOVED} members" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"segments": [{"start_seconds": 2, "end_seconds": 2}]}, "/segments/0/end_seconds"),
        ({"segments": [{"start_seconds": -1, "end_seconds": 2}]}, "/segments/0/start_seconds"),
        ({"segments": [{"start_seconds": 1, "end_seconds": 1e999}]}, "/segments/0/end_seconds"),
        ({"segments": [{"start_seconds": 1, "end_seconds": 2, "label": "x" * 201}]}, "/segments/0/label"),
        ({"segments": [{"start_seconds": 1, "end_seconds": 2, "label": "\0"}]}, "/segments/0/label"),
        ({"segments": [], "title": "x" * 201}, "/title"),
        ({"segments": [], "look": {"output": {"aspect": "9x16"}}}, "/look/output/aspect"),
        ({"segments": [], "look": {"size": 1}}, "/look/size"),
        ({"segments": [], "look": {"without": ["noise"]}}, "/look/without/0"),
        ({"segments": [], "look": {"keep_ranges": [{"start_seconds": 2}]}}, "/look/keep_ranges/0/end_seconds"),
        ({}, "/segments"),
    ],
)
def test_wrong_list_is_rejected(http: httpx.Client, path: str, body: dict[str, Any], pointer: str) -> None:
    text = json.dumps(body).encode()
    answer = http.put(path, content=text, headers={"Content-Type": "application/json"})
    assert code(answer) == (422, "invalid_request"), answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


def test_reading_needs_read_and_writing_needs_write(http: httpx.Client, server: ApiServer, path: str) -> None:
    reader = http.post("/v1/keys", json={"name": "reader", "scopes": ["read"]}).json()["key"]
    with server.client(reader) as client:
        assert client.get(path).status_code == 200
        assert code(put(client, path)) == (403, "forbidden")
    with server.client("") as client:
        assert client.get(path).status_code == 401


def test_client_replaces_the_version_that_it_names(server: ApiServer, recording: Recording) -> None:
    with Client(server.url, server.key) as client:
        first = client.recordings.put_segments(recording.recording_id, SEGMENTS, title="a", look=LOOK, version=0)
        assert client.recordings.segments(recording.recording_id) == first
        assert (first.version, first.segments, first.look) == (1, SEGMENTS, LOOK)
        with pytest.raises(ApiError, match="version 1") as caught:
            client.recordings.put_segments(recording.recording_id, [], version=0)
        assert caught.value.code == "segments_changed"
        assert client.recordings.put_segments(recording.recording_id, []).version == 2


def test_file_of_many_ranges_is_written(http: httpx.Client, recording: Recording) -> None:
    ranges = [{"start_seconds": n, "end_seconds": n + 0.5, "label": "x"} for n in range(5000)]
    answer = http.post(f"/v1/recordings/{recording.recording_id}/ranges/file", json={"format": "csv", "ranges": ranges})
    assert (answer.status_code, answer.text.count("\n")) == (200, 5001), answer.text
