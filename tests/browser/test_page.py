"""The page in a real browser: signing in, uploading, picking by keys and by mouse, watching, playing, stopping."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from clipengine.timecode import format_time
from tests.films.catalogue import Shelf
from tests.films.film import Film
from tests.support.page import sign_in, until
from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, RunningServer, running_server

STILL = "document.querySelector('.timeline')?.getAttribute('aria-busy') === 'false'"
READY = "document.querySelector('.stage :is(video, audio)')?.readyState > 1"


@pytest.fixture(scope="module")
def film(shelf: Shelf) -> Film:
    return shelf.get("mp4_25")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("page")
    with running_server(folder / "data", env=LOOPBACK_ALLOWED, options=["--link"]) as server:
        yield server


@pytest.fixture(scope="module")
def recording(server: RunningServer, film: Film) -> Recording:
    client = server.client()
    return client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)


@contextmanager
def opened(browser: Any, server: RunningServer, *, signed_in: bool = True, **options: Any) -> Iterator[Any]:
    """A page of a browser of its own. What it writes to the console as an error, or throws, fails the test."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(20_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    try:
        if signed_in:
            sign_in(context, server)
        yield page
    finally:
        context.close()
    assert [fault for fault in faults if "the server responded with a status" not in fault] == []


@contextmanager
def studio(browser: Any, server: RunningServer, recording: Recording, **options: Any) -> Iterator[Any]:
    """The recording's own screen, ready to pick."""
    with opened(browser, server, **options) as page:
        page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
        page.get_by_role("heading", name=recording.name).wait_for()
        until(page, READY)
        until(page, STILL)
        yield page


def point(page: Any, name: str) -> Any:
    return page.get_by_role("textbox", name=f"{name} point")


def row(page: Any, label: str) -> Any:
    return page.locator(".clip-row").filter(has=page.locator(f".name:text-is('{label}')"))


class TestSigningIn:
    def test_with_a_key(self, browser: Any, server: RunningServer) -> None:
        with opened(browser, server, signed_in=False) as page:
            page.goto(server.url)
            page.get_by_label("API key").fill("relay_live_wrong")
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("alert").filter(has_text="no key of this server").wait_for()
            page.get_by_label("API key").fill(server.key)
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="Recordings", exact=True).wait_for()
            assert page.evaluate("document.cookie + JSON.stringify(localStorage)") == "{}"
            page.get_by_role("button", name="Sign out").click()
            page.get_by_label("API key").wait_for()
            page.reload()
            page.get_by_label("API key").wait_for()

    def test_with_the_link_once(self, browser: Any, server: RunningServer) -> None:
        link = re.search(r"http://\S+/#code=\S+", server.greeting)
        assert link is not None
        with opened(browser, server, signed_in=False) as page:
            page.goto(link[0])
            page.get_by_role("heading", name="Recordings", exact=True).wait_for()
            assert "code" not in page.url
        with opened(browser, server, signed_in=False) as page:
            page.goto(link[0])
            page.get_by_role("alert").filter(has_text="used already").wait_for()


def test_an_upload_becomes_a_recording(browser: Any, server: RunningServer, film: Film) -> None:
    with opened(browser, server) as page:
        page.goto(server.url)
        page.locator("input[type=file]").set_input_files(
            {"name": "uploaded here.mp4", "mimeType": "video/mp4", "buffer": film.path.read_bytes()}
        )
        uploaded = page.locator(".recording").filter(has_text="uploaded here.mp4")
        uploaded.get_by_text("Ready").wait_for()
        until(page, "document.querySelector('.poster img')?.naturalWidth > 0")
        page.get_by_role("searchbox").fill("nothing like it")
        page.get_by_text("Nothing matches").wait_for()
        page.get_by_role("searchbox").fill("UPLOADED")
        uploaded.get_by_role("link").click()
        page.get_by_role("heading", name="uploaded here.mp4").wait_for()


