"""Transcriptions: passages that end in silence, kept when they are finished, from a server with recorded answers."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.clips.transcription import Transcription
from clipengine.errors import ClipEngineError, Timeout
from clipengine.ledger.ledger import Ledger
from clipengine.objects.transcript import TranscriptionObject
from clipengine.outbound.services import Service
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import Encoding, Settings
from clipengine.settings.settings import Transcription as TranscriptionSettings
from clipengine.stores.folder import FolderStore
from clipengine.work.children.pool import ChildPool
from clipengine.work.jobs.probes import Prober
from clipengine.work.jobs.transcriptions import TranscriptionJobs
from clipengine.work.transcribers import passages
from clipengine.work.transcribers.server import ServerTranscriber
from clipengine.work.transcribers.sources import warn_if_unusable
from clipengine.work.worker import JobContext, Retry, Worker
from tests.support.ledgers import open_copied_ledger
from tests.support.speech import RATE, SpeechServer, speech_server, write_wav
from tests.support.waiting import until


@dataclass
class Bench:
    """Transcriptions over a real ledger, a folder store, real children and a real HTTP server."""

    ledger: Ledger
    folder: Path
    pool: ChildPool
    server: SpeechServer
    settings: dict[str, Any] = field(default_factory=dict)
    owner: str = "first"
    may_run: bool = True

    def __post_init__(self) -> None:
        self.stopping = threading.Event()
        self.store = FolderStore(self.folder)
        settings = TranscriptionSettings(url=self.server.url, **self.settings)
        source = ServerTranscriber(settings, Service(self.server.url))
        self.context = JobContext(self.ledger, self.owner, self.stopping)
        self.jobs = TranscriptionJobs(
            self.context, self.store, self.pool, {"url": source}, encoding=Encoding(), may_run=lambda: self.may_run
        )
        self.worker = Worker(self.jobs)

    def restarted(self) -> Bench:
        """Return another engine, after the death of this one."""
        self.ledger.transcriptions.release_orphans("second")
        return Bench(self.ledger, self.folder, self.pool, self.server, self.settings, owner="second")

    def record(self, name: str, seconds: float, **options: Any) -> Recording:
        """Return a complete recording."""
        return self.put(write_wav(self.folder / name, seconds, **options), name)

    def put(self, file: Path, name: str) -> Recording:
        """Return the complete recording of a file."""
        if file != self.folder / name:
            shutil.copy(file, self.folder / name)
        stored = self.store.head(name)
        recording, _ = self.ledger.recordings.register(name, etag=stored.etag, size=stored.size)
        prober = Prober(self.context, self.store, self.pool, suspects_allowed=lambda: True, encoding=Encoding())
        assert Worker(prober).run_due() == 1
        return self.ledger.recordings.get(recording.recording_id)

    def add(self, recording: Recording, **options: Any) -> Transcription:
        return self.ledger.transcriptions.add(recording.recording_id, source="url", **options)

    def run(self) -> int:
        """Run the transcriptions, also those that wait for a retry."""
        with self.ledger.transaction():
            self.ledger.database.run("UPDATE transcriptions SET next_at = 0")
        return self.worker.run_due()

    def state(self, made: Transcription) -> Transcription:
        return self.ledger.transcriptions.get(made.transcript_id)

    def code(self, made: Transcription) -> str:
        found = self.state(made)
        assert found.state == "failed"
        assert found.error is not None
        return str(found.error["code"])

    def events(self) -> list[str]:
        return [event.type for event in self.ledger.events.after(0) if event.type.startswith("transcript.")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "store").mkdir()
    with (
        closing(open_copied_ledger(tmp_path / "ledger.db", max_queued=10)) as ledger,
        closing(ChildPool(ahead=0)) as pool,
        speech_server() as server,
    ):
        yield Bench(ledger, tmp_path / "store", pool, server)


def test_transcript_has_the_times_of_its_words(bench: Bench) -> None:
    made = bench.add(bench.record("talk.wav", 5))
    assert bench.run() == 1
    found = bench.state(made)
    assert (found.state, found.progress, found.found_language, found.cues) == ("complete", 1.0, "en", 1)
    transcript = bench.ledger.transcripts.get(made.recording_id, "en")
    assert (transcript.transcript_id, transcript.source) == (made.transcript_id, "made")
    (cue,) = bench.ledger.transcripts.cues(transcript)
    assert (cue.start_ms, cue.end_ms, cue.text) == (0, 2000, "Good morning everyone.")
    assert [word.text for word in cue.timed_words] == ["Good", "morning", "everyone."]
    assert [word.start_ms for word in cue.timed_words] == [0, 667, 1333]
    assert bench.events() == ["transcript.ready"]
    (heard,) = bench.server.heard
    assert heard.seconds == pytest.approx(5, abs=0.001)
    assert ("response_format", "verbose_json") in heard.fields
    assert "authorization" not in heard.headers


def test_passages_end_in_silence_and_their_cues_have_the_times_of_the_recording(bench: Bench) -> None:
    made = bench.add(bench.record("long.wav", 150, silences=[(100, 101), (110, 110.2)]))
    assert bench.run() == 1
    assert [heard.seconds for heard in bench.server.heard] == pytest.approx([100.5, 49.5], abs=0.05)
    cues = bench.ledger.transcripts.cues(bench.ledger.transcripts.get(made.recording_id, "en"))
    assert [cue.start_ms for cue in cues] == pytest.approx([0, 100_500], abs=50)
    assert cues[1].timed_words[0].start_ms == cues[1].start_ms
    languages = [dict(heard.fields).get("language") for heard in bench.server.heard]
    assert languages == [None, "en"]


def test_progress_is_the_part_that_is_recognized(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The passage is shorter than the longest one, and all of it is decoded before any of it is recognized."""
    made = bench.add(bench.record("talk.wav", 20))
    shown: list[float] = []
    source = bench.jobs._sources["url"]
    spoken = source.transcribe

    def transcribe(samples: Any, *, language: str | None, report: Any) -> Any:
        for part in (0.0, 0.25, 0.5):
            report._reported = 0.0  # of the last report, which limits them to one a second
            report(part)
            shown.append(bench.state(made).progress)
        return spoken(samples, language=language, report=report)

    monkeypatch.setattr(source, "transcribe", transcribe)
    bench.run()
    assert shown == [0.0, 0.25, 0.5]
    assert bench.state(made).progress == 1.0


