"""The timeline of a long recording: the lane of the whole, the zoomed part, clips, chapters, cues, and the mouse."""

from __future__ import annotations

import random
import re
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.films.catalogue import Shelf
from tests.support.page import opened, studio, until
from tests.support.server import RunningServer

SECONDS = 1000
NOW = "document.querySelector('.now').value"
VIEW = "document.querySelector('.overview .window').getAttribute('aria-valuetext')"
LONGEST = "document.querySelector('.tracks').clientWidth / 4"  # seconds


@pytest.fixture(scope="module")
def talk(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    path = tmp_path_factory.mktemp("talk") / "long talk.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes(random.Random(1).choices(range(64, 192), k=8000)) * SECONDS)
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(path).recording_id)
    for label, start, end in (("opening", 10, 40), ("joke", 30, 35), ("ending", 800, 805)):
        client.clips.create(recording.recording_id, label, start, end).wait()
    client.transcripts.put(recording.recording_id, "en", [{"start_seconds": 5, "end_seconds": 25, "text": "Welcome"}])
    yield recording
    client.recordings.delete(recording.recording_id)


def seconds(text: str) -> float:
    minutes, rest = text.split(":")
    return int(minutes) * 60 + float(rest)


def view(page: Any) -> tuple[float, float]:
    start, end = page.evaluate(VIEW).split(" to ")
    return seconds(start), seconds(end)


def drag(page: Any, node: Any, pixels: float) -> None:
    box = node.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + pixels, y, steps=4)
    page.mouse.up()


@pytest.mark.exhaustive
def test_window_of_the_whole_recording_moves_the_view(browser: Any, server: RunningServer, talk: Recording) -> None:
    with studio(browser, server, talk) as page:
        longest = page.evaluate(LONGEST)
        assert view(page) == pytest.approx((0, longest), abs=1)
        whole = page.locator(".overview").bounding_box()
        second = whole["width"] / SECONDS
        window = page.get_by_role("slider", name="Visible part")
        drag(page, window, 100 * second)
        until(page, f"{VIEW}.startsWith('1:40 to ')")
        drag(page, window.locator(".edge.end"), 60 * second)  # a longer part is not shown
        assert view(page) == pytest.approx((100, 100 + longest), abs=1)
        drag(page, window.locator(".edge.end"), (60 - longest) * second)
        until(page, f"/^1:40 to 2:(39|40|41)$/.test({VIEW})")
        window.press("End")
        until(page, f"/ to 16:40$/.test({VIEW})")
        page.mouse.click(whole["x"] + 500 * second, whole["y"] + 20)  # goes there
        until(page, f"/^8:(19|20|21)/.test({NOW})")
        until(page, f"/^7:(49|50|51) to 8:(49|50|51)$/.test({VIEW})")


