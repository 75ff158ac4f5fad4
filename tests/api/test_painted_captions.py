"""Captions over HTTP: pictures that equal what a clip shows, with their times, places and limits."""

from __future__ import annotations

import base64
import itertools
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.texts.captions import drawn_cues
from clipengine.clips.texts.cues import Cue, TimedWord
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.media.clip_builder import Drawing
from clipengine.media.video.caption_painter import Font
from clipengine.recordings.recording import Recording
from clipengine.work.children.fonts import choose_fonts
from tests.api.test_previews import registered, shelf
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_file
from tests.support.api import RecordedEngine
from tests.support.clip_requests import pointers, refused

__all__ = ["shelf"]  # a fixture

CUES = [
    {
        "start_seconds": 1.0,
        "end_seconds": 3.0,
        "text": "The BUDGET is large",
        "speaker": "Ana",
        "words": [[1.0, 1.2, "The"], [1.2, 1.8, "BUDGET"], [2.4, 2.6, "is"], [2.6, 3.0, "large"]],
    },
    {"start_seconds": 4.0, "end_seconds": 5.0, "text": "Yes"},
]
EDGES = [1.0, 1.2, 1.8, 2.4, 2.6, 3.0]


@pytest.fixture
def film(shelf: Shelf) -> Path:
    return shelf.get("mp4_25").path


@pytest.fixture
def recording(http: httpx.Client, engine: RecordedEngine, film: Path) -> Recording:
    found = registered(engine, film)
    assert http.put(f"/v1/recordings/{found.recording_id}/transcripts/en", json=CUES).status_code == 201
    return found


def _paint(http: httpx.Client, recording: Recording, **options: Any) -> httpx.Response:
    body = {"language": "en", "start_seconds": 0.0, "end_seconds": 6.0, **options}
    return http.post(f"/v1/recordings/{recording.recording_id}/captions", json=body)


def _rgba(url: str) -> Any:
    with av.open(BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,")))) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgba").astype(float)


def _rgb(path: Path, at: Fraction) -> Any:
    with av.open(str(path)) as container:
        frames = [frame for frame in container.decode(video=0) if Fraction(frame.pts or 0) * frame.time_base >= at]  # type: ignore[operator]
        return frames[0].to_ndarray(format="rgb24").astype(float)


@pytest.mark.parametrize("output", [{"aspect": "9:16"}, {}])
@pytest.mark.parametrize("name", ["word", "box", None])
@pytest.mark.typical(1)
def test_pictures_are_what_the_clip_shows(
    name: Any, output: Any, http: httpx.Client, recording: Recording, film: Path, tmp_path: Path
) -> None:
    style = None if name is None else CaptionStyle(name=name, size=0.08)
    answer = _paint(http, recording, output=output, style=style and style.to_object())
    assert answer.status_code == 200, answer.text
    painted = answer.json()
    timed = tuple(TimedWord(round(1000 * a), round(1000 * b), text) for a, b, text in CUES[0]["words"])  # type: ignore[attr-defined]
    cues = [Cue(1000, 3000, "The BUDGET is large", "Ana", timed), Cue(4000, 5000, "Yes")]
    track = TextTrack("en", "eng", drawn_cues(cues, style))
    fonts = tuple(
        Font(font.path.read_bytes(), font.index, frozenset(font.characters)) for font in choose_fonts([track], ()).fonts
    )
    profile = Profile(crf=4, preset="ultrafast", audio="none").rendered(None, Output.model_validate(output))
    plain = cut_file(film, Fraction(1), Fraction(3), tmp_path / "plain.mp4", profile).path
    burnt = cut_file(
        film, Fraction(1), Fraction(3), tmp_path / "burnt.mp4", profile,
        burnt=track, caption_style=style, drawing=Drawing(None, fonts),
    ).path  # fmt: skip
    shown = next(each for each in painted["captions"] if each["start_seconds"] <= 1.5 < each["end_seconds"])
    x, y, width, height = (shown[each] for each in ("x", "y", "width", "height"))
    expected, seen = _rgb(plain, Fraction(1, 2)), _rgb(burnt, Fraction(1, 2))
    assert expected.shape == (painted["height"], painted["width"], 3)
    picture = _rgba(shown["image"])
    assert picture.shape == (height, width, 4)
    alpha = picture[:, :, 3:] / 255
    part = expected[y : y + height, x : x + width]
    assert np.abs(seen[y : y + height, x : x + width] - part).mean() > 8  # the caption is seen
    expected[y : y + height, x : x + width] = part * (1 - alpha) + picture[:, :, :3] * alpha
    assert np.abs(seen - expected)[y : y + height, x : x + width].mean() < 8
    assert np.abs(seen - expected)[: y - 8].mean() < 3


def test_each_spoken_word_has_its_picture(http: httpx.Client, recording: Recording) -> None:
    painted = _paint(http, recording, style={"name": "word"}).json()
    captions = painted["captions"]
    times = [(each["start_seconds"], each["end_seconds"]) for each in captions]
    assert times == [*itertools.pairwise(EDGES), (4.0, 5.0)]
    assert len({each["image"] for each in captions}) == 6
    assert (painted["start_seconds"], painted["end_seconds"]) == (0.0, 6.0)
    part = _paint(http, recording, style={"name": "box"}, start_seconds=2.0, end_seconds=2.5).json()["captions"]
    assert [(each["start_seconds"], each["end_seconds"]) for each in part] == [(2.0, 2.5)]
    assert _paint(http, recording, start_seconds=5.5).json()["captions"] == []


