"""A recording is transcribed from its screen: the dialog, the progress, the text, and a server that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.browser.conftest import Judge
from tests.films.film import Film
from tests.support.page import SECONDS, Hands, opened, studio, until
from tests.support.server import LOOPBACK_ALLOWED, RunningServer, running_server
from tests.support.speech import SpeechServer, speech_server, write_wav

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def speech() -> Iterator[SpeechServer]:
    with speech_server() as speech:
        yield speech


@pytest.fixture
def talking(tmp_path: Path, speech: SpeechServer) -> Iterator[RunningServer]:
    env = LOOPBACK_ALLOWED | {"CLIPENGINE_TRANSCRIPTION__URL": speech.url}
    with running_server(tmp_path / "data", env=env) as server:
        yield server


@pytest.fixture
def talk(talking: RunningServer, tmp_path: Path) -> Recording:
    client = talking.client()
    return client.recordings.wait(client.recordings.upload(write_wav(tmp_path / "talk.wav", 8)).recording_id)


@pytest.mark.exhaustive
def test_recording_is_transcribed_by_a_button(
    browser: Any, talking: RunningServer, speech: SpeechServer, talk: Recording, judge: Judge
) -> None:
    speech.waits = True
    with studio(browser, talking, talk) as page:
        page.get_by_role("tab", name="Transcript").click()
        judge(page, "no text")
        page.get_by_role("button", name="Transcribe…").click()
        dialog = page.get_by_role("dialog", name="Transcribe")
        dialog.get_by_label("Spoken language").select_option("en")
        assert dialog.get_by_label("Audio track").count() == 0
        judge(page, "dialog")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_text("Transcribing…").wait_for()
        assert speech.arrived.wait(SECONDS)
        assert page.get_by_role("button", name="Transcribe…").count() == 0
        judge(page, "running")
        page.goto(f"{talking.url}/#/system?tab=work")
        section = page.locator("section", has=page.get_by_role("heading", name="Transcriptions in progress"))
        section.get_by_role("link", name="talk.wav").wait_for()
        judge(page, "system")
        section.get_by_role("link", name="talk.wav").click()
        page.get_by_text("Transcribing…").wait_for()
        page.get_by_role("textbox", name="In point").fill("1")
        page.get_by_role("textbox", name="Out point").fill("3")
        page.keyboard.press("Tab")
        speech.go.set()
        page.get_by_text("The transcript is ready").wait_for()
        page.locator(".cues p", has_text="Good morning everyone.").wait_for()
        assert page.get_by_role("textbox", name="In point").input_value() == "0:01.000"
        assert page.get_by_role("group", name="Transcription").count() == 0
        assert ("language", "en") in speech.heard[0].fields
        speech.go.clear()
        speech.arrived.clear()
        page.get_by_role("button", name="More actions for this recording").click()
        page.get_by_role("menuitem", name="Transcribe…").click()
        page.get_by_label("Spoken language").select_option("de")
        page.get_by_role("dialog").get_by_role("button", name="Transcribe").click()
        assert speech.arrived.wait(SECONDS)
        judge(page, "running beside a text")
        page.get_by_role("group", name="Transcription").get_by_role("button", name="Cancel").click()
        page.get_by_role("group", name="Transcription").wait_for(state="hidden")
        assert page.locator(".cues p").count() == 1
    (cancelled, made) = talking.client().transcripts.transcriptions().data
    assert (cancelled.error.code, made.status) == ("cancelled", "complete")


@pytest.mark.exhaustive
def test_sentence_becomes_a_shared_clip_with_captions_in_few_actions(
    browser: Any, talking: RunningServer, film: Film
) -> None:
    """From an opened recording to the link of a vertical clip: eleven actions without a transcript, eight with it."""
    client = talking.client()
    meetings = [client.recordings.upload(film.path, name="town hall.mp4").wait() for _ in range(2)]
    cue = {"start_seconds": 0.0, "end_seconds": 2.0, "text": "Good morning everyone."}
    client.transcripts.put(meetings[1].recording_id, "en", [cue])
    for meeting, words, most in zip(meetings, ("good morn", "morning everyone"), (11, 8), strict=True):
        with studio(browser, talking, meeting) as page:
            hands = Hands(page)
            if most == 11:
                hands.click(page.get_by_role("tab", name="Transcript"))
                hands.click(page.get_by_role("button", name="Transcribe…"))
                hands.click(page.get_by_role("dialog").get_by_role("button", name="Transcribe", exact=True))
            page.locator(".cues p").get_by_text("Good morning everyone.").wait_for()
            hands.press("/")
            hands.type(words)
            hands.click(page.locator(".found-cues p"))
            until(page, "document.querySelector('#label')?.value === 'Good morning everyone'")
            for name in ("9:16", "Right", "Captions in the picture", "Make clip", "Copy link"):
                hands.click(page.get_by_role("button", name=name, exact=name in ("9:16", "Right")))
            page.get_by_text("Link copied").wait_for()
            assert hands.actions == most
    for clip in [clip for each in meetings for clip in client.clips.list(recording_id=each.recording_id).data]:
        assert clip.output is not None
        assert clip.output["aspect"] == "9:16"
        assert clip.subtitles is not None
        assert clip.subtitles["mode"] == "burn"


@pytest.mark.exhaustive
def test_failing_server_is_shown_with_the_time_of_the_next_try(
    browser: Any, talking: RunningServer, speech: SpeechServer, talk: Recording, judge: Judge
) -> None:
    speech.statuses = [503] * 100
    with studio(browser, talking, talk, viewport=PHONE, locale="de-DE") as page:
        page.get_by_role("tab", name="Transkript").click()
        page.get_by_role("button", name="Transkribieren").click()
        page.get_by_role("dialog").get_by_role("button", name="Transkribieren").click()
        page.get_by_text("Der letzte Versuch").wait_for()
        page.get_by_text("the transcription server responded with status 503").wait_for()
        page.get_by_text("Nächster Versuch um").wait_for()
        judge(page, "retried")
        speech.statuses = [400]
        page.get_by_text("Die Transkription").wait_for()
        page.get_by_text("the transcription server responded with status 400").wait_for()
        judge(page, "failed")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="Transkribieren").click()
        page.get_by_role("dialog").get_by_role("button", name="Transkribieren").click()
        page.locator(".cues p", has_text="Good morning everyone.").wait_for()


@pytest.mark.exhaustive
def test_key_that_may_only_read_gets_a_reason_instead_of_the_button(
    browser: Any, talking: RunningServer, talk: Recording
) -> None:
    key = talking.client().installation.create_key("reader", scopes=["read"]).key
    with opened(browser, talking, signed_in=False) as page:
        assert page.context.request.post(f"{talking.url}/session", data={"key": key}).ok
        page.goto(f"{talking.url}/#/recordings/{talk.recording_id}")
        page.get_by_role("tab", name="Transcript").click()
        page.get_by_text("sign in with a key that has the scope write").wait_for()
        assert not page.get_by_role("button", name="Transcribe…").is_visible()


def test_engine_without_transcriber_says_how_to_set_one_up(
    browser: Any, server: RunningServer, recording: Recording, judge: Judge
) -> None:
    with studio(browser, server, recording) as page:
        page.get_by_role("tab", name="Transcript").click()
        link = page.get_by_role("link", name="set up a transcriber")
        assert link.get_attribute("href") == "/docs/transcription#set-it-up"
        assert not page.get_by_role("button", name="Transcribe…").is_visible()
        judge(page, "no transcriber")
