"""Captions over the player: pictures of the engine, at the place and the time that the clip will show them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.films.film import Film
from tests.support import waiting
from tests.support.page import row, studio, until
from tests.support.png import png
from tests.support.server import RunningServer, running_server

_WORDS = [[0.4, 0.8, "The"], [0.8, 1.2, "budget"], [1.2, 1.6, "is"], [1.6, 2.0, "large"]]
_CUES = [{"start_seconds": 0.4, "end_seconds": 2.0, "text": "The budget is large", "words": _WORDS}]
_DRAWING = """
[profiles.default.output]
watermark = "logo"
fade_seconds = 0.5
blur = [{box = [{at_seconds = 0.0, x = 0.1, y = 0.2, width = 0.2, height = 0.2},
                {at_seconds = 2.0, x = 0.7, y = 0.2, width = 0.2, height = 0.2}], to_seconds = 2.0}]

[watermarks.logo]
path = "logo.png"
position = "top-left"
"""
_IMAGE = "document.querySelector('.drawn img')"


@pytest.fixture
def spoken(server: RunningServer, recording: Recording) -> Iterator[Recording]:
    transcripts = server.client().transcripts
    transcripts.put(recording.recording_id, "en", _CUES)
    yield recording
    transcripts.delete(recording.recording_id, "en")


@pytest.mark.exhaustive
def test_captions_are_drawn_as_the_clip_shows_them(
    browser: Any, server: RunningServer, spoken: Recording, judge: Judge
) -> None:
    client = server.client()
    with studio(browser, server, spoken, viewport={"width": 1280, "height": 720}) as page:
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        page.get_by_role("button", name="Captions in the picture").click()
        page.get_by_role("tab", name="Look").click()
        page.locator(".drawn img").wait_for()
        page.get_by_role("button", name="9:16", exact=True).click()
        page.get_by_role("button", name="Word", exact=True).click()
        output, style = {"aspect": "9:16"}, {"name": "word"}
        served = client.recordings.captions(spoken.recording_id, "en", 0, 5, style=style, output=output)
        first, second, *_ = served.captions
        until(page, f"{_IMAGE}?.src === {first['image']!r}")
        judge(page, "captions")
        frame, image = page.locator(".crop").bounding_box(), page.locator(".drawn img").bounding_box()
        scale = frame["width"] / served.width
        for name, edge, size in (("x", "x", "width"), ("y", "y", "height")):
            assert image[edge] == pytest.approx(frame[edge] + first[name] * scale, abs=1.5)
            assert image[size] == pytest.approx(first[size] * scale, abs=1.5)
        for _ in range(12):
            page.keyboard.press("ArrowRight")
        until(page, f"{_IMAGE}?.src === {second['image']!r}")
        page.keyboard.press("Home")
        until(page, f"!{_IMAGE}")
        for _ in range(9):  # the frame at 0.36 s, before the caption begins
            page.keyboard.press("ArrowRight")
        until(page, "document.querySelector('.stage video').currentTime > 0.3")
        assert page.locator(".drawn img").count() == 0
        page.keyboard.press("i")  # as the first frame of a clip it has the caption
        until(page, f"{_IMAGE}?.src === {first['image']!r}")
        for _ in range(17):  # up to 1.04 s: a clip that begins there has not the word whose middle is before
            page.keyboard.press("ArrowRight")
        page.keyboard.press("i")
        part = {"start_seconds": 1.04, "end_seconds": 5.0}
        cut = client.recordings.captions(spoken.recording_id, "en", 1.04, 5, style=style, output=output, part=part)
        assert cut.captions[0]["image"] not in {each["image"] for each in served.captions}
        until(page, f"{_IMAGE}?.src === {cut.captions[0]['image']!r}")


@pytest.mark.exhaustive
def test_what_the_profile_draws_is_seen_in_the_player(browser: Any, film: Film, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(png(20, 10, bytes((255, 0, 0, 255)) * 200))
    config = tmp_path / "clipengine.toml"
    config.write_text(_DRAWING)
    with running_server(tmp_path / "data", config=config, options=["--link"]) as server:
        client = server.client()
        meeting = client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)
        (profile,) = client.profiles.list().data
        served = client.recordings.framing(meeting.recording_id, profile.output)
        with studio(browser, server, meeting, viewport={"width": 1280, "height": 720}) as page:
            picture = page.locator(".picture").bounding_box()
            scale = picture["width"] / served.width
            logo = page.locator(".drawn img").bounding_box()
            assert served.watermark is not None
            for edge in ("x", "y"):
                assert logo[edge] == pytest.approx(picture[edge] + served.watermark[edge] * scale, abs=1.5)
            assert logo["width"] == pytest.approx(served.watermark["width"] * scale, abs=1.5)
            until(page, "document.querySelector('.drawn img').naturalWidth === 20")
            page.keyboard.press("i")
            for _ in range(75):
                page.keyboard.press("ArrowRight")
            page.keyboard.press("o")
            page.keyboard.press("Home")
            dark, left = (
                "+document.querySelector('.dark').style.opacity",
                "document.querySelector('.boxes div').style.left",
            )
            until(page, f"{dark} === 1")
            start = served.blur[0]["path"][0]["x"] / served.recording["width"] * 100
            assert float(page.evaluate(f"parseFloat({left})")) == pytest.approx(start, abs=0.1)
            for _ in range(25):
                page.keyboard.press("ArrowRight")
            until(page, f"{dark} === 0")
            middle = (start + served.blur[0]["path"][1]["x"] / served.recording["width"] * 100) / 2
            until(page, f"Math.abs(parseFloat({left}) - {middle}) < 0.2")
            for _ in range(30):
                page.keyboard.press("ArrowRight")
            until(page, "document.querySelector('.boxes div').hidden")


@pytest.mark.exhaustive
def test_look_stores_the_style_and_the_clip_has_it(
    browser: Any, server: RunningServer, spoken: Recording, judge: Judge
) -> None:
    client = server.client()
    with studio(browser, server, spoken, viewport={"width": 1280, "height": 720}, color_scheme="dark") as page:
        page.keyboard.press("Shift+C")
        page.get_by_role("tab", name="Look").click()
        page.get_by_role("button", name="Box", exact=True).click()
        page.get_by_role("combobox", name="Text").select_option("Large")
        page.get_by_role("combobox", name="Height").select_option("In the middle")
        judge(page, "look")
        style = {"name": "box", "size": 0.08, "height": 0.4, "speaker": False}
        stored = {"mode": "burn", "language": "en", "style": style}
        waiting.until(lambda: client.recordings.segments(spoken.recording_id).look["subtitles"] == stored)
        for key in ("i", *["ArrowRight"] * 5, "o", "Enter"):
            page.keyboard.press(key)
        page.locator("#label").fill("boxed")
        page.get_by_role("button", name="Make clip").click()
        page.get_by_role("tab", name="Clips").click()
        row(page, "boxed").get_by_role("button", name="Play boxed").wait_for()
    (made,) = client.clips.list(label="boxed").data
    assert made.subtitles is not None
    assert made.subtitles["style"] == style
