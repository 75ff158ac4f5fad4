"""Answers and events that arrive in another order than they were made: the page shows the newest state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from clipengine.client import Recording
from tests.support.page import STILL, give_own_stream, opened, point, row, until, wait_for
from tests.support.server import RunningServer

# Lets a test send events, and open the stream again.
_STREAM = """(() => {
  const Native = EventSource;
  window.EventSource = class extends Native { constructor(...given) { super(...given); window.stream = this; } };
  window.send = (name, data) => window.stream.dispatchEvent(new MessageEvent(name, {data: JSON.stringify({data})}));
})();"""
_CLIPS = re.compile(r"/clips\?")
_OPEN = "window.stream?.readyState === EventSource.OPEN"


@contextmanager
def page_of(browser: Any, server: RunningServer, **options: Any) -> Iterator[Any]:
    with opened(browser, server, **options) as page:
        give_own_stream(page)
        page.add_init_script(_STREAM)
        yield page


@pytest.fixture
def clip(server: RunningServer, recording: Recording) -> dict[str, Any]:
    """Return a complete clip as the API has it, with a late revision."""
    client = server.client()
    made = client.clips.create(recording.recording_id, "late", 0.2, 0.6).wait()
    headers = {"Authorization": f"Bearer {server.key}"}
    answer: dict[str, Any] = httpx.get(f"{server.url}/v1/clips/{made.clip_id}", headers=headers).json()
    return answer | {"revision": 100}


def _page(route: Any, *clips: dict[str, Any], following: str | None = None) -> None:
    route.fulfill(json={"data": clips, "next_cursor": following})


@pytest.mark.exhaustive
def test_page_that_is_older_than_an_event_does_not_bring_an_old_state_back(
    browser: Any, server: RunningServer, clip: dict[str, Any]
) -> None:
    working = clip | {"status": "processing", "step": "encoding", "result": None, "revision": 99}
    with page_of(browser, server) as page:
        held: list[Any] | None = None
        page.route(_CLIPS, lambda route: _page(route, working) if held is None else held.append(route))
        page.goto(f"{server.url}/#/clips")
        row(page, "late").get_by_text("Encoding").wait_for()
        until(page, _OPEN)
        held = []
        page.evaluate("stream.dispatchEvent(new Event('open'))")  # as after a reconnect
        page.evaluate("clip => send('clip.updated', clip)", working)
        page.evaluate("clip => send('clip.ready', clip)", clip)
        row(page, "late").get_by_role("button", name="Play late").wait_for()
        wait_for(page, lambda: held)
        _page(held[0], working, working | {"clip_id": "clip_other", "label": "on the late page"})
        row(page, "on the late page").wait_for()
        assert row(page, "late").get_by_role("button", name="Play late").is_enabled()


def test_failed_search_stays_failed_when_an_event_arrives(
    browser: Any, server: RunningServer, clip: dict[str, Any]
) -> None:
    problem = {"title": "Broken", "detail": "broken", "code": "internal", "status": 500}
    with page_of(browser, server, expected="500") as page:
        page.goto(f"{server.url}/#/clips")
        row(page, "late").first.wait_for()
        page.route(re.compile("q=nothing"), lambda route: route.fulfill(status=500, json=problem))
        page.get_by_role("searchbox").fill("nothing")
        page.get_by_role("alert").wait_for()
        page.evaluate("clip => send('clip.updated', clip)", clip)
        assert page.get_by_role("alert").is_visible()
        assert page.locator(".clip-row").count() == 0


@pytest.mark.exhaustive
def test_all_clips_are_on_the_timeline_if_their_list_is_slow(
    browser: Any, server: RunningServer, recording: Recording, clip: dict[str, Any]
) -> None:
    held: list[Any] = []

    def answer(route: Any) -> None:
        second = "cursor=two" in route.request.url
        numbers = range(100, 150) if second else range(100)
        clips = [clip | {"clip_id": f"clip_{number}", "label": f"Clip {number + 1}"} for number in numbers]
        _page(route, *clips, following=None if second else "two")

    with page_of(browser, server, expected="404") as page:  # 404: posters
        page.goto(f"{server.url}/#/recordings")
        page.locator(".recording a.name").first.wait_for()
        until(page, _OPEN)  # later, nothing loads the list again
        page.route(_CLIPS, lambda route: answer(route) if page.locator(".picker").count() else held.append(route))
        page.locator(".recording a.name", has_text=recording.name).first.click()
        page.locator(".picker").wait_for()  # the studio does not wait longer for the list
        for route in held:
            answer(route)
        page.get_by_role("tab", name="Clips 150").wait_for()
        point(page, "In").fill("1")
        page.keyboard.press("Enter")
        until(page, "document.querySelector('#label').placeholder === 'Clip 151'")


def test_studio_of_a_recording_that_was_processed_stays(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    path = f"/v1/recordings/{recording.recording_id}"
    with page_of(browser, server) as page:
        page.route(
            f"**{path}", lambda route: route.fulfill(json=route.fetch().json() | {"status": "processing"}), times=1
        )
        page.goto(f"{server.url}/#{path.removeprefix('/v1')}")
        page.locator(
            ".panel.empty, .studio .picker"
        ).first.wait_for()  # the stream may have been opened after the answer
        page.evaluate("stream.dispatchEvent(new Event('open'))")
        page.locator(".studio .picker").wait_for()
        until(page, STILL)
        page.locator("#label").fill("typed")
        headers = {"Authorization": f"Bearer {server.key}"}
        shown = httpx.get(f"{server.url}{path}", headers=headers).json()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        with page.expect_response(lambda response: response.url.endswith(path)):
            page.evaluate("shown => send('recording.updated', shown)", shown | {"status": "recording"})
            page.evaluate("stream.dispatchEvent(new Event('open'))")
        page.evaluate("fetch('/livez').then((answer) => answer.text())")  # after all requests of the answer
        assert not [url for url in requests if url.endswith("/profiles")]  # as another studio would send
        assert page.locator("#label").input_value() == "typed"
        with page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/clips")):
            point(page, "In").fill("1")
            page.keyboard.press("Enter")
            page.keyboard.press("Escape")
            page.keyboard.press("Enter")


def test_late_answers_of_another_language_are_dropped(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    for language, text in {"en": "Good budget morning", "de": "Guten budget Morgen"}.items():
        cue = {"start_seconds": 0.4, "end_seconds": 1.2, "text": text}
        server.client().transcripts.put(recording.recording_id, language, [cue])
    problem = {"title": "Busy", "detail": "busy", "code": "busy", "status": 503}
    text = "document.querySelector('ol.cues:not(.found-cues)')?.innerText"
    hits = "document.querySelector('ol.found-cues').innerText"
    with page_of(browser, server, expected="503") as page:
        page.goto(f"{server.url}/#/recordings/{recording.recording_id}?language=en")
        languages = page.get_by_role("combobox", name="Language")
        until(page, f"{text}?.includes('Good')")
        late: list[Any] = []
        page.route(re.compile(r"/transcripts/de\?"), lambda route: late.append(route), times=1)
        languages.select_option("de")
        wait_for(page, lambda: late)
        languages.select_option("en")
        until(page, "document.querySelector('ol.cues').getAttribute('aria-busy') !== 'true'")
        with page.expect_response(re.compile(r"/transcripts/de\?")):
            late[0].fulfill(status=503, json=problem)
        assert "Good" in page.evaluate(text)
        page.route(re.compile("/transcripts/en/search"), lambda route: late.append(route), times=1)
        page.get_by_label("Search the transcript").fill("budget")
        wait_for(page, lambda: len(late) == 2)
        languages.select_option("de")
        until(page, f"{hits}.includes('Guten')")
        with page.expect_response(re.compile("/transcripts/en/search")):
            late[1].continue_()
        page.get_by_text("1 match", exact=True).wait_for()
        assert "Guten" in page.evaluate(hits)
    for language in ("en", "de"):
        server.client().transcripts.delete(recording.recording_id, language)


def test_save_that_ends_late_leaves_the_focus_where_it_is(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    with page_of(browser, server) as page:
        page.goto(f"{server.url}/#/recordings")
        link = page.locator(f".recording a.name[href*='{recording.recording_id}']")
        row_number = link.evaluate("(link) => [...document.querySelectorAll('.recording')].indexOf(link.closest('li'))")
        edited = page.locator(".recording").nth(row_number)  # also while its name is a field
        late: list[Any] = []
        page.route("**/v1/recordings/*", lambda route: late.append(route), times=1)
        for item, typed in {"Rename": "renamed\n", "Edit tags": "press,"}.items():
            edited.get_by_role("button", name="More").click()
            page.get_by_role("menuitem", name=item).click()
            page.keyboard.type(typed)
        wait_for(page, lambda: late)
        with page.expect_response(lambda answer: answer.request.method == "PATCH"):
            late[0].continue_()
        page.get_by_role("link", name="renamed").wait_for()
        page.keyboard.type(" odd\n")
        page.locator(".tag", has_text="odd").wait_for()
        assert edited.locator(".tag").all_inner_texts() == ["press", "odd"]
        with page.expect_response(lambda answer: answer.request.method == "PATCH"):
            edited.get_by_role("button", name="More").click()
            page.get_by_role("menuitem", name="Rename").click()
            page.keyboard.type(f"{recording.name}\n")
        until(page, "document.activeElement.getAttribute('aria-haspopup') === 'menu'")  # it had the focus
    server.client().recordings.update(recording.recording_id, name=recording.name, tags=[])


def test_event_changes_only_its_row(
    browser: Any, server: RunningServer, recording: Recording, clip: dict[str, Any]
) -> None:
    model = clip | {"status": "processing", "step": "encoding", "result": None}
    working = [model | {"clip_id": f"clip_{at}", "label": f"row {at}"} for at in range(50)]
    with page_of(browser, server, expected="404") as page:
        page.route(_CLIPS, lambda route: _page(route, *working))
        page.goto(f"{server.url}/#/clips")
        row(page, "row 49").get_by_text(recording.name or "").wait_for()  # its name is loaded after the rows
        until(page, _OPEN)
        page.evaluate(
            "() => { window.changes = []; new MutationObserver((list) => window.changes.push(...list)).observe("
            "document.querySelector('ul.list'), "
            "{subtree: true, childList: true, attributes: true, characterData: true}); }"
        )
        with page.expect_response(_CLIPS):
            page.evaluate("stream.dispatchEvent(new Event('open'))")  # requests the list again
        page.evaluate("clip => send('clip.updated', clip)", working[7] | {"progress": 0.5, "revision": 101})
        row(page, "row 7").get_by_text("Encoding 50 %").wait_for()
        element = "(target.closest ? target : target.parentElement)"
        name = f"({{target}}) => {element}.closest('li')?.querySelector('.name').textContent"
        assert page.evaluate(f"() => [...new Set(window.changes.map({name}))]") == ["row 7"]
