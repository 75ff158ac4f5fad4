"""Transcripts over HTTP: three formats in and out, faults with their place, and the search."""

from __future__ import annotations

import json
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.client import ApiError, Client
from clipengine.clips.texts.cues import MAX_CUES, Cue
from clipengine.clips.texts.transcript_file import MAX_TRANSCRIPT_BYTES
from clipengine.objects.transcript import SearchHitObject, TranscriptObject
from clipengine.outbound.services import Service
from clipengine.recordings.facts import ChapterFacts
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import Suggestions
from clipengine.work.suggester import Suggester
from tests.support.api import FACTS, ApiServer, RecordedEngine
from tests.support.receiver import Answer, Receiver

CUES = [
    {"start_seconds": 5.0, "end_seconds": 7.5, "text": "The annual budget & more"},
    {"start_seconds": 1.0, "end_seconds": 2.5, "text": "Good morning", "speaker": "Ana"},
]
VTT = """WEBVTT

00:00:01.000 --> 00:00:02.500
<v Ana>Good morning

00:00:05.000 --> 00:00:07.500
The annual budget &amp; more
"""
SRT = """1
00:00:01,000 --> 00:00:02,500
Ana: Good morning

2
00:00:05,000 --> 00:00:07,500
The annual budget & more
"""


@pytest.fixture
def url(recording: Recording) -> str:
    return f"/v1/recordings/{recording.recording_id}/transcripts"


def put(http: httpx.Client, address: str, body: str | bytes, content_type: str = "text/vtt") -> httpx.Response:
    return http.put(address, content=body, headers={"Content-Type": content_type})


def test_transcript_is_put_in_any_format_and_read_in_any(http: httpx.Client, url: str) -> None:
    made = http.put(f"{url}/ENG", json=CUES)
    assert (made.status_code, made.headers["location"]) == (201, f"{url}/en")
    assert TranscriptObject.from_object(made.json()).cues == 2
    first = http.get(f"{url}/en")
    assert (first.headers["content-type"], first.text) == ("text/vtt; charset=utf-8", VTT)
    for body, content_type in ((VTT, "text/vtt; charset=utf-8"), (SRT, "application/x-subrip")):
        assert put(http, f"{url}/en", body, content_type).status_code == 200
    assert http.get(f"{url}/en?format=json").json() == [
        {"start_seconds": 1.0, "end_seconds": 2.5, "text": "Ana: Good morning"},
        CUES[0],
    ]
    assert http.get(f"{url}/en?format=srt").text == SRT
    plain = http.get(f"{url}/en?format=txt")
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert plain.text == "Ana: Good morning\nThe annual budget & more\n"
    assert [each["language"] for each in http.get(url).json()["data"]] == ["en"]
    assert http.delete(f"{url}/en").status_code == 204
    assert http.get(f"{url}/en").json()["code"] == "transcript_not_found"
    assert http.get(url).json()["data"] == []


