"""Output options of clip requests: what is stored, what is rejected, and what the operator allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.api.http.requests.clips import CreateClip
from clipengine.api.http.validation import validate_body
from clipengine.client import Client
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import MAX_POINTS, Output, OutputLimits
from clipengine.clips.options.profiles import Container, Profile
from clipengine.clips.options.watermarks import Watermark
from clipengine.clips.resolve import ClipSource, resolve_clip
from clipengine.errors import InvalidRequest
from clipengine.objects.clip import ClipObject
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import Settings
from tests.api.test_previews import registered, shelf
from tests.films.catalogue import Shelf
from tests.support.api import FACTS, ApiServer, RecordedEngine
from tests.support.clip_requests import BODY, pointers, post, refused

__all__ = ["shelf"]  # a fixture

_CROP = {"x": 0.5, "y": 0, "width": 0.5, "height": 1}
OUTPUT = {"max_height": 720, "fps": 25, "crop": _CROP, "aspect": "9:16", "fit": "blur"}
OUTPUT |= {"blur": [_CROP | {"from_seconds": 1, "to_seconds": 2}], "speed": 0.5, "max_bytes": 8_000_000}
OUTPUT |= {"mute": [[0, 0.5]], "loudness_lufs": -16, "fade_seconds": 0.25}
_SOURCE = ClipSource(Recording("rec_a", "complete", "rec_a.mp4", "etag", 1, 0, facts=FACTS))


def test_output_of_a_request_is_kept_with_the_clip(
    http: httpx.Client, recording: Recording, engine: RecordedEngine
) -> None:
    clip = post(http, recording.recording_id, BODY | {"output": OUTPUT}).json()
    assert clip["output"] == http.get(f"/v1/clips/{clip['clip_id']}").json()["output"] == OUTPUT
    assert engine.ledger.clips.get(clip["clip_id"]).output == Output.model_validate(OUTPUT)
    assert http.get("/v1/clips").json()["data"][0]["output"] == OUTPUT


def test_client_sends_and_returns_the_output(server: ApiServer, recording: Recording) -> None:
    with Client(server.url, server.key) as client:
        clip = client.clips.create(recording.recording_id, "a", 1.0, 2.0, output=OUTPUT)
        assert clip.output == OUTPUT
        assert client.clips.create(recording.recording_id, "a", 1.0, 2.0).output is None


@pytest.mark.parametrize(
    ("output", "pointer"),
    [
        ({"crop": _CROP | {"width": 0.6}}, "/output/crop/width"),
        ({"crop": _CROP | {"x": -0.1}}, "/output/crop/x"),
        ({"crop": {"x": 0, "y": 0, "width": 1}}, "/output/crop/height"),
        ({"crop": [0, 0, 1, 1]}, "/output/crop"),
        ({"aspect": "9/16"}, "/output/aspect"),
        ({"aspect": "11:1"}, "/output/aspect"),
        ({"aspect": "99999:99999"}, "/output/aspect"),
        ({"fit": "pad"}, "/output/fit"),
        ({"aspect": "1:1", "fit": "stretch"}, "/output/fit"),
        ({"focus": {"x": 0.5, "y": 0.5}}, "/output/focus"),
        ({"aspect": "1:1", "fit": "pad", "focus": {"x": 0.5, "y": 0.5}}, "/output/focus"),
        ({"fps": 241}, "/output/fps"),
        ({"fps": "25"}, "/output/fps"),
        ({"fps": True}, "/output/fps"),
        ({"max_height": 8}, "/output/max_height"),
        ({"max_height": 9000}, "/output/max_height"),
        ({"size": {"width": 1081, "height": 1920}}, "/output/size/width"),
        ({"size": {"width": 1080, "height": 8642}}, "/output/size/height"),
        ({"size": {"width": 1080}}, "/output/size/height"),
        ({"size": {"width": 5000, "height": 498}}, "/output/size/height"),
        ({"size": {"width": 1080, "height": 1920}, "aspect": "1:1"}, "/output/size"),
        ({"size": {"width": 1080, "height": 1920}, "max_height": 720}, "/output/size"),
        ({"size": {"width": 1080, "height": 1920}, "fit": "pad", "focus": {"x": 0.5, "y": 0.5}}, "/output/focus"),
        ({"size": {"width": 8640, "height": 4322}}, "/output/size/height"),  # the operator's limit
        ({"size": "1080x1920"}, "/output/size"),
        ({"height": 90}, "/output/height"),
        ("9:16", "/output"),
        ({"fade_seconds": 0}, "/output/fade_seconds"),
        ({"fade_seconds": 61}, "/output/fade_seconds"),
        ({"fade_seconds": 15.5}, "/output/fade_seconds"),  # the clip has 30 seconds
        ({"mute": [[0, 1]] * 101}, "/output/mute"),
        ({"mute": [[0, 1], [2, 2]]}, "/output/mute/1"),
        ({"mute": [[0, 1, 2]]}, "/output/mute/0"),
        ({"mute": [[-1, 1]]}, "/output/mute/0/0"),
        ({"mute": [["0", 1]]}, "/output/mute/0/0"),
        ({"mute": [[0, 1], [30, 31]]}, "/output/mute/1"),
        ({"blur": [_CROP | {"to_seconds": 0}]}, "/output/blur/0/to_seconds"),
        ({"blur": [_CROP, _CROP | {"from_seconds": 2, "to_seconds": 1.5}]}, "/output/blur/1/to_seconds"),
        ({"blur": [_CROP | {"from_seconds": 30}]}, "/output/blur/0/from_seconds"),
        ({"blur": [_CROP | {"from_seconds": 15}], "speed": 2}, "/output/blur/0/from_seconds"),
        ({"blur": [_CROP | {"width": 0.7}]}, "/output/blur/0/width"),
        ({"blur": [_CROP] * 51}, "/output/blur"),
        ({"blur": [{"box": []}]}, "/output/blur/0/box"),
        ({"blur": [{"box": [_CROP]}]}, "/output/blur/0/box/0/at_seconds"),
        ({"blur": [{"box": [_CROP | {"at_seconds": 1, "x": 0.9}]}]}, "/output/blur/0/box/0/width"),
        ({"blur": [{"box": [_CROP | {"at_seconds": 1}] * 2}]}, "/output/blur/0/box"),
        ({"blur": [{"box": [_CROP | {"at_seconds": 1}], "x": 0.5}]}, "/output/blur/0/x"),
        ({"blur": [{"box": [_CROP | {"at_seconds": n} for n in range(501)]}] * 2}, "/output/blur"),
        ({"blur": [{"box": "left"}]}, "/output/blur/0/box"),
        ({"blur": [{"box": [_CROP | {"recording_seconds": 1}, _CROP]}]}, "/output/blur/0/box/1/recording_seconds"),
        ({"blur": [{"box": [_CROP | {"recording_seconds": 1}] * 2}]}, "/output/blur/0/box"),
        ({"blur": [{"box": [_CROP | {"recording_seconds": n} for n in range(501)]}] * 2}, "/output/blur"),
        ({"aspect": "1:1", "focus": []}, "/output/focus"),
        ({"aspect": "1:1", "focus": [{"x": 0.5, "y": 0.5}]}, "/output/focus/0/at_seconds"),
        ({"aspect": "1:1", "focus": [{"at_seconds": 1, "x": 1.5, "y": 0.5}]}, "/output/focus/0/x"),
        ({"aspect": "1:1", "focus": [{"at_seconds": n, "x": 0, "y": 0} for n in (1, 0)]}, "/output/focus"),
        ({"aspect": "1:1", "fit": "pad", "focus": [{"at_seconds": 1, "x": 0, "y": 0}]}, "/output/focus"),
        (
            {"aspect": "1:1", "focus": [{"recording_seconds": 1, "x": 0, "y": 0}, {"x": 0, "y": 0}]},
            "/output/focus/1/recording_seconds",
        ),
        ({"aspect": "1:1", "focus": [{"recording_seconds": n, "x": 0, "y": 0} for n in range(1001)]}, "/output/focus"),
        ({"speed": 0.2}, "/output/speed"),
        ({"speed": 10_001}, "/output/speed"),
        ({"speed": 2, "to_seconds": 2}, "/output/to_seconds"),
        ({"to_seconds": 0.001}, "/output/to_seconds"),  # 30,000 times as fast
        ({"to_seconds": 121}, "/output/to_seconds"),  # 0.248 times as fast
        ({"to_seconds": 1, "mute": [[0, 0.5]]}, "/output/mute"),  # a timelapse has no audio
        ({"speed": 20, "loudness_lufs": -16}, "/output/loudness_lufs"),
        ({"max_bytes": 9_999}, "/output/max_bytes"),
        ({"max_bytes": 1e6}, "/output/max_bytes"),
        ({"loudness_lufs": -4}, "/output/loudness_lufs"),
        ({"loudness_lufs": -51}, "/output/loudness_lufs"),
    ],
)
def test_invalid_output_has_its_place(output: Any, pointer: str) -> None:
    """By the body of the request and by what resolves it, as the route calls them."""
    with pytest.raises(InvalidRequest) as raised:
        _resolve(BODY | {"output": output})
    assert [fault["pointer"] for fault in raised.value.errors] == [pointer]


def _resolve(body: object) -> None:
    request = validate_body(CreateClip, body).request("rec_a", request_id=None, traceparent=None)
    resolve_clip("rec_a", request, {"rec_a": _SOURCE}, Settings().clip_rules)


def test_invalid_output_is_refused_by_the_body_the_limits_and_the_length(
    http: httpx.Client, recording: Recording
) -> None:
    """One request for each layer; `test_invalid_output_has_its_place` has the others."""
    for output, pointer in (
        ({"crop": _CROP | {"width": 0.6}}, "/output/crop/width"),
        ({"size": {"width": 8640, "height": 4322}}, "/output/size/height"),
        ({"blur": [_CROP | {"from_seconds": 30}]}, "/output/blur/0/from_seconds"),
        ({"to_seconds": 121}, "/output/to_seconds"),
    ):
        problem = refused(post(http, recording.recording_id, BODY | {"output": output}), 422, "invalid_request")
        assert pointers(problem) == [pointer], output


@pytest.mark.parametrize("name", ["at_seconds", "recording_seconds"])
def test_longest_movements_are_kept_with_the_clip(http: httpx.Client, recording: Recording, name: str) -> None:
    times = [{name: n / 4} for n in range(MAX_POINTS)]
    focus = [each | {"x": 0.5, "y": 0.25} for each in times]
    output = {"aspect": "1:1", "focus": focus, "blur": [{"box": [each | _CROP for each in times]}]}
    made = post(http, recording.recording_id, BODY | {"output": output})
    assert made.status_code == 202, made.text
    found = http.get(f"/v1/clips/{made.json()['clip_id']}").json()["output"]
    assert found["focus"] == focus
    assert found["blur"] == [{"box": output["blur"][0]["box"], "from_seconds": 0.0, "to_seconds": None}]
    longer = BODY | {"output": output | {"focus": [*focus, focus[-1] | {name: 1e5}]}}
    problem = refused(post(http, recording.recording_id, longer), 422, "invalid_request")
    assert pointers(problem) == ["/output/focus"]


def test_faults_of_a_batch_point_at_their_clip(http: httpx.Client, recording: Recording) -> None:
    clip = BODY | {"recording_id": recording.recording_id}
    body = {"clips": [clip, clip | {"output": {"max_height": 5000}}]}
    problem = refused(http.post("/v1/clips/batch", json=body), 422, "invalid_request")
    assert pointers(problem) == ["/clips/1/output/max_height"]


def test_operator_limits_the_options(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    limits = OutputLimits(allowed=("max_height", "fps"), max_height=720, max_fps=30)
    engine.settings = engine.settings.model_copy(
        update={"limits": engine.settings.limits.model_copy(update={"output": limits})}
    )
    output = {"max_height": 721, "fps": 30.5, "aspect": "1:1"}
    problem = refused(post(http, recording.recording_id, BODY | {"output": output}), 422, "invalid_request")
    assert pointers(problem) == ["/output/aspect", "/output/max_height", "/output/fps"]
    assert "limits.output.allowed" in problem["errors"][0]["detail"]
    assert "at most 720" in problem["errors"][1]["detail"]
    assert post(http, recording.recording_id, BODY | {"output": {"max_height": 720, "fps": 30}}).status_code == 202
    engine.settings = engine.settings.model_copy(
        update={"limits": engine.settings.limits.model_copy(update={"output": OutputLimits(max_height=720)})}
    )
    for size, pointer in (((1442, 720), "/output/size/width"), ((720, 722), "/output/size/height")):
        wrong = BODY | {"output": {"size": dict(zip(("width", "height"), size, strict=True))}}
        assert pointers(refused(post(http, recording.recording_id, wrong), 422, "invalid_request")) == [pointer]
    largest = {"size": {"width": 1440, "height": 720, "enlarge": True}, "fit": "blur"}
    assert post(http, recording.recording_id, BODY | {"output": largest}).json()["output"] == largest


def test_slow_clip_must_not_be_too_long(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    limits = engine.settings.limits.model_copy(update={"max_clip_seconds": 60})
    engine.settings = engine.settings.model_copy(update={"limits": limits})
    assert post(http, recording.recording_id, BODY | {"output": {"speed": 0.5}}).status_code == 202
    problem = refused(post(http, recording.recording_id, BODY | {"output": {"speed": 0.49}}), 422, "invalid_request")
    assert pointers(problem) == ["/output/speed"]


def test_timelapse_may_have_a_long_range(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    limits = engine.settings.limits.model_copy(update={"max_clip_seconds": 2, "max_range_seconds": 20})
    engine.settings = engine.settings.model_copy(update={"limits": limits})

    def requested(end: float, output: dict[str, float]) -> httpx.Response:
        return post(http, recording.recording_id, BODY | {"start_seconds": 0, "end_seconds": end, "output": output})

    clip = requested(20, {"to_seconds": 1.6}).json()
    assert (clip["output"], clip["status"]) == ({"speed": 12.5}, "processing")
    assert requested(20, {"speed": 10}).status_code == 202
    for end, output in ((21, {"to_seconds": 1.6}), (21, {"speed": 20}), (19, {"speed": 9})):
        refused(requested(end, output), 422, "invalid_time_range")
    problem = refused(requested(20, {"to_seconds": 2.1}), 422, "invalid_request")
    assert pointers(problem) == ["/output/to_seconds"]


def test_profile_without_video_has_no_picture_options(
    http: httpx.Client, recording: Recording, engine: RecordedEngine
) -> None:
    profiles = engine.settings.profiles | {"sound": Profile(container="m4a", video="none")}
    engine.settings = engine.settings.model_copy(update={"profiles": profiles})
    body = BODY | {"profile": "sound", "output": {"aspect": "9:16"}}
    problem = refused(post(http, recording.recording_id, body), 422, "invalid_request")
    assert pointers(problem) == ["/output/aspect"]
    assert "without video" in problem["detail"]


@pytest.mark.parametrize("container", ["gif", "webp"])
def test_animation_has_limits(
    container: Container, http: httpx.Client, recording: Recording, engine: RecordedEngine
) -> None:
    profiles = engine.settings.profiles | {"animation": Profile(container=container)}
    engine.settings = engine.settings.model_copy(update={"profiles": profiles})
    body = BODY | {"profile": "animation", "start_seconds": 0}
    for output, said in (
        ({"max_bytes": 100_000}, "max_bytes is not possible"),
        ({"fps": 60}, "fps is 60, but"),
        ({"max_height": 2000}, "max_height is 2000, but"),
        ({"size": {"width": 1080, "height": 1920}}, "size/height is 1920, but"),
        ({"mute": [[0, 1]]}, "clips without audio"),
    ):
        problem = refused(post(http, recording.recording_id, body | {"output": output}), 422, "invalid_request")
        assert said in problem["detail"]
    long = body | {"end_seconds": 30.5}
    problem = refused(post(http, recording.recording_id, long), 422, "invalid_time_range")
    assert "30.5 s long" in problem["detail"]
    clip = post(http, recording.recording_id, long | {"output": {"speed": 2, "fps": 50, "max_height": 1080}}).json()
    assert engine.ledger.clips.get(clip["clip_id"]).object_key.endswith(f".{container}")


def test_unknown_watermark_is_rejected_with_the_names_that_exist(
    http: httpx.Client, recording: Recording, engine: RecordedEngine, tmp_path: Path
) -> None:
    body = BODY | {"output": {"watermark": "nothing"}}
    problem = refused(post(http, recording.recording_id, body), 422, "unknown_watermark")
    assert pointers(problem) == ["/output/watermark"]
    assert "the settings have none" in problem["detail"]
    known = {name: Watermark(path=tmp_path / "logo.png") for name in ("logo", "brand")}
    engine.settings = engine.settings.model_copy(update={"watermarks": known})
    assert "the settings have brand, logo" in post(http, recording.recording_id, body).json()["detail"]
    assert post(http, recording.recording_id, BODY | {"output": {"watermark": "logo"}}).status_code == 202
    for name in ("logo.png", "../x", "", "a" * 100):
        problem = refused(
            post(http, recording.recording_id, BODY | {"output": {"watermark": name}}), 422, "unknown_watermark"
        )
        assert pointers(problem) == ["/output/watermark"]
        assert "the settings have brand, logo" in problem["detail"]
    for name in ("a" * 101, "a\0b"):
        problem = refused(
            post(http, recording.recording_id, BODY | {"output": {"watermark": name}}), 422, "invalid_request"
        )
        assert pointers(problem) == ["/output/watermark"]
    limits = engine.settings.limits.model_copy(update={"output": OutputLimits(allowed=("fps",))})
    engine.settings = engine.settings.model_copy(update={"limits": limits})
    problem = refused(
        post(http, recording.recording_id, BODY | {"output": {"watermark": "logo"}}), 422, "invalid_request"
    )
    assert "limits.output.allowed" in problem["errors"][0]["detail"]


def test_burnt_subtitles_have_one_language(http: httpx.Client, recording: Recording, engine: RecordedEngine) -> None:
    def create(**subtitles: str) -> httpx.Response:
        return post(http, recording.recording_id, BODY | {"subtitles": {"mode": "burn", **subtitles}})

    problem = refused(create(), 422, "invalid_request")
    assert pointers(problem) == ["/subtitles/language"]
    assert "no transcript" in problem["detail"]
    address = f"/v1/recordings/{recording.recording_id}/transcripts"
    cues = [{"start_seconds": 0, "end_seconds": 1, "text": "x"}]
    assert http.put(f"{address}/en", json=cues).status_code == 201
    made = create()
    assert made.status_code == 202
    stored = engine.ledger.clips.get(made.json()["clip_id"])
    assert ClipObject.of(stored).subtitles == {"mode": "burn", "language": "en", "style": None}
    assert post(http, recording.recording_id, BODY).json()["subtitles"] is None
    assert http.put(f"{address}/pt-BR", json=cues).status_code == 201
    problem = refused(create(), 422, "invalid_request")
    assert "en, pt-BR" in problem["detail"]
    assert create(language="pt-br").status_code == 202
    assert create(language="fr").json()["code"] == "transcript_not_found"


def test_style_of_captions_is_checked_and_stored(
    http: httpx.Client, recording: Recording, engine: RecordedEngine
) -> None:
    def create(style: Any, mode: str = "burn") -> httpx.Response:
        return post(http, recording.recording_id, BODY | {"subtitles": {"mode": mode, "style": style}})

    address = f"/v1/recordings/{recording.recording_id}/transcripts"
    cues = [{"start_seconds": 0, "end_seconds": 1, "text": "x"}]
    assert http.put(f"{address}/en", json=cues).status_code == 201
    made = create({"name": "word", "colour": "#00ff00", "height": 0.2})
    assert made.status_code == 202
    style = {"name": "word", "colour": "#00ff00", "height": 0.2, "speaker": False}
    assert made.json()["subtitles"] == {"mode": "burn", "language": "en", "style": style}
    stored = engine.ledger.clips.get(made.json()["clip_id"])
    assert stored.caption_style == CaptionStyle(name="word", colour="#00ff00", height=0.2)
    assert create({}).json()["subtitles"]["style"] == {"name": "outline", "speaker": False}
    problem = refused(create({"name": "box"}, "keep"), 422, "invalid_request")
    assert pointers(problem) == ["/subtitles/style"]
    wrong = {"name": "neon", "size": 0.2, "height": 1, "colour": "red", "speaker": "yes", "font": "x"}
    problem = refused(create(wrong), 422, "invalid_request")
    assert sorted(pointers(problem)) == sorted(f"/subtitles/style/{name}" for name in wrong)
    profiles = engine.settings.profiles | {"sound": Profile(container="m4a", video="none")}
    engine.settings = engine.settings.model_copy(update={"profiles": profiles})
    body = BODY | {"profile": "sound", "subtitles": {"mode": "burn", "language": "en"}}
    problem = refused(post(http, recording.recording_id, body), 422, "invalid_request")
    assert pointers(problem) == ["/subtitles/mode"]
    assert http.put(f"{address}/nl", json=cues).status_code == 201
    problem = refused(create({}), 422, "invalid_request")
    assert pointers(problem) == ["/subtitles/language"]
    assert problem["detail"].startswith("subtitles.language is required for burn: the recording has transcripts in")


def test_plan_says_why_a_clip_with_drawn_subtitles_is_encoded(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf
) -> None:
    recording = registered(engine, shelf.get("mp4_bframes").path)
    path = f"/v1/recordings/{recording.recording_id}"
    cues = [{"start_seconds": 2, "end_seconds": 3, "text": "x"}]
    http.put(f"{path}/transcripts/en", json=cues)
    body = {"label": "plan", "start_seconds": 1.0, "end_seconds": 5.0, "render": "smart"}
    assert [each["kind"] for each in http.post(f"{path}/clips/plan", json=body).json()["segments"]] != ["encode"]
    plan = http.post(f"{path}/clips/plan", json=body | {"subtitles": {"mode": "burn"}}).json()
    assert [each["kind"] for each in plan["segments"]] == ["encode"]
    assert any("subtitles are drawn into the picture" in each for each in plan["warnings"])


def test_plan_has_the_size_of_the_clip(http: httpx.Client, engine: RecordedEngine, shelf: Shelf) -> None:
    recording = registered(engine, shelf.get("rotated_90").path)
    path = f"/v1/recordings/{recording.recording_id}/clips/plan"
    body = {"label": "plan", "start_seconds": 1.0, "end_seconds": 3.0}
    plain = http.post(path, json=body).json()
    assert (plain["width"], plain["height"]) == (180, 320)
    wide = http.post(path, json=body | {"output": {"aspect": "16:9", "fit": "pad", "max_height": 90}}).json()
    assert (wide["width"], wide["height"]) == (160, 90)
    assert wide["estimated_bytes"] < plain["estimated_bytes"]
    fast = http.post(path, json=body | {"output": {"speed": 4, "fps": 20}}).json()
    assert (plain["duration_seconds"], fast["duration_seconds"], fast["frames"]) == (2.0, 0.5, 10)
    refused(http.post(path, json=body | {"output": {"fit": "pad"}}), 422, "invalid_request")
