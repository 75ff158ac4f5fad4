"""Registration of folders of cameras."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.api import RecordedEngine
from tests.support.clip_requests import pointers, refused

BODY = {"folder": "frigate", "pattern": "%Y-%m-%d/%H/{camera}/%M.%S.mp4", "camera": "front", "day": "2026-11-28"}


def test_folder_is_registered_once_for_each_camera_and_day(http: httpx.Client, engine: RecordedEngine) -> None:
    for day in ("2026-11-28", "2026-11-29"):
        engine.put(f"frigate/{day}/12/front/30.59.mp4", b"media")
    made = http.post("/v1/recordings", json=BODY)
    assert made.status_code == 202, made.text
    found = made.json()
    assert found["folder"] == {**BODY, "folder": "frigate/", "timezone": "UTC"}
    assert (found["bucket_path"], found["name"], found["series"]) == ("frigate/", "front 2026-11-28", "front")
    again = http.post("/v1/recordings", json={**BODY, "folder": "frigate/"})
    assert (again.status_code, again.json()["recording_id"]) == (200, found["recording_id"])
    other = http.post("/v1/recordings", json={**BODY, "day": "2026-11-29", "series": "door"})
    assert (other.status_code, other.json()["series"]) == (202, "door")


@pytest.mark.parametrize(
    "changes",
    [
        {"day": "2026-11-29"},
        {"camera": "yard"},
        {"folder": "cams"},
        {"pattern": "%Y-%m-%d/{camera}/%H.mp4", "day": None},
    ],
)
def test_folder_without_such_files_is_refused_at_once(
    http: httpx.Client, engine: RecordedEngine, changes: dict[str, Any]
) -> None:
    engine.put("frigate/2026-11-28/12/front/30.59.mp4", b"media")
    engine.put("frigate/2026-11-28/12/front/30.59.txt", b"text")
    body = {**BODY, **changes}
    problem = refused(http.post("/v1/recordings", json=body), 404, "object_not_found")
    assert (pointers(problem), http.get("/v1/recordings").json()["data"]) == (["/folder"], [])
    for live in (False, True):
        assert http.post("/v1/recordings", json={**BODY, "live": live}).status_code in (200, 202)


def test_only_the_first_objects_of_a_folder_are_listed_by_a_request(
    http: httpx.Client, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        engine.put(f"cams/{number}.txt", b"text")
    body = {"folder": "cams", "pattern": "*_%H.mp4"}
    for listed, status in ((4, 404), (2, 202)):
        monkeypatch.setattr("clipengine.stores.folders._GLANCED", listed)
        assert http.post("/v1/recordings", json=body).status_code == status


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"pattern": "*.mp4"}, "pattern_invalid", ["/pattern"]),
        ({"camera": None}, "pattern_invalid", ["/pattern"]),
        ({"timezone": "Mars/Base"}, "invalid_request", ["/timezone"]),
        ({"folder": "../etc"}, "invalid_bucket_path", ["/folder"]),
        ({"folder": "a//b"}, "invalid_bucket_path", ["/folder"]),
        ({"day": "2026-02-30"}, "invalid_request", ["/day"]),
        ({"pattern": "%H" * 200}, "invalid_request", ["/pattern"]),
        ({"pattern": None}, "invalid_request", [""]),
        ({"bucket_path": "a.mp4"}, "invalid_request", [""]),
    ],
)
def test_fault_of_a_folder_is_located(http: httpx.Client, changes: dict[str, Any], code: str, where: list[str]) -> None:
    assert pointers(refused(http.post("/v1/recordings", json={**BODY, **changes}), 422, code)) == where