def test_hint_of_too_many_cues_in_json_has_the_limit(http: httpx.Client, url: str) -> None:
    answer = put(http, f"{url}/en", "[" + "{}," * MAX_CUES + "{}]", "application/json")
    assert answer.json()["hint"] == "A transcript has at most 20,000 cues: join short ones that follow each other."


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "pointer"),
    [
        ("hello", "text/vtt", 422, "invalid_transcript", None),
        ("WEBVTT\n\n00:03.000 --> 00:02.000\nx", "text/vtt", 422, "invalid_transcript", "/0/end_seconds"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n", "text/vtt", 422, "invalid_transcript", None),
        ("[]", "application/json", 422, "invalid_transcript", None),
        ("x" * (MAX_TRANSCRIPT_BYTES + 1), "text/vtt", 413, "payload_too_large", None),
        ("WEBVTT", "text/plain", 415, "unsupported_content_type", None),
        ("{}", "application/json", 400, "malformed_request", None),
        ("[" + "[]," * 30_000 + "[]]", "application/json", 400, "malformed_request", None),
        ("[" + "{}," * MAX_CUES + "{}]", "application/json", 400, "malformed_request", None),
        ('[{"start_seconds": 1}]', "application/json", 422, "invalid_request", "/0/end_seconds"),
        (
            '[{"start_seconds": "1", "end_seconds": 2, "text": "x"}]',
            "application/json",
            422,
            "invalid_request",
            "/0/start_seconds",
        ),
        (
            '[{"start_seconds": -1, "end_seconds": 2, "text": "x"}]',
            "application/json",
            422,
            "invalid_request",
            "/0/start_seconds",
        ),
        (
            '[{"start_seconds": 0, "end_seconds": NaN, "text": "x"}]',
            "application/json",
            422,
            "invalid_request",
            "/0/end_seconds",
        ),
        (
            '[{"start_seconds": 2, "end_seconds": 2, "text": "x"}]',
            "application/json",
            422,
            "invalid_transcript",
            "/0/end_seconds",
        ),
        (
            '[{"start_seconds": 1, "end_seconds": 2, "text": "\\ud800"}]',
            "application/json",
            422,
            "invalid_request",
            "/0/text",
        ),
        (
            '[{"start_seconds": 1, "end_seconds": 2, "text": "x", "colour": "red"}]',
            "application/json",
            422,
            "invalid_request",
            "/0/colour",
        ),
    ],
)
def test_invalid_transcript_is_rejected_with_its_place(
    http: httpx.Client, url: str, body: str, content_type: str, status: int, code: str, pointer: str | None
) -> None:
    answer = put(http, f"{url}/en", body, content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["hint"]
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert http.get(url).json()["data"] == []


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([[1, 1.5, "a"], [1.4, 2, "b"], [2, 2, "c"]], None),  # small overlaps, and a word without a length
        ([[0.9, 1.5, "a"], [1.5, 3.1, "b"]], None),
        ([[1, 1.5, "a"], [5, 6, "b"]], ("/0/words/1", "not within the times of its cue")),
        ([[0.5, 1.5, "a"]], ("/0/words/0", "not within the times of its cue")),
        ([[2, 2.5, "a"], [1, 1.5, "b"]], ("/0/words/1", "before the word in front of it")),
        ([[2, 1.5, "a"]], ("/0/words/0", "ends (1.5) before it starts (2)")),
    ],
)
def test_times_of_words_are_within_their_cue_and_in_order(
    http: httpx.Client, url: str, words: list[Any], fault: tuple[str, str] | None
) -> None:
    cue = {"start_seconds": 1, "end_seconds": 3, "text": "a b c", "words": words}
    answer = http.put(f"{url}/en", json=[cue])
    assert answer.status_code == (422 if fault else 201), answer.text
    if fault:
        (found,) = answer.json()["errors"]
        assert (found["pointer"], fault[1] in found["detail"]) == (fault[0], True)


def test_empty_file_is_refused(http: httpx.Client, url: str) -> None:
    answer = put(http, f"{url}/en", "", "text/vtt")
    assert (answer.status_code, answer.json()["detail"].partition(".")[0]) == (422, "the file is empty")


def test_transcript_that_was_replaced_meanwhile_is_kept(http: httpx.Client, url: str) -> None:
    def store(text: str, if_match: str | None = None) -> httpx.Response:
        headers = {} if if_match is None else {"If-Match": if_match}
        return http.put(f"{url}/en", json=[CUES[0] | {"text": text}], headers=headers)

    assert store("none is stored", "*").json()["code"] == "transcript_changed"
    first = store("first")
    etag = first.headers["etag"]
    assert etag == f'"{first.json()["version"]}"' == http.get(f"{url}/en?format=srt").headers["etag"]
    assert [each["version"] for each in http.get(url).json()["data"]] == [first.json()["version"]]
    second = store("second", etag)
    assert (second.status_code, second.headers["etag"]) == (200, http.get(f"{url}/en").headers["etag"])
    assert second.headers["etag"] != etag
    for stale in (etag, '""', f"{etag}, {etag}", etag.strip('"')):
        answer = store("stale", stale)
        assert (answer.status_code, answer.json()["code"]) == (412, "transcript_changed")
    too_long = store("long", second.headers["etag"].ljust(201, ","))
    assert (too_long.status_code, too_long.json()["errors"][0]["header"]) == (422, "If-Match")
    assert [each["text"] for each in http.get(f"{url}/en?format=json").json()] == ["second"]
    for current in (f"{etag}, W/{second.headers['etag']}", "*", None):
        assert store("third", current).status_code == 200
    assert [each["text"] for each in http.get(f"{url}/en?format=json").json()] == ["third"]