class TestPicking:
    def test_by_keys_alone(self, browser: Any, server: RunningServer, recording: Recording) -> None:
        with studio(browser, server, recording) as page:
            for key in ["Shift+ArrowRight", *["ArrowRight"] * 5, "i", "Shift+ArrowRight", "ArrowLeft", "o"]:
                page.keyboard.press(key)
            assert (point(page, "In").input_value(), point(page, "Out").input_value()) == ("0:01.200", "0:02.160")
            page.keyboard.press("n")
            page.keyboard.type("by keys")
            page.keyboard.press("Enter")
            row(page, "by keys").get_by_role("button", name="Play by keys").wait_for()
            assert point(page, "In").input_value() == ""
            page.keyboard.press("i")  # the label has let go of the keys
            assert point(page, "In").input_value() == "0:02.160"
            (made,) = server.client().clips.list(label="by keys").data
            assert (made.start_seconds, made.end_seconds) == (1.2, 2.16)
            assert made.result is not None
            assert made.result.frames == 24

    def test_by_mouse(self, browser: Any, server: RunningServer, recording: Recording) -> None:
        with studio(browser, server, recording) as page:
            box = page.locator(".tracks").bounding_box()
            duration = recording.duration_seconds or 0
            across = [box["x"] + box["width"] * part for part in (0.25, 0.5, 0.75)]
            page.mouse.move(across[0], box["y"] + 30)
            page.mouse.down()
            page.mouse.move(across[1], box["y"] + 30, steps=4)
            page.mouse.up()
            handle = page.get_by_role("slider", name="Out point")
            assert abs(float(handle.get_attribute("aria-valuenow")) - duration / 2) < 0.05
            grip = handle.bounding_box()
            page.mouse.move(grip["x"] + 2, grip["y"] + 20)
            page.mouse.down()
            page.mouse.move(across[2], grip["y"] + 20, steps=4)
            page.mouse.up()
            out = float(handle.get_attribute("aria-valuenow"))
            assert abs(out - duration * 0.75) < 0.1
            assert abs(out * 25 - round(out * 25)) < 1e-6  # on a frame
            page.get_by_role("button", name="Make clip").click()
            # The next one is picked while the first is made.
            page.mouse.click(across[1], box["y"] + 30)
            page.keyboard.press("i")
            assert point(page, "In").input_value() != ""
            page.locator(".clip-row button.poster:enabled").first.wait_for()

    def test_typed_times_and_the_handles_keys(self, browser: Any, server: RunningServer, recording: Recording) -> None:
        with studio(browser, server, recording) as page:
            point(page, "In").fill("0:01.010")
            page.keyboard.press("Tab")
            assert point(page, "In").input_value() == "0:01.000"  # the nearest frame
            point(page, "Out").fill("+1.6")
            page.keyboard.press("Enter")
            assert point(page, "Out").input_value() == "0:02.600"
            handle = page.get_by_role("slider", name="In point")
            handle.focus()
            page.keyboard.press("ArrowRight")
            assert handle.get_attribute("aria-valuetext") == "0:01.040"
            page.keyboard.press("Home")
            assert handle.get_attribute("aria-valuenow") == "0.000"

    def test_what_is_typed_is_kept_and_judged(self, browser: Any, server: RunningServer, recording: Recording) -> None:
        def typed(page: Any, name: str, text: str) -> None:
            point(page, name).fill(text)
            page.keyboard.press("Enter")

        def state(page: Any, name: str) -> tuple[str, str]:
            """What stands in the field, and why it is no good."""
            field = point(page, name)
            why = page.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()
            assert (field.get_attribute("aria-invalid") == "true") is bool(why)
            return field.input_value(), why

        with studio(browser, server, recording) as page:
            make = page.get_by_role("button", name="Make clip")
            typed(page, "In", "banana")
            typed(page, "Out", "99")
            assert state(page, "In") == ("banana", "In: “banana” is no time: write 90.5 or 1:02.500.")
            end = format_time(recording.duration_seconds or 0)
            assert state(page, "Out") == ("99", f"Out: the recording ends at {end}.")
            typed(page, "In", "1.5")
            typed(page, "Out", "3.52")
            assert (state(page, "In"), state(page, "Out")) == (("0:01.480", ""), ("0:03.520", ""))
            assert make.is_enabled()
            typed(page, "In", "4")
            assert state(page, "In") == ("4", "In: must lie before the out point, 0:03.520.")
            typed(page, "Out", "2")
            assert (point(page, "In").input_value(), state(page, "Out")[0]) == ("4", "2")
            assert state(page, "Out")[1] == "Out: must lie after the in point, 0:04.000."
            assert make.is_disabled()
            page.keyboard.press("Escape")
            page.keyboard.press("Enter")  # goes to what is wrong and makes nothing
            assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Out point"
            typed(page, "Out", "5")
            assert (state(page, "In"), state(page, "Out")) == (("0:04.000", ""), ("0:05.000", ""))
            assert make.is_enabled()

    def test_times_where_the_rate_varies_are_as_typed(self, browser: Any, server: RunningServer, shelf: Shelf) -> None:
        client = server.client()
        film = shelf.get("mp4_vfr_jitter")
        phone = client.recordings.wait(client.recordings.upload(film.path, name="phone.mp4").recording_id)
        with studio(browser, server, phone) as page:
            for name, text in (("In", "1.237"), ("Out", "2.511")):
                point(page, name).fill(text)
                page.keyboard.press("Enter")
            assert (point(page, "In").input_value(), point(page, "Out").input_value()) == ("0:01.237", "0:02.511")
            page.get_by_role("button", name="Make clip").click()
            page.locator(".clip-row").wait_for()
        (made,) = client.clips.list(recording_id=phone.recording_id).data
        assert (made.start_seconds, made.end_seconds) == (1.237, 2.511)

    def test_frames_are_counted_by_the_exact_rate(self, browser: Any, server: RunningServer) -> None:
        snap = (
            "async ([rate, time]) => { const {Selection} = await import('/assets/selection.js');"
            " return new Selection(7200, {frame_rate: rate, variable_rate: false}).snap(time); }"
        )
        with opened(browser, server) as page:
            page.goto(server.url)
            for rate, time, wanted in [
                ("25", 1.5, 1.48), ("25", 1.5001, 1.52), ("50/3", 7000.02, 7000.02), ("50/3", 3599.97, 3599.94),
                ("30000/1001", 3600.596, 3600.597), ("25", 7199.99, 7200),
            ]:  # fmt: skip
                assert page.evaluate(snap, [rate, time]) == pytest.approx(wanted, abs=5e-5), (rate, time)

    def test_sound_alone(self, browser: Any, server: RunningServer, shelf: Shelf) -> None:
        client = server.client()
        film = shelf.get("audio_only_mp3")
        talk = client.recordings.wait(client.recordings.upload(film.path, name="talk.mp3").recording_id)
        with studio(browser, server, talk) as page:
            assert page.locator(".stage").bounding_box()["height"] < 60
            page.keyboard.press(" ")
            until(page, "document.querySelector('audio').currentTime > 0.2")
            page.keyboard.press("i")
            page.keyboard.press(" ")
            until(page, "document.querySelector('audio').paused")
            assert point(page, "In").input_value() > "0:00.200"
            page.evaluate("document.querySelector('audio').currentTime = 2.5")  # as its own controls do
            until(page, "document.querySelector('.now').textContent === '0:02.500'")

    def test_playing_and_repeating(self, browser: Any, server: RunningServer, recording: Recording) -> None:
        with studio(browser, server, recording) as page:
            page.keyboard.press(" ")
            until(page, "document.querySelector('video').currentTime > 0.2")
            page.keyboard.press("j")
            until(page, "document.querySelector('.now').textContent === '0:00.000'")
            page.keyboard.press("k")
            until(page, "document.querySelector('video').paused")
            point(page, "In").fill("0.4")
            page.keyboard.press("Enter")
            point(page, "Out").fill("0.8")
            page.keyboard.press("Enter")
            page.locator("h1").click()
            page.keyboard.press("r")
            until(page, "!document.querySelector('video').paused")
            page.evaluate(
                "() => { window.back = 0; let last = 0; const video = document.querySelector('video');"
                " video.addEventListener('timeupdate', () => { if (video.currentTime < last) window.back += 1;"
                " last = video.currentTime; window.far = Math.max(window.far || 0, last); }); }"
            )
            until(page, "window.back > 1")
            assert page.evaluate("window.far") < 1.2


