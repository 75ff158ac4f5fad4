"""The transcript on the screen of a recording: it follows playback, is searched, and its text selects a range."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Client, Recording
from tests.browser.conftest import Judge
from tests.films.film import Film
from tests.support.page import opened, point, studio, until, wait_for
from tests.support.receiver import Answer, Receiver
from tests.support.server import LOOPBACK_ALLOWED, RunningServer, running_server

SAID = ["Good morning.", "We raise the 𝓫udget", "for the café.", "Any questions?"]
LOADED = "document.querySelector('ol.cues:not(.found-cues)')?.getAttribute('aria-busy') === 'false'"
CURRENT = "document.querySelector('.cues [aria-current] p')?.textContent"
SELECT = """([first, from, last, to]) => {
  const texts = [...document.querySelectorAll(".cues p")].map((each) => each.firstChild);
  getSelection().setBaseAndExtent(texts[first], from, texts[last], to);
}"""
AGAIN = f"""async (place) => {{
  getSelection().removeAllRanges();
  await new Promise((resolve) => setTimeout(resolve, 30));  // the event of the press, before the page handles it
  ({SELECT})(place);
}}"""
UNCHANGED = """() => {
  document.dispatchEvent(new Event("selectionchange"));
  return new Promise((resolve) => setTimeout(resolve, 300));  // after the page has handled it
}"""


@pytest.fixture(scope="module")
def spoken(server: RunningServer, film: Film) -> Recording:
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(film.path, name="spoken.mp4").recording_id)
    cues = [
        {"start_seconds": 0.4 + at, "end_seconds": 1.2 + at, "text": text, "speaker": "Ana" if at < 2 else "Ben"}
        for at, text in enumerate(SAID)
    ]
    client.transcripts.put(recording.recording_id, "en", cues)
    client.transcripts.put(
        recording.recording_id, "de", [{"start_seconds": 1, "end_seconds": 2, "text": "Guten Morgen"}]
    )
    return recording


@pytest.mark.exhaustive
def test_sentence_is_edited_and_the_transcript_downloaded(browser: Any, server: RunningServer, film: Film) -> None:
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(film.path, name="edited.mp4").recording_id)
    words = [[0.4, 0.8, "Good"], [0.8, 1.2, "mourning."]]
    cues = [
        {"start_seconds": 0.4, "end_seconds": 1.2, "text": "Good mourning.", "words": words},
        {"start_seconds": 1.4, "end_seconds": 2.2, "text": "Kept", "words": [[1.4, 2.2, "Kept"]]},
    ]
    client.transcripts.put(recording.recording_id, "en", cues)
    with studio(browser, server, recording, expected="412") as page:
        page.locator(".cues p", has_text="Good mourning.").dblclick()
        page.get_by_role("button", name="Edit this sentence").click()
        field = page.get_by_role("textbox", name="Text of the sentence")
        field.fill("Good morning.")
        field.press("Enter")
        page.locator(".cues p", has_text="Good morning.").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download VTT").click()
        assert "Good morning." in Path(download.value.path()).read_text()
        assert download.value.suggested_filename == "transcript.en.vtt"

        def edit_the_other(route: Any) -> None:
            """Let another person store a change between the page's GET and its PUT."""
            answer = route.fetch()
            changed = [
                {**cue, "text": text, "words": []}
                for cue, text in zip(cues, ["Good morning.", "Kept too"], strict=True)
            ]
            client.transcripts.put(recording.recording_id, "en", changed)
            route.fulfill(response=answer)

        page.route("**/transcripts/en?format=json", edit_the_other, times=1)
        page.keyboard.press("t")
        page.keyboard.press("F2")
        field.fill("Good morning!")
        field.press("Enter")
        page.locator(".cues p", has_text="Good morning!").wait_for()
        edited = client.transcripts.get(recording.recording_id, "en")
        assert [each.text for each in edited] == ["Good morning!", "Kept too"]
        client.transcripts.put(recording.recording_id, "en", [cues[0]])  # by somebody else
        page.locator(".cues button.time").nth(1).press("F2")
        field.fill("Lost")
        field.press("Enter")
        page.get_by_text("The transcript was changed meanwhile").wait_for()
    assert [each.text for each in client.transcripts.get(recording.recording_id, "en")] == ["Good mourning."]