def test_client_replaces_the_version_that_it_names(server: ApiServer, recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "talk.vtt"
    file.write_text(VTT)
    with Client(server.url, server.key) as client:
        first = client.transcripts.put(recording.recording_id, "en", CUES)
        second = client.transcripts.put(recording.recording_id, "en", file, version=first.version)
        for source in (file, CUES):
            with pytest.raises(ApiError, match=second.version) as caught:
                client.transcripts.put(recording.recording_id, "en", source, version=first.version)
            assert caught.value.code == "transcript_changed"
        assert [each.version for each in client.transcripts.list(recording.recording_id).data] == [second.version]


def test_invalid_languages_and_unknown_recordings_are_rejected(http: httpx.Client, url: str) -> None:
    assert put(http, f"{url}/german", VTT).json()["code"] == "invalid_transcript"
    assert put(http, "/v1/recordings/rec_x/transcripts/en", VTT).json()["code"] == "recording_not_found"
    assert http.get("/v1/recordings/rec_x/transcripts").json()["code"] == "recording_not_found"


def test_search_finds_cues_with_times_and_highlights(http: httpx.Client, engine: RecordedEngine, url: str) -> None:
    other = engine.make_recording("other.mp4", b"other")
    for address in (f"{url}/en", f"/v1/recordings/{other.recording_id}/transcripts/en"):
        assert http.put(address, json=CUES).status_code == 201
    found: list[Any] = []
    address = "/v1/search?q=BUDGET&limit=1"
    while address:
        page = http.get(address)
        found += page.json()["data"]
        address = page.links.get("next", {}).get("url", "")
    assert [SearchHitObject.from_object(each).recording_id for each in found] == [
        other.recording_id,
        url.split("/")[3],
    ]
    assert (found[0]["start_seconds"], found[0]["end_seconds"], found[0]["highlights"]) == (5.0, 7.5, [[11, 17]])
    within = http.get(f"{url}/en/search", params={"q": '"good morning"'}).json()["data"]
    assert [(hit["speaker"], hit["text"]) for hit in within] == [("Ana", "Good morning")]
    for query in ("", "!!", "x" * 201):
        answer = http.get("/v1/search", params={"q": query})
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "q")
    assert http.get(f"{url}/de/search?q=x").json()["code"] == "transcript_not_found"