class TestClips:
    def test_a_clip_plays(self, browser: Any, server: RunningServer, recording: Recording) -> None:
        server.client().clips.create(recording.recording_id, "to play", 0.2, 1.2).wait()
        with opened(browser, server) as page:
            page.goto(f"{server.url}/#/recordings")
            page.goto(f"{server.url}/#/clips")
            row(page, "to play").get_by_role("button", name="Play").click()
            until(page, "document.querySelector('dialog video').currentTime > 0.2")
            hidden = "(body => body.scrollHeight - body.clientHeight)(document.querySelector('dialog .body'))"
            for height in (800, 640):
                page.set_viewport_size({"width": 1280, "height": height})
                foot = page.locator("dialog > footer").bounding_box()
                assert foot["y"] + foot["height"] <= height - 20
                assert page.evaluate(hidden) < 1
            page.keyboard.press("Escape")
            row(page, "to play").get_by_role("button", name="Play").click()
            page.evaluate("window.film = document.querySelector('dialog video')")
            page.go_back()
            until(page, "!document.querySelector('dialog') && window.film.paused")
            page.go_forward()
            row(page, "to play").get_by_role("button", name="More").click()
            page.get_by_role("menuitem", name="Copy as curl").click()
            page.get_by_text("curl line copied").wait_for()
            row(page, "to play").get_by_role("button", name="More").click()
            page.keyboard.press("End")
            page.keyboard.press("Enter")
            page.get_by_role("button", name="Delete", exact=True).click()
            row(page, "to play").wait_for(state="detached")

    def test_one_that_fails_says_why_and_is_tried_again(self, browser: Any, server: RunningServer, film: Film) -> None:
        client = server.client()
        victim = client.recordings.wait(client.recordings.upload(film.path, name="victim.mp4").recording_id)
        stored = next(server.data.rglob("victim.mp4"))
        whole = stored.read_bytes()
        stored.write_bytes(b"something else")
        with opened(browser, server) as page:
            page.goto(f"{server.url}/#/clips")
            page.get_by_role("heading", name="Clips", exact=True).wait_for()
            client.clips.create(victim.recording_id, "doomed", 0.2, 1.2)
            failed = row(page, "doomed")
            failed.get_by_text("register it again").wait_for()
            stored.unlink()
            stored.write_bytes(whole)
            page.get_by_role("button", name="Failed", exact=True).click()
            failed.get_by_role("button", name="Retry").click()
            until(page, "!document.querySelector('.clip-row .pill.bad') || document.querySelector('.why')")

    def test_one_that_waits_is_cancelled(
        self, browser: Any, server: RunningServer, recording: Recording, tmp_path: Path, film: Film
    ) -> None:
        environ = {"CLIPENGINE_FAULT": "claimed:sleep=10", "CLIPENGINE_ENCODING__WORKERS": "1"}
        with running_server(tmp_path / "data", env=environ) as slow:
            client = slow.client()
            meeting = client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)
            with studio(browser, slow, meeting) as page:
                client.clips.create(meeting.recording_id, "in the way", 0.2, 1.2)
                client.clips.create(meeting.recording_id, "never done", 0.2, 1.2)
                page.get_by_role("progressbar", name="Progress of never done").wait_for()
                page.get_by_role("button", name="Cancel never done").click()
                row(page, "never done").locator(".pill", has_text="Cancelled").wait_for()


