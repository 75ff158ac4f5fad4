"""The tracks of the timeline: a filmstrip and a waveform while they load, fail and are complete."""

from __future__ import annotations

import random
import wave
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.films.film import Film
from tests.support.page import STILL, opened, studio, until, wait_for
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.exhaustive

# Fraction of the columns of the waveform that are drawn, in this part of the track.
COLUMNS = """([from, to, track]) => {
  const canvas = document.querySelector(`${track || ".tracks"} .wave`);
  const {data, width, height} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let drawn = 0;
  for (let x = Math.round(width * from); x < Math.round(width * to); x += 1) {
    for (let y = 0; y < height; y += 1) if (data[(y * width + x) * 4 + 3]) { drawn += 1; break; }
  }
  return drawn / (width * (to - from));
}"""


def goto(page: Any, server: RunningServer, recording: Recording) -> None:
    page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
    page.locator(".timeline .ruler").wait_for()


def test_failed_track_says_why_and_is_loaded_again(browser: Any, server: RunningServer, recording: Recording) -> None:
    with opened(browser, server, expected="503") as page:
        problem = {"code": "busy", "title": "Busy", "detail": "64 previews of this kind are queued"}
        for kind in ("waveform", "filmstrip"):
            page.route(f"**/{kind}?*", lambda route: route.fulfill(status=503, json=problem), times=1)
        goto(page, server, recording)
        for kind in ("waveform", "filmstrip"):
            alert = page.get_by_role("alert").filter(has_text=f"The {kind} could not be loaded: 64 previews")
            alert.get_by_role("button", name="Retry").click()
            alert.wait_for(state="hidden")
        until(page, STILL)
        assert page.evaluate(COLUMNS, [0, 1]) > 0.3
        assert page.get_by_role("textbox", name="Current time").input_value() == "0:00.000"  # the click did not seek


def test_permanent_error_offers_no_retry(browser: Any, tmp_path: Path, film: Film) -> None:
    with running_server(tmp_path / "data") as server:
        client = server.client()
        replaced = client.recordings.wait(client.recordings.upload(film.path, name="replaced.mp4").recording_id)
        (stored,) = (tmp_path / "data").rglob(Path(replaced.bucket_path).name)
        stored.write_bytes(film.path.read_bytes() + b"\0")
        with opened(browser, server, expected="4(22|04|12)") as page:
            goto(page, server, replaced)
            for kind in ("waveform", "filmstrip"):
                alert = page.get_by_role("alert").filter(has_text=f"The {kind} could not be loaded")
                alert.wait_for()
                assert alert.get_by_role("button").count() == 0


def test_long_waveform_appears_part_by_part(browser: Any, server: RunningServer, tmp_path: Path) -> None:
    talk = tmp_path / "talk.wav"
    with wave.open(str(talk), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes(random.Random(1).choices(range(64, 192), k=8000)) * 2000)
    client = server.client()
    long = client.recordings.wait(client.recordings.upload(talk).recording_id)
    assert long.duration_seconds == 2000
    held: list[Any] = []
    asked: list[str] = []
    with opened(browser, server) as page:
        page.route("**/waveform?end_seconds=*", lambda route: (asked.append(route.request.url), route.continue_()))
        page.route("**/waveform?start_seconds=*", lambda route: held.append(route))
        goto(page, server, long)
        until(page, f"({COLUMNS})([0, 0.5, '.overview']) > 0.3")
        page.get_by_text("Loading waveform…").wait_for(state="hidden")  # the visible part does not wait for the whole
        assert sorted(url.partition("?")[2] for url in asked) == [
            "end_seconds=1024&points=1024",
            "end_seconds=256&points=1024",
        ]
        assert page.evaluate(COLUMNS, [0, 1]) > 0.3
        wait_for(page, lambda: held)
        assert (len(held), page.evaluate(COLUMNS, [0.52, 1, ".overview"])) == (1, 0)
        assert page.locator(".timeline").get_attribute("aria-busy") == "true"
        held[0].continue_()
        until(page, STILL)
        assert page.evaluate(COLUMNS, [0.52, 1, ".overview"]) > 0.3
    with opened(browser, server, expected="503") as page:
        problem = {"code": "busy", "title": "Busy", "detail": "64 previews of this kind are queued"}
        page.route(
            "**/waveform?start_seconds=*&end_seconds=*", lambda route: route.fulfill(status=503, json=problem)
        )  # of the view
        page.goto(f"{server.url}/#/recordings/{long.recording_id}?t=1500")
        page.locator(".overview .wave").wait_for()
        for half in ([0, 0.5], [0.52, 1]):
            until(page, f"({COLUMNS})([{half[0]}, {half[1]}, '.overview']) > 0.3")
        until(page, STILL)
        assert page.evaluate(COLUMNS, [0, 1]) > 0.3  # the coarse pieces


def test_visible_part_is_loaded_first_and_hidden_requests_are_cancelled(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    held: list[Any] = []
    with studio(browser, server, recording) as page:
        cancelled: list[str] = []
        page.on("requestfailed", lambda request: cancelled.append(request.url))
        page.route("**/waveform?*", lambda route: held.append(route))
        page.keyboard.press("+")
        until(page, "document.querySelector('.timeline').getAttribute('aria-busy') === 'true'")
        wait_for(page, lambda: held)
        page.keyboard.press("+")
        wait_for(page, lambda: held[0].request.url in cancelled and len(held) > 1)
        page.unroute("**/waveform?*")
        until(page, STILL)
        assert page.evaluate(COLUMNS, [0, 1]) > 0.3
