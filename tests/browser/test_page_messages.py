"""Messages and navigation of the page: invalid addresses, readable errors, and hostile names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from clipengine.basis.events import EventType
from clipengine.client import Recording
from tests.films.film import Film
from tests.support.page import choose_account, opened, row, studio, until
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.exhaustive

PHONE = {"width": 390, "height": 844}
TURNED = "from \u202egpj.exe"  # the right-to-left override


def test_unknown_address_is_reported_with_a_link_to_the_recordings(browser: Any, server: RunningServer) -> None:
    with opened(browser, server) as page:
        for address in ("#/nonsense", "#/recordings/", "#nothing"):
            page.goto("about:blank")
            page.goto(f"{server.url}/{address}")
            page.get_by_role("heading", name="Not found").wait_for()
            page.get_by_role("link", name="All recordings").click()
            page.get_by_role("heading", name="Recordings", exact=True).wait_for()
            assert page.url == f"{server.url}/#/recordings"
            page.get_by_role("link", name="Clips").click()
            page.get_by_role("heading", name="Clips", exact=True).wait_for()
            page.evaluate("location.hash = '#/nonsense'")
            page.get_by_role("heading", name="Not found").wait_for()
            page.get_by_role("link", name="Webhooks").click()
            page.get_by_role("heading", name="Webhooks", exact=True).wait_for()


@pytest.mark.parametrize("kind", ["recordings", "webhooks", "rules"])
def test_missing_resource_is_reported_readably(browser: Any, server: RunningServer, kind: str) -> None:
    with opened(browser, server, expected=f"404.*/v1/{kind}/nothing") as page:
        page.goto(f"{server.url}/#/{kind}/nothing")
        shown = page.get_by_role("alert")
        shown.get_by_text(f"This {kind[:-1]} does not exist.").wait_for()
        assert "GET" not in shown.text_content()
        assert shown.get_by_role("button").count() == 0


def test_empty_file_is_not_uploaded(browser: Any, server: RunningServer) -> None:
    with opened(browser, server) as page:
        page.goto(server.url)
        page.locator("input[type=file]").first.set_input_files(
            {"name": "empty.mp4", "mimeType": "video/mp4", "buffer": b""}
        )
        failed = page.locator(".recording").filter(has_text="empty.mp4")
        failed.get_by_text("This file is empty").wait_for()
        assert not failed.get_by_role("button", name="Retry").is_visible()
        failed.get_by_role("button", name="Cancel the upload of empty.mp4").click()
        failed.wait_for(state="detached")


def test_webhook_form_offers_every_event(browser: Any, server: RunningServer) -> None:
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/webhooks")
        page.get_by_role("button", name="Add webhook").click()
        offered = page.locator("dialog label.check").all_text_contents()
        assert offered == list(get_args(EventType))


def test_webhook_is_edited(browser: Any, server: RunningServer) -> None:
    client = server.client()
    made = client.webhooks.create("https://93.184.216.34/edited", events=["clip.ready"])
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/webhooks")
        edited = page.locator(".webhook").filter(has_text="/edited")
        edited.get_by_role("button", name="More").click()
        page.get_by_role("menuitem", name="Edit").click()
        assert page.get_by_label("URL").input_value() == made.url
        assert page.get_by_label("clip.ready").is_checked()
        page.get_by_label("clip.expired").check()
        page.get_by_label("Generate a new signing secret").check()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("whsec_").wait_for()
        page.keyboard.press("Escape")
        edited.get_by_text("clip.ready, clip.expired").wait_for()
    assert client.webhooks.get(made.webhook_id).events == ["clip.ready", "clip.expired"]


def test_docs_are_reached_on_a_phone(browser: Any, server: RunningServer, recording: Recording) -> None:
    wider = "document.documentElement.scrollWidth > innerWidth"
    with opened(browser, server, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        for screen in ("recordings", f"recordings/{recording.recording_id}", "clips", "webhooks"):
            page.goto(f"{server.url}/#/{screen}")
            page.locator("h1").wait_for()
            assert not page.evaluate(wider)
            if screen.startswith("recordings/"):  # the form of the clip is in place of the rail
                page.get_by_role("link", name="All recordings").wait_for()
                continue
            page.locator(".account").wait_for()
            assert page.evaluate("document.querySelector('.rail').scrollWidth") <= PHONE["width"]
        choose_account(page, "Docs")
        page.get_by_role("heading", level=1).wait_for()
        assert page.get_by_role("heading", level=1).bounding_box()["y"] < 280
        assert not page.get_by_role("link", name=re.compile("^Errors")).first.is_visible()
        page.get_by_text("All documents").click()
        page.locator(".menu").get_by_role("link").last.wait_for()
        page.set_viewport_size({"width": 1280, "height": 820})
        page.get_by_role("navigation", name="Documents").wait_for()
        assert not page.locator(".menu").is_visible()


def test_clips_show_the_folder_of_their_recording(browser: Any, tmp_path: Path, film: Film) -> None:
    folders = ("h_01", "a folder with a name that is far too long for the line that it stands in on any phone")
    with running_server(tmp_path / "data") as server:
        client = server.client()
        for folder in folders:
            stored = tmp_path / "data" / "store" / "relay" / folder / "recording.mp4"
            stored.parent.mkdir(parents=True)
            stored.write_bytes(film.path.read_bytes())
            registered = client.recordings.add(f"relay/{folder}/recording.mp4")
            client.recordings.wait(registered.recording_id)
            client.clips.create(registered.recording_id, f"of {folder[:4]}", 0.2, 0.8).wait()
        with opened(browser, server, viewport=PHONE) as page:
            page.goto(f"{server.url}/#/clips")
            for folder in folders:
                link = row(page, f"of {folder[:4]}").locator(".facts a")
                until(page, f"[...document.links].some((link) => link.textContent === '{folder}/recording.mp4')")
                assert link.get_attribute("title") == f"relay/{folder}/recording.mp4"
                file = link.locator(".file")
                assert file.evaluate("(node) => node.scrollWidth <= node.clientWidth")
                assert file.bounding_box()["x"] + file.bounding_box()["width"] <= PHONE["width"]


def test_label_has_its_own_line_while_the_clip_is_made(browser: Any, tmp_path: Path, film: Film) -> None:
    label = "from the third answer on"
    go = tmp_path / "go"
    environ = {"CLIPENGINE_FAULT": f"claimed:until={go}", "CLIPENGINE_ENCODING__WORKERS": "1"}
    with running_server(tmp_path / "data", env=environ) as slow:
        client = slow.client()
        meeting = client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)
        with studio(browser, slow, meeting, viewport={"width": 1280, "height": 820}) as page:
            client.clips.create(meeting.recording_id, label, 0.2, 1.2)
            name = row(page, label).locator(".name")
            name.wait_for()
            assert name.evaluate("(node) => node.scrollWidth <= node.clientWidth")
        go.touch()


def test_bidirectional_controls_in_a_name_do_not_affect_other_text(
    browser: Any, server: RunningServer, film: Film
) -> None:
    client = server.client()
    turned = client.recordings.wait(client.recordings.upload(film.path, name=TURNED).recording_id)
    client.clips.create(turned.recording_id, TURNED, 0.2, 0.8).wait()
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings/{turned.recording_id}")
        name = page.locator(".clip-row .name")
        name.wait_for()
        assert name.text_content() == TURNED
        assert name.evaluate("(node) => getComputedStyle(node).unicodeBidi") == "isolate"
        assert page.title() == "from gpj.exe · clipengine"
        page.get_by_role("button", name="More actions for this clip").click()
        page.get_by_role("menuitem", name="Delete").click()
        assert page.locator(".toast bdi").text_content() == TURNED