@pytest.mark.exhaustive
def test_transcript_follows_playback_and_selects_by_text(
    browser: Any, server: RunningServer, spoken: Recording, judge: Judge
) -> None:
    with studio(browser, server, spoken) as page:
        page.keyboard.press("t")
        until(page, LOADED)
        page.get_by_role("combobox", name="Language").select_option("en")
        until(page, LOADED)  # again: it replaces the rows, and would take the focus from them
        page.get_by_text(SAID[0]).wait_for()
        assert page.locator(".cues strong").all_inner_texts() == ["Ana", "Ben"]
        for _ in range(2):
            page.keyboard.press("Escape")
            page.keyboard.press("Shift+ArrowRight")
        until(page, f"{CURRENT} === {json.dumps(SAID[1])}")
        page.evaluate(SELECT, [1, 3, 2, 5])
        until(page, "document.querySelector('input[aria-label=\"In point\"]').value === '0:01.400'")
        assert point(page, "Out").input_value() == "0:03.200"
        page.evaluate(SELECT, [2, 2, 3, 0])  # the edge of the next cue does not count
        until(page, "document.querySelector('input[aria-label=\"In point\"]').value === '0:02.400'")
        assert point(page, "Out").input_value() == "0:03.200"
        assert page.locator(".cues .in p").all_inner_texts() == [SAID[2]]
        judge(page, "transcript")
        page.keyboard.press("t")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Shift+Enter")
        assert (point(page, "In").input_value(), point(page, "Out").input_value()) == ("0:02.400", "0:04.200")
        for key in ("ArrowUp", "ArrowUp", "Enter", "ArrowDown", "Shift+Enter"):  # from the cue that was shown last
            page.keyboard.press(key)
        assert (point(page, "In").input_value(), point(page, "Out").input_value()) == ("0:01.400", "0:03.200")
        page.evaluate(UNCHANGED)  # the text is still selected
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Shift+Enter")  # the same first cue again
        assert (point(page, "In").input_value(), point(page, "Out").input_value()) == ("0:01.400", "0:02.200")
        page.evaluate(AGAIN, [2, 2, 3, 0])  # the same text, selected again
        until(page, "document.querySelector('input[aria-label=\"In point\"]').value === '0:02.400'")
        assert point(page, "Out").input_value() == "0:03.200"
        page.get_by_role("combobox", name="Language").select_option("de")
        page.get_by_text("Guten Morgen").wait_for()
        page.get_by_role("tab", name="Look").click()
        page.get_by_label("Subtitles").select_option("In the picture, English")
        page.get_by_role("button", name="Make clip").click()
        page.get_by_role("tab", name="Clips").click()
        page.locator(".clip-row .poster:enabled").wait_for()
    (made,) = server.client().clips.list(recording_id=spoken.recording_id).data
    assert made.result is not None
    assert made.result.subtitles == []  # none beside the clip


