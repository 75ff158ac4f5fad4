"""Transcriptions over HTTP: queued, read, listed and cancelled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clipengine.clips.texts.cues import Cue, TimedWord
from clipengine.clips.transcription import Passage, Transcription
from clipengine.objects.transcript import TranscriptionObject
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import Transcription as TranscriptionSettings
from tests.support.api import RecordedEngine


@pytest.fixture(autouse=True)
def configured(engine: RecordedEngine) -> Iterator[None]:
    before = engine.settings
    transcription = TranscriptionSettings(
        url="http://127.0.0.1:9/v1/audio/transcriptions", model_folder=Path("/models")
    )
    engine.settings = before.model_copy(update={"transcription": transcription})
    yield
    engine.settings = before


@pytest.fixture
def url(recording: Recording) -> str:
    return f"/v1/recordings/{recording.recording_id}/transcripts"


def claimed(engine: RecordedEngine) -> Transcription:
    made = engine.ledger.transcriptions.claim("test", ["local", "url"])
    assert made is not None
    return made


def test_transcription_is_queued_and_becomes_a_transcript(http: httpx.Client, url: str, engine: RecordedEngine) -> None:
    answer = http.post(url, json={})
    made = TranscriptionObject.from_object(answer.json())
    address = f"/v1/transcriptions/{made.transcript_id}"
    assert (answer.status_code, answer.headers["location"]) == (202, address)
    assert (made.status, made.progress, made.source, made.language, made.track) == ("processing", 0.0, "local", None, 0)
    assert ("transcriptions", made.transcript_id) in engine.calls
    words = (TimedWord(1000, 1500, "Good"), TimedWord(1500, 2000, "morning."))
    claim = claimed(engine)
    passage = Passage(0, 16_000, "en", (Cue(1000, 2000, "Good morning.", None, words),))
    assert engine.ledger.transcriptions.keep(claim, passage, progress=0.5)
    assert http.get(address).json()["progress"] == 0.5
    assert engine.ledger.transcriptions.complete(claim)
    ended = http.get(f"{address}?wait=30").json()
    assert (ended["status"], ended["language"], ended["cues"], ended["warnings"]) == ("complete", "en", 1, [])
    (listed,) = http.get(url).json()["data"]
    assert (listed["language"], listed["source"]) == ("en", "made")
    cues = http.get(f"{url}/en?format=json").json()
    assert cues[0]["words"] == [[1.0, 1.5, "Good"], [1.5, 2.0, "morning."]]
    assert http.put(f"{url}/en", json=cues).status_code == 200
    assert http.get(f"{url}/en?format=json").json() == cues
    assert http.get(url).json()["data"][0]["source"] == "upload"


def test_transcription_is_cancelled_once(http: httpx.Client, url: str, engine: RecordedEngine) -> None:
    made = http.post(url, json={"language": "ENG", "source": "url"}).json()
    assert (made["language"], made["source"]) == ("en", "url")
    claim = claimed(engine)
    address = f"/v1/transcriptions/{made['transcript_id']}/cancel"
    cancelled = http.post(address).json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    assert http.post(address).json()["code"] == "transcription_ended"
    assert not engine.ledger.transcriptions.report(claim, 0.5)
    assert not engine.ledger.transcriptions.complete(claim)
    assert [event.type for event in engine.ledger.events.after(0)][-1] == "transcript.failed"


def test_transcriptions_are_listed(http: httpx.Client, url: str, recording: Recording) -> None:
    first, second = (http.post(url, json={"language": tag}).json()["transcript_id"] for tag in ("en", "de"))
    http.post(f"/v1/transcriptions/{first}/cancel")

    def listed(query: str) -> list[str]:
        return [each["transcript_id"] for each in http.get(f"/v1/transcriptions{query}").json()["data"]]

    assert listed("") == [second, first]
    assert listed(f"?recording_id={recording.recording_id}&status=failed") == [first]
    assert listed("?recording_id=rec_x") == []
    page = http.get("/v1/transcriptions?limit=1").json()
    assert listed(f"?limit=1&cursor={page['next_cursor']}") == [first]


def test_transcript_that_was_not_made_is_kept(http: httpx.Client, url: str) -> None:
    cue = {"start_seconds": 1, "end_seconds": 2, "text": "Good morning"}
    assert http.put(f"{url}/en", json=[cue]).status_code == 201
    refused = http.post(url, json={"language": "en"})
    assert (refused.status_code, refused.json()["code"]) == (409, "transcript_exists")
    assert http.post(url, json={"language": "de"}).status_code == 202


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"language": "no language"}, 422, "invalid_transcript"),
        ({"language": "e" * 36}, 422, "invalid_request"),
        ({"source": "cloud"}, 422, "invalid_request"),
        ({"track": 1}, 422, "no_media_in_range"),
        ({"track": -1}, 422, "invalid_request"),
        ({"track": 1000}, 422, "invalid_request"),
        ({"words": True}, 422, "invalid_request"),
    ],
)
def test_invalid_request_is_rejected(
    http: httpx.Client, url: str, body: dict[str, object], status: int, code: str
) -> None:
    answer = http.post(url, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_missing_track_names_those_that_the_recording_has(http: httpx.Client, url: str) -> None:
    assert http.post(url, json={"track": 5}).json()["hint"] == "It has one audio track, number 0; choose one of them."


@pytest.mark.parametrize(
    ("name", "tokens", "language", "status"),
    [
        ("vocabulary.txt", 51_864, "de-AT", 422),
        ("vocabulary.txt", 51_864, "en-GB", 202),
        ("vocabulary.json", 51_865, "de", 202),
        ("vocabulary.json", 51_865, "tlh", 422),
        ("none", 1, "tlh", 202),  # it fails when it runs
    ],
)
def test_language_that_the_model_does_not_know_is_refused(
    http: httpx.Client,
    url: str,
    engine: RecordedEngine,
    tmp_path: Path,
    name: str,
    tokens: int,
    language: str,
    status: int,
) -> None:
    words = [
        "",
        "<|en|>",
        "<|de|>",
        "<|transcribe|>",
        *(f"w{n}" for n in range(tokens - 4)),
    ]  # as Whisper's, one is empty
    (tmp_path / name).write_text(json.dumps(words) if name.endswith("json") else "\n".join(words) + "\n")
    settings = TranscriptionSettings(model_folder=tmp_path)
    engine.settings = engine.settings.model_copy(update={"transcription": settings})
    answer = http.post(url, json={"language": language})
    assert answer.status_code == status, answer.text
    if status == 422:
        (fault,) = answer.json()["errors"]
        known = "en" if tokens == 51_864 else "de, en"
        assert fault["pointer"] == "/language"
        assert fault["detail"] == f"the model does not know the language {language[:3].strip('-')}; it knows {known}"


def test_missing_transcriber_is_a_conflict(http: httpx.Client, url: str, engine: RecordedEngine) -> None:
    only_url = TranscriptionSettings(url="http://127.0.0.1:9/v1/audio/transcriptions")
    engine.settings = engine.settings.model_copy(update={"transcription": only_url})
    refused = http.post(url, json={"source": "local"}).json()
    assert refused["code"] == "transcription_off"
    assert refused["detail"].startswith("this engine has no model that transcribes ('local').")
    assert refused["hint"] == "The operator sets transcription.model_folder; or choose 'url'."
    assert http.post(url, json={}).json()["source"] == "url"
    engine.settings = engine.settings.model_copy(update={"transcription": TranscriptionSettings()})
    answer = http.post(url, json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "transcription_off")


def test_unknown_transcription_is_not_found(http: httpx.Client) -> None:
    for method, path in (("GET", ""), ("POST", "/cancel")):
        answer = http.request(method, f"/v1/transcriptions/trn_x{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "transcript_not_found")
