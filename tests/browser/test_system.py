"""The System view: what operators see of the installation, and API keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.films.film import Film
from tests.support.page import opened, row
from tests.support.server import RunningServer, running_server


@pytest.mark.exhaustive
def test_operator_sees_the_installation(
    browser: Any, server: RunningServer, recording: Recording, judge: Judge
) -> None:
    client = server.client()
    client.clips.create(recording.recording_id, "counted", 0.2, 0.8).wait()
    silent = client.clips.create(recording.recording_id, "failing", 0.2, 0.8)
    client.clips.cancel(silent.clip_id)
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/system")
        page.get_by_text("Everything works: ").wait_for()
        page.locator(".space").get_by_role("row").filter(has_text="Recordings").wait_for()
        page.locator(".space p").filter(has_text=re.compile(r"\d GB free\s*of \d")).wait_for()
        page.locator(".space").get_by_role("row").filter(has_text="Other files").wait_for()
        largest = client.installation.storage()["largest_recordings"][0]  # those of other tests are here, too
        page.locator(".largest").get_by_role("link", name=largest["name"]).first.wait_for()
        judge(page, "storage")
        page.get_by_role("tab", name="Work").click()
        assert page.url.endswith("#/system?tab=work")
        page.locator(".figures").get_by_text("Encoders busy").wait_for()
        ready = page.locator(".chart:visible p").first
        assert int(ready.locator("strong").first.inner_text()) >= 1
        checks = page.get_by_role("row").filter(has_text="database")
        assert "Good" in checks.inner_text()
        cancelled = page.get_by_role("row").filter(has_text="cancelled")
        cancelled.get_by_role("button", name="Show the last clip").click()
        shown = page.get_by_role("dialog").locator(".clip-row")
        shown.get_by_text("failing", exact=True).wait_for()
        shown.get_by_role("button", name="Retry failing").click()
        shown.get_by_role("button", name="Play failing").wait_for()
        page.keyboard.press("Escape")
        page.locator(".figures").get_by_text("Store", exact=True).wait_for()
        judge(page, "work")
        page.get_by_role("tab", name="Settings").click()
        page.get_by_role("row").filter(has_text="default").get_by_text("mp4").wait_for()
        judge(page, "settings")


@pytest.mark.exhaustive
def test_links_without_an_end_are_listed_and_revoked(browser: Any, server: RunningServer, recording: Recording) -> None:
    client = server.client()
    clip = client.clips.create(recording.recording_id, "endless", 0.2, 0.8).wait()
    client.clips.share(clip.clip_id)
    client.clips.share(clip.clip_id, expires_at="2040-01-31T12:00:00Z")
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/system")
        links = page.locator("section").filter(has=page.get_by_role("heading", name="Links without an end"))
        link = links.get_by_role("listitem").filter(has_text="endless")
        link.get_by_text("0 views").wait_for()
        link.get_by_role("button", name="Revoke link").click()
        link.wait_for(state="detached")
        page.get_by_text("It no longer opens the clip.").wait_for()
    assert [share.expires_at for share in client.clips.shares(clip.clip_id).data] == ["2040-01-31T12:00:00.000Z"]


@pytest.mark.exhaustive
def test_operator_sees_what_is_cut_and_what_waits(browser: Any, tmp_path: Path, film: Film) -> None:
    go = tmp_path / "go"
    environ = {"CLIPENGINE_FAULT": f"claimed:until={go}", "CLIPENGINE_ENCODING__WORKERS": "1"}
    environ["CLIPENGINE_RETENTION__MAX_CLIPS_BYTES"] = "2000000"
    environ |= {"CLIPENGINE_WATCH__PREFIXES": '["cameras/"]', "CLIPENGINE_WATCH__SECONDS": "1"}
    (tmp_path / "data" / "store" / "cameras").mkdir(parents=True)
    (tmp_path / "data" / "store" / "cameras" / "a\x01.mp4").touch()
    with running_server(tmp_path / "data", env=environ) as slow:
        client = slow.client()
        meeting = client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)
        with opened(browser, slow) as page:
            page.goto(f"{slow.url}/#/system?tab=work")
            page.get_by_text("No clip is in progress.").wait_for()
            first, second = (client.clips.create(meeting.recording_id, label, 0.2, 1.2) for label in ("one", "two"))
            page.locator(".figures").get_by_text("1 of 1").wait_for()  # at once, by the events
            page.locator(".figures").get_by_text("1 file left out, see the log").wait_for()
            row(page, "two").get_by_text("Next in the queue").wait_for()
            client.clips.cancel(first.clip_id)
            client.clips.cancel(second.clip_id)
            page.get_by_text("No clip is in progress.").wait_for()
            page.get_by_role("tab", name="Storage").click()
            page.locator(".space").get_by_text(re.compile(r"Clips use \S+\s\S+ of at most \S+\s\S+")).wait_for()
        go.touch()


@pytest.mark.exhaustive
def test_key_is_created_shown_once_and_revoked(browser: Any, server: RunningServer) -> None:
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/system?tab=keys")
        page.get_by_role("button", name="Create key").click()
        page.get_by_label("Name").fill("kitchen <b>")
        page.get_by_role("button", name="Create", exact=True).click()
        key = page.locator("dialog pre").inner_text()
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{server.url}/v1/clips", headers=headers).status_code == 200
        assert httpx.get(f"{server.url}/v1/settings", headers=headers).status_code == 403
        page.keyboard.press("Escape")
        row = page.get_by_role("row").filter(has_text="kitchen <b>")
        assert "read, write" in row.inner_text()
        row.get_by_role("button", name="Revoke").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        row.wait_for(state="detached")
        assert httpx.get(f"{server.url}/v1/clips", headers=headers).status_code == 401
        page.get_by_role("tab", name="Settings").click()
        page.get_by_text("Show the effective settings").click()
        page.get_by_label("Settings").get_by_text("max_queued_clips").wait_for()
        page.locator("pre.json").filter(has_text="max_queued_clips").wait_for()


@pytest.mark.exhaustive
def test_failing_check_is_shown_in_every_view(browser: Any, tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        store = server.data / "store"
        store.rename(tmp_path / "unmounted")
        with opened(browser, server) as page:
            page.goto(f"{server.url}/#/clips")
            page.get_by_role("status").filter(has_text="Failing: store").click()
            page.get_by_role("alert").filter(has_text="store").wait_for()
            (tmp_path / "unmounted").rename(store)
            page.get_by_text("Everything works: ").wait_for()
