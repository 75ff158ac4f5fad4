"""Blurred boxes, watermark, fades and bars: chosen in Look, and the same in the player as in the finished clip."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.client import Framing, Recording
from tests.browser.conftest import Judge
from tests.films.picture import draw, to_frame
from tests.support import waiting
from tests.support.page import point, studio, until, wait_for
from tests.support.png import png
from tests.support.server import RunningServer, running_server

_WIDTH, _HEIGHT, _FPS, _SECONDS = 640, 360, 25, 3
_CONFIG = '[watermarks.logo]\npath = "logo.png"\nposition = "top-left"\nwidth = 0.2\nopacity = 1.0\n'
_CUES = [{"start_seconds": 0.2, "end_seconds": 2.8, "text": "The budget is large"}]
_BOX = {"x": 0.45, "y": 0.3, "width": 0.2, "height": 0.4}
_STYLE = {"name": "box", "size": 0.08}
_AT = 1.0


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Yield a server with a watermark."""
    folder = tmp_path_factory.mktemp("marked")
    (folder / "logo.png").write_bytes(png(20, 10, bytes((255, 0, 0, 255)) * 200))
    config = folder / "clipengine.toml"
    config.write_text(_CONFIG)
    with running_server(folder / "data", config=config, options=["--link"]) as server:
        yield server