class TestSuggestedMoments:
    def test_moments_are_suggested_in_a_transcript(
        self, http: httpx.Client, url: str, recording: Recording, engine: RecordedEngine
    ) -> None:
        moments = f"/v1/recordings/{recording.recording_id}/moments?kind=suggestion"
        missing = http.get(moments)
        assert (missing.status_code, missing.json()["code"]) == (404, "transcript_not_found")
        assert "make one" in missing.json()["hint"]
        cues = [
            {"start_seconds": 10.0, "end_seconds": 15.0, "text": "What does the new office cost?", "speaker": "Ana"},
            {"start_seconds": 15.0, "end_seconds": 30.5, "text": "Less than the old one.", "speaker": "Ben"},
            {"start_seconds": 50.0, "end_seconds": 70.0, "text": "The budget is smaller.", "speaker": "Ben"},
        ]
        assert http.put(f"{url}/de", json=[{**cues[0], "text": "Guten Morgen"}]).status_code == 201
        assert http.get(moments).json() == {"language": "de", "data": []}
        assert http.put(f"{url}/en", json=cues).status_code == 201
        before = engine.settings
        engine.settings = before.model_copy(update={"suggestions": Suggestions(keywords=("budget",))})
        try:
            found = http.get(f"{moments}&language=EN").json()
            assert http.get(f"{moments}&language=en&limit=1").json()["data"] == found["data"][:1]
        finally:
            engine.settings = before
        assert found["language"] == "en"
        keys = ("start_seconds", "end_seconds", "reason", "about")
        assert [tuple(each[key] for key in keys) for each in found["data"]] == [
            (50.0, 70.0, "keyword", "budget"),
            (10.0, 30.5, "question", None),
        ]
        assert http.get(f"{moments}&language=fr").json()["code"] == "transcript_not_found"

    def test_chapters_open_moments_in_the_first_transcript_with_words(
        self, http: httpx.Client, engine: RecordedEngine
    ) -> None:
        chapter = ChapterFacts(start=Fraction(20), end=Fraction(60), title="Budget")
        facts = FACTS.model_copy(update={"chapters": 1, "chapter_list": (chapter,)})
        recording_id = engine.make_recording("chapters.mp4", b"chapters", facts=facts).recording_id
        engine.ledger.transcripts.put(recording_id, "de", [], source="made")
        engine.ledger.transcripts.put(recording_id, "en", [Cue(0, 20_000, "We begin."), Cue(20_000, 50_000, "Well.")])
        (found,) = http.get(f"/v1/recordings/{recording_id}/moments?kind=suggestion").json()["data"]
        assert found == {
            "start_seconds": 20.0,
            "end_seconds": 50.0,
            "reason": "chapter",
            "about": "Budget",
            "text": "Well.",
            "score": 0.66,
        }

    def test_language_model_chooses_moments_on_request(self, http: httpx.Client, engine: RecordedEngine) -> None:
        recording_id = engine.make_recording("model.mp4", b"model", facts=FACTS).recording_id
        cues = [Cue(10_000 * number, 10_000 * (number + 1), f"Sentence {number}.", "Ana") for number in range(10)]
        engine.ledger.transcripts.put(recording_id, "en", cues, source="made")
        path = f"/v1/recordings/{recording_id}/moments?kind=suggestion&source=url"
        off = http.get(path)
        assert (off.status_code, off.json()["errors"][0]["parameter"]) == (422, "source")
        assert "suggestions.url" in off.json()["detail"]
        moments = [
            {"first": 2, "last": 3, "title": "A title"},
            {"first": 3, "last": 4, "title": "It overlaps"},
            {"first": 5, "last": 5, "title": "Too short"},
            {"first": 99, "last": 99, "title": "It does not exist"},
        ]
        content = json.dumps({"moments": moments})
        with Receiver() as receiver:
            receiver.script(Answer(body=json.dumps({"choices": [{"message": {"content": content}}]}).encode()))
            with closing(Suggester(Suggestions(url=receiver.url), Service(receiver.url))) as engine.suggester:
                found = http.get(path).json()["data"]
                receiver.script(Answer(500))
                failed = http.get(f"{path}&limit=1")
        engine.suggester = None
        sent = json.loads(receiver.requests[0].body)["messages"][1]["content"].splitlines()
        assert sent[2] == "2 20s Ana: Sentence 2."
        keys = ("start_seconds", "end_seconds", "reason", "about", "text", "score")
        assert [tuple(each[key] for key in keys) for each in found] == [
            (20.0, 40.0, "model", "A title", "Sentence 2.", 1.0),
            (50.0, 70.0, "model", "Too short", "Sentence 5.", 0.5),
        ]
        assert (failed.status_code, failed.json()["code"]) == (502, "suggestions_unavailable")

    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            ("kind=suggestion&source=other", "source"),
            ("to=scene&at_seconds=1&source=local", "source"),
            ("kind=suggestion&to=scene", "to"),
            ("kind=suggestion&at_seconds=1", "at_seconds"),
            ("kind=suggestion&within_seconds=1", "within_seconds"),
            ("kind=suggestion&limit=51", "limit"),
            ("kind=suggestion&language=no+language", "language"),
            ("kind=other", "kind"),
            ("to=scene", "at_seconds"),
            ("at_seconds=1", "to"),
            ("to=scene&at_seconds=1&language=en", "language"),
            ("to=scene&at_seconds=1&limit=3", "limit"),
        ],
    )
    def test_parameter_of_the_other_kind_or_a_missing_one_is_named(
        self, http: httpx.Client, recording: Recording, query: str, parameter: str
    ) -> None:
        answer = http.get(f"/v1/recordings/{recording.recording_id}/moments?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert [each["parameter"] for each in answer.json()["errors"]] == [parameter]

    def test_recording_that_is_missing_or_not_complete_is_refused(
        self, http: httpx.Client, engine: RecordedEngine
    ) -> None:
        engine.put("new.mp4", b"x")
        made, _ = engine.ledger.recordings.register("new.mp4", etag="e", size=1)
        for recording_id, code in ((made.recording_id, "recording_not_complete"), ("rec_x", "recording_not_found")):
            answer = http.get(f"/v1/recordings/{recording_id}/moments?kind=suggestion")
            assert answer.json()["code"] == code
