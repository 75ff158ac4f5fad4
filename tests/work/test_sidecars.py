"""Sidecars: transcripts beside a recording in the store, read with its probe and by the watch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.transcript_file import MAX_TRANSCRIPT_BYTES
from clipengine.errors import InvalidRequest
from clipengine.ingest.markers import MAX_FILE_BYTES, markers_of_file
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.recordings.discovery import belongs_to, is_recording, is_sidecar
from clipengine.recordings.markers import Marker
from clipengine.recordings.recording import Recording
from clipengine.rules.rule import RuleSpec
from clipengine.work.jobs.sidecars import Sidecars
from tests.support.api import RecordedEngine, recorded_engine
from tests.support.waiting import until
from tests.work.test_watch import drop, watching

VTT = b"WEBVTT\n\n00:01.000 --> 00:02.000\n%s\n"
SRT = b"1\n00:00:01,000 --> 00:00:02,000\n%s\n"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RecordedEngine]:
    with recorded_engine(tmp_path / "data") as engine:
        yield engine


def found(engine: RecordedEngine, recording: Recording) -> dict[str, tuple[str, str]]:
    """Return source and first text of each transcript, by language."""
    transcripts = engine.ledger.transcripts
    listed = transcripts.list(recording.recording_id, limit=99).data
    cues = {each: transcripts.cues(each) for each in listed}  # none if it was replaced meanwhile
    return {each.language: (each.source, found[0].text) for each, found in cues.items() if found}


def test_files_beside_a_recording_are_its_transcripts_in_the_language_of_their_name(engine: RecordedEngine) -> None:
    for key, body in {
        "in/talk.vtt": VTT % b"vtt",
        "in/talk.srt": SRT % b"srt",
        "in/talk.en.srt": SRT % b"english",
        "in/talk.pt-br.VTT": VTT % b"portuguese",
        "in/talk.part2.en.vtt": VTT % b"of another recording",
        "in/talkative.vtt": VTT % b"of another recording",
        "in/talk.txt": b"notes",
    }.items():
        drop(engine, key, body)
    recording = engine.make_recording("in/talk.mp4")
    Sidecars(engine.ledger, engine.store).attach_all(recording)
    assert found(engine, recording) == {
        "und": ("sidecar", "vtt"),
        "en": ("sidecar", "english"),
        "pt-BR": ("sidecar", "portuguese"),
    }


def test_unusable_sidecars_are_logged_and_the_others_are_used(
    engine: RecordedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    drop(engine, "in/talk.de.vtt", b"no transcript")
    drop(engine, "in/talk.fr.vtt", b"WEBVTT\n\n" + b"x" * MAX_TRANSCRIPT_BYTES)
    drop(engine, "in/talk.en.vtt", VTT % b"good")
    recording = engine.make_recording("in/talk.mp4")
    with caplog.at_level(logging.WARNING):
        Sidecars(engine.ledger, engine.store).attach_all(recording)
    assert found(engine, recording) == {"en": ("sidecar", "good")}
    assert "talk.de.vtt is not used: the file does not begin with the line WEBVTT" in caplog.text
    assert "talk.fr.vtt is not used: it has more than 2097152 bytes" in caplog.text


def test_markers_beside_a_recording_are_read_once_and_make_rules_act(engine: RecordedEngine) -> None:
    file = b'{"markers": [{"at_seconds": 3.5, "label": "goal"}, {"at_seconds": 1, "seconds": 2}]}'
    drop(engine, "in/talk.markers.json", file)
    drop(engine, "in/talk.part2.markers.json", b'{"markers": [{"at_seconds": 9}]}')
    recording = engine.make_recording("in/talk.mp4")
    sidecars = Sidecars(engine.ledger, engine.store)
    for _ in range(2):
        sidecars.attach_all(recording)
    markers = engine.ledger.markers.list(recording.recording_id)
    assert {(each.at_seconds, each.seconds, each.label) for each in markers} == {(3.5, 0, "goal"), (1, 2, "")}
    assert [each.type for each in engine.ledger.events.after(0)].count("marker.added") == 1
    assert not is_recording("in/talk.markers.json", everything=True)
    assert not belongs_to("in/talk.json", "in/talk.mp4")


def test_sidecars_that_appear_after_the_recording_is_complete_make_rules_act_once(engine: RecordedEngine) -> None:
    ledger = engine.ledger
    triggers = {
        "recording.complete": {"kind": "markers", "after": 2, "labels": ["goal"]},
        "transcript.ready": {"kind": "words", "words": ["good"]},
        "marker.added": {"kind": "markers", "after": 2},
    }
    rules = []
    for event, ranges in triggers.items():
        spec = RuleSpec.model_validate({"when": {"event": event}, "ranges": ranges})
        rules.append(ledger.rules.create(event, spec))

    def read() -> list[list[str | None]]:
        while ledger.rule_matching.act():
            pass
        return [[each.occasion for each in ledger.batches.list(rule.rule_id, limit=9).data] for rule in rules]

    recording = engine.make_recording("in/h_01/talk.mp4")
    assert read() == [[], [], []]
    with watching(engine):
        drop(engine, "in/h_01/talk.markers.json", b'{"markers": [{"at_seconds": 1, "label": "foul"}]}')
        until(lambda: len(ledger.markers.list(recording.recording_id)) == 1)
        early = read()
        assert [len(each) for each in early] == [0, 0, 1]
        marked = b'{"markers": [{"at_seconds": 1, "label": "foul"}, {"at_seconds": 3.5, "label": "goal"}]}'
        drop(engine, "in/h_01/talk.markers.json", marked)
        drop(engine, "in/h_01/talk.en.vtt", VTT % b"good")
        until(lambda: len(ledger.markers.list(recording.recording_id)) == 2 and "en" in found(engine, recording))
    assert [len(each) for each in read()] == [1, 1, 2]
    claimed = []
    while (batch := ledger.batches.claim("me")) is not None:
        claimed.append(batch.occasion)
    assert len(claimed) == 3
    assert "complete" not in claimed  # more markers may follow
    ledger.markers.add(recording.recording_id, [Marker(5.0, None, 0, "goal")])
    ledger.transcripts.put(recording.recording_id, "de", [Cue(0, 1000, "good")])
    assert [len(each) for each in read()] == [1, 1, 3]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"x" * (MAX_FILE_BYTES + 1), "it has more than 262144 bytes"),
        (b'{"markers": [' + b'{"at_seconds": 1},' * 1000 + b'{"at_seconds": 1}]}', "has more than 1000 members"),
        (b'{"markers": [{"at_seconds": 1, "label": [[' + b"]]}]}", "nested deeper than 3 levels"),
        (b"{" * 50_000, "nested deeper than 3 levels"),
        (b'""' * 20_001, "has more than 20000 strings, brackets and commas"),
        (b'{"markers": [{"at_seconds": 1, "label": "' + b"x" * 201 + b'"}]}', "at most 200 characters"),
        (b'{"markers": [{"at_seconds": 604801}]}', "/markers/0/at_seconds"),
        (b'{"markers": [{"at_seconds": -1}]}', "/markers/0/at_seconds"),
        (b'{"markers": [{"at_seconds": 1e999}]}', "/markers/0/at_seconds"),
        (b'{"markers": [{"at_seconds": NaN}]}', "it is not JSON in UTF-8"),
        (b'{"markers": [{"at_seconds": ' + b"9" * 5000 + b"}]}", "it is not JSON in UTF-8"),
        (b'{"markers": [{"at_seconds": 1, "time": "2026-01-01T00:00:00Z"}]}', "either at_seconds or time"),
        (b'{"markers": [{"time": "2026-01-01T00:00:00"}]}', "/markers/0/time"),
        (b'{"markers": [{"at_seconds": 1, "label": "\\ud800"}]}', "/markers/0/label"),
        (b'{"markers": [{"time": 253402300799999}]}', "/markers/0/time"),
        (b'{"markers": [{"time": "2026-01-01T00:00:60Z"}]}', "/markers/0/time"),
        (b'{"markers": [{"time": "9999-12-31T23:59:59-23:59", "label": 1}]}', "it is not a list of markers"),
        (b'{"markers": [{}]}', "either at_seconds or time"),
        (b'{"marks": []}', "/markers"),
        (b"[]", "it is not a list of markers"),
        (b"\xff", "it is not JSON in UTF-8"),
    ],
)
def test_file_of_markers_beyond_a_limit_is_not_used(
    engine: RecordedEngine, caplog: pytest.LogCaptureFixture, file: bytes, reason: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        markers_of_file(file)
    assert reason in refused.value.message
    drop(engine, "in/talk.markers.json", file)
    recording = engine.make_recording("in/talk.mp4")
    with caplog.at_level(logging.WARNING):
        Sidecars(engine.ledger, engine.store).attach_all(recording)
    assert "talk.markers.json is not used" in caplog.text
    assert engine.ledger.markers.list(recording.recording_id) == []


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2200-01-01T00:00:00Z"])
def test_marker_with_a_time_beyond_the_calendar_is_left_out_with_a_reason(
    engine: RecordedEngine, caplog: pytest.LogCaptureFixture, time: str
) -> None:
    marks = [{"time": time}, {"at_seconds": 1}, {"time": "2026-01-01T00:00:00+23:59:59.999999"}]
    drop(engine, "in/talk.markers.json", json.dumps({"markers": marks}).encode())
    recording = engine.make_recording("in/talk.mp4")
    with caplog.at_level(logging.WARNING):
        Sidecars(engine.ledger, engine.store).attach_all(recording)
    kept = engine.ledger.markers.list(recording.recording_id)
    assert {(each.at_seconds, each.time) for each in kept} == {(1.0, None), (None, 1_767_139_200_000)}
    reason = "/markers/0/time: must be between 1970 and 2199, in UTC"
    assert f"1 markers of in/talk.markers.json are left out: {reason}" in caplog.text


def test_nul_and_controls_in_labels_of_markers_are_cleaned() -> None:
    (marker,), _ = markers_of_file(b'\xef\xbb\xbf{"markers": [{"at_seconds": 1, "label": " a\\u0000\\n\\u202eb "}]}')
    assert "\0" not in marker.label
    assert marker.label.isprintable() or "\ufffd" in marker.label


def test_uploaded_transcript_is_not_replaced_by_a_sidecar(engine: RecordedEngine) -> None:
    recording = engine.make_recording("in/talk.mp4")
    engine.ledger.transcripts.put(recording.recording_id, "en", [Cue(0, 1000, "uploaded")])
    drop(engine, "in/talk.en.vtt", VTT % b"sidecar")
    Sidecars(engine.ledger, engine.store).attach_all(recording)
    assert found(engine, recording) == {"en": ("upload", "uploaded")}
    kept, created = engine.ledger.transcripts.put(recording.recording_id, "en", [], source="sidecar")
    assert (kept.source, created) == ("upload", False)


def test_watch_reads_sidecars_that_appear_or_change_after_the_probe(engine: RecordedEngine) -> None:
    recording = engine.make_recording("in/h_01/talk.mp4")
    drop(engine, "in/h_01/other.en.vtt", VTT % b"of no recording")
    with watching(engine):
        drop(engine, "in/h_01/talk.en.vtt", VTT % b"first")
        until(lambda: found(engine, recording) == {"en": ("sidecar", "first")})
        drop(engine, "in/h_01/talk.en.vtt", VTT % b"second version")
        until(lambda: found(engine, recording) == {"en": ("sidecar", "second version")})
    before = engine.ledger.transcripts.get(recording.recording_id, "en")
    with watching(engine):  # after a restart it is not read again
        drop(engine, "in/h_01/talk.de.srt", SRT % b"german")
        until(lambda: "de" in found(engine, recording))
    assert engine.ledger.transcripts.get(recording.recording_id, "en") == before
    assert len(engine.ledger.recordings.list(RecordingFilter(limit=9)).data) == 1


def test_sidecars_are_told_from_recordings_and_from_subtitles_of_clips() -> None:
    assert is_sidecar("a/talk.en.vtt")
    assert not is_recording("a/talk.en.vtt", everything=True)
    assert not is_sidecar("a/clips/goal-clip_01j9xz.en.vtt")
    assert not is_sidecar("a/.talk.vtt")
    assert not belongs_to("a/talk/x.vtt", "a/talk.mp4")
    assert belongs_to("a/talk.mp4.vtt", "a/talk.mp4")
