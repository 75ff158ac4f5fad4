"""Clips on the page: play, fail, cancel, retry and delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.films.film import Film
from tests.support.page import READY, give_own_stream, held, opened, row, studio, until
from tests.support.server import RunningServer, running_server


class TestClips:
    def test_clip_plays(self, browser: Any, server: RunningServer, recording: Recording, film: Film) -> None:
        """The dialog has the poster and the final shape before the clip has loaded."""
        client = server.client()
        client.clips.create(recording.recording_id, "to play", 0.2, 1.2).wait()
        with opened(browser, server) as page:
            page.goto(f"{server.url}/#/recordings")
            page.goto(f"{server.url}/#/clips")
            with held(page, "**/download"):
                row(page, "to play").get_by_role("button", name="Play to play").click()
                video = page.locator("dialog video")
                poster = "async (video) => (await fetch(video.poster)).headers.get('content-type')"
                assert video.evaluate(poster) == "image/jpeg"
                box = video.bounding_box()
                assert box["width"] / box["height"] == pytest.approx(film.width / film.height, rel=0.01)
            until(page, "document.querySelector('dialog video').currentTime > 0.2")
            assert video.bounding_box() == box
            hidden = "(body => body.scrollHeight - body.clientHeight)(document.querySelector('dialog .body'))"
            for height in (800, 640):
                page.set_viewport_size({"width": 1280, "height": height})
                foot = page.locator("dialog > footer").bounding_box()
                assert foot["y"] + foot["height"] <= height - 20
                assert page.evaluate(hidden) < 1
            page.keyboard.press("Escape")
            row(page, "to play").get_by_role("button", name="Play to play").click()
            page.evaluate("window.film = document.querySelector('dialog video')")
            page.go_back()
            until(page, "!document.querySelector('dialog') && window.film.paused")
            page.go_forward()
            row(page, "to play").get_by_role("button", name="More").click()
            page.get_by_role("menuitem", name="Copy as curl").click()
            page.get_by_text("curl command copied").wait_for()
            row(page, "to play").get_by_role("button", name="More").click()
            page.keyboard.press("End")
            page.keyboard.press("Enter")
            row(page, "to play").wait_for(state="detached")
            assert "to play" in [clip.label for clip in client.clips.list().data]  # it can be undone
            page.get_by_role("button", name="Undo").click()
            row(page, "to play").get_by_role("button", name="More").click()
            with page.expect_response(lambda answer: answer.url.endswith("/v1/clips/delete")):
                page.get_by_role("menuitem", name="Delete").click()
                row(page, "to play").wait_for(state="detached")
                page.locator(".toast", has_text="Deletion in 10 s").get_by_role("button", name="Close").click()
            page.locator(".toast", has_text="Deleted").wait_for()
            assert "to play" not in [clip.label for clip in client.clips.list().data]

    def test_caller_who_may_only_read_sees_nothing_that_would_be_refused(
        self, browser: Any, server: RunningServer, recording: Recording
    ) -> None:
        client = server.client()
        client.clips.create(recording.recording_id, "only seen", 0.2, 1.2).wait()
        key = client.installation.create_key("reader", scopes=["read"]).key
        with opened(browser, server, signed_in=False) as page:
            assert page.context.request.post(f"{server.url}/session", data={"key": key}).ok
            page.goto(f"{server.url}/#/clips")
            assert row(page, "only seen").get_by_role("link", name="Download only seen").is_enabled()
            assert not row(page, "only seen").get_by_role("button", name="Share only seen").count()
            row(page, "only seen").get_by_role("button", name="More").click()
            items = page.get_by_role("menuitem")
            items.first.wait_for()
            assert items.all_inner_texts() == ["Download", "Copy as curl", "Copy as Python"]
            page.keyboard.press("Escape")
            page.get_by_role("checkbox", name="Select only seen").check()
            assert page.locator(".picks button:visible").all_inner_texts() == ["Download ZIP", ""]
            page.goto(f"{server.url}/#/recordings")
            page.get_by_role("link", name=recording.name).wait_for()
            assert not page.get_by_role("button", name="Upload").count()
            assert not page.get_by_role("checkbox").count()
            page.goto(f"{server.url}/#/rules")
            page.get_by_role("heading", name="Not found").wait_for()

    def test_studio_of_a_caller_who_may_only_read_makes_and_stores_nothing(
        self, browser: Any, server: RunningServer, recording: Recording
    ) -> None:
        client = server.client()
        stored = client.recordings.put_segments(
            recording.recording_id, [{"start_seconds": 1, "end_seconds": 2, "label": "kept"}]
        )
        key = client.installation.create_key("reader", scopes=["read"]).key
        before = client.clips.list(recording_id=recording.recording_id).data
        with opened(browser, server, signed_in=False) as page:  # a refused request would fail the test
            assert page.context.request.post(f"{server.url}/session", data={"key": key}).ok
            page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
            until(page, READY)
            page.get_by_role("tab", name="Segments").click()
            assert page.get_by_role("textbox", name="Name of segment 1").get_attribute("readonly") is not None
            for name in ("Make", "Add segment", "Make 1 clip", "More actions for segment 1", "Look"):
                assert not page.get_by_role("button", name=name).count(), name
            assert page.get_by_role("tab").all_inner_texts()[-1].startswith("Segments")
            for pressed in ("Escape", "i", "ArrowRight", "o", "a", "b", "q", "v", "4", "Enter", "Shift+Enter"):
                page.keyboard.press(pressed)
            page.get_by_role("button", name="Import and export segments").click()
            assert "Import…" not in page.get_by_role("menu").inner_text()
        assert client.recordings.segments(recording.recording_id).version == stored.version
        assert client.clips.list(recording_id=recording.recording_id).data == before

    def test_failed_clip_shows_its_error_and_is_retried(self, browser: Any, server: RunningServer, film: Film) -> None:
        client = server.client()
        victim = client.recordings.wait(client.recordings.upload(film.path, name="victim.mp4").recording_id)
        stored = next(server.data.rglob("victim.mp4"))
        whole = stored.read_bytes()
        stored.write_bytes(b"something else")
        try:
            with opened(browser, server) as page:
                page.goto(f"{server.url}/#/clips")
                page.get_by_role("heading", name="Clips", exact=True).wait_for()
                doomed = client.clips.create(victim.recording_id, "doomed", 0.2, 1.2).wait()
                assert doomed.error is not None
                failed = row(page, "doomed")
                failed.locator("summary").click()
                failed.get_by_text("register it again").wait_for()
                assert failed.locator(".why :is(summary, p)").all_text_contents() == [
                    doomed.error.message,
                    doomed.error.hint,
                ]
                stored.unlink()
                stored.write_bytes(whole)
                page.get_by_role("button", name="Failed", exact=True).click()
                assert failed.get_by_role("button", name="Retry").count() == 0  # in vain, until the file is back
                failed.get_by_role("button", name="More").click()
                page.get_by_role("menuitem", name="Retry anyway").click()
                while client.clips.get(doomed.clip_id).attempt == doomed.attempt:
                    page.wait_for_timeout(30)
            client.clips.wait(doomed.clip_id)
        finally:
            # Its object is another one: the lists of other tests would request a frame that cannot be read.
            client.recordings.delete(victim.recording_id)

    def test_clip_that_ends_while_the_list_is_loaded_appears(
        self, browser: Any, server: RunningServer, recording: Recording
    ) -> None:
        with opened(browser, server) as page:
            answers: list[Any] = []
            page.route("**/v1/clips?*", lambda route: answers.append((route, route.fetch())), times=1)
            page.goto(f"{server.url}/#/clips")
            while not answers:
                page.wait_for_timeout(30)
            server.client().clips.create(recording.recording_id, "in between", 0.2, 0.6).wait()
            page.wait_for_timeout(1000)  # its events arrive
            for route, answer in answers:
                route.fulfill(response=answer)
            row(page, "in between").wait_for()

    def test_clip_that_ends_before_the_stream_is_open_appears(
        self, browser: Any, server: RunningServer, recording: Recording
    ) -> None:
        client = server.client()
        client.clips.create(recording.recording_id, "early", 0.2, 0.6).wait()
        with opened(browser, server) as page:
            give_own_stream(page)
            with held(page, "**/v1/events"):
                page.goto(f"{server.url}/#/clips")
                row(page, "early").wait_for()
                client.clips.create(recording.recording_id, "between", 0.2, 0.6).wait()
            row(page, "between").wait_for()

    @pytest.mark.exhaustive
    def test_clip_is_made_without_pauses(self, browser: Any, server: RunningServer, recording: Recording) -> None:
        with studio(browser, server, recording) as page:
            page.get_by_role("tab", name="Look").click()
            page.get_by_role("combobox", name="Pauses").select_option("Shorten")
            for key in ("i", *["ArrowRight"] * 10, "o"):
                page.keyboard.press(key)
            page.locator("#label").fill("dense")
            with page.expect_request(lambda request: request.method == "POST") as sent:
                page.get_by_role("button", name="Make clip").click()
            assert sent.value.post_data_json["without"] == ["silence"]
            page.get_by_role("tab", name="Clips").click()
            row(page, "dense").get_by_role("button", name="Play dense").wait_for()

    @pytest.mark.exhaustive
    def test_queued_clip_is_cancelled_retried_and_deleted_by_keyboard(
        self, browser: Any, server: RunningServer, recording: Recording, tmp_path: Path, film: Film
    ) -> None:
        go = tmp_path / "go"
        environ = {"CLIPENGINE_FAULT": f"claimed:until={go}", "CLIPENGINE_ENCODING__WORKERS": "1"}
        with running_server(tmp_path / "data", env=environ) as slow:
            client = slow.client()
            meeting = client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)
            with studio(browser, slow, meeting) as page:
                client.clips.create(meeting.recording_id, "in the way", 0.2, 1.2)
                client.clips.create(meeting.recording_id, "never done", 0.2, 1.2)
                row(page, "never done").get_by_text("Next in the queue").wait_for()
                assert not page.get_by_role("progressbar", name="Progress of never done").is_visible()
                page.get_by_role("button", name="Cancel never done").focus()
                page.keyboard.press("Enter")
                row(page, "never done").locator(".pill", has_text="Cancelled").wait_for()
                until(page, "document.activeElement.getAttribute('aria-label') === 'Retry never done'")
                page.keyboard.press("Enter")
                row(page, "never done").locator(".pill", has_text="Cancelled").wait_for(state="detached")
                until(page, "/^(Cancel|Download) never done$/.test(document.activeElement.getAttribute('aria-label'))")
                row(page, "never done").get_by_role("button", name="More").focus()
                for key in ("Enter", "End", "Enter"):
                    page.keyboard.press(key)
                row(page, "never done").wait_for(state="detached")
                until(page, "document.activeElement.closest('.clip-row')?.textContent.includes('in the way')")
            go.touch()
