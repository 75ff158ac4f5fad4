"""Tags, filters and orders of lists in the API."""

from __future__ import annotations

from typing import Any, get_args

import httpx
import pytest

from clipengine.api.http.requests.clips import ClipSort
from clipengine.api.http.requests.recordings import RecordingSort
from clipengine.clips.clip import Clip
from clipengine.ledger.clips.clips import CLIP_SORTS
from clipengine.ledger.recordings.recordings import RECORDING_SORTS
from clipengine.recordings.recording import Recording
from tests.support.api import RecordedEngine

LISTS = ("/v1/clips", "/v1/recordings")


def labels(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each.get("label", each.get("name")) for each in answer.json()["data"]]


def test_tags_of_requests_are_returned_and_replaced(http: httpx.Client, recording: Recording) -> None:
    body = {"label": "a", "start_seconds": 1, "end_seconds": 2, "tags": ["b", "a b"]}
    clip = http.post(f"/v1/recordings/{recording.recording_id}/clips", json=body).json()
    again = http.post("/v1/recordings", json={"bucket_path": recording.bucket_path, "tags": ["x"]}).json()
    assert (clip["tags"], again["tags"]) == (["b", "a b"], [])  # the recording exists
    for path in (f"/v1/clips/{clip['clip_id']}", f"/v1/recordings/{recording.recording_id}"):
        assert http.patch(path, json={"tags": ["c"]}).json()["tags"] == ["c"]
        assert http.patch(path, json={}).json()["tags"] == ["c"]
        assert http.patch(path, json={"tags": None}).json()["tags"] == []


def test_new_recording_has_tags(http: httpx.Client, engine: RecordedEngine) -> None:
    engine.put("a.mp4", b"media")
    made = http.post("/v1/recordings", json={"bucket_path": "a.mp4", "tags": ["x"]}).json()
    assert made["tags"] == http.get(f"/v1/recordings/{made['recording_id']}").json()["tags"] == ["x"]


@pytest.mark.parametrize(
    "tags", [[""], ["x" * 51], ["a,b"], [" a"], ["a\n"], ["a", "a"], [1], "a", [str(number) for number in range(21)]]
)
def test_invalid_tags_are_rejected(http: httpx.Client, clip: Clip, tags: Any) -> None:
    answer = http.patch(f"/v1/clips/{clip.clip_id}", json={"tags": tags})
    assert answer.status_code == 422
    assert all(fault["pointer"].startswith("/tags") for fault in answer.json()["errors"])


def test_lists_are_filtered_and_sorted(http: httpx.Client, engine: RecordedEngine, recording: Recording) -> None:
    engine.make_clip(recording, "goal one", tags=["red", "final"], metadata={"half": "1", "a.b": "c"})
    engine.make_clip(recording, "goal two", tags=["red"], metadata={"half": "2"})
    engine.make_clip(recording, "Foul", tags=["blue"], metadata={"half": "2"})
    of_one = f"/v1/recordings/{recording.recording_id}/clips"
    for path in ("/v1/clips", of_one):
        assert labels(http.get(f"{path}?q=goa*&sort=label")) == ["goal one", "goal two"]
        assert labels(http.get(f"{path}?tag=red&tag=final")) == ["goal one"]
        assert labels(http.get(f"{path}?metadata.half=2&sort=-label")) == ["goal two", "Foul"]
        assert labels(http.get(f"{path}?metadata[half]=2&q=foul")) == ["Foul"]
        assert labels(http.get(path, params={"metadata.a.b": "c"})) == ["goal one"]
        assert labels(http.get(f"{path}?metadata.half=2&metadata.a.b=c")) == []
        first = http.get(f"{path}?tag=red&sort=label&limit=1")
        assert labels(first) == ["goal one"]
        assert labels(http.get(first.links["next"]["url"])) == ["goal two"]
        assert http.get(f"{path}?sort=-label&cursor={first.json()['next_cursor']}").status_code == 422
    http.patch(f"/v1/recordings/{recording.recording_id}", json={"tags": ["league"], "metadata": {"a": "b"}})
    for query in ("tag=league", "metadata.a=b", "q=meet* league", "tag=league&sort=-duration"):
        assert labels(http.get(f"/v1/recordings?{query}")) == ["meeting"]
    assert labels(http.get("/v1/recordings?q=goal")) == []
    other = engine.make_recording("other.mp4").recording_id
    chosen = f"recording_id={recording.recording_id}"
    assert len(labels(http.get(f"/v1/recordings?{chosen}&recording_id={other}&recording_id=rec_1"))) == 2
    found = http.get(f"/v1/recordings?{chosen}&q=meeting").json()["data"]
    assert [each["recording_id"] for each in found] == [recording.recording_id]


def test_too_many_and_too_long_ids_are_rejected(http: httpx.Client) -> None:
    for ids in ([f"rec_{number}" for number in range(41)], ["x" * 201]):
        answer = http.get("/v1/recordings", params={"recording_id": ids})
        assert [fault["parameter"] for fault in answer.json()["errors"]] == ["recording_id"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("q=", "q"),
        ("q=%22*%22", "q"),
        (f"q={'x' * 201}", "q"),
        ("q=a&q=b", "q"),
        ("tag=", "tag"),
        (f"tag={'x' * 51}", "tag"),
        ("&".join(f"tag={number}" for number in range(21)), "tag"),
        ("metadata=a", "metadata"),
        ("metadata.=a", "metadata."),
        ("metadata.a=b&metadata.a=c", "metadata.a"),
        ("metadata.a=b&metadata[a]=c", "metadata[a]"),
        ("metadata.,=a", "metadata.,"),
        (f"metadata.{'x' * 101}=a", None),
        (f"metadata.a={'x' * 201}", "metadata.a"),
        ("&".join(f"metadata.{number}=a" for number in range(21)), "metadata"),
        ("sort=etag", "sort"),
        ("tags=a", "tags"),
    ],
)
@pytest.mark.typical(2)
def test_invalid_filter_is_named(http: httpx.Client, path: str, query: str, parameter: str | None) -> None:
    answer = http.get(f"{path}?{query}")
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert parameter is None or fault["parameter"] == parameter


def test_sorts_of_requests_are_those_of_the_ledger() -> None:
    for kind, sorts in ((ClipSort, CLIP_SORTS), (RecordingSort, RECORDING_SORTS)):
        assert get_args(kind) == tuple(f"{sign}{name}" for name in sorts for sign in ("", "-"))