def test_words_that_the_clip_leaves_out_are_not_shown(http: httpx.Client, recording: Recording) -> None:
    removed = [{"start_seconds": 3.9, "end_seconds": 5.0}, {"start_seconds": 1.2, "end_seconds": 1.8, "part": 0}]
    assert len(_paint(http, recording, style={"name": "box"}).json()["captions"]) == 2
    (shown,) = _paint(http, recording, style={"name": "box"}, removed=removed).json()["captions"]
    changed = [{**CUES[0], "text": "The is large", "words": [CUES[0]["words"][n] for n in (0, 2, 3)]}]  # type: ignore[index]
    assert http.put(f"/v1/recordings/{recording.recording_id}/transcripts/en", json=changed).status_code == 200
    (expected,) = _paint(http, recording, style={"name": "box"}).json()["captions"]
    assert shown == expected
    many = [{"start_seconds": n, "end_seconds": n + 0.5} for n in range(201)]
    problem = refused(_paint(http, recording, removed=many), 400, "malformed_request")
    assert "more than 200 members" in problem["detail"]


@pytest.mark.exhaustive
def test_words_outside_the_part_are_not_shown(http: httpx.Client, recording: Recording) -> None:
    pause = {"start_seconds": 1.9, "end_seconds": 2.3}
    assert _paint(http, recording, start_seconds=1.9, part=pause).json()["captions"] == []
    part = {"start_seconds": 1.4, "end_seconds": 2.55}  # the middles of two words
    shown = _paint(http, recording, start_seconds=1.5, end_seconds=2.5, part=part).json()["captions"]
    changed = [{**CUES[0], "text": "BUDGET is", "words": [CUES[0]["words"][n] for n in (1, 2)]}]  # type: ignore[index]
    assert http.put(f"/v1/recordings/{recording.recording_id}/transcripts/en", json=changed).status_code == 200
    assert shown == _paint(http, recording, start_seconds=1.5, end_seconds=2.5).json()["captions"] != []
    refused(_paint(http, recording, part={"start_seconds": 2, "end_seconds": 2}), 422, "invalid_request")


@pytest.mark.exhaustive
def test_pictures_are_made_once(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    first = _paint(http, recording)
    count, _ = engine.previews.stored()
    assert count == 1
    assert _paint(http, recording).content == first.content
    assert engine.previews.stored()[0] == 1
    changed = [{**CUES[0], "text": "Other words"}]
    assert http.put(f"/v1/recordings/{recording.recording_id}/transcripts/en", json=changed).status_code == 200
    assert _paint(http, recording).content != first.content


@pytest.mark.exhaustive
def test_many_captions_end_the_answer_early(http: httpx.Client, recording: Recording) -> None:
    cues = [{"start_seconds": n / 100, "end_seconds": (n + 1) / 100, "text": str(n)} for n in range(300)]
    assert http.put(f"/v1/recordings/{recording.recording_id}/transcripts/en", json=cues).status_code == 200
    painted = _paint(http, recording).json()
    assert (len(painted["captions"]), painted["end_seconds"]) == (200, 2.0)
    rest = _paint(http, recording, start_seconds=painted["end_seconds"]).json()
    assert (len(rest["captions"]), rest["end_seconds"]) == (100, 6.0)


@pytest.mark.exhaustive
def test_thousands_of_cues_together_are_answered_with_a_warning(http: httpx.Client, recording: Recording) -> None:
    """Row 105 of the faults: there was no answer within 110 s."""
    cues = [{"start_seconds": n / 1000, "end_seconds": 100 - n / 1000, "text": f"cue {n}"} for n in range(9000)]
    assert http.put(f"/v1/recordings/{recording.recording_id}/transcripts/en", json=cues).status_code == 200
    painted = _paint(http, recording, end_seconds=3.0, style={"name": "word"}).json()
    assert [each["start_seconds"] for each in painted["captions"]] == [0, 0.001, 0.002, 0.003, 0.004, 0.005]
    assert (painted["end_seconds"], len(painted["warnings"])) == (0.4, 1)
    assert "subtitles_dropped: 400 cues" in painted["warnings"][0]
    rest = _paint(http, recording, start_seconds=2.0, end_seconds=3.0).json()
    assert (len(rest["captions"]), rest["end_seconds"]) == (1, 2.001)


@pytest.mark.parametrize("text", ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u202e\u2066", "\u200d", "\u00ad"])
@pytest.mark.typical(1)
def test_cue_without_a_glyph_is_a_warning(http: httpx.Client, recording: Recording, text: str) -> None:
    cues = [{"start_seconds": 1, "end_seconds": 2, "text": text}]
    assert http.put(f"/v1/recordings/{recording.recording_id}/transcripts/en", json=cues).status_code == 200
    painted = _paint(http, recording).json()
    has_emoji = bool(choose_fonts([TextTrack("en", "eng", (Cue(0, 1, text),))], ()).fonts)
    assert (painted["captions"] == []) is not has_emoji
    assert [each.partition(":")[0] for each in painted["warnings"]] == [] if has_emoji else ["glyphs_missing"]


def test_invalid_requests_are_refused(
    http: httpx.Client, recording: Recording, engine: RecordedEngine, shelf: Shelf
) -> None:
    problem = refused(_paint(http, recording, end_seconds=60.1), 422, "invalid_request")
    assert pointers(problem) == ["/end_seconds"]
    assert "at most 60 s" in problem["errors"][0]["detail"]
    refused(_paint(http, recording, end_seconds=0.0), 422, "invalid_request")
    refused(_paint(http, recording, style={"name": "x"}), 422, "invalid_request")
    refused(_paint(http, recording, language="fr"), 404, "transcript_not_found")
    sound = registered(engine, shelf.get("audio_only_m4a").path)
    assert http.put(f"/v1/recordings/{sound.recording_id}/transcripts/en", json=CUES).status_code == 201
    refused(_paint(http, sound), 422, "no_media_in_range")
