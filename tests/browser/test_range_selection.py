"""Selecting a range on the screen of a recording: by keys, mouse, typing, frame by frame and during playback."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.basis.timecode import format_time
from clipengine.client import Recording
from tests.films.catalogue import Shelf
from tests.films.film import Film
from tests.support.page import opened, point, row, studio, until
from tests.support.server import RunningServer


@pytest.mark.exhaustive
def test_clip_is_made_by_keyboard_only(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording) as page:
        for key in ["Shift+ArrowRight", *["ArrowRight"] * 5, "i", "Shift+ArrowRight", "ArrowLeft", "o"]:
            page.keyboard.press(key)
        assert (point(page, "In").input_value(), point(page, "Out").input_value()) == ("0:01.200", "0:02.160")
        page.keyboard.press("n")
        page.keyboard.type("by keys")
        page.keyboard.press("Enter")
        row(page, "by keys").get_by_role("button", name="Play by keys").wait_for()
        assert point(page, "In").input_value() == ""
        page.keyboard.press("i")  # the label has lost the focus
        assert point(page, "In").input_value() == "0:02.160"
        (made,) = server.client().clips.list(label="by keys").data
        assert (made.start_seconds, made.end_seconds) == (1.2, 2.16)
        assert made.result is not None
        assert made.result.frames == 24


@pytest.mark.exhaustive
def test_clips_made_in_quick_succession_have_distinct_labels(browser: Any, server: RunningServer, film: Film) -> None:
    """Each next range is selected before the response to the previous request."""
    client = server.client()
    quick = client.recordings.wait(client.recordings.upload(film.path, name="quick.mp4").recording_id)
    with studio(browser, server, quick) as page:
        for _ in range(3):
            for key in ("i", "ArrowRight", "ArrowRight", "o", "Enter"):
                page.keyboard.press(key)
        page.locator(".clip-row .name:text-is('Clip 3')").wait_for()
        assert sorted(page.locator(".clip-row .name").all_inner_texts()) == ["Clip 1", "Clip 2", "Clip 3"]


def test_range_is_selected_by_mouse(browser: Any, server: RunningServer, recording: Recording) -> None:
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
        # The next range is selected while the first clip is made.
        page.mouse.click(across[1], box["y"] + 30)
        page.keyboard.press("i")
        assert point(page, "In").input_value() != ""
        page.locator(".clip-row button.poster:enabled").first.wait_for()


@pytest.mark.exhaustive
def test_times_are_typed_and_handles_moved_by_keys(browser: Any, server: RunningServer, recording: Recording) -> None:
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


@pytest.mark.exhaustive
def test_invalid_input_is_kept_and_reported(browser: Any, server: RunningServer, recording: Recording) -> None:
    def typed(page: Any, name: str, text: str) -> None:
        point(page, name).fill(text)
        page.keyboard.press("Enter")

    def state(page: Any, name: str) -> tuple[str, str]:
        """Return the text of the field and its validation message."""
        field = point(page, name)
        why = page.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()
        assert (field.get_attribute("aria-invalid") == "true") is bool(why)
        return field.input_value(), why

    with studio(browser, server, recording) as page:
        make = page.get_by_role("button", name="Make clip")
        typed(page, "In", "banana")
        typed(page, "Out", "99")
        assert state(page, "In") == ("banana", "In: “banana” is not a time: write 90.5 or 1:02.500.")
        end = format_time(recording.duration_seconds or 0)
        assert state(page, "Out") == ("99", f"Out: the recording ends at {end}.")
        typed(page, "In", "1.5")
        typed(page, "Out", "3.52")
        assert (state(page, "In"), state(page, "Out")) == (("0:01.480", ""), ("0:03.520", ""))
        assert make.is_enabled()
        typed(page, "In", "4")
        assert state(page, "In") == ("4", "In: must be before the out point, 0:03.520.")
        typed(page, "Out", "2")
        assert (point(page, "In").input_value(), state(page, "Out")[0]) == ("4", "2")
        assert state(page, "Out")[1] == "Out: must be after the in point, 0:04.000."
        assert make.is_disabled()
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")  # focuses the invalid field and makes no clip
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Out point"
        typed(page, "Out", "5")
        assert (state(page, "In"), state(page, "Out")) == (("0:04.000", ""), ("0:05.000", ""))
        assert make.is_enabled()
        typed(page, "Out", "3")
        assert state(page, "Out")[1] == "Out: must be after the in point, 0:04.000."
        typed(page, "In", "")  # an emptied in point is no longer that of the selection
        assert (state(page, "In"), state(page, "Out")) == (("0:00.000", ""), ("0:03.000", ""))


@pytest.mark.exhaustive
def test_variable_rate_uses_the_real_frame_times(browser: Any, server: RunningServer, shelf: Shelf) -> None:
    client = server.client()
    film = shelf.get("mp4_vfr_jitter")
    phone = client.recordings.wait(client.recordings.upload(film.path, name="phone.mp4").recording_id)
    times = [float(time) for time, _ in film.frames]
    with studio(browser, server, phone) as page:
        page.keyboard.press("Shift+ArrowRight")
        nearest = min(times, key=lambda time: abs(time - 1))
        until(page, f"document.querySelector('.now').value === '{format_time(nearest)}'")
        shown = []
        for key in [*["ArrowRight"] * 6, *["ArrowLeft"] * 3]:
            page.keyboard.press(key)
            shown.append(page.locator(".now").input_value())
        at = times.index(nearest)
        assert shown == [format_time(times[at + by]) for by in (1, 2, 3, 4, 5, 6, 5, 4, 3)]
        for name, text in (("In", "1.237"), ("Out", "2.511")):
            point(page, name).fill(text)
            page.keyboard.press("Enter")
        first, after = (min(times, key=lambda time: abs(time - typed)) for typed in (1.237, 2.511))
        assert point(page, "In").input_value() == format_time(first)
        assert point(page, "Out").input_value() == format_time(after)
        page.get_by_role("button", name="Make clip").click()
        page.locator(".clip-row button.poster:enabled").wait_for()
    (made,) = client.clips.list(recording_id=phone.recording_id).data
    assert made.result is not None
    assert made.result.frames == len([time for time in times if first - 1e-6 <= time < after - 1e-6])
    assert made.result.actual_start_seconds == pytest.approx(first, abs=1e-3)


@pytest.mark.exhaustive
def test_frame_grid_starts_at_the_first_frame(browser: Any, server: RunningServer, shelf: Shelf) -> None:
    client = server.client()
    film = shelf.get("edit_empty_video_late")
    late = client.recordings.wait(client.recordings.upload(film.path, name="late.mp4").recording_id)
    times = [float(time) for time, _ in film.frames]
    assert times[0] > 0
    with studio(browser, server, late) as page:
        for typed in (times[3] + 0.004, times[20] - 0.004):
            point(page, "In").fill(f"{typed:.3f}")
            page.keyboard.press("Enter")
            assert point(page, "In").input_value() == format_time(round(min(times, key=lambda t: abs(t - typed)), 3))


@pytest.mark.exhaustive
def test_keys_take_the_painted_frame_during_playback(browser: Any, server: RunningServer, recording: Recording) -> None:
    """The keys take the media time that the browser reports for the last painted frame."""
    with studio(browser, server, recording) as page:
        page.evaluate(
            "() => { const video = document.querySelector('video'); const note = (now, {mediaTime}) => {"
            " window.painted = mediaTime; video.requestVideoFrameCallback(note); };"
            " video.requestVideoFrameCallback(note); window.taken = [];"
            " document.addEventListener('keydown', () => window.taken.push(window.painted), {capture: true}); }"
        )
        page.keyboard.press(" ")
        until(page, "document.querySelector('video').currentTime > 0.7")
        page.keyboard.press("i")
        until(page, "document.querySelector('video').currentTime > 1.6")
        page.keyboard.press("o")
        page.keyboard.press("k")
        _, start, end, _ = page.evaluate("window.taken")
        assert point(page, "In").input_value() == format_time(round(start * 25) / 25)
        assert point(page, "Out").input_value() == format_time(round(end * 25) / 25)
        page.keyboard.press(" ")
        until(page, "document.querySelector('video').currentTime > 2.2")
        page.keyboard.press("ArrowRight")
        stepped = round(page.evaluate("window.taken.at(-1)") * 25) / 25 + 0.04
        assert page.locator(".now").input_value() == format_time(round(stepped, 3))
        until(page, "document.querySelector('video').paused")
        page.wait_for_timeout(100)
        assert page.locator(".now").input_value() == format_time(round(stepped, 3))
        page.keyboard.press("Shift+I")
        page.get_by_text("In: the clip’s first frame").wait_for()
        page.keyboard.press("Shift+O")
        page.get_by_text("Out: the first frame after the clip").wait_for()
        page.keyboard.press("ArrowLeft")
        page.get_by_text("The clip’s last frame").wait_for()
        page.keyboard.press("End")
        page.keyboard.press("o")  # past the last frame, so that it is included
        page.get_by_text("Out: the recording’s end").wait_for()
        assert point(page, "Out").input_value() == format_time(recording.duration_seconds or 0)
        page.keyboard.press("ArrowLeft")
        page.get_by_text("The clip’s last frame").wait_for()


@pytest.mark.exhaustive
def test_frame_numbers_use_the_exact_rate(browser: Any, server: RunningServer) -> None:
    snap = (
        "async ([rate, time]) => { const {Selection} = await import('/assets/player/segments/selection.js');"
        " const extent = {duration: 7200, growing: false};"
        " return new Selection(extent, {frame_rate: rate, variable_rate: false}).snap(time); }"
    )
    with opened(browser, server) as page:
        page.goto(server.url)
        for rate, time, wanted in [
            ("25", 1.5, 1.48), ("25", 1.5001, 1.52), ("50/3", 7000.02, 7000.02), ("50/3", 3599.97, 3599.94),
            ("30000/1001", 3600.596, 3600.597), ("25", 7199.99, 7200),
        ]:  # fmt: skip
            assert page.evaluate(snap, [rate, time]) == pytest.approx(wanted, abs=5e-5), (rate, time)


@pytest.mark.exhaustive
def test_audio_only_recording_is_cut(browser: Any, server: RunningServer, shelf: Shelf) -> None:
    client = server.client()
    film = shelf.get("audio_only_mp3")
    talk = client.recordings.wait(client.recordings.upload(film.path, name="talk.mp3").recording_id)
    with studio(browser, server, talk) as page:
        assert page.locator(".stage").is_hidden()
        page.keyboard.press(" ")
        until(page, "document.querySelector('audio').currentTime > 0.2")
        page.keyboard.press("i")
        page.keyboard.press(" ")
        until(page, "document.querySelector('audio').paused")
        assert point(page, "In").input_value() > "0:00.200"
        page.keyboard.press("m")
        assert page.get_by_role("button", name="Mute").get_attribute("aria-pressed") == "true"
        page.keyboard.press("g")
        page.keyboard.type("2.5")
        page.keyboard.press("Enter")
        until(page, "document.querySelector('audio').currentTime === 2.5")
        assert page.get_by_role("textbox", name="Current time").input_value() == "0:02.500"


@pytest.mark.exhaustive
def test_playback_loops_over_the_selection(browser: Any, server: RunningServer, recording: Recording) -> None:
    with studio(browser, server, recording) as page:
        page.keyboard.press(" ")
        until(page, "document.querySelector('video').currentTime > 0.2")
        page.keyboard.press("j")
        until(page, "document.querySelector('.now').value === '0:00.000'")
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
        assert page.evaluate("window.far") < 3  # of more than 5
