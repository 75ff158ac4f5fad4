"""The page in a real browser: signing in, uploads, webhooks and errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.films.film import Film
from tests.support.page import choose_account, opened, until
from tests.support.receiver import Receiver
from tests.support.server import RunningServer, running_server


class TestSigningIn:
    def test_key_signs_in(self, browser: Any, server: RunningServer) -> None:
        # Either page may ask for the state of the server while the session ends.
        with opened(browser, server, signed_in=False, expected="401.*/(session|v1/status)$") as page:
            page.goto(server.url)
            page.get_by_label("API key").fill("relay_live_wrong")
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("alert").filter(has_text="does not know this key").wait_for()
            page.get_by_label("API key").fill(server.key)
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="Recordings", exact=True).wait_for()
            assert page.evaluate("document.cookie + JSON.stringify(localStorage)") == "{}"
            other = page.context.new_page()
            other.goto(f"{server.url}/#/clips")
            other.get_by_role("heading", name="Clips", exact=True).wait_for()
            choose_account(page, "Sign out")
            page.get_by_label("API key").wait_for()
            other.get_by_text("The session has ended").wait_for()
            page.reload()
            page.get_by_label("API key").wait_for()

    @pytest.mark.exhaustive
    def test_link_signs_in_once(self, browser: Any, tmp_path: Path) -> None:
        # Not the server that the tests share: a link expires 15 minutes after the start.
        with running_server(tmp_path / "data", options=["--link"]) as server:
            link = re.search(r"http://\S+/#code=\S+", server.greeting)
            assert link is not None
            with opened(browser, server, signed_in=False) as page:
                page.goto(link[0])
                page.get_by_role("heading", name="Recordings", exact=True).wait_for()
                assert "code" not in page.url
            with opened(browser, server, signed_in=False, expected="401.*/session$") as page:
                page.goto(link[0])
                page.get_by_role("alert").filter(has_text="already used").wait_for()


def test_expired_session_asks_for_the_key_and_returns(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    with opened(browser, server, expected="401") as page:
        page.goto(f"{server.url}/#/clips")
        page.get_by_role("heading", name="Clips", exact=True).wait_for()
        page.context.clear_cookies()
        page.evaluate("location.hash = '#/recordings'")  # the page may have noticed already and hidden its links
        page.get_by_text("The session has ended. Sign in again.").wait_for()
        page.get_by_label("API key").fill(server.key)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Recordings", exact=True).wait_for()
        page.keyboard.press("/")
        with page.expect_response(lambda response: "meeting.mp4" in response.url):  # it replaces the rows
            page.keyboard.type(recording.name)
        page.locator(".recording").filter(has_not_text=recording.name).first.wait_for(state="detached")
        found = page.locator(".recording").filter(has_text=recording.name)
        found.locator(".poster").first.click(force=True)  # the whole row is a link
        page.get_by_role("heading", name=recording.name).wait_for()


def test_uploaded_file_becomes_a_recording(browser: Any, server: RunningServer, film: Film) -> None:
    with opened(browser, server) as page:
        page.goto(server.url)
        page.locator("input[type=file]").first.set_input_files(
            {"name": "uploaded here.mp4", "mimeType": "video/mp4", "buffer": film.path.read_bytes()}
        )
        uploaded = page.locator(".recording").filter(has_text="uploaded here.mp4")
        uploaded.locator(".poster .time").wait_for()
        until(page, "document.querySelector('.poster img')?.naturalWidth > 0")
        page.get_by_role("searchbox").fill("nothing like it")
        page.get_by_text("No matches").wait_for()
        page.get_by_role("searchbox").fill("UPLOADED")
        uploaded.get_by_role("link").click()
        page.get_by_role("heading", name="uploaded here.mp4").wait_for()


@pytest.mark.exhaustive
def test_failed_recording_causes_no_failing_requests(browser: Any, tmp_path: Path, film: Film) -> None:
    """The console stays free of errors; a failed recording can be probed again or deleted."""
    with running_server(tmp_path / "data") as server:
        client = server.client()
        client.recordings.upload(film.path, name="whole.mp4").wait()
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(film.path.read_bytes()[:3000])
        failed = client.recordings.wait(client.recordings.upload(broken).recording_id)
        assert failed.error is not None
        with opened(browser, server, signed_in=False) as page:
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(server.url)
            page.get_by_label("API key").fill(server.key)
            page.keyboard.press("Enter")
            row = page.locator(".recording").filter(has_text="broken.mp4")
            row.locator(".problem summary").wait_for()
            assert row.locator(".problem :is(summary, p)").all_text_contents() == [
                failed.error.message,
                failed.error.hint,
            ]
            until(page, "document.querySelector('.poster img')?.naturalWidth > 0")
            for _ in range(2):
                row.get_by_role("link").click()
                page.get_by_role("heading", name="This recording cannot be used").wait_for()
                before = page.url
                page.get_by_role("button", name="Register again").click()
                page.wait_for_url(lambda url, before=before: url != before)
                page.get_by_role("heading", name="This recording cannot be used").wait_for()
                page.get_by_role("link", name="All recordings").click()
            [again] = [each for each in client.recordings.list().data if each.name == "broken.mp4"]
            assert again.status == "failed"
            row.get_by_role("button", name="More").click()
            page.get_by_role("menuitem", name="Remove").click()
            page.get_by_role("button", name="Remove", exact=True).click()
            row.wait_for(state="detached")
            assert not [url for url in asked if again.recording_id in url and "/frame" in url]
            choose_account(page, "Sign out")
            page.get_by_label("API key").wait_for()
            ended = len(asked)
            page.wait_for_timeout(500)
            assert asked[ended:] == []
            assert page.get_by_role("alert").text_content() == ""


@pytest.mark.exhaustive
def test_object_of_the_store_is_registered(browser: Any, tmp_path: Path, film: Film) -> None:
    with running_server(tmp_path / "data") as server:
        stored = tmp_path / "data" / "store" / "relay" / "h_01" / "recording.mp4"
        stored.parent.mkdir(parents=True)
        stored.write_bytes(film.path.read_bytes())
        with opened(browser, server, expected="404.*/v1/recordings$") as page:
            page.goto(server.url)
            page.get_by_role("button", name="Add from the store").click()
            page.keyboard.type("relay/h_02/recording.mp4")
            page.keyboard.press("Enter")
            page.get_by_role("alert").filter(has_text="has no object 'relay/h_02/recording.mp4'").wait_for()
            page.get_by_label("Object key").fill("relay/h_01/recording.mp4")
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="recording.mp4").wait_for()
            until(page, "document.querySelector('.stage video')")


@pytest.mark.exhaustive
def test_webhook_is_added_tested_and_redelivered(browser: Any, server: RunningServer, receiver: Receiver) -> None:
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/webhooks")
        page.get_by_role("button", name="Add webhook").click()
        page.get_by_label("URL").fill(receiver.url)
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_text("whsec_").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("link", name=receiver.url, exact=True).click()
        page.get_by_role("button", name="Send a test").click()
        page.locator(".delivery").get_by_text("Delivered").wait_for()
        assert page.locator(".delivery .subject").locator("*").all_text_contents() == [
            "Test",
            "Sample of a webhook test",
        ]
        page.locator(".delivery summary").click()
        page.get_by_text('"event": "clip.ready"').wait_for()
        page.get_by_role("button", name="Redeliver").click()
        assert len(receiver.wait_for(2)) >= 2


@pytest.mark.exhaustive
def test_search_results_are_reached_by_keyboard(
    browser: Any, server: RunningServer, recording: Recording, film: Film
) -> None:
    client = server.client()
    client.recordings.wait(client.recordings.upload(film.path, name="other.mp4").recording_id)
    focused = "document.activeElement"
    with opened(browser, server) as page:
        page.goto(server.url)
        page.get_by_role("link", name="meeting.mp4").wait_for()
        page.keyboard.press("ArrowDown")
        until(page, f"{focused} === document.querySelector('.recording a.name')")
        page.keyboard.press("/")
        page.keyboard.type("meet")
        page.get_by_role("link", name="other.mp4").wait_for(state="detached")
        page.keyboard.press("ArrowDown")
        until(page, f"{focused}.textContent === 'meeting.mp4'")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.get_by_role("menuitem", name="Download").wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowLeft")
        until(page, f"{focused}.textContent === 'meeting.mp4'")
        page.keyboard.press("/")
        page.keyboard.press("Escape")
        assert page.get_by_role("searchbox").input_value() == ""
        page.get_by_role("link", name="other.mp4").wait_for()
        page.keyboard.press("ArrowDown")
        until(page, f"{focused} === document.querySelector('.recording a.name')")
        page.keyboard.press("/")
        page.keyboard.type("meet")
        page.get_by_role("link", name="other.mp4").wait_for(state="detached")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="meeting.mp4").wait_for()
