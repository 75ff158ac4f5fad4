"""Jumps to keyframes, silences and scenes, from the menu and by keyboard."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.support.moments_film import SCENES, SECONDS, SILENCES, make_moments_film
from tests.support.page import studio, until
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive

NOW = "Number(document.querySelector('.now').value.split(':')[1])"


@pytest.fixture(scope="module")
def film(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    path: Path = make_moments_film(tmp_path_factory.mktemp("jumps") / "jumps.mp4")
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(path).recording_id)
    yield recording
    client.recordings.delete(recording.recording_id)


def test_keys_and_menu_jump_to_moments(browser: Any, server: RunningServer, film: Recording, judge: Judge) -> None:
    (silence, sound), _, _ = SILENCES
    with studio(browser, server, film) as page:
        for keys, time in (
            ("f", 2.0),  # keyframes are 2 s apart
            ("f", 4.0),
            ("Shift+f", 2.0),
            ("d", float(SCENES[1][0])),
            ("d", float(SCENES[2][0])),
            ("Shift+d", float(SCENES[1][0])),
            ("Shift+s", float(sound) - 0.1),
            ("Shift+s", float(silence) + 0.1),
        ):
            page.keyboard.press(keys)
            until(page, f"Math.abs({NOW} - {time}) < 0.05")
            until(page, "!document.querySelector('[aria-busy=true][aria-haspopup]')")
        page.get_by_role("button", name="Jump to").click()
        judge(page, "jumps")
        page.get_by_role("menuitem", name="Next scene").click()
        until(page, f"Math.abs({NOW} - {float(SCENES[1][0])}) < 0.05")
        page.keyboard.press("Escape")  # leaves the button
        page.keyboard.press("End")
        page.keyboard.press("f")
        page.get_by_text("No keyframe found").wait_for()
        page.get_by_text(f"Searched from 0:{SECONDS}.000 to 0:{SECONDS}.000.").wait_for()


def test_recording_without_video_has_jumps_to_silences_only(
    browser: Any, server: RunningServer, tmp_path: Path
) -> None:
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes([64, 192] * 4000) + bytes([128] * 8000) + bytes([64, 192] * 4000))
    client = server.client()
    voice = client.recordings.wait(client.recordings.upload(path).recording_id)
    with studio(browser, server, voice) as page:
        page.get_by_role("button", name="Jump to").click()
        offered = [" ".join(text.split()) for text in page.get_by_role("menuitem").all_inner_texts()]
        assert offered == ["Next silence S", "Previous silence Shift+S"]
        page.keyboard.press("Enter")
        until(page, f"Math.abs({NOW} - 1.1) < 0.05")
    client.recordings.delete(voice.recording_id)


def test_long_search_says_how_far_it_is_and_is_cancelled(
    browser: Any, server: RunningServer, film: Recording, judge: Judge
) -> None:
    requested: list[str] = []

    def respond(route: Any) -> None:
        requested.append(route.request.url)
        if len(requested) == 1:  # the next ones stay open
            route.fulfill(json={"seconds": None, "searched_to_seconds": 3.0, "more": True})

    with studio(browser, server, film) as page:
        page.route("**/moments?*", respond)
        page.keyboard.press("d")
        searching = page.locator(".toast").filter(has_text="Next scene: searching…")
        searching.get_by_text("Searched to 0:03").wait_for()
        judge(page, "search")
        page.keyboard.press("d")  # it is running
        page.keyboard.press("Escape")
        searching.wait_for(state="detached")
        until(page, "!document.querySelector('[aria-busy=true][aria-haspopup]')")
        assert len(requested) == 2
        page.keyboard.press("s")
        page.get_by_role("button", name="Cancel (Esc)").click()
        page.locator(".toast").wait_for(state="detached")
        page.unroute_all(behavior="ignoreErrors")
        page.keyboard.press("f")
        until(page, f"Math.abs({NOW} - 2) < 0.05")
