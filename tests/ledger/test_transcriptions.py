"""Transcriptions in the ledger: fenced claims, passages that are kept, and one transcript at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipengine.clips.texts.cues import MAX_CUES, Cue, TimedWord
from clipengine.clips.transcription import Passage, Transcription
from clipengine.errors import (
    QueueFull,
    RecordingNotFound,
    TranscriberFailed,
    TranscriberUnavailable,
    TranscriptionEnded,
    TranscriptNotFound,
)
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.texts.transcripts import MAX_TRANSCRIPTS
from clipengine.recordings.recording import Recording
from tests.ledger.conftest import Open
from tests.support.live import added, refreshed, written

CUE = Cue(1000, 2000, "Good morning.", "Ana", (TimedWord(1000, 1500, "Good"), TimedWord(1500, 2000, "morning.")))


def passage(start: int, *cues: Cue, language: str | None = "en") -> Passage:
    return Passage(start, start + 16_000, language, cues)


def claimed(ledger: Ledger, owner: str = "first") -> Transcription:
    claim = ledger.transcriptions.claim(owner, ["local"])
    assert claim is not None
    return claim


def test_passages_become_one_transcript(ledger: Ledger, recording: Recording) -> None:
    made = ledger.transcriptions.add(recording.recording_id, source="local")
    assert ledger.transcriptions.is_due(["local", "url"])
    assert not ledger.transcriptions.is_due(["url"])
    assert ledger.transcriptions.claim("first", ["url"]) is None
    claim = claimed(ledger)
    assert (claim.transcript_id, claim.owner, claim.attempts, claim.lease) == (made.transcript_id, "first", 1, 1)
    second = Cue(17_000, 18_000, "Bonjour.")
    passages = [passage(0, CUE), passage(16_000, second, language="fr"), passage(32_000, language=None)]
    for number, each in enumerate(passages, 1):
        assert ledger.transcriptions.keep(claim, each, progress=number / 3)
    assert ledger.transcriptions.passages(claim) == passages
    assert ledger.transcriptions.complete(claim)
    assert not ledger.transcriptions.complete(claim)
    ended = ledger.transcriptions.get(made.transcript_id)
    assert (ended.state, ended.found_language, ended.cues, ended.owner) == ("complete", "en", 2, None)
    transcript = ledger.transcripts.get(recording.recording_id, "en")
    assert (transcript.transcript_id, transcript.source) == (made.transcript_id, "made")
    assert ledger.transcripts.cues(transcript) == [CUE, second]
    assert ledger.transcriptions.passages(claim) == []
    assert [event.type for event in ledger.events.after(0)][-1:] == ["transcript.ready"]


def test_lost_claim_changes_nothing(ledger: Ledger, recording: Recording) -> None:
    ledger.transcriptions.add(recording.recording_id, source="local")
    first = claimed(ledger)
    assert ledger.transcriptions.release_orphans("second", living=lambda: ["first"]) == 0
    assert ledger.transcriptions.release_orphans("second") == 1
    second = claimed(ledger, "second")
    assert second.lease == 2
    assert not ledger.transcriptions.report(first, 0.5)
    assert not ledger.transcriptions.keep(first, passage(0, CUE), progress=0.5)
    assert not ledger.transcriptions.complete(first)
    assert not ledger.transcriptions.fail(first, TranscriberFailed("no"))
    assert not ledger.transcriptions.later(first, delay_ms=0)
    assert ledger.transcriptions.passages(first) == []
    assert ledger.transcriptions.keep(second, passage(0, CUE), progress=1)
    assert ledger.transcriptions.complete(second)


def test_failure_has_its_reason(ledger: Ledger, recording: Recording) -> None:
    made = ledger.transcriptions.add(recording.recording_id, source="local")
    claim = claimed(ledger)
    assert ledger.transcriptions.fail(claim, TranscriberFailed("the answer is invalid"))
    ended = ledger.transcriptions.get(made.transcript_id)
    assert ended.error is not None
    assert (ended.state, ended.error["code"]) == ("failed", "transcriber_failed")
    with pytest.raises(TranscriptionEnded):
        ledger.transcriptions.cancel(made.transcript_id)


def test_interrupted_attempt_does_not_count(ledger: Ledger, recording: Recording) -> None:
    ledger.transcriptions.add(recording.recording_id, source="local")
    assert ledger.transcriptions.later(claimed(ledger), delay_ms=0, counts=False)
    claim = claimed(ledger)
    assert (claim.attempts, claim.lease) == (1, 2)
    assert ledger.transcriptions.later(claim, delay_ms=60_000, error=TranscriberUnavailable("no answer"))
    waiting = ledger.transcriptions.get(claim.transcript_id)
    assert waiting.error is not None
    assert (waiting.state, waiting.error["message"]) == ("processing", "no answer")
    assert not ledger.transcriptions.report(claim, 0.5)
    assert ledger.transcriptions.claim("first", ["local"]) is None


def test_made_transcript_is_replaced_by_any_other_and_by_a_new_one(ledger: Ledger, recording: Recording) -> None:
    for text in ("First.", "Second."):
        ledger.transcriptions.add(recording.recording_id, source="local", language="en")
        claim = claimed(ledger)
        ledger.transcriptions.keep(claim, passage(0, Cue(0, 1000, text)), progress=1)
        assert ledger.transcriptions.complete(claim)
    transcript = ledger.transcripts.get(recording.recording_id, "en")
    assert [cue.text for cue in ledger.transcripts.cues(transcript)] == ["Second."]
    ledger.transcripts.put(recording.recording_id, "en", [CUE], source="embedded")
    assert ledger.transcripts.get(recording.recording_id, "en").source == "embedded"


def test_cues_beyond_the_limit_are_left_out_with_a_warning(ledger: Ledger, recording: Recording) -> None:
    made = ledger.transcriptions.add(recording.recording_id, source="local")
    claim = claimed(ledger)
    cues = [Cue(number, number + 1, "a") for number in range(MAX_CUES + 2)]
    ledger.transcriptions.keep(claim, passage(0, *cues), progress=1)
    assert ledger.transcriptions.complete(claim)
    ended = ledger.transcriptions.get(made.transcript_id)
    assert ended.cues == MAX_CUES
    assert ended.warnings == ["transcript_shortened: 2 cues at the end are left out"]


def test_recording_keeps_a_limited_number_of_ended_transcriptions(ledger: Ledger, recording: Recording) -> None:
    for _ in range(MAX_TRANSCRIPTS + 3):
        made = ledger.transcriptions.add(recording.recording_id, source="local")
        ledger.transcriptions.cancel(made.transcript_id)
    page = ledger.transcriptions.list(recording_id=recording.recording_id, limit=100)
    assert len(page.data) == MAX_TRANSCRIPTS
    assert page.data[0].transcript_id == made.transcript_id


def test_deleted_recording_has_no_transcriptions(ledger: Ledger, recording: Recording) -> None:
    made = ledger.transcriptions.add(recording.recording_id, source="local")
    claim = claimed(ledger)
    ledger.transcriptions.keep(claim, passage(0, CUE), progress=0.5)
    ledger.recordings.delete(recording.recording_id)
    with pytest.raises(TranscriptNotFound):
        ledger.transcriptions.get(made.transcript_id)
    assert not ledger.transcriptions.complete(claim)
    with pytest.raises(RecordingNotFound):
        ledger.transcriptions.add(recording.recording_id, source="local")


def test_queue_has_a_limit(open_ledger: Open, path: Path) -> None:
    ledger = open_ledger(max_queued=1)
    recording, _ = ledger.recordings.register("a.mp4", etag="e", size=1)
    ledger.transcriptions.add(recording.recording_id, source="local")
    with pytest.raises(QueueFull):
        ledger.transcriptions.add(recording.recording_id, source="local", language="en")


def test_recording_with_a_transcript_is_not_transcribed_ahead(ledger: Ledger, recording: Recording) -> None:
    with ledger.transaction():
        ledger.transcriptions.add_ahead(recording.recording_id, source="local", language=None)
    (made,) = ledger.transcriptions.list(limit=10).data
    ledger.transcriptions.cancel(made.transcript_id)
    ledger.transcripts.put(recording.recording_id, "de", [CUE])
    with ledger.transaction():
        ledger.transcriptions.add_ahead(recording.recording_id, source="local", language=None)
    assert not ledger.transcriptions.is_due(["local"])


def test_live_recording_is_transcribed_ahead_when_it_has_ended(ledger: Ledger) -> None:
    ledger.transcribe_ahead("local", None)
    written(ledger)
    assert not ledger.transcriptions.is_due(["local"])
    assert ledger.live.complete(refreshed(ledger), added(10, 11, ended=True))
    assert ledger.transcriptions.is_due(["local"])


def test_finished_passage_clears_the_error_of_earlier_attempts(ledger: Ledger, recording: Recording) -> None:
    ledger.transcriptions.add(recording.recording_id, source="local")
    claim = claimed(ledger)
    assert ledger.transcriptions.later(claim, delay_ms=0, error=TranscriberUnavailable("no answer"))
    claim = claimed(ledger)
    assert claim.error is not None
    assert ledger.transcriptions.keep(claim, passage(0, CUE), progress=0.5)
    assert ledger.transcriptions.get(claim.transcript_id).error is None