@pytest.mark.exhaustive
def test_transcript_is_searched(browser: Any, server: RunningServer, spoken: Recording, judge: Judge) -> None:
    cues = [{"start_seconds": at, "end_seconds": at + 1, "text": f"Hujambo {at}"} for at in range(101)]
    server.client().transcripts.put(spoken.recording_id, "sw", cues)
    with studio(browser, server, spoken) as page:
        page.keyboard.press("/")
        page.get_by_role("combobox", name="Language").select_option("en")
        search = page.get_by_label("Search the transcript")
        search.fill("bud rais")
        page.get_by_text("1 match", exact=True).wait_for()
        assert page.locator("mark").all_inner_texts() == ["raise", "𝓫udget"]
        judge(page, "matches")
        search.press("Enter")
        until(page, "document.querySelector('.now').value === '0:01.400'")
        search.fill("CAFE")
        page.locator("mark", has_text="café").wait_for()
        search.fill("nothing")
        page.get_by_text("No matches").wait_for()
        page.get_by_role("combobox", name="Language").select_option("sw")
        search.fill("hujambo")
        page.get_by_text("100 or more matches").wait_for()
        answers: list[Any] = []
        page.on("requestfinished", lambda request: answers.append(request) if "cursor=" in request.url else None)
        page.get_by_role("button", name="Show more").first.evaluate("(button) => { button.click(); button.click(); }")
        page.get_by_text("101 matches").wait_for()
        wait_for(page, lambda: len(answers) == 2)
        assert page.locator(".found-cues li").count() == 101
        assert page.get_by_role("button", name="Show more").count() == 0
        page.locator(".found-cues p", has_text="Hujambo 3").first.click()  # anywhere in the match
        assert [point(page, name).input_value() for name in ("In", "Out")] == ["0:03.000", "0:04.000"]
        for key, start in (("Enter", 4), ("Shift+Enter", 3), ("Shift+Enter", 2), ("Enter", 3)):
            search.press(key)
            assert point(page, "In").input_value() == f"0:0{start}.000"
        search.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert point(page, "In").input_value() == "0:04.000"
        width = page.locator(".chosen").bounding_box()["width"]
        assert width > 68, "the selection is narrower than its handles"
        page.get_by_role("combobox", name="Language").select_option("en")
        search.press("Escape")
        page.get_by_text(SAID[3], exact=True).wait_for()
        page.goto("about:blank")
        page.goto(f"{server.url}/#/recordings/{spoken.recording_id}?t=3.4")
        until(page, "document.querySelector('.now')?.value === '0:03.400'")
        assert page.get_by_role("tab", name="Transcript").get_attribute("aria-selected") == "true"


def test_long_transcript_has_few_rows_in_the_document(
    browser: Any, server: RunningServer, spoken: Recording, judge: Judge
) -> None:
    cues = [
        {"start_seconds": at / 1000, "end_seconds": (at + 1) / 1000, "text": f"Sentence {at} of many words."}
        for at in range(5000)
    ]
    server.client().transcripts.put(spoken.recording_id, "fr", cues)
    seen = """(() => {
      const list = document.querySelector("ol.cues.text");
      const middle = list.getBoundingClientRect().top + list.clientHeight / 2;
      const rows = [...list.querySelectorAll("li[data-number]")];
      return Number(rows.find((row) => row.getBoundingClientRect().bottom > middle)?.dataset.number ?? -1);
    })()"""
    focused = "Number(document.activeElement.closest('li')?.getAttribute('aria-posinset'))"
    with studio(browser, server, spoken) as page:
        page.keyboard.press("1")
        page.get_by_role("combobox", name="Language").select_option("fr")
        page.get_by_text("Sentence 0 of").wait_for()
        elements = "document.querySelectorAll('ol.cues.text *').length"
        assert page.evaluate(elements) < 1500
        assert page.locator("ol.cues.text li[aria-posinset='1']").get_attribute("aria-setsize") == "5000"
        page.evaluate(
            "(() => { const list = document.querySelector('ol.cues.text'); list.scrollTop = list.scrollHeight / 2; })()"
        )
        until(page, f"2000 < {seen} && {seen} < 3000")
        assert page.evaluate(elements) < 1500
        judge(page, "a long transcript")
        page.keyboard.press("Control+f")  # the browser's search would not find it
        page.keyboard.type("4321")
        page.get_by_text("1 match", exact=True).wait_for()
        page.keyboard.press("Enter")
        page.get_by_role("searchbox", name="Search the transcript").fill("")
        until(page, f"Math.abs({seen} - 4321) < 60")
        page.locator("h1").click()
        page.keyboard.press("t")
        first = page.evaluate(focused)
        for _ in range(30):  # over paragraphs
            page.keyboard.press("ArrowDown")
        assert page.evaluate(focused) == first + 30
        page.evaluate("document.querySelector('ol.cues.text').scrollTop = 0")
        until(page, f"{seen} >= 0 && {seen} < 30")
        page.keyboard.press("ArrowUp")  # the focus has stayed
        until(page, f"{focused} === {first + 29}")
        page.evaluate(SELECT, [0, 0, 2, 4])
        until(page, "document.querySelector('input[aria-label=\"Out point\"]').value !== ''")


