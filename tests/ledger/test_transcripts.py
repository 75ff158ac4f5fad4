"""Transcripts in the ledger: stored per language, searched by words, and deleted with their recording."""

from __future__ import annotations

import time

import pytest

from clipengine.clips.texts.cues import MAX_CUES, Cue
from clipengine.errors import InvalidRequest, RecordingNotFound, TranscriptNotFound
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.texts import transcripts as transcripts_module
from clipengine.ledger.texts.transcripts import SearchHit
from clipengine.recordings.recording import Recording

CUES = [
    Cue(0, 1000, "Good morning, everyone.", "Ana"),
    Cue(1000, 2500, "The annual budget is first."),
    Cue(2500, 4000, "Budgets are annual,\nnot monthly."),
    Cue(4000, 5000, "今日の会議は café."),
]


def _register(ledger: Ledger, path: str) -> Recording:
    return ledger.recordings.register(path, etag="e", size=1)[0]


def _search(ledger: Ledger, query: str) -> list[str]:
    return [hit.cue.text for hit in ledger.transcripts.search(query, limit=100).data]


def test_transcript_is_stored_listed_and_replaced(ledger: Ledger, recording: Recording) -> None:
    made, created = ledger.transcripts.put(recording.recording_id, "en", CUES)
    assert (created, made.cues, made.source) == (True, 4, "upload")
    assert ledger.transcripts.get(recording.recording_id, "en") == made
    assert ledger.transcripts.cues(made) == CUES
    ledger.transcripts.put(recording.recording_id, "de", [], source="sidecar")
    again, created = ledger.transcripts.put(recording.recording_id, "en", CUES[:1])
    assert not created
    assert ledger.transcripts.cues(again) == CUES[:1]
    assert {each.language for each in ledger.transcripts.list(recording.recording_id, limit=9).data} == {"de", "en"}
    assert _search(ledger, "budget") == []


def test_missing_transcripts_and_recordings_are_reported(ledger: Ledger, recording: Recording) -> None:
    with pytest.raises(TranscriptNotFound):
        ledger.transcripts.get(recording.recording_id, "en")
    with pytest.raises(TranscriptNotFound):
        ledger.transcripts.delete(recording.recording_id, "en")
    for act in (
        lambda: ledger.transcripts.put("rec_x", "en", CUES),
        lambda: ledger.transcripts.get("rec_x", "en"),
        lambda: ledger.transcripts.list("rec_x", limit=1),
    ):
        with pytest.raises(RecordingNotFound):
            act()


def test_number_of_transcripts_is_limited(
    ledger: Ledger, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcripts_module, "MAX_TRANSCRIPTS", 1)
    ledger.transcripts.put(recording.recording_id, "en", CUES)
    with pytest.raises(InvalidRequest, match="has 1 transcripts"):
        ledger.transcripts.put(recording.recording_id, "de", CUES)
    assert not ledger.transcripts.put(recording.recording_id, "en", CUES)[1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("BUDGET annual", [1]),
        ("budget*", [1, 2]),
        ("annual", [1, 2]),
        ('"annual budget"', [1]),
        ('"budget annual"', []),
        ("monthly annual", [2]),
        ("会議", [3]),
        ("議会", []),
        ("CAFÉ", [3]),
        ("cafe*", [3]),
        ("good AND morning", []),
        ("morning'); DROP TABLE cues", []),
        ("NOT", [2]),
        ("-", None),
    ],
)
def test_search_finds_words_phrases_and_beginnings(
    ledger: Ledger, recording: Recording, query: str, found: list[int] | None
) -> None:
    ledger.transcripts.put(recording.recording_id, "en", CUES)
    if found is None:
        with pytest.raises(InvalidRequest):
            _search(ledger, query)
    else:
        assert _search(ledger, query) == [CUES[index].text for index in found]


def test_search_covers_all_recordings_or_one_transcript_page_by_page(ledger: Ledger, recording: Recording) -> None:
    other = _register(ledger, "relay/h_02/recording.mp4")
    ledger.transcripts.put(recording.recording_id, "en", CUES)
    newest, _ = ledger.transcripts.put(other.recording_id, "en", CUES)
    hits: list[SearchHit] = []
    cursor = None
    while True:
        page = ledger.transcripts.search("annual", limit=1, cursor=cursor)
        hits += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [(hit.recording_id, hit.cue) for hit in hits] == [
        (each, cue) for each in (other.recording_id, recording.recording_id) for cue in CUES[1:3]
    ]
    assert [hit.cue.text[start:end] for hit in hits[:2] for start, end in hit.highlights] == ["annual", "annual"]
    within = ledger.transcripts.search("annual", within=newest, limit=1)
    assert [hit.recording_id for hit in within.data] == [other.recording_id]
    with pytest.raises(InvalidRequest, match="another list"):
        ledger.transcripts.search("annual", limit=1, cursor=within.next_cursor)


def test_transcripts_are_deleted_with_their_recording(ledger: Ledger, recording: Recording) -> None:
    ledger.transcripts.put(recording.recording_id, "en", CUES)
    ledger.recordings.delete(recording.recording_id)
    assert ledger.database.run("SELECT COUNT(*) FROM transcripts") == [(0,)]
    assert ledger.database.run("SELECT COUNT(*) FROM cues") == [(0,)]
    assert _search(ledger, "annual") == []


@pytest.mark.typical(1)
def test_largest_transcript_is_stored_and_searched_in_a_few_seconds(ledger: Ledger, recording: Recording) -> None:
    cues = [Cue(1000 * number, 1000 * number + 900, f"word{number} again and again") for number in range(MAX_CUES)]
    began = time.monotonic()
    made, _ = ledger.transcripts.put(recording.recording_id, "en", cues)
    page = ledger.transcripts.search("again", within=made, limit=2)
    assert [hit.cue for hit in page.data] == cues[:2]
    assert time.monotonic() - began < 60
