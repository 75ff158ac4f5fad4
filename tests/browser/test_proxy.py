"""Recordings that the browser cannot decode: their proxy plays with picture and sound, and steps frame by frame."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import av
import numpy as np
import pytest

from tests.films.catalogue import Shelf
from tests.films.picture import see
from tests.support.page import SECONDS, opened, studio, until
from tests.support.playlists import ts_playlist
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive

_PAINT = """() => {
  const video = document.querySelector(".stage video");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const data = new Uint8Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  let text = "";
  for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
  return [canvas.height, canvas.width, btoa(text)];
}"""
_SETTLED = """(() => {
  const video = document.querySelector(".stage video");
  return video.videoWidth > 0 && !video.seeking && video.readyState > 1;
})()"""


def number_shown(page: Any) -> int | None:
    """Return the number of the frame that the video element shows."""
    height, width, data = page.evaluate(_PAINT)
    pixels = np.frombuffer(base64.b64decode(data), np.uint8).reshape((height, width, 4))[:, :, :3]
    return see(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")).number


def until_shown(page: Any, number: int | None) -> None:
    deadline = time.monotonic() + SECONDS
    while not page.evaluate(f"() => {_SETTLED}") or number_shown(page) != number:
        assert time.monotonic() < deadline, f"frame {number} is not shown, but {number_shown(page)}"
        page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def hevc(server: RunningServer, shelf: Shelf) -> Any:
    """Return an MPEG-TS recording in HEVC and AAC of 6 s at 25 frames per second, whose proxy has two segments."""
    client = server.client()
    return client.recordings.wait(client.recordings.upload(shelf.get("ts_hevc").path, name="camera.ts").recording_id)


@pytest.fixture
def page(browser: Any, server: RunningServer, hevc: Any) -> Any:
    with studio(browser, server, hevc) as page:
        if not page.evaluate("MediaSource.isTypeSupported('video/mp4; codecs=\"avc1.64002a, mp4a.40.2\"')"):
            pytest.skip("this Chromium cannot play H.264")
        yield page


def test_proxy_steps_frame_by_frame_over_segments(page: Any) -> None:
    page.get_by_text(re.compile(r"A proxy of \d+p is shown; clips are cut from the recording\.")).wait_for()
    until_shown(page, 0)
    page.get_by_role("textbox", name="Current time").fill("3.92")
    page.keyboard.press("Enter")
    until_shown(page, 98)
    assert page.locator(".stage .note").is_hidden()  # it would cover the picture
    for number in (99, 100, 101):
        page.keyboard.press("ArrowRight")
        until_shown(page, number)
    for number in (100, 99):
        page.keyboard.press("ArrowLeft")
        until_shown(page, number)
    page.keyboard.press("End")
    until_shown(page, 149)
    page.keyboard.press("Home")
    until_shown(page, 0)
    assert page.get_by_role("textbox", name="Current time").input_value() == "0:00.000"


def test_proxy_plays_with_sound_and_to_the_end(page: Any) -> None:
    page.keyboard.press("l")
    until(page, "document.querySelector('.stage video').currentTime > 0.5")
    until(page, "document.querySelector('.stage video').webkitAudioDecodedByteCount > 0")
    until(page, "document.querySelector('.stage .note').hidden")
    page.keyboard.press("m")
    until(page, "document.querySelector('.stage video').muted")
    page.keyboard.press("k")
    until(page, "document.querySelector('.stage video').paused")
    until(page, _SETTLED)
    paused_at = page.evaluate("document.querySelector('.stage video').currentTime")
    until_shown(page, int(paused_at * 25))  # paused on the frame that was shown
    assert page.evaluate("document.querySelector('.stage video').currentTime") == paused_at
    page.keyboard.press("j")
    until(page, f"document.querySelector('.stage video').currentTime < {paused_at - 0.1}")
    page.keyboard.press("k")
    page.get_by_role("textbox", name="Current time").fill("5.5")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("l")
    until(page, "document.querySelector('.stage video').paused")
    until_shown(page, 149)


def test_proxy_plays_on_after_its_buffer_was_full(browser: Any, server: RunningServer, hevc: Any) -> None:
    with opened(browser, server) as page:
        page.add_init_script(
            "const append = SourceBuffer.prototype.appendBuffer; let calls = 0; window.full = 0;"
            "SourceBuffer.prototype.appendBuffer = function (data) {"
            " calls += 1;"
            " if (calls === 3) { window.full += 1; throw new DOMException('full', 'QuotaExceededError'); }"
            " return append.call(this, data); };"
        )
        page.goto(f"{server.url}/#/recordings/{hevc.recording_id}")
        page.locator(".stage video").wait_for(state="attached")
        until_shown(page, 0)
        page.keyboard.press("End")
        until_shown(page, 149)
        assert page.evaluate("window.full") == 1


def test_selection_loops_over_segments(page: Any) -> None:
    page.get_by_role("textbox", name="In point").fill("3.8")
    page.get_by_role("textbox", name="Out point").fill("4.2")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.evaluate(
        "() => { window.wraps = 0; let before = 0; "
        "document.querySelector('.stage video').addEventListener('timeupdate', ({target}) => {"
        " if (target.currentTime < before) window.wraps += 1; before = target.currentTime; }); }"
    )
    page.get_by_role("button", name="Loop the selection").click()
    until(page, "window.wraps > 1")


def test_recording_whose_picture_stays_empty_is_played_by_its_proxy(
    browser: Any, server: RunningServer, shelf: Shelf
) -> None:
    client = server.client()
    uploaded = client.recordings.upload(shelf.get("mov_mjpeg_pcm").path, name="camera.mov")
    with studio(browser, server, client.recordings.wait(uploaded.recording_id)) as page:
        page.get_by_text("This browser cannot play the recording itself").wait_for()
        until(page, _SETTLED)
        page.keyboard.press("ArrowRight")
        until_shown(page, 1)


def test_single_frames_are_shown_without_a_media_source(browser: Any, server: RunningServer, hevc: Any) -> None:
    with opened(browser, server) as page:
        page.add_init_script(
            "delete window.MediaSource; delete window.ManagedMediaSource;"
            "const can = HTMLMediaElement.prototype.canPlayType;"
            "HTMLMediaElement.prototype.canPlayType = function (type) {"
            " return type.includes('mpegurl') ? '' : can.call(this, type); };"
        )
        page.goto(f"{server.url}/#/recordings/{hevc.recording_id}")
        page.get_by_text("single frames are shown").wait_for()
        until(page, "document.querySelector('.stage img').naturalWidth > 0")
        first = page.locator(".stage img").get_attribute("src")
        page.keyboard.press("ArrowRight")
        until(page, f"document.querySelector('.stage img').getAttribute('src') !== '{first}'")
        assert page.get_by_role("button", name="Play").first.is_disabled()


def test_frame_is_shown_until_the_proxy_is_made(browser: Any, server: RunningServer, hevc: Any) -> None:
    picture = "document.querySelector('.stage img')"
    with opened(browser, server) as page:
        page.route("**/proxy/*.m4s", lambda route: None)  # stays open
        page.goto(f"{server.url}/#/recordings/{hevc.recording_id}?t=1.2")
        page.get_by_text("A proxy is being prepared").wait_for()
        until(page, f"!{picture}.hidden && {picture}.naturalWidth > 0")
        assert "at_seconds=1.2" in page.evaluate(f"{picture}.src")
        page.get_by_role("textbox", name="Current time").fill("2")
        page.keyboard.press("Enter")
        until(page, f"!{picture}.hidden && {picture}.src.includes('at_seconds=2.0') && {picture}.complete")
        page.unroute("**/proxy/*.m4s")
        until_shown(page, 50)
        until(page, f"{picture}.hidden")
        page.get_by_text(re.compile(r"A proxy of \d+p is shown")).wait_for()


def test_recording_of_many_files_plays_and_has_no_download(browser: Any, server: RunningServer) -> None:
    ts_playlist(server.data / "store" / "egress" / "index.m3u8")
    client = server.client()
    recording = client.recordings.wait(client.recordings.add("egress/index.m3u8", name="many files").recording_id)
    with studio(browser, server, recording) as page:
        if not page.evaluate("MediaSource.isTypeSupported('video/mp4; codecs=\"avc1.64002a, mp4a.40.2\"')"):
            pytest.skip("this Chromium cannot play H.264")
        until_shown(page, 0)
        page.get_by_role("textbox", name="Current time").fill("3.96")  # in the second segment
        page.keyboard.press("Enter")
        until_shown(page, 99)
        assert page.get_by_role("link", name="Download the recording").count() == 0
