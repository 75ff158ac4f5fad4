"""Recordings that are still written, on the page, with clips that wait, gaps and the time of day."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.browser.test_proxy import until_shown
from tests.support.page import READY, STILL, opened, point, row, studio, until, wait_for
from tests.support.playlists import ts_playlist
from tests.support.recorder import Recorder
from tests.support.server import RunningServer, running_server
from tests.support.stored import Objects

pytestmark = pytest.mark.exhaustive

_AFTER = "document.querySelector('.transport .whole').textContent === '/ {}'"
_HATCHED = """() => {
  const canvas = document.querySelector(".gaps");
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1);
  return Array.from({length: canvas.width}, (_, x) => data[4 * x + 3] > 0);
}"""
_FORMATTED = """async ([begin, seconds, digits]) => {
  const {ShownTimes} = await import("/assets/player/timeline/shown_times.js");
  const times = new ShownTimes({started_at: begin, status: "recording"});
  times.ofDay = true;
  return times.format(seconds, digits);
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Yield a server that ends a recording after ten minutes of silence, in which a busy machine opens a page."""
    with running_server(tmp_path_factory.mktemp("live") / "data", env={"CLIPENGINE_FAULT": "outage:pace=0.1"}) as made:
        yield made


def live(server: RunningServer, tmp_path: Path, *, seconds_ago: float = 0) -> tuple[Recorder, Recording]:
    """Return a recorder that has written 6 seconds, and its recording."""
    ts_playlist(tmp_path / "made" / "index.m3u8")
    name = tmp_path.name
    recorder = Recorder(tmp_path / "made", Objects(server.data / "store"), folder=name)
    recorder.write(3)
    written = time.time() - seconds_ago
    os.utime(server.data / "store" / name / "index.m3u8", (written, written))
    client = server.client()
    added = client.recordings.add(f"{name}/index.m3u8", live=True, started_at="2026-11-28T13:00:00Z", name=name)
    return recorder, client.recordings.wait(added.recording_id, timeout=300)


def test_page_follows_a_recording_until_its_end(browser: Any, server: RunningServer, tmp_path: Path) -> None:
    recorder, recording = live(server, tmp_path)
    with studio(browser, server, recording, timezone_id="Europe/Berlin") as page:
        page.locator(".head .live").wait_for()
        until(page, _AFTER.format("0:06"))
        page.get_by_role("button", name="Last 30 s").click()
        assert [point(page, name).input_value() for name in ("In", "Out")] == ["14:00:00.000", "14:00:05.880"]
        point(page, "Out").fill("14:05")
        point(page, "Out").press("Enter")
        page.get_by_text("Not recorded yet. The clip waits for it").wait_for()
        page.get_by_role("button", name="Make clip").click()
        waiting = row(page, "Clip 1")
        waiting.get_by_text("Waiting for the recording").wait_for()
        assert "at most" in waiting.inner_text()
        recorder.write(5)
        until(page, _AFTER.format("0:10"))
        waiting.get_by_role("button", name="Cancel").click()
        waiting.get_by_text("Cancelled").wait_for()
        recorder.write(6, ended=True)
        page.locator(".head .live").wait_for(state="hidden")
        until(page, _AFTER.format("0:12"))
        assert page.get_by_role("button", name="Last 30 s").is_hidden()
        point(page, "Out").fill("14:05")
        point(page, "Out").press("Enter")
        page.get_by_text("Out: the recording ends at 14:00:12").wait_for()


def test_recording_is_silent_until_its_producer_goes_on(browser: Any, server: RunningServer, tmp_path: Path) -> None:
    recorder, recording = live(server, tmp_path, seconds_ago=300)
    with studio(browser, server, recording) as page:
        silent = page.locator(".head .live.silent")
        silent.wait_for()
        shown = server.client().recordings.get(recording.recording_id)
        assert (shown.status, silent.get_attribute("title")) == ("recording", shown.silent_since)
        assert silent.inner_text().startswith("Silent since ")
        recorder.write(4)
        silent.wait_for(state="detached")
        assert page.locator(".head .live").inner_text() == "Live"


def test_end_of_a_recording_is_played_while_it_grows(browser: Any, server: RunningServer, tmp_path: Path) -> None:
    recorder, recording = live(server, tmp_path)
    asked: list[str] = []
    with opened(browser, server, timezone_id="Europe/Berlin") as page:
        page.on("requestfinished", lambda request: asked.append(request.url))
        page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
        until(page, READY)
        until(page, STILL)
        page.get_by_role("button", name="At live").wait_for()  # a recording that is still written opens at its end
        assert [point(page, name).input_value() for name in ("In", "Out")] == ["14:00:00.000", "14:00:05.880"]
        until(page, "document.querySelector('.stage video').currentTime >= 3.9")  # the end of what is whole
        recorder.write(6)
        wait_for(page, lambda: point(page, "Out").input_value() > "14:00:09")  # the selection follows the end
        until(page, "document.querySelector('.stage video').currentTime > 5")
        page.keyboard.press("k")
        page.get_by_role("button", name="Go live").wait_for()
        page.keyboard.press("Home")
        until_shown(page, 0)
        page.get_by_role("textbox", name="Current time").fill("14:00:10.000")
        recorder.write(6, ended=True)
        page.locator(".head .live").wait_for(state="hidden")
        page.keyboard.press("Escape")
        page.keyboard.press("End")
        until_shown(page, 299)
        until(page, STILL)
    previews = [each for each in asked if "/filmstrip" in each or "/waveform" in each]
    assert len(previews) == len(set(previews)) > 4


def test_end_is_shown_that_is_sought_before_the_proxy_has_it(
    browser: Any, server: RunningServer, tmp_path: Path
) -> None:
    recorder, recording = live(server, tmp_path)
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
        until(page, READY)
        until(page, STILL)
        page.keyboard.press("Home")
        until_shown(page, 0)
        held: list[Any] = []
        page.route("**/proxy", lambda route: held.append(route))
        recorder.write(6, ended=True)
        page.locator(".head .live").wait_for(state="hidden")
        page.keyboard.press("End")
        wait_for(page, lambda: held)
        page.wait_for_timeout(1000)  # in which the video may seek to what it has
        for each in held:
            each.continue_()
        page.unroute("**/proxy")
        until_shown(page, 299)


def test_last_seconds_are_clipped_by_a_key(browser: Any, server: RunningServer, tmp_path: Path) -> None:
    _, recording = live(server, tmp_path)
    with studio(browser, server, recording) as page:
        page.keyboard.press("q")
        row(page, "Clip 1").locator(".poster:enabled").wait_for()
        (clip,) = server.client().clips.list(recording_id=recording.recording_id).data
        assert (clip.start_seconds, clip.end_seconds) == (0, recording.duration_seconds)
        server.client().recordings.end(recording.recording_id)
        page.locator(".head .live").wait_for(state="hidden")


def test_row_of_a_live_recording_makes_a_clip_and_counts_it(
    browser: Any, server: RunningServer, tmp_path: Path
) -> None:
    _, recording = live(server, tmp_path)
    client = server.client()
    look: Any = {"output": {"aspect": "1:1"}, "subtitles": None}
    client.recordings.put_segments(recording.recording_id, [], look=look)
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings")
        shown = page.locator(".recording").filter(has_text=tmp_path.name)
        shown.get_by_role("button", name="Last 30 s").click()
        shown.get_by_text("1 clip").wait_for()
        (clip,) = client.clips.list(recording_id=recording.recording_id).data
        assert (clip.start_seconds, clip.end_seconds) == (0, recording.duration_seconds)
        assert clip.output == {"aspect": "1:1"}
        assert clip.label.startswith(f"{tmp_path.name}, ")
        client.clips.wait(clip.clip_id, timeout=300)
        client.clips.delete(clip.clip_id)
        shown.get_by_text("1 clip").wait_for(state="hidden")
        client.recordings.end(recording.recording_id)
        shown.get_by_role("button", name="Last 30 s").wait_for(state="hidden")


def test_phone_in_german_has_room_for_the_controls_of_a_live_recording(
    browser: Any, server: RunningServer, tmp_path: Path, judge: Judge
) -> None:
    _, recording = live(server, tmp_path)
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with studio(browser, server, recording, locale="de-DE", **phone) as page:
        page.locator(".go-live").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.get_by_role("button", name="Letzte 30 s").click()
        judge(page, "live")
        server.client().recordings.end(recording.recording_id)


def test_gaps_and_the_time_of_day_are_shown(browser: Any, server: RunningServer, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, Objects(server.data / "store"), folder=tmp_path.name)
    ts_playlist(tmp_path / "index.m3u8")
    recorder.write(6, ended=True)
    (server.data / "store" / tmp_path.name / "index002.ts").unlink()
    client = server.client()
    recording = client.recordings.wait(client.recordings.add(f"{tmp_path.name}/index.m3u8", name="gap").recording_id)
    assert [(gap["start_seconds"], gap["end_seconds"]) for gap in recording.gaps] == [(4.0, 6.0)]
    client.recordings.update(recording.recording_id, started_at="2026-11-28T23:59:55Z")
    with studio(browser, server, recording, timezone_id="UTC") as page:
        hatched = page.evaluate(_HATCHED)
        for at in (0.1, 0.3, 0.55, 0.9):
            assert not hatched[round(at * len(hatched))]
        for at in (0.36, 0.42, 0.48):
            assert hatched[round(at * len(hatched))]
        time = page.get_by_role("textbox", name="Current time")
        assert time.input_value() == "0:00.000"
        page.get_by_role("button", name="Show the time of day").click()
        assert time.input_value() == "23:59:55.000"
        time.fill("0:00:03")  # of the next day
        time.press("Enter")
        assert time.input_value() == "00:00:03.000"
        point(page, "In").fill("23:59:57")
        point(page, "In").press("Enter")
        point(page, "Out").fill("+4")
        point(page, "Out").press("Enter")
        assert [point(page, name).input_value() for name in ("In", "Out")] == ["23:59:57.000", "00:00:01.000"]
        page.reload()
        until(page, STILL)
        assert time.input_value() == "23:59:55.000"  # the choice is kept
        assert page.evaluate(_FORMATTED, ["2026-11-28T23:59:55.530Z", 4.47, 0]) == "00:00:00"  # a tick of the ruler
        assert page.evaluate(_FORMATTED, ["2026-11-28T23:59:55.530Z", 4.47, 3]) == "00:00:00.000"