@pytest.mark.exhaustive
@pytest.mark.parametrize("width", [1280, 390])
def test_handles_never_overlap(browser: Any, server: RunningServer, talk: Recording, width: int) -> None:
    """Not even around the shortest selection, at both ends of the recording and in the longest view."""
    with studio(browser, server, talk, viewport={"width": width, "height": 820}, has_touch=width < 1000) as page:
        for at in (0, SECONDS // 2, SECONDS):
            page.get_by_role("textbox", name="Current time").fill(str(at))
            page.keyboard.press("Enter")
            page.keyboard.press("i" if at < SECONDS else "o")
            page.get_by_role("textbox", name="Out point").fill("+0.001")
            page.keyboard.press("Tab")
            start, end = (page.locator(f".handle.{side}").bounding_box() for side in ("start", "end"))
            assert start["x"] + start["width"] <= end["x"] + 1
            assert min(start["width"], end["width"]) >= 24
            assert start["x"] >= 0
            assert end["x"] + end["width"] <= width
            page.locator("h1").click()
            page.keyboard.press("x")


@pytest.mark.exhaustive
def test_view_is_always_workable(browser: Any, server: RunningServer, talk: Recording) -> None:
    """A range of ten seconds is at least 40 pixels wide, and a handle that is dragged beyond an edge scrolls."""
    with studio(browser, server, talk) as page:
        for _ in range(3):
            page.get_by_role("button", name="Zoom out").click()
        assert view(page) == pytest.approx((0, page.evaluate(LONGEST)), abs=1)
        page.get_by_role("textbox", name="In point").fill("400")
        page.get_by_role("textbox", name="Out point").fill("+10")
        page.keyboard.press("Enter")
        start, end = view(page)  # typed times are brought into view, as wide as their handles need
        assert (start + end) / 2 == pytest.approx(405, abs=1)
        assert end - start == pytest.approx(40, abs=1)
        page.get_by_role("button", name="Fit").click()  # shows the selection
        assert view(page) == pytest.approx((397.5, 412.5), abs=1)
        page.keyboard.press("Escape")
        for _ in range(5):
            page.keyboard.press("-")
        assert 40 <= page.locator(".chosen").bounding_box()["width"] < 42
        before = view(page)
        tracks = page.locator(".tracks").bounding_box()
        handle = page.locator(".handle.end").bounding_box()
        page.mouse.move(handle["x"] + 5, handle["y"] + 20)
        page.mouse.down()
        page.mouse.move(tracks["x"] + tracks["width"] + 60, handle["y"] + 20, steps=3)
        until(page, f"/ to (1[0-6]):/.test({VIEW})")
        page.mouse.up()
        start, end = view(page)
        assert abs((end - start) - (before[1] - before[0])) <= 1
        out = seconds(page.get_by_role("textbox", name="Out point").input_value())
        assert end - 2 <= out <= end + 2
        assert page.get_by_role("textbox", name="In point").input_value() == "6:40.000"
        page.keyboard.press("z")  # of a selection that is too long, the end that is nearer
        start, end = view(page)
        assert start < out < end


@pytest.mark.exhaustive
def test_clips_are_named_bands(browser: Any, server: RunningServer, talk: Recording, judge: Judge) -> None:
    with studio(browser, server, talk, reduced_motion="reduce") as page:
        bands = page.get_by_role("group", name="Clips and segments on the timeline")
        first, second = (bands.get_by_role("button", name=f"Clip: {name}") for name in ("opening", "joke"))
        boxes = [first.bounding_box(), second.bounding_box()]
        assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]  # they overlap in time
        second.click()
        assert page.get_by_role("textbox", name="In point").input_value() == "0:30.000"
        page.keyboard.press("a")
        page.get_by_role("button", name="Fit").click()
        bands.get_by_role("button", name="Segment 1").wait_for()
        judge(page, "timeline")
        page.get_by_role("button", name="Zoom in").click()
        page.get_by_role("button", name="Zoom in").click()
        bands.get_by_role("button").first.focus()
        page.keyboard.press("End")  # brings the clip into view
        until(page, "document.activeElement.title === 'Clip: ending'")
        page.keyboard.press("Enter")
        until(page, f"{NOW} === '13:20.000'")


LANES = """async (ranges) => {
    const {Bands} = await import('/assets/player/timeline/bands.js');
    const bands = new Bands({name: "x", className: "clip-bands", many: String});
    bands.set(ranges.map(([start, end], key) => ({key, start, end, text: "", label: "", kind: "draft", item: null})));
    document.body.append(bands.node);
    bands.place({start: 0, end: 100});
    return [bands.ranges.map(({lane}) => lane), bands.node.clientHeight, bands.node.scrollHeight];
}"""


@pytest.mark.exhaustive
def test_overlapping_bands_have_up_to_five_lanes(browser: Any, server: RunningServer) -> None:
    with opened(browser, server) as page:
        page.goto(server.url)
        assert page.evaluate(LANES, [[0, 1], [1, 2]]) == [[0, 0], 24, 24]
        ranges = [[0, 90], [1, 50], [2, 90], [3, 90], [4, 90], [5, 90], [6, 90], [95, 99]]
        assert page.evaluate(LANES, ranges) == [[0, 1, 2, 3, 4, 1, 0, 0], 24, 128]


MANY = """async (count) => {
    const {Bands} = await import('/assets/player/timeline/bands.js');
    const [opened, zoomed] = [[], []];
    let view = {start: 0, end: count};
    const bands = new Bands({
        name: "x", className: "clip-bands", onopen: (item) => opened.push(item), many: (some) => `${some} clips`,
        zoom: ({start, end}) => zoomed.push([start, end]),
        reveal: ({start}) => bands.place(view = {start: Math.max(0, start - 5), end: start + 5}),
    });
    document.querySelector("main").replaceChildren(bands.node);
    const range = (at) => ({
        key: `k${at}`, start: at, end: at + 0.9, text: `${at}`, label: `Clip: ${at}`, kind: "complete", item: at,
    });
    bands.set(Array.from({length: count}, (_, at) => range(at)));
    const buttons = () => [...bands.node.children];
    bands.place(view);
    const whole = buttons();
    whole[1].click();
    bands.place({start: 100, end: 110});
    const close = buttons().map((button) => button.title);
    buttons()[0].focus();
    const reached = ["ArrowLeft", "Home", "ArrowLeft", "End", "ArrowRight"].map((key) => {
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        return document.activeElement.title;
    });
    document.activeElement.click();
    return {
        drawn: whole.length, zoomed, close, reached, opened, left: buttons().length,
        counted: whole.reduce((sum, button) => sum + (Number(button.title.split(" ")[0]) || 1), 0),
        stops: buttons().filter((button) => button.tabIndex === 0).length,
    };
}"""


