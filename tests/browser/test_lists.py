"""The lists of the page: search, filters, order, pages, editing in place, and actions for several rows."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Judge
from tests.films.film import Film
from tests.support.page import opened, row, until
from tests.support.server import RunningServer, running_server

COUNT = 60


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, film: Film) -> Any:
    """Yield a server with many recordings of one object, and some clips."""
    folder = tmp_path_factory.mktemp("lists")
    with running_server(folder / "data") as server:
        client = server.client()
        store = folder / "data" / "store" / "many"
        store.mkdir(parents=True)
        for number in range(COUNT):
            (store / f"{number:03d}.mp4").write_bytes(film.path.read_bytes() if number in (7, 40) else b"broken")
            client.recordings.add(
                f"many/{number:03d}.mp4", name=f"Talk {number:03d}", tags=["odd"] if number % 2 else []
            )
        for recording in client.recordings.list(q="007").data + client.recordings.list(q="040").data:
            made = client.recordings.wait(recording.recording_id)
            for label in ("goal", "foul"):
                client.clips.create(made.recording_id, f"{label} of {made.name}", 0.2, 0.6, tags=[label]).wait()
            cues = [{"start_seconds": 1.0, "end_seconds": 2.0, "text": f"The keeper of {made.name} waits."}]
            client.transcripts.put(made.recording_id, "en", cues)
        for recording in client.recordings.list(status="processing", limit=100).data:
            client.recordings.wait(recording.recording_id)
        yield server


def names(page: Any) -> list[str]:
    return page.locator(".recording a.name").all_inner_texts()  # type: ignore[no-any-return]


@pytest.mark.exhaustive
def test_server_searches_filters_sorts_and_pages(browser: Any, stocked: RunningServer, judge: Judge) -> None:
    with opened(browser, stocked) as page:
        page.goto(stocked.url)
        page.get_by_role("button", name="Next").click()
        page.get_by_role("navigation", name="Pages").get_by_text("Page 2").wait_for()
        assert len(names(page)) == COUNT - 50
        assert names(page)[0] == "Talk 009"
        assert page.get_by_role("button", name="Next").is_disabled()
        assert page.locator(".recording .count:visible").all_inner_texts() == ["2 clips"]
        page.get_by_label("Order").select_option("By name")
        until(page, "document.querySelector('.recording a.name')?.textContent === 'Talk 000'")
        page.get_by_role("button", name="Filters").click()
        page.get_by_label("Tag").fill("odd")
        until(page, "document.querySelector('.recording a.name')?.textContent === 'Talk 001'")
        page.get_by_label("Created from").fill("2000-01-01")
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        page.keyboard.type("talk 05")
        until(page, "document.querySelectorAll('.recording').length === 5")
        judge(page, "recordings, filtered")
        page.locator(".recording a.name").first.click()
        page.get_by_role("heading", name="This recording cannot be used").wait_for()
        page.go_back()  # to the same search
        until(page, "document.querySelectorAll('.recording').length === 5")
        assert page.get_by_role("searchbox").input_value() == "talk 05"
        page.get_by_label("Created until").fill("2000-01-02")
        page.get_by_text("No matches").wait_for()


@pytest.mark.exhaustive
def test_search_finds_what_is_said(browser: Any, stocked: RunningServer, judge: Judge) -> None:
    with opened(browser, stocked) as page:
        page.goto(stocked.url)
        page.get_by_role("searchbox").fill("keep talk 040")
        hit = page.locator(".hit")
        hit.locator("mark", has_text="keeper").wait_for()
        page.get_by_text("No recording has these words in its name").wait_for()
        until(page, "document.querySelector('.hit .file')?.textContent === 'Talk 040'")
        judge(page, "matches in transcripts")
        hit.get_by_role("link", name="Open at 0:01").click()
        page.get_by_role("heading", name="Talk 040").wait_for()
        until(page, "document.querySelector('.now')?.value === '0:01.000'")


@pytest.mark.exhaustive
def test_search_of_a_view_that_was_left_does_not_change_the_address(browser: Any, stocked: RunningServer) -> None:
    with opened(browser, stocked) as page:
        page.clock.install()
        page.goto(f"{stocked.url}/#/recordings")
        page.locator(".recording").first.wait_for()
        page.clock.pause_at(page.evaluate("Date.now() + 60_000"))  # later than any machine gets here
        page.get_by_role("searchbox").fill("typed")
        page.get_by_role("link", name="Webhooks").click()
        page.clock.run_for(1000)
        assert page.url.endswith("#/webhooks")


def test_filter_between_a_click_and_its_view_does_not_change_the_address(browser: Any, stocked: RunningServer) -> None:
    with opened(browser, stocked) as page:
        page.goto(f"{stocked.url}/#/recordings?q=talk")
        page.locator(".recording").first.wait_for()
        address = page.evaluate(
            """() => {
              document.querySelector('nav a[href="#/webhooks"]').click();
              document.querySelector(".filter-bar select").dispatchEvent(new Event("change"));
              return location.hash;
            }"""
        )
        assert address == "#/webhooks"


def test_filters_keep_the_view_of_a_skip_link(browser: Any, stocked: RunningServer) -> None:
    with opened(browser, stocked) as page:
        page.goto(f"{stocked.url}/#/clips")
        page.get_by_role("link", name="Skip to content").press("Enter")
        page.get_by_role("searchbox").fill("goal 007")
        until(page, "location.hash === '#/clips?q=goal+007'")


@pytest.mark.exhaustive
def test_poster_of_a_row_that_moves_while_others_load_is_shown(browser: Any, tmp_path: Path, film: Film) -> None:
    held: list[Any] = []
    with running_server(tmp_path / "data") as server, opened(browser, server) as page:
        client = server.client()
        recording = client.recordings.wait(client.recordings.upload(film.path).recording_id)
        for number in range(4):
            client.clips.create(recording.recording_id, f"clip {number}", 0.2, 0.6).wait()
        page.route("**/poster", lambda request: held.append(request))
        page.goto(f"{server.url}/#/clips")
        until(page, "document.querySelectorAll('.clip-row img[src]').length === 3")
        page.evaluate(
            """() => {
              const late = document.querySelector(".clip-row img:not([src])");
              const place = late.parentElement;
              late.remove();
              document.querySelector(".clip-row img[src]").dispatchEvent(new Event("load")); // the next one begins
              place.append(late);
            }"""
        )
        for request in held:
            request.continue_()
        until(page, "document.querySelectorAll('.clip-row img[src]').length === 4")


def test_names_and_tags_are_edited_in_place(browser: Any, stocked: RunningServer, judge: Judge) -> None:
    with opened(browser, stocked, expected="422.*/v1/clips") as page:
        page.goto(f"{stocked.url}/#/recordings?q=talk+003")
        talk = page.locator(".recording")
        for item, text in (("Rename", "Press briefing 003 talk"), ("Edit tags", "press, odd , press")):
            talk.get_by_role("button", name="More").click()
            page.get_by_role("menuitem", name=item).click()
            page.keyboard.type(text)
            judge(page, item)
            page.keyboard.press("Enter")
        talk.get_by_role("button", name="press", exact=True).wait_for()
        assert names(page) == ["Press briefing 003 talk"]
        talk.get_by_role("button", name="odd", exact=True).click()
        assert page.get_by_label("Tag").input_value() == "odd"
        page.goto(f"{stocked.url}/#/clips?q=goal+007")
        row(page, "goal of Talk 007").get_by_role("button", name="More").click()
        page.get_by_role("menuitem", name="Rename").click()
        label = page.get_by_role("textbox", name="Label")
        label.fill("")
        label.press("Enter")
        page.get_by_text("label is empty").wait_for()
        assert label.get_attribute("aria-invalid") == "true"
        label.press("Escape")
        row(page, "goal of Talk 007").wait_for()
    (changed,) = stocked.client().recordings.list(q="briefing").data
    assert (changed.name, changed.tags) == ("Press briefing 003 talk", ["press", "odd"])


@pytest.mark.exhaustive
def test_tags_of_several_rows_are_changed(browser: Any, stocked: RunningServer, judge: Judge) -> None:
    client = stocked.client()
    full = client.recordings.list(q="012").data[0]
    many = [f"t{number:02d}" for number in range(20)]
    client.recordings.update(full.recording_id, tags=many)
    with opened(browser, stocked, expected="422.*/v1/recordings") as page:
        page.goto(f"{stocked.url}/#/recordings?q=talk+01&sort=name")
        for number in ("010", "011", "012", "013"):
            page.get_by_role("checkbox", name=f"Select Talk {number}").check()
        page.get_by_role("button", name="Tags…").click()
        page.get_by_role("textbox", name="Add").fill("press, late ")
        page.get_by_role("checkbox", name="odd 2").check()
        judge(page, "tags of several recordings")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("The tags of 1 could not be changed").wait_for()
        page.get_by_text("Talk 012: ").wait_for()  # it would have more tags than are allowed
        until(page, "document.querySelectorAll('.recording .tags').length >= 4")
        page.locator(".recording", has_text="Talk 013").get_by_role("button", name="late").wait_for()
    found = {each.name: each.tags for each in client.recordings.list(q="talk", sort="name", limit=20).data}
    assert [found[f"Talk {number}"] for number in ("010", "011", "012", "013")] == [
        ["press", "late"], ["press", "late"], many, ["press", "late"],
    ]  # fmt: skip


@pytest.mark.exhaustive
def test_several_rows_are_downloaded_and_deleted(
    browser: Any, stocked: RunningServer, judge: Judge, tmp_path: Path
) -> None:
    with opened(browser, stocked) as page:
        page.goto(f"{stocked.url}/#/clips?sort=label")
        boxes = page.get_by_role("checkbox", name="Select f")
        boxes.first.check()
        page.get_by_role("checkbox", name="Select goal of Talk 040").click(modifiers=["Shift"])
        page.get_by_text("4 selected").wait_for()
        boxes.first.uncheck()
        page.get_by_text("3 selected").wait_for()
        judge(page, "clips, selected")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download ZIP").click()
        download.value.save_as(tmp_path / "clips.zip")
        with zipfile.ZipFile(tmp_path / "clips.zip") as archive:
            assert sorted(archive.namelist()) == [
                f"{each}.mp4" for each in ("foul of Talk 040", "goal of Talk 007", "goal of Talk 040")
            ]
        page.get_by_role("button", name="Delete…").click()
        page.get_by_text(re.compile(r"files in the store are deleted: \d+.*B")).wait_for()
        page.get_by_role("button", name="Delete", exact=True).click()
        until(page, "document.querySelectorAll('.clip-row').length === 1")
        page.goto(f"{stocked.url}/#/recordings?q=talk&sort=name&status=failed")
        page.get_by_role("checkbox", name="Select all of this page").check()
        page.get_by_text("50 selected").wait_for()
        page.get_by_role("button", name="Remove…").click()
        page.get_by_role("button", name="Remove", exact=True).click()
        page.locator(".toast", has_text="Removal from the list in 10 s").get_by_role("button", name="Close").click()
        until(page, "document.querySelectorAll('.recording').length === 8")  # the next page has moved up
        with page.expect_event("requestfinished", lambda request: request.url.endswith("/v1/clips/delete")):
            page.locator(".toast", has_text="Deletion in 10 s").get_by_role("button", name="Close").click()
    (left,) = stocked.client().clips.list().data
    assert left.label == "foul of Talk 007"