def test_missing_model_folder_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "none"
    warn_if_unusable(Settings(transcription=TranscriptionSettings(model_folder=folder)))
    warn_if_unusable(Settings())
    (line,) = caplog.messages
    assert line.startswith(f"transcription.model_folder: the folder {folder} does not exist; nothing can be")


def test_finished_passages_are_kept_after_the_death_of_the_engine(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passages, "MAX_SECONDS", 10)
    made = bench.add(bench.record("long.wav", 30))

    class Killed(BaseException):
        pass

    def die(point: str) -> None:
        raise Killed

    monkeypatch.setattr(bench.jobs.faults, "reach", die)
    with pytest.raises(Killed):
        bench.run()
    state = bench.state(made)
    assert (state.state, state.owner) == ("processing", "first")
    assert 0.2 < state.progress < 0.4
    second = bench.restarted()
    assert second.run() == 1
    assert bench.state(made).state == "complete"
    assert sum(heard.seconds for heard in bench.server.heard) == pytest.approx(30, abs=0.01)
    assert bench.events() == ["transcript.ready"]
    assert bench.ledger.database.run("SELECT COUNT(*) FROM passages") == [(0,)]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_overloaded_server_is_asked_again(bench: Bench, status: int) -> None:
    bench.server.statuses = [status]
    made = bench.add(bench.record("talk.wav", 3))
    began = now_ms()
    bench.run()
    waiting = TranscriptionObject.of(bench.state(made))
    assert (waiting.status, waiting.progress, waiting.error) == ("processing", 0.0, None)
    assert waiting.last_error is not None
    assert waiting.last_error.code == "transcriber_unavailable"
    assert waiting.last_error.message.startswith(f"the transcription server responded with status {status}: ")
    assert waiting.next_at is not None
    assert waiting.next_at > rfc3339(began)
    bench.run()
    ended = TranscriptionObject.of(bench.state(made))
    assert (ended.status, ended.error, ended.last_error, ended.next_at) == ("complete", None, None, None)


@pytest.mark.exhaustive
def test_unreachable_server_ends_after_many_attempts(bench: Bench) -> None:
    bench.server.statuses = [503] * 100
    made = bench.add(bench.record("talk.wav", 3))
    for _ in range(40):
        bench.run()
    assert bench.code(made) == "transcriber_unavailable"
    assert len(bench.server.heard) == 30
    assert bench.events() == ["transcript.failed"]


def _said(value: str) -> Any:
    return lambda heard: value.encode()


