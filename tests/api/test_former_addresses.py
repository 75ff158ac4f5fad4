"""Addresses and query names of release 0.1.0 answer as their successors do, and say that they are deprecated."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from clipengine.api.http.former import FORMER_HEADERS
from clipengine.api.http.requests.fields import MAX_PARAMETERS
from clipengine.clips.clip import Clip
from clipengine.recordings.recording import Recording

_BELOW_A_CLIP = ["", "/deliveries", "/shares", "/download", "/poster"]


def is_deprecated(answer: httpx.Response) -> bool:
    return FORMER_HEADERS.items() <= {name.title(): value for name, value in answer.headers.items()}.items()


def test_headers_are_those_of_the_specifications() -> None:
    since = datetime.fromtimestamp(int(FORMER_HEADERS["Deprecation"].removeprefix("@")), UTC)
    assert since < parsedate_to_datetime(FORMER_HEADERS["Sunset"])


@pytest.mark.parametrize("rest", _BELOW_A_CLIP)
def test_clip_below_its_recording_answers_as_the_clip_does(http: httpx.Client, clip: Clip, rest: str) -> None:
    current = http.get(f"/v1/clips/{clip.clip_id}{rest}")
    former = http.get(f"/v1/recordings/{clip.recording_id}/clips/{clip.clip_id}{rest}")
    assert former.status_code == current.status_code
    assert former.json() | {"instance": None} == current.json() | {"instance": None}
    assert not is_deprecated(current)
    assert is_deprecated(former) is (rest != "")
    assert http.get(f"/v1/recordings/rec_x/clips/{clip.clip_id}{rest}").json()["code"] == "clip_not_found"


def test_document_has_no_former_address_or_name(http: httpx.Client) -> None:
    document = http.get("/v1/openapi.json").json()
    below = [path for path in document["paths"] if path.startswith("/v1/recordings/{recording_id}/clips/{clip_id}")]
    assert below == ["/v1/recordings/{recording_id}/clips/{clip_id}"]
    assert list(document["paths"][below[0]]) == ["get"]
    names = {
        each["name"]
        for path in document["paths"].values()
        for operation in path.values()
        for each in operation.get("parameters", [])
    }
    assert not names & {"start", "end", "at", "within"}


@pytest.mark.exhaustive
def test_former_name_of_a_parameter_is_accepted_but_not_twice(http: httpx.Client, recording: Recording) -> None:
    path = f"/v1/recordings/{recording.recording_id}/frames"
    current, former = http.get(f"{path}?start_seconds=0&end_seconds=1"), http.get(f"{path}?start=0&end=1")
    assert (former.status_code, former.text) == (current.status_code, current.text)
    assert (is_deprecated(current), is_deprecated(former)) == (False, True)
    (fault,) = http.get(f"{path}?start=0&start_seconds=1").json()["errors"]
    assert (fault["parameter"], fault["detail"]) == ("start_seconds", "is given twice")


def test_clips_are_listed_by_their_recording(http: httpx.Client, clip: Clip) -> None:
    (found,) = http.get(f"/v1/clips?recording_id={clip.recording_id}").json()["data"]
    assert found["clip_id"] == clip.clip_id
    assert http.get("/v1/clips?recording_id=rec_x").json()["data"] == []


def test_query_with_too_many_parameters_is_not_searched_for_former_names(
    http: httpx.Client, recording: Recording
) -> None:
    answer = http.get(f"/v1/recordings/{recording.recording_id}/frames?" + "start=0&" * (MAX_PARAMETERS + 1))
    assert (answer.status_code, is_deprecated(answer)) == (422, False)