def upload_sound(client: Client, path: Path, *, seconds: int) -> Recording:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes([64, 192] * 4000 * seconds))
    return client.recordings.wait(client.recordings.upload(path).recording_id)


def test_sentence_of_a_match_is_on_a_phones_screen(browser: Any, server: RunningServer, tmp_path: Path) -> None:
    client = server.client()
    recording = upload_sound(client, tmp_path / "phone.wav", seconds=30)
    text = "Sentence {} of a talk that is longer than the screen of a phone"
    cues = [{"start_seconds": at / 4, "end_seconds": at / 4 + 0.25, "text": text.format(at)} for at in range(120)]
    client.transcripts.put(recording.recording_id, "en", cues)
    with opened(browser, server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as page:
        page.goto(f"{server.url}/#/recordings/{recording.recording_id}?t=25&language=en")
        said = page.locator(".cues .in p")
        said.wait_for()
        until(page, "document.querySelector('.cues .in p').getBoundingClientRect().bottom < innerHeight")
        place, form = said.bounding_box(), page.locator(".picker").bounding_box()
        assert 0 < place["y"] < place["y"] + place["height"] < form["y"]
        assert page.locator("#label").input_value() == "Sentence 100 of a talk that is longer…"


@pytest.mark.exhaustive
def test_language_model_is_asked_by_a_button(browser: Any, judge: Judge, tmp_path: Path) -> None:
    cues = [{"start_seconds": at, "end_seconds": at + 5, "text": f"Sentence at {at}."} for at in range(0, 30, 5)]
    content = json.dumps({"moments": [{"first": 1, "last": 4, "title": "What it costs"}]})
    with Receiver() as receiver:
        receiver.answer = lambda request: Answer(
            body=json.dumps({"choices": [{"message": {"content": content}}]}).encode()
        )
        receiver.script(Answer(500))
        env = LOOPBACK_ALLOWED | {"CLIPENGINE_SUGGESTIONS__URL": receiver.url}
        with running_server(tmp_path / "data", env=env) as server:
            client = server.client()
            recording = upload_sound(client, tmp_path / "talk.wav", seconds=30)
            client.transcripts.put(recording.recording_id, "en", cues)
            with studio(browser, server, recording, expected="502") as page:
                page.keyboard.press("t")
                page.get_by_text("Suggested moments", exact=True).click()
                page.get_by_text("None found").wait_for()
                assert receiver.requests == []
                page.get_by_role("button", name="Ask the language model").click()
                page.get_by_text("responded with status 500").wait_for()
                page.get_by_role("button", name="Retry").click()
                moment = page.get_by_role("group", name="Suggested moments").get_by_role("button")
                moment.filter(has_text="What it costs").wait_for()
                assert moment.inner_text().split("\n") == ["0:05 – 0:25 · What it costs", "Sentence at 5."]
                judge(page, "suggestions of a model")
                moment.click()
                assert point(page, "In").input_value() == "0:05.000"


def test_suggested_moment_is_selected_with_its_first_words_as_label(
    browser: Any, server: RunningServer, judge: Judge, tmp_path: Path
) -> None:
    client = server.client()
    recording = upload_sound(client, tmp_path / "talk.wav", seconds=24)
    cues = [
        {
            "start_seconds": 2,
            "end_seconds": 6,
            "text": "What does it cost us now, dear Ben? And then?",
            "speaker": "Ana",
        },
        {"start_seconds": 6, "end_seconds": 22, "text": "Less than the old one.", "speaker": "Ben"},
    ]
    client.transcripts.put(recording.recording_id, "en", cues)
    client.transcripts.put(recording.recording_id, "de", [{**cues[0], "text": "Guten Morgen."}])
    with studio(browser, server, recording) as page:
        page.keyboard.press("t")
        page.get_by_role("combobox", name="Language").select_option("en")
        page.get_by_text(cues[1]["text"]).wait_for()
        page.get_by_text("Suggested moments", exact=True).click()
        moment = page.get_by_role("group", name="Suggested moments").get_by_role("button")
        assert moment.inner_text().split("\n") == ["0:02 – 0:22 · Question", cues[0]["text"]]
        judge(page, "suggestions")
        moment.click()
        until(page, "document.querySelector('input[aria-label=\"In point\"]').value === '0:02.000'")
        assert point(page, "Out").input_value() == "0:22.000"
        assert page.locator("#label").input_value() == "What does it cost us now, dear Ben"
        page.get_by_role("combobox", name="Language").select_option("de")
        page.get_by_text("None found").wait_for()
    client.recordings.delete(recording.recording_id)


@pytest.mark.exhaustive
def test_cue_at_every_fraction_of_a_frame_is_found_and_selected(
    browser: Any, server: RunningServer, spoken: Recording
) -> None:
    starts = [round(0.143 * number, 3) for number in range(1, 41)]  # 0 to 39 ms after a frame, at 25 frames a second
    cues = [{"start_seconds": at, "end_seconds": round(at + 0.143, 3), "text": f"Mstari {at}"} for at in starts]
    server.client().transcripts.put(spoken.recording_id, "sw", cues)
    with studio(browser, server, spoken) as page:
        page.keyboard.press("t")
        page.get_by_role("combobox", name="Language").select_option("sw")
        page.get_by_text(cues[-1]["text"]).wait_for()
        found = page.evaluate(f"[...document.querySelectorAll('.cues .time')].map((each) => (each.click(), {CURRENT}))")
        assert found == [cue["text"] for cue in cues]
        for number in (5, 10, 15, 39):
            page.evaluate(SELECT, [number, 0, number, 6])
            until(page, f"document.querySelector('.cues .in p')?.textContent === '{cues[number]['text']}'")
            assert page.locator(".cues .in").count() == 1


@pytest.mark.exhaustive
def test_playback_on_a_phone_marks_the_cue_and_keeps_the_page_in_place(
    browser: Any, server: RunningServer, spoken: Recording
) -> None:
    """The text has no scroll area there: following it would move the picture off the screen. T goes to the cue."""
    cues = [
        {"start_seconds": at / 20, "end_seconds": (at + 1) / 20, "text": f"Zeile {at} mit vielen anderen Worten"}
        for at in range(100)
    ]
    server.client().transcripts.put(spoken.recording_id, "fr", cues)
    with studio(browser, server, spoken, viewport={"width": 390, "height": 844}) as page:
        page.get_by_role("tab", name="Transcript").click()
        page.get_by_role("combobox", name="Language").select_option("fr")
        page.get_by_text("Zeile 99").wait_for()
        page.get_by_role("textbox", name="Current time").fill("2.51")
        page.keyboard.press("Enter")
        until(page, f"{CURRENT} === 'Zeile 50 mit vielen anderen Worten'")
        assert page.evaluate("scrollY") == 0
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("t")
        inside = (  # below the tabs, and above the form
            "(() => { const row = document.querySelector('.cues [aria-current]').getBoundingClientRect();"
            " return row.top >= document.querySelector('.tabs').getBoundingClientRect().bottom"
            " && row.bottom <= document.querySelector('.picker').getBoundingClientRect().top; })()"
        )
        until(page, inside)