HOSTILE: dict[str, Any] = {
    "not JSON": _said("<html>"),
    "a list": _said("[]"),
    "nothing": _said("{}"),
    "NaN": _said('{"segments": [{"start": NaN, "end": 1, "text": "a"}]}'),
    "infinite": _said('{"segments": [{"start": 0, "end": 1e999, "text": "a"}]}'),
    "negative": _said('{"segments": [{"start": -1, "end": 1, "text": "a"}]}'),
    "reversed": _said('{"segments": [{"start": 2, "end": 1, "text": "a"}]}'),
    "far away": _said('{"segments": [{"start": 2, "end": 1e6, "text": "a"}]}'),
    "many digits": _said('{"segments": [{"start": 0, "end": ' + "9" * 400 + ', "text": "a"}]}'),
    "more digits": _said('{"segments": [{"start": 0, "end": ' + "9" * 5000 + ', "text": "a"}]}'),
    "deep": _said("[" * 100_000),
    "lone surrogate": _said('{"text": "\\ud800"}'),
    "huge": _said('{"text": "' + "a" * (5 << 20) + '"}'),
    "many words": _said('{"words": [' + ", ".join(['{"start": 0, "end": 1, "word": "a"}'] * 50_001) + "]}"),
}


@pytest.mark.typical(4)
@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_invalid_answer_fails_the_transcription(bench: Bench, answer: Any) -> None:
    bench.server.answer = answer
    made = bench.add(bench.record("talk.wav", 3))
    bench.run()
    assert bench.code(made) == "transcriber_failed"


@pytest.mark.parametrize("status", [302, 400, 401, 404])
def test_refused_request_fails_the_transcription(bench: Bench, status: int) -> None:
    bench.server.statuses = [status]
    bench.server.headers = {"Location": bench.server.url}
    made = bench.add(bench.record("talk.wav", 3))
    bench.run()
    assert bench.code(made) == "transcriber_failed"
    assert len(bench.server.heard) == 1


@pytest.mark.parametrize(
    ("status", "answer", "said", "hint"),
    [
        (401, '{"error": {"message": "Incorrect key: sesame\\n."}}', ": Incorrect key: … .", "API_KEY"),
        (404, '{"detail": "Not Found"}', ": Not Found", "path of transcription.url"),
        (400, f"no {'x' * 5000}", f": no {'x' * 197}…", "transcription.*"),
        (404, "<html>not here</html>", "", "path of transcription.url"),
        (400, "\x1b[31m\xff", ": [31m\xff", "transcription.*"),
    ],
)
def test_error_has_the_text_of_the_server_and_what_to_do(
    bench: Bench, status: int, answer: str, said: str, hint: str
) -> None:
    keyed = Bench(bench.ledger, bench.folder, bench.pool, bench.server, {"api_key": "sesame"})
    bench.server.statuses, bench.server.answer = [status], lambda heard: answer.encode()
    made = keyed.add(keyed.record("talk.wav", 3))
    keyed.run()
    error = bench.state(made).error
    assert error is not None
    assert error["message"] == f"the transcription server responded with status {status}{said}"
    assert hint in error["hint"]


def test_answer_without_times_fails_a_long_passage(bench: Bench) -> None:
    bench.server.answer = lambda heard: b'{"text": "hello"}'
    made = bench.add(bench.record("talk.wav", 30))
    bench.run()
    error = bench.state(made).error
    assert error is not None
    assert (error["code"], "must support verbose_json" in error["message"]) == ("transcriber_failed", True)


def test_slow_server_is_given_up_within_its_deadline(bench: Bench) -> None:
    slow = Bench(bench.ledger, bench.folder, bench.pool, bench.server, {"timeout_seconds": 1})
    slow.server.waits = True
    made = slow.add(slow.record("talk.wav", 3))
    slow.run()
    assert slow.state(made).state == "processing"
    assert slow.state(made).attempts == 1