@pytest.fixture(scope="module")
def spoken(marked: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("spoken") / "spoken.mp4"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=_FPS, options={"preset": "ultrafast", "crf": "18"})
        video.width, video.height, video.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        video.codec_context.color_range, video.codec_context.colorspace = 1, 1  # a browser assumes BT.709 too
        for number in range(_SECONDS * _FPS):
            frame = to_frame(draw(number, _WIDTH, _HEIGHT), "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, _FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    client = marked.client()
    recording = client.recordings.wait(client.recordings.upload(path, name="spoken.mp4").recording_id)
    client.transcripts.put(recording.recording_id, "en", _CUES)
    return recording


def _pixels(image: bytes, width: int, height: int) -> Any:
    """Return the picture of an image or of a clip at _AT in RGB."""
    with av.open(io.BytesIO(image)) as container:
        is_film = container.duration is not None
        for frame in container.decode(video=0):
            if not is_film or frame.time >= _AT - 0.5 / _FPS:
                matrix = "ITU709" if is_film else None
                return frame.reformat(width, height, "rgb24", matrix, interpolation="AREA").to_ndarray().astype(int)
    raise AssertionError("no frame")


def _settled(page: Any, selector: str) -> bytes:
    """Return a screenshot of an element after its place and its pixels were the same in four of them."""
    element, states = page.locator(selector), []

    def rests() -> bool:
        page.wait_for_timeout(250)
        states.append((*element.bounding_box().values(), element.screenshot()))
        return len(states) >= 4 and len(set(states[-4:])) == 1

    wait_for(page, rests)
    return bytes(states[-1][-1])


@pytest.mark.parametrize("output", [{"fit": "pad"}, {"fit": "blur"}, {"fit": "crop"}, {"fit": "pad", "aspect": "4:5"}])
@pytest.mark.exhaustive
def test_player_shows_what_the_clip_has(
    browser: Any, marked: RunningServer, spoken: Recording, tmp_path: Path, output: dict[str, str]
) -> None:
    client = marked.client()
    look: Any = {
        "output": {"aspect": "9:16", "watermark": "logo", "blur": [_BOX], **output},
        "subtitles": {"mode": "burn", "language": "en", "style": _STYLE},
    }
    clip = client.clips.create(spoken.recording_id, "drawn", 0.0, 2.0, **look)
    made = client.clips.wait(clip.clip_id, timeout=300)  # before the page, which moves when its list changes
    assert made.result is not None, made.error
    client.recordings.put_segments(spoken.recording_id, [], look=look)
    with studio(browser, marked, spoken, viewport={"width": 1280, "height": 900}) as page:
        point(page, "In").fill("0")
        point(page, "Out").fill("2")
        page.keyboard.press("Enter")
        page.locator(".drawn img").last.wait_for()
        if output["fit"] == "crop":
            page.get_by_role("button", name="Result", exact=True).click()
        page.evaluate("document.activeElement.blur()")
        for frame in range(1, round(_AT * _FPS) + 1):
            page.keyboard.press("ArrowRight")
            until(page, f"Math.floor(document.querySelector('video').currentTime * {_FPS} + 0.01) === {frame}")
        until(page, "document.querySelectorAll('.drawn img').length === 2 && !document.querySelector('video').seeking")
        until(page, "[...document.querySelectorAll('.drawn img')].every((image) => image.complete)")
        page.evaluate("document.querySelector('.role').remove()")
        page.locator(".picture").evaluate("(node) => { node.style.borderRadius = 0; }")
        seen = _settled(page, ".picture")
    client.clips.download(clip.clip_id, tmp_path / "clip.mp4")
    width, height = made.result.width, made.result.height
    assert width is not None
    assert height is not None
    shown, cut = _pixels(seen, width, height), _pixels((tmp_path / "clip.mp4").read_bytes(), width, height)
    assert np.abs(shown - cut).mean() < (15 if output["fit"] == "blur" else 9)
    framing = client.recordings.framing(spoken.recording_id, look["output"])
    captions = client.recordings.captions(spoken.recording_id, "en", 0, 2, style=_STYLE, output=look["output"])
    assert framing.watermark is not None
    for place in (_in_clip(framing), framing.watermark, captions.captions[0]):
        x, y, wide, high = (place[name] for name in _BOX)
        inside = np.s_[max(0, y) : y + high, max(0, x) : x + wide]
        assert abs(shown[inside].mean() - cut[inside].mean()) < 12
        assert abs(shown[inside].std() - cut[inside].std()) < 12  # blurred in both, or with letters in both


def _in_clip(framing: Framing) -> dict[str, int]:
    """Return the place of the first blurred box in pixels of the clip."""
    box, region, inner = framing.blur[0]["path"][0], framing.region, framing.inner
    found = {}
    for edge, side, whole in (("x", "width", framing.width), ("y", "height", framing.height)):
        scale = inner[side] / region[side]
        found[edge] = round((box[edge] - region[edge]) * scale + (whole - inner[side]) / 2)
        found[side] = round(box[side] * scale)
    return found


@pytest.mark.exhaustive
def test_boxes_watermark_and_fades_are_chosen_in_look(
    browser: Any, marked: RunningServer, spoken: Recording, judge: Judge
) -> None:
    client = marked.client()
    client.recordings.put_segments(spoken.recording_id, [])

    def stored() -> Any:
        return client.recordings.segments(spoken.recording_id).look["output"] or {}

    with studio(browser, marked, spoken, viewport={"width": 1280, "height": 900}) as page:
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("button", name="Add a box").click()
        handle = page.get_by_role("button", name="Blurred box 1")
        assert handle.evaluate("(node) => node === document.activeElement")
        until(page, "document.querySelector('.boxes > div:not([hidden])')")
        handle.press("ArrowRight")
        handle.press("Shift+ArrowUp")
        handle.press("Alt+ArrowDown")
        picture = page.locator(".picture").bounding_box()
        box = handle.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(picture["x"] + picture["width"] * 0.2, picture["y"] + picture["height"] * 0.5, steps=4)
        page.mouse.up()
        placed = pytest.approx({"x": 0.1, "y": 0.5 - 0.105, "width": 0.2, "height": 0.21}, abs=0.01)
        waiting.until(lambda: stored().get("blur") and {name: stored()["blur"][0][name] for name in _BOX} == placed)
        corner = handle.locator(".corner").bounding_box()
        page.mouse.move(corner["x"] + 9, corner["y"] + 9)
        page.mouse.down()
        page.mouse.move(corner["x"] + 9 + picture["width"] * 0.1, corner["y"] + 9, steps=4)
        page.mouse.up()
        waiting.until(lambda: stored()["blur"][0]["width"] == pytest.approx(0.3, abs=0.01))
        page.get_by_role("button", name="4:5", exact=True).click()
        page.get_by_role("combobox", name="Size").select_option("1080 × 1350")
        page.get_by_text("Scaled up from 288 × 360").wait_for()
        waiting.until(lambda: stored().get("size") == {"width": 1080, "height": 1350, "enlarge": True})
        page.get_by_role("button", name="288 × 360").click()
        waiting.until(lambda: "size" not in stored())
        page.get_by_role("combobox", name="Watermark").select_option("logo")
        page.get_by_role("combobox", name="Fade").select_option("0.5 s")
        page.locator(".drawn img").wait_for()
        judge(page, "drawn")
        waiting.until(lambda: (stored().get("watermark"), stored().get("fade_seconds")) == ("logo", 0.5))
        page.get_by_role("button", name="Remove box 1").click()
        page.get_by_role("button", name="Undo").click()
        waiting.until(lambda: len(stored().get("blur", [])) == 1)
        handle.press("Delete")
        waiting.until(lambda: "blur" not in stored())
        page.get_by_role("button", name="Reset").click()
        waiting.until(lambda: not stored())


def test_moving_box_of_another_program_stays(browser: Any, marked: RunningServer, spoken: Recording) -> None:
    client = marked.client()
    moving = {"box": [{"at_seconds": 0.0, **_BOX}, {"at_seconds": 1.0, **_BOX, "x": 0.1}]}
    look: Any = {"output": {"blur": [moving]}, "subtitles": None}
    client.recordings.put_segments(spoken.recording_id, [], look=look)
    with studio(browser, marked, spoken, viewport={"width": 1280, "height": 900}) as page:
        page.get_by_role("tab", name="Look").click()
        page.get_by_text("Box 1, moving").wait_for()
        page.get_by_role("button", name="Add a box").click()
        page.get_by_role("button", name="Blurred box 2").wait_for()
        blur = lambda: client.recordings.segments(spoken.recording_id).look["output"]["blur"]  # noqa: E731
        waiting.until(lambda: len(blur()) == 2 and blur()[0]["box"] == moving["box"])