def test_a_recording_that_no_browser_plays_is_shown_frame_by_frame(
    browser: Any, server: RunningServer, shelf: Shelf
) -> None:
    client = server.client()
    film = shelf.get("mov_prores_pcm")
    master = client.recordings.wait(client.recordings.upload(film.path, name="master.mov").recording_id)
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings/{master.recording_id}")
        page.get_by_text("frames are shown instead").wait_for()
        until(page, "document.querySelector('.stage img').naturalWidth > 0")
        first = page.locator(".stage img").get_attribute("src")
        page.keyboard.press("ArrowRight")
        until(page, f"document.querySelector('.stage img').getAttribute('src') !== '{first}'")


def test_webhooks_are_added_tried_and_sent_again(browser: Any, server: RunningServer, receiver: Receiver) -> None:
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/webhooks")
        page.get_by_role("button", name="Add webhook").click()
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_text("whsec_").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("link", name=receiver.url).click()
        page.get_by_role("button", name="Send a test").click()
        page.locator(".delivery").get_by_text("Delivered").wait_for()
        page.locator(".delivery summary").click()
        page.get_by_text('"event": "clip.ready"').wait_for()
        page.get_by_role("button", name="Redeliver").click()
        assert len(receiver.wait_for(2)) >= 2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_anybody(
    browser: Any, server: RunningServer, recording: Recording, theme: str
) -> None:
    """axe-core finds nothing serious on any screen, in either theme, nor with a dialog or a menu open."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found: list[str] = []

    def judge(page: Any, where: str) -> None:
        for fault in axe.run(page).response["violations"]:
            if fault["impact"] in ("serious", "critical"):
                found.append(f"{where}: {fault['id']}: {[node['html'][:120] for node in fault['nodes']][:3]}")

    server.client().clips.create(recording.recording_id, f"looked at in {theme}", 0.2, 0.8).wait()
    with opened(browser, server, signed_in=False, color_scheme=theme) as page:
        page.goto(server.url)
        page.get_by_label("API key").wait_for()
        judge(page, "sign-in")
    with studio(browser, server, recording, color_scheme=theme, reduced_motion="reduce") as page:
        page.keyboard.press("i")
        judge(page, "recording")
        page.keyboard.press("?")
        judge(page, "keys")
        page.keyboard.press("Escape")
        row(page, f"looked at in {theme}").get_by_role("button", name="More").click()
        judge(page, "menu")
        page.keyboard.press("Escape")
        for address, heading in (("recordings", "Recordings"), ("clips", "Clips"), ("webhooks", "Webhooks")):
            page.goto(f"{server.url}/#/{address}")
            page.get_by_role("heading", name=heading, exact=True).wait_for()
            page.locator(".skeleton").first.wait_for(state="detached")
            judge(page, address)
        page.get_by_role("button", name="Add webhook").click()
        judge(page, "add a webhook")
    assert found == []