def test_cancelled_transcription_ends_its_request(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench.server.waits = True
    made = bench.add(bench.record("talk.wav", 3))
    thread = threading.Thread(target=bench.run)
    thread.start()
    assert bench.server.arrived.wait(300)
    cancelled = bench.ledger.transcriptions.cancel(made.transcript_id)
    thread.join(300)
    assert not thread.is_alive()
    assert (cancelled.state, cancelled.owner) == ("failed", None)
    assert bench.code(made) == "cancelled"
    assert "claim was lost" not in caplog.text
    assert f"transcription {made.transcript_id}: cancelled" in caplog.messages
    assert bench.events() == ["transcript.failed"]
    assert bench.ledger.transcripts.find(made.recording_id, "en") is None


def test_stopped_engine_releases_the_transcription(bench: Bench) -> None:
    bench.server.waits = True
    made = bench.add(bench.record("talk.wav", 3))
    thread = threading.Thread(target=bench.run)
    thread.start()
    assert bench.server.arrived.wait(300)
    bench.worker.stop()
    thread.join(300)
    assert not thread.is_alive()
    state = bench.state(made)
    assert (state.state, state.owner, state.attempts) == ("processing", None, 0)


def test_no_passage_begins_beside_more_clips_than_allowed(bench: Bench) -> None:
    bench.may_run = False
    made = bench.add(bench.record("talk.wav", 3))
    thread = threading.Thread(target=bench.run)
    thread.start()
    until(lambda: bench.state(made).owner == "first")
    assert not bench.server.heard
    bench.may_run = True
    thread.join(300)
    assert bench.state(made).state == "complete"


def test_made_transcript_does_not_replace_an_uploaded_one(bench: Bench) -> None:
    recording = bench.record("talk.wav", 3)
    made = bench.add(recording)
    cues = bench.ledger.transcripts.put(recording.recording_id, "en", [], source="embedded")
    bench.run()
    found = bench.state(made)
    assert found.state == "complete"
    assert found.warnings == ["transcript_kept: the recording has a transcript in en (embedded)"]
    assert bench.ledger.transcripts.get(recording.recording_id, "en").transcript_id == cues[0].transcript_id
    with pytest.raises(ClipEngineError) as caught:
        bench.add(recording, language="en")
    assert caught.value.code == "transcript_exists"


def test_silence_gives_an_empty_transcript_with_a_warning(bench: Bench) -> None:
    made = bench.add(bench.record("quiet.wav", 3, silences=[(0, 3)]), language="en")
    bench.run()
    found = bench.state(made)
    assert (found.state, found.cues) == ("complete", 0)
    assert found.warnings == ["no_speech: nothing is said in the recording"]
    assert not bench.server.heard
    assert bench.ledger.transcripts.cues(bench.ledger.transcripts.get(made.recording_id, "en")) == []


def test_repeated_request_returns_the_transcription_in_progress(bench: Bench) -> None:
    recording = bench.record("talk.wav", 3)
    made = bench.add(recording)
    assert bench.add(recording).transcript_id == made.transcript_id
    assert bench.add(recording, language="de").transcript_id != made.transcript_id


def test_missing_track_fails_the_transcription(bench: Bench) -> None:
    made = bench.add(bench.record("talk.wav", 3), track=1)
    bench.run()
    assert bench.code(made) == "no_media_in_range"
    error = bench.state(made).error
    assert error is not None
    assert error["hint"] == "It has one audio track, number 0; choose one of them."


def test_transcription_waits_for_a_machine_that_is_busy(bench: Bench) -> None:
    """A child that could not run counts like a server that cannot be reached; one that is stuck fails at once."""
    made = bench.add(bench.record("talk.wav", 3))
    busy, stuck = (Timeout("no progress was made", suspended=suspended) for suspended in (True, False))
    for _ in range(10):
        claimed = bench.jobs.claim()
        assert claimed is not None
        assert bench.jobs.retry(claimed, stuck) is None
        retry = bench.jobs.retry(claimed, busy)
        assert retry is not None
        assert bench.jobs.later(claimed, busy, Retry(0))
    bench.run()
    assert bench.state(made).state == "complete"


def test_deleted_recording_takes_its_transcription_along(bench: Bench) -> None:
    bench.server.waits = True
    recording = bench.record("talk.wav", 3)
    bench.add(recording)
    thread = threading.Thread(target=bench.run)
    thread.start()
    assert bench.server.arrived.wait(300)
    bench.ledger.recordings.delete(recording.recording_id)
    thread.join(300)
    assert not thread.is_alive()
    assert bench.ledger.database.run("SELECT COUNT(*) FROM transcriptions") == [(0,)]


def test_recordings_are_transcribed_ahead(bench: Bench) -> None:
    bench.ledger.transcribe_ahead("url", None)
    recording = bench.record("talk.wav", 3)
    bench.run()
    (made,) = bench.ledger.transcriptions.list(recording_id=recording.recording_id, limit=10).data
    assert made.state == "complete"


def test_key_is_sent_to_the_server(bench: Bench) -> None:
    keyed = Bench(bench.ledger, bench.folder, bench.pool, bench.server, {"api_key": "sesame", "model": "small"})
    keyed.add(keyed.record("talk.wav", 3), language="pt-BR")
    keyed.run()
    (heard,) = bench.server.heard
    assert heard.headers["authorization"] == "Bearer sesame"
    assert {("model", "small"), ("language", "pt")} <= set(heard.fields)


def test_samples_are_those_of_the_recording(bench: Bench) -> None:
    bench.add(bench.record("talk.wav", 3, silences=[(1, 2)]))
    bench.run()
    (heard,) = bench.server.heard
    levels = [max(heard.samples[round(second * RATE) : round((second + 0.5) * RATE)]) for second in (0.2, 1.2, 2.2)]
    assert levels[1] == 0
    assert min(levels[0], levels[2]) == pytest.approx(8000, rel=0.02)