@pytest.mark.exhaustive
def test_thousands_of_bands_share_buttons_and_stay_reachable(browser: Any, server: RunningServer) -> None:
    with opened(browser, server) as page:
        page.goto(server.url)
        page.get_by_role("heading", name="Recordings", exact=True).wait_for()
        found = page.evaluate(MANY, 5000)
    assert found["drawn"] <= 60  # no more than fit into the width
    assert found["counted"] == 5000
    ((start, end),) = found["zoomed"]
    assert 0 < start < end < 400
    assert found["close"] == [f"Clip: {at}" for at in range(100, 110)]
    assert found["reached"] == ["Clip: 99", "Clip: 0", "Clip: 0", "Clip: 4999", "Clip: 4999"]
    assert (found["opened"], found["stops"]) == ([4999], 1)
    assert found["left"] < 10


GROUPS = """async () => {
    const {Bands} = await import('/assets/player/timeline/bands.js');
    const bands = new Bands({name: "x", className: "clip-bands", many: (count) => `${count} segments`});
    const ranges = [[0, 1], [0, 1], [1, 2], [1, 2]].map(([start, end]) => ({start, end}));
    bands.set(ranges.map((item) => ({...item, key: item, text: "", label: "", kind: "draft", item})));
    document.body.append(bands.node);
    bands.place({start: 0, end: 5000});
    return [...bands.node.children].map((button) => [button.title, button.style.top]);
}"""


@pytest.mark.exhaustive
def test_groups_of_segments_of_every_lane_are_shown(browser: Any, server: RunningServer) -> None:
    with opened(browser, server) as page:
        page.goto(server.url)
        assert page.evaluate(GROUPS) == [["2 segments", "0px"], ["2 segments", "26px"]]


@pytest.mark.exhaustive
def test_timeline_shows_all_clips_beside_a_page_of_them(browser: Any, server: RunningServer, talk: Recording) -> None:
    client = server.client()
    with opened(browser, server) as page:
        smaller = "**/clips?limit=100*"  # three clips are then two pages
        page.route(smaller, lambda route: route.continue_(url=route.request.url.replace("limit=100", "limit=2")))
        page.goto(f"{server.url}/#/recordings/{talk.recording_id}")
        until(page, "document.querySelector('#tab-clips .muted')?.textContent === '3'")
        page.get_by_role("tab", name="Clips").click()
        assert page.locator(".beside .clip-row").count() == 2
        bands = page.get_by_role("group", name="Clips and segments on the timeline")
        bands.get_by_role("button", name="Clip: opening").wait_for()  # the oldest one
        page.locator(".beside").get_by_role("button", name="Next").click()
        until(page, "document.querySelectorAll('.beside .clip-row').length === 1")
        page.get_by_role("slider", name="Visible part").press("End")
        page.get_by_role("slider", name="Visible part").press("ArrowLeft")
        bands.get_by_role("button", name="Clip: ending").wait_for()
        made = client.clips.create(talk.recording_id, "replay", 830, 831)
        bands.get_by_role("button", name="Clip: replay").wait_for()
        client.clips.delete(made.clip_id)
        bands.get_by_role("button", name="Clip: replay").wait_for(state="detached")


@pytest.mark.exhaustive
def test_mouse_shows_frame_and_time(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording) as page:
        box = page.locator(".tracks").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
        shown = page.locator(".hover")
        shown.wait_for()
        time = float(shown.locator(".time").inner_text().removeprefix("0:"))
        assert abs(time - (recording.duration_seconds or 0) / 2) < 0.1
        until(page, "document.querySelector('.hover img').naturalWidth > 0")
        assert re.search(rf"/frame\?at_seconds={time:.1f}", shown.locator("img").get_attribute("src"))
        page.mouse.move(0, 0)
        shown.wait_for(state="hidden")


@pytest.mark.exhaustive
def test_chapters_are_on_the_timeline(browser: Any, server: RunningServer, shelf: Shelf, judge: Judge) -> None:
    client = server.client()
    path: Path = shelf.get("two_pictures").path
    book = client.recordings.wait(client.recordings.upload(path, name="book.mp4").recording_id)
    with studio(browser, server, book) as page:
        chapters = page.get_by_role("group", name="Chapters").get_by_role("button")
        assert chapters.count() > 1
        judge(page, "chapters")
        offset = chapters.first.evaluate(
            "(band) => { const text = band.firstChild; text.textContent = 'אב'; const range = new Range();"
            " range.selectNodeContents(text);"
            " return range.getBoundingClientRect().left - band.getBoundingClientRect().left; }"
        )
        assert 0 <= offset < 16  # a title from right to left stands at its start as well
        start = (book.media or {})["chapters"][1]["start_seconds"]
        chapters.first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        until(page, f"Math.abs(Number({NOW}.split(':')[1]) - {start}) < 0.05")
    client.recordings.delete(book.recording_id)
