"""Ranges from files of other programs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.client import Client
from clipengine.clips.ranges.range_file import MAX_FILE_BYTES
from clipengine.recordings.recording import Recording
from tests.support.api import FACTS, ApiServer, RecordedEngine

EVENT = "001  AX  V  C  00:00:01:00 00:00:03:00 00:00:00:00 00:00:02:00\n"


def send(http: httpx.Client, recording: Recording | str, text: str | bytes, kind: str = "text/plain") -> httpx.Response:
    recording_id = recording if isinstance(recording, str) else recording.recording_id
    path = f"/v1/recordings/{recording_id}/ranges"
    return http.post(path, content=text.encode() if isinstance(text, str) else text, headers={"Content-Type": kind})


def ranges(answer: httpx.Response) -> list[tuple[Any, ...]]:
    assert answer.status_code == 200, answer.text
    return [(each["label"], each["start_seconds"], each["end_seconds"]) for each in answer.json()["data"]]


def test_csv_is_read(http: httpx.Client, recording: Recording) -> None:
    answer = send(http, recording, "label,start,end,tag\nGoal,1:02.5,70,x\n,80,\n", "text/csv; charset=utf-8")
    assert ranges(answer) == [("Goal", 62.5, 70), ("", 80, 5400.04)]
    assert answer.json()["notes"] == [{"line": None, "detail": "the columns tag are not used"}]


def test_edit_decision_list_counts_the_frames_of_the_recording(http: httpx.Client, recording: Recording) -> None:
    answer = send(http, recording, EVENT + EVENT.replace("AX", "BL"))
    assert ranges(answer) == [("", 1, 3)]
    assert answer.json()["notes"] == [{"line": 2, "detail": "black is left out"}]


FORMATS = {
    "csv": ("text/csv; charset=utf-8", ".csv"),
    "losslesscut": ("text/csv; charset=utf-8", ".llc.csv"),
    "edl": ("text/plain; charset=utf-8", ".edl"),
    "otio": ("application/json", ".otio"),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_written_ranges_are_read_again(http: httpx.Client, recording: Recording, kind: str) -> None:
    given = [("Goal, 1", 62.5, 70), ("", 80, 90.4)]
    body = [{"label": label, "start_seconds": start, "end_seconds": end} for label, start, end in given]
    path = f"/v1/recordings/{recording.recording_id}/ranges/file"
    file = http.post(path, json={"format": kind, "ranges": body})
    media_type, suffix = FORMATS[kind]
    assert (file.status_code, file.headers["content-type"]) == (200, media_type), file.text
    assert file.headers["content-disposition"].endswith(suffix)
    assert ranges(send(http, recording, file.text)) == given


@pytest.mark.parametrize(("kind", "suffix"), [("fcpxml", ".fcpxml"), ("xmeml", ".xml")])
def test_project_of_an_editing_program_names_the_file(
    http: httpx.Client, recording: Recording, kind: str, suffix: str
) -> None:
    body = {"format": kind, "ranges": [{"start_seconds": 1, "end_seconds": 2, "label": "Goal"}]}
    file = http.post(f"/v1/recordings/{recording.recording_id}/ranges/file", json=body)
    assert (file.status_code, file.headers["content-type"]) == (200, "application/xml")
    assert file.headers["content-disposition"].endswith(suffix)
    assert "recording.mp4" in file.text
    assert "Goal" in file.text


def test_range_without_length_is_not_written(http: httpx.Client, recording: Recording) -> None:
    body = {
        "format": "csv",
        "ranges": [{"start_seconds": 2, "end_seconds": 2}, {"start_seconds": -1, "end_seconds": 2}],
    }
    answer = http.post(f"/v1/recordings/{recording.recording_id}/ranges/file", json=body)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/ranges/0/end_seconds", "/ranges/1/start_seconds"]


def test_edit_decision_list_of_a_recording_without_video_is_refused(engine: RecordedEngine, http: httpx.Client) -> None:
    sound = engine.make_recording(facts=FACTS.model_copy(update={"video": None}))
    body = {"format": "edl", "ranges": [{"start_seconds": 1, "end_seconds": 2}]}
    answer = http.post(f"/v1/recordings/{sound.recording_id}/ranges/file", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "the recording has no frame rate" in answer.text


def test_client_writes_ranges(server: ApiServer, recording: Recording, tmp_path: Path) -> None:
    with Client(server.url, server.key) as client:
        path = tmp_path / "cuts.edl"
        found = [{"label": "Goal", "start_seconds": 62.5, "end_seconds": 70.0}]
        assert client.recordings.write_ranges(recording.recording_id, found, path) == path.stat().st_size
        assert client.recordings.ranges(recording.recording_id, path).data == found


def test_end_is_clamped_to_the_recording(http: httpx.Client, recording: Recording) -> None:
    assert ranges(send(http, recording, "5399,5400.9\n")) == [("", 5399, 5400.04)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file has no ranges"),
        ("start,end\n1,soon\n", "line 2: "),
        ("0,9000\n", "line 1: 0 to 9000 s is past the recording's end"),
        (b"\xff\xfe0\x00", "line 1 of the file is not UTF-8"),
        ("0,1\n" * 5001, "the file has more than 5000 ranges"),
        ("x" * 10_001, "line 1 of the file has more than 10000 characters"),
    ],
)
def test_fault_of_the_file_is_reported(http: httpx.Client, recording: Recording, text: str | bytes, said: str) -> None:
    answer = send(http, recording, text)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert said in answer.json()["detail"]


def test_file_that_is_too_large_is_rejected(http: httpx.Client, recording: Recording) -> None:
    assert send(http, recording, b"x" * (MAX_FILE_BYTES + 1)).status_code == 413


def test_other_media_types_and_recordings_are_rejected(http: httpx.Client, recording: Recording) -> None:
    assert send(http, recording, "0,1\n", "application/xml").status_code == 415
    assert send(http, "rec_01jr0000000000000000000000", "0,1\n").status_code == 404


def test_edit_decision_list_needs_a_frame_rate(http: httpx.Client, engine: RecordedEngine) -> None:
    video = FACTS.video
    assert video is not None
    for number, shown in enumerate((None, video.model_copy(update={"frame_seconds": Fraction(0)}))):
        made = engine.make_recording(f"in/{number}.mp4", facts=FACTS.model_copy(update={"video": shown}))
        answer = send(http, made, EVENT)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert "the frame rate is not known" in answer.json()["detail"]


def test_client_sends_a_file(server: ApiServer, recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "ranges.csv"
    path.write_text("start,end,tag\n1,2,x\n")
    with Client(server.url, server.key) as client:
        found = client.recordings.ranges(recording.recording_id, path)
    assert found.data == [{"start_seconds": 1, "end_seconds": 2, "label": ""}]
    assert [note["detail"] for note in found.notes] == ["the columns tag are not used"]


@pytest.mark.parametrize("kind", ["csv", "edl", "otio", "fcpxml", "xmeml"])
def test_range_past_the_recording_is_not_written(http: httpx.Client, recording: Recording, kind: str) -> None:
    """Row 104 of the faults: with an end at 1e308, 295 KB became 21 MB, and OTIO was a 500."""
    ranges = [{"start_seconds": 0, "end_seconds": 1}, {"start_seconds": 0, "end_seconds": 1e308}]
    path = f"/v1/recordings/{recording.recording_id}/ranges/file"
    answer = http.post(path, json={"format": kind, "ranges": ranges})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_time_range")
    assert answer.json()["errors"][0]["pointer"] == "/ranges/1/end_seconds"
    assert http.post(path, json={"format": kind, "ranges": ranges[:1]}).status_code == 200
