"""From the list of recordings to a clip of a sentence that is said somewhere in two hours."""

from __future__ import annotations

import random
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.films.film import Film
from tests.support.page import Hands, opened, until
from tests.support.server import RunningServer

SECONDS, CUE_SECONDS, SAID_AT = 7200, 6, 4662
SENTENCE = "We open the harbour office in Valparaíso next spring"
MOST_ACTIONS = 8
MOST_FOR_FIVE = 12


@pytest.fixture
def meeting(server: RunningServer, tmp_path: Path) -> Iterator[Recording]:
    path = tmp_path / "annual meeting.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes(random.Random(1).choices(range(64, 192), k=8000)) * SECONDS)
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(path).recording_id)
    cues = [
        {
            "start_seconds": start,
            "end_seconds": start + CUE_SECONDS - 0.5,
            "text": SENTENCE if start == SAID_AT else f"Item {start} of the agenda",
        }
        for start in range(0, SECONDS, CUE_SECONDS)
    ]
    client.transcripts.put(recording.recording_id, "en", cues)
    yield recording
    client.recordings.delete(recording.recording_id)


@pytest.mark.exhaustive
def test_sentence_in_two_hours_becomes_a_clip_in_few_actions(
    browser: Any, server: RunningServer, meeting: Recording
) -> None:
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings")
        page.get_by_role("link", name="annual meeting.wav").wait_for()
        hands = Hands(page)
        hands.press("/")
        hands.type("harbour office")
        hit = page.get_by_role("link", name="Open at 1:17:42")
        hit.wait_for()
        hands.click(hit)
        cue = page.locator(".cues > li[aria-current]")
        cue.get_by_text(SENTENCE).wait_for()
        until(page, "document.querySelector('.make').disabled === false")  # the match is selected
        page.keyboard.press("x")
        hands.drag_over(cue.locator("p"))  # as in a text that was not searched
        until(page, "document.querySelector('.make').disabled === false")
        assert page.get_by_role("textbox", name="In point").input_value() == "1:17:42.000"
        hands.press("Enter")
        page.get_by_role("tab", name="Clips").get_by_text("1").wait_for()
        assert hands.actions <= MOST_ACTIONS
    (clip,) = server.client().clips.list(recording_id=meeting.recording_id).data
    done = server.client().clips.wait(clip.clip_id)
    assert done.result is not None
    assert (done.result.actual_start_seconds, done.result.actual_end_seconds) == (SAID_AT, SAID_AT + CUE_SECONDS - 0.5)


def test_sentence_in_two_hours_becomes_a_shared_clip_with_captions(
    browser: Any, server: RunningServer, film: Film
) -> None:
    """From the search to a link of a vertical clip, in the actions that the document of the page counts."""
    client = server.client()
    meeting = client.recordings.wait(client.recordings.upload(film.path, name="product review.mp4").recording_id)
    cues = [
        {"start_seconds": float(at), "end_seconds": at + 0.8, "text": text}
        for at, text in enumerate(("The pineapple migration waits.", "Who takes notes?", "Any questions?"))
    ]
    client.transcripts.put(meeting.recording_id, "en", cues)
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings")
        page.get_by_role("link", name="product review.mp4").wait_for()
        hands = Hands(page)
        hands.press("/")
        hands.type("pineapple migr")
        hands.click(page.get_by_role("link", name="Open at 0:00"))
        until(page, "document.querySelector('#label')?.value === 'The pineapple migration waits'")
        hands.click(page.get_by_role("button", name="9:16", exact=True))
        hands.click(page.get_by_role("button", name="Right", exact=True))
        hands.click(page.get_by_role("button", name="Captions in the picture"))
        hands.click(page.get_by_role("button", name="Make clip"))
        hands.click(page.get_by_role("button", name="Copy link"))
        page.get_by_text("Link copied").wait_for()
        assert hands.actions <= MOST_ACTIONS
    (clip,) = client.clips.list(recording_id=meeting.recording_id).data
    assert (clip.start_seconds, clip.end_seconds) == (0.0, 0.8)
    assert clip.output is not None
    assert (clip.output["aspect"], clip.output["focus"]) == ("9:16", {"x": 1, "y": 0.5})
    assert clip.subtitles == {"mode": "burn", "language": "en", "style": {"name": "outline", "speaker": False}}
    client.recordings.delete(meeting.recording_id)


@pytest.mark.exhaustive
def test_match_opens_the_transcript_in_its_language(browser: Any, server: RunningServer, film: Film) -> None:
    """Without a language, page and API use the transcript that was made first."""
    client = server.client()
    meeting = client.recordings.wait(client.recordings.upload(film.path, name="languages.mp4").recording_id)
    texts = {"en": "The annual gizmo budget.", "de": "Das jährliche Dingsbudget.", "nl": "Het jaarlijkse dingbudget."}
    for at, (language, text) in enumerate(texts.items()):
        cue = {"start_seconds": 1.2 + at / 10, "end_seconds": 2.4, "text": text}
        client.transcripts.put(meeting.recording_id, language, [cue])
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings")
        page.get_by_role("link", name="languages.mp4").wait_for()
        for words, language in (("annual gizmo", "en"), ("dingsbudget", "de"), ("dingbudget", "nl")):
            page.goto(f"{server.url}/#/recordings")
            page.get_by_role("heading", name="Recordings", exact=True).wait_for()
            page.keyboard.press("/")
            page.keyboard.type(words)
            page.get_by_role("link", name="Open at 0:01").click()
            page.locator(".cues > li.in").get_by_text(texts[language]).wait_for()
            until(page, "document.querySelector('.make').disabled === false")
            assert page.get_by_role("combobox", name="Language").input_value() == language
        page.get_by_role("button", name="Captions in the picture").click()
        page.get_by_role("tab", name="Look").click()
        assert page.get_by_role("combobox", name="Subtitles").input_value() == "burn nl"
        page.get_by_role("button", name="Captions in the picture").click()
        page.goto(f"{server.url}/#/recordings/{meeting.recording_id}")
        page.locator(".cues").get_by_text(texts["en"]).wait_for()
    assert client.recordings.suggestions(meeting.recording_id).language == "en"
    client.recordings.delete(meeting.recording_id)


@pytest.mark.exhaustive
def test_five_sentences_become_a_highlight_in_few_actions(browser: Any, server: RunningServer, film: Film) -> None:
    client = server.client()
    meeting = client.recordings.wait(client.recordings.upload(film.path, name="five sentences.mp4").recording_id)
    cues = [{"start_seconds": at / 2, "end_seconds": at / 2 + 0.4, "text": f"Sentence {at}."} for at in range(7)]
    client.transcripts.put(meeting.recording_id, "en", cues)
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings/{meeting.recording_id}")
        hands = Hands(page)
        for at in (0, 2, 3, 5, 6):
            page.get_by_text(f"Sentence {at}.").hover()
            hands.click(page.get_by_role("button", name="Add this sentence to the segments"))
        hands.click(page.get_by_role("tab", name="Segments"))
        hands.click(page.get_by_role("textbox", name="Title"))
        hands.type("Best of five")
        hands.press("Enter")
        page.get_by_role("tab", name="Clips").get_by_text("1").wait_for()
        assert hands.actions <= MOST_FOR_FIVE
    (clip,) = client.clips.list(label="Best of five").data
    assert [part["start_seconds"] for part in clip.parts or []] == [0.0, 1.0, 1.48, 2.48, 3.0]  # on frames
    client.clips.wait(clip.clip_id)
    client.recordings.delete(meeting.recording_id)
