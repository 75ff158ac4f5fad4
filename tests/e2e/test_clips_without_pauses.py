"""Clips without pauses and fillers through a real server: each is as long as its plan, and keeps every word."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clipengine.basis.timecode import exact
from clipengine.client import Client
from tests.films.reader import read_clip
from tests.films.sound import locate
from tests.support.moments_film import FPS, RATE
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive

WORDS = [[0.5, 0.9, "Um,"], [0.9, 1.4, "this"], [1.4, 1.9, "stays"], [7.6, 8.0, "even"], [9.6, 9.9, "here."]]
CUES = [{"start_seconds": 0.5, "end_seconds": 9.9, "text": "Um, this stays even here.", "words": WORDS}]
RANGE = {"start_seconds": 0.2, "end_seconds": 11.0}


@pytest.fixture(scope="module")
def recording_id(client: Client, moments_id: str) -> str:
    client.transcripts.put(moments_id, "en", CUES)
    return moments_id


@pytest.mark.parametrize(
    "request_",
    [
        RANGE | {"without": ["silence"]},
        RANGE | {"without": ["fillers"]},
        RANGE | {"without": ["silence", "fillers"], "render": "smart"},
        RANGE | {"without": ["silence", "fillers"], "keep_ranges": [{"start_seconds": 0.5, "end_seconds": 2.5}]},
        RANGE | {"without": ["silence", "fillers"], "output": {"speed": 1.5, "fade_seconds": 0.2}},
        RANGE | {"without": ["silence", "fillers"], "subtitles": {"mode": "burn", "language": "en"}},
        RANGE | {"without": ["silence"], "snap": {"to": "keyframe"}},
        {
            "parts": [{"start_seconds": 6.0, "end_seconds": 9.8}, {"start_seconds": 0.3, "end_seconds": 3.1}],
            "without": ["silence", "fillers"],
        },
    ],
    ids=["silence", "fillers", "smart", "kept", "speed", "burnt", "snapped", "parts"],
)
def test_clip_is_as_long_as_its_plan_and_keeps_all_words(
    client: Client, recording_id: str, tmp_path: Path, request_: dict[str, Any]
) -> None:
    plan = client.clips.plan(recording_id, **request_)
    clip = client.clips.wait(client.clips.create(recording_id, "short", **request_).clip_id, timeout=300)
    assert clip.result is not None, clip.error
    assert plan.removed
    values = ("actual_start_seconds", "actual_end_seconds", "warnings")
    assert [getattr(clip.result, name) for name in values] == [getattr(plan, name) for name in values]
    assert clip.result.duration_seconds == plan.duration_seconds
    assert abs(clip.result.frames - plan.frames) <= ("output" in request_)  # frames are repeated for a fade
    removed = [(each["start_seconds"], each["end_seconds"]) for each in plan.removed]
    assert clip.result.removed_seconds == pytest.approx(sum(end - start for start, end in removed), abs=1e-5)
    kept = [(start, end) for start, end, text in WORDS if not (text == "Um," and "fillers" in request_["without"])]
    assert not [word for word in kept for start, end in removed if start < word[1] and end > word[0]]
    clip.download(tmp_path / "clip.mp4")
    reading = read_clip(tmp_path / "clip.mp4")
    assert abs(float(reading.video_end) - plan.duration_seconds) <= 1 / FPS
    if not {"parts", "output", "subtitles"}.isdisjoint(request_):  # other times, or pictures that hide their number
        return
    (track,) = reading.tracks
    for at in (1.5, 3.2, 9.6):  # words and sounds are where the pictures are, after each seam
        place = at - plan.actual_start_seconds - sum(end - start for start, end in removed if end <= at)
        (number,) = {seen.number for time, seen in reading.frames if abs(float(time) - place - 0.01) <= 0.5 / FPS}
        assert abs(number / FPS - at) <= 1 / FPS
        piece = track.between(exact(place), exact(place) + Fraction(1, 5))
        assert abs(locate(piece, RATE, at, seed=1).offset) < 0.003


def test_commands_take_without(server: RunningServer, recording_id: str) -> None:
    options = ["--start", "0.2", "--end", "11", "--without", "silence,fillers", "--wait", "--json"]
    options += ["--keep", "2-3"]
    done = server.command("clips", "create", recording_id, "short", *options)
    assert done.returncode == 0, done.stderr
    clip = json.loads(done.stdout)
    assert clip["without"] == ["silence", "fillers"]
    assert 1.5 < clip["result"]["removed_seconds"] < 2  # 2.5 without --keep
