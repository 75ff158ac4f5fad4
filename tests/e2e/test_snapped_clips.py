"""Snapped clips through a real server: each becomes what its plan said, and its frames are those of the range."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Client
from tests.films.reader import read_clip
from tests.support.moments_film import FPS
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive

CUES = [
    {"start_seconds": 0.5, "end_seconds": 2.0, "text": "Not this one."},
    {"start_seconds": 3.4, "end_seconds": 5.0, "text": "But this one,"},
    {"start_seconds": 5.0, "end_seconds": 6.8, "text": "in two cues."},
]


@pytest.fixture(scope="module")
def recording_id(client: Client, moments_id: str) -> str:
    client.transcripts.put(moments_id, "en", CUES)
    return moments_id


@pytest.mark.parametrize(
    ("request_", "ranges"),
    [
        ({"start_seconds": 2.3, "end_seconds": 7.6, "snap": {"to": "keyframe"}, "render": "smart"}, [(2, 8)]),
        ({"start_seconds": 3.0, "end_seconds": 6.0, "snap": {"to": "sentence"}}, [(3.4, 6.8)]),
        (
            {
                "parts": [{"start_seconds": 6.0, "end_seconds": 9.8}, {"start_seconds": 0.3, "end_seconds": 3.1}],
                "snap": {"to": "scene", "within_seconds": 0.5},
            },
            [(6.4, 9.6), (0, 3.2)],
        ),
    ],
)
def test_clip_becomes_what_its_plan_says(
    client: Client, recording_id: str, tmp_path: Path, request_: dict[str, Any], ranges: list[tuple[float, float]]
) -> None:
    plan = client.clips.plan(recording_id, **request_)
    clip = client.clips.wait(client.clips.create(recording_id, "snapped", **request_).clip_id, timeout=300)
    assert clip.result is not None, clip.error
    assert [cut["snapped_seconds"] for cut in plan.snapped] == [moment for range_ in ranges for moment in range_]
    assert [vars(cut) for cut in clip.result.snapped] == plan.snapped
    assert clip.snap == {"within_seconds": 2.0, **request_["snap"]}
    values = ("actual_start_seconds", "actual_end_seconds", "duration_seconds", "frames", "warnings")
    assert [getattr(clip.result, name) for name in values] == [getattr(plan, name) for name in values]
    assert clip.result.encoded_seconds == (0 if "render" in request_ else clip.result.duration_seconds)
    target = tmp_path / "clip.mp4"
    clip.download(target)
    numbers = [seen.number for _, seen in read_clip(target).frames]
    assert numbers == [number for start, end in ranges for number in range(round(start * FPS), round(end * FPS))]


def test_clip_of_which_nothing_is_left_fails(server: RunningServer, client: Client, recording_id: str) -> None:
    options = ["--start", "3.5", "--end", "4.5", "--snap", "keyframe", "--snap-within", "0.9", "--wait", "--json"]
    done = server.command("clips", "create", recording_id, "nothing", *options)
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "invalid_time_range"
    assert "after its cuts were snapped, the clip is empty" in error["message"]
    assert not error["retryable"]
