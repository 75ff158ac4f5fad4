"""What the page says while something is away, refused or not done yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.films.film import Film
from tests.support.page import READY, give_own_stream, opened, row, until, wait_for
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.exhaustive


def test_recording_is_shown_when_the_store_is_back(browser: Any, tmp_path: Path, film: Film) -> None:
    with running_server(tmp_path / "data") as server:
        client = server.client()
        recording = client.recordings.upload(film.path).wait()
        store, away = server.data / "store", server.data / "away"
        with opened(browser, server, expected="503") as page:
            store.rename(away)
            page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
            page.get_by_text("The recording cannot be read from the store.").wait_for()
            assert not page.get_by_text("cannot play the recording").is_visible()
            away.rename(store)
            until(page, READY)
            assert not page.get_by_text("The recording cannot be read from the store.").is_visible()
            assert page.evaluate("document.querySelector('.stage video').src.endsWith('/download')")


def test_refused_event_stream_is_not_an_unreachable_server(browser: Any, server: RunningServer) -> None:
    with opened(browser, server, expected="429|Failed to load") as page:
        give_own_stream(page)
        page.route("**/v1/events", lambda route: route.fulfill(status=429, body="{}"))
        page.goto(f"{server.url}/#/clips")
        page.get_by_text("No live updates").wait_for()
        assert page.get_by_text("Server unreachable").count() == 0
        page.unroute("**/v1/events")
        page.get_by_text("No live updates").wait_for(state="detached")


def test_deletion_that_fails_says_so_and_shows_the_clip_again(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    server.client().clips.create(recording.recording_id, "kept by chance", 0.2, 0.6).wait()
    with opened(browser, server, expected="ERR_") as page:
        page.goto(f"{server.url}/#/clips")
        page.route("**/v1/clips/delete", lambda route: route.abort())
        row(page, "kept by chance").get_by_role("button", name="More").click()
        page.get_by_role("menuitem", name="Delete").click()
        row(page, "kept by chance").wait_for(state="detached")
        assert page.locator(".toast", has_text="Deleted").count() == 0
        page.locator(".toast", has_text="Deletion in 10 s").get_by_role("button", name="Close").click()
        page.locator(".toast.bad", has_text="Not deleted").get_by_text("kept by chance").wait_for()
        row(page, "kept by chance").wait_for()


def test_all_clips_are_named_and_a_large_number_is_typed(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    client = server.client()
    for label in ("one of many", "two of many"):
        client.clips.create(recording.recording_id, label, 0.2, 0.6).wait()
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/clips")
        row(page, "one of many").get_by_role("checkbox").check()

        def ask(count: int) -> Any:
            body = json.dumps({"selection": "x", "count": count, "bytes": 5, "skipped": 0, "refused": 0, "data": []})
            fulfil = {"content_type": "application/json", "body": body}
            page.route("**/v1/clips/delete", lambda route: route.fulfill(**fulfil), times=1)
            page.get_by_role("button", name="Delete all matches…").click()
            return page.get_by_role("dialog", name=f"Delete ALL clips: {count}?")

        confirm = ask(101)
        confirm.get_by_text("The list has no filter").wait_for()
        delete = confirm.get_by_role("button", name="Delete")
        assert delete.is_disabled()
        confirm.get_by_label("Type 101 to confirm").fill("10")
        assert delete.is_disabled()
        confirm.get_by_label("Type 101 to confirm").fill("101")
        assert delete.is_enabled()
        confirm.get_by_role("button", name="Cancel").click()
        confirm = ask(100)
        assert confirm.get_by_role("button", name="Delete").is_enabled()
        assert confirm.get_by_role("textbox").count() == 0
        confirm.get_by_role("button", name="Cancel").click()


def test_storage_follows_deletions_elsewhere(browser: Any, tmp_path: Path, film: Film) -> None:
    with running_server(tmp_path / "data") as server:
        client = server.client()
        recording = client.recordings.upload(film.path).wait()
        clips = [client.clips.create(recording.recording_id, "counted", 0.2, 0.6).wait() for _ in range(2)]
        with opened(browser, server) as page:
            page.goto(f"{server.url}/#/system")
            count = page.locator(".space tr", has_text="Clips").locator("td").nth(2)
            wait_for(page, lambda: count.inner_text() == "2")
            client.clips.delete(clips[0].clip_id)
            wait_for(page, lambda: count.inner_text() == "1")
