"""Transcriptions by a real Whisper model in the sandbox, of real speech. The packages of both are for tests only."""

from __future__ import annotations

import array
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from clipengine.clips.transcription import Passage
from clipengine.errors import TranscriberFailed, TranscriberUnavailable
from clipengine.settings.settings import Encoding, Transcription
from clipengine.work.children import jobs
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.process import Child
from clipengine.work.jobs.transcriptions import TranscriptionJobs
from clipengine.work.transcribers import passages
from clipengine.work.transcribers.local_model import LocalTranscriber, model_files
from clipengine.work.worker import JobContext, Worker
from tests.support.hostile_child import launch_unstarted
from tests.support.ledgers import open_copied_ledger, open_ledger
from tests.support.real_speech import (
    FIRST_SECONDS,
    FIRST_TEXT,
    TEXT,
    errors,
    model_folder,
    speech_file,
    speech_samples,
    words,
)
from tests.support.server import run_command, running_server
from tests.support.speech import RATE, speech_server, write_samples
from tests.support.waiting import until
from tests.work.test_transcriptions import Bench

pytestmark = [pytest.mark.exhaustive, pytest.mark.programs]


@pytest.fixture(scope="module")
def model() -> Path:
    return model_folder()


@pytest.fixture(scope="module")
def speech() -> array.array[int]:
    return speech_samples()


@pytest.fixture
def pool() -> Iterator[ChildPool]:
    with closing(ChildPool(sandbox="required", ahead=0)) as pool:
        yield pool


def test_words_are_those_that_the_library_finds_outside_the_sandbox(
    model: Path, speech: array.array[int], pool: ChildPool
) -> None:
    np, whisper = pytest.importorskip("numpy"), pytest.importorskip("faster_whisper")
    parts: list[float] = []

    def report(part: float | None) -> None:
        parts.extend([] if part is None else [part])

    source = LocalTranscriber(Encoding(), Transcription(model_folder=model), lambda: pool.take("transcriber"))
    spoken = source.transcribe(speech, language="en", report=report)
    assert parts == sorted(parts)
    assert 0.9 < parts[-1] <= 1
    found = [word.text for cue in spoken.cues for word in cue.timed_words]
    starts = [word.start_ms for cue in spoken.cues for word in cue.timed_words]
    assert starts == sorted(starts)
    plain = whisper.WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    audio = np.array(speech, np.float32) / np.float32(32768)
    options: dict[str, Any] = {"language": "en", "vad_filter": True, "word_timestamps": True}
    segments, _ = plain.transcribe(audio, condition_on_previous_text=False, **options)
    assert words(" ".join(found)) == words(" ".join(segment.text for segment in segments))
    assert errors(words(" ".join(found)), words(TEXT)) <= 0.03 * len(words(TEXT))


def test_passages_have_the_words_of_the_whole(
    model: Path, speech: array.array[int], pool: ChildPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passages, "MAX_SECONDS", 30)  # they end within the speech, where the speaker breathes
    times = 2
    (tmp_path / "store").mkdir()
    with (
        closing(open_copied_ledger(tmp_path / "ledger.db", max_queued=10)) as ledger,
        speech_server() as server,
    ):
        bench = Bench(ledger, tmp_path / "store", pool, server)
        recording = bench.put(write_samples(tmp_path / "speech.wav", speech * times), "speech.wav")
        source = LocalTranscriber(Encoding(), Transcription(model_folder=model), lambda: pool.take("transcriber"))
        heard = Mock(wraps=source)
        context = JobContext(ledger, "model", threading.Event())
        jobs = TranscriptionJobs(
            context, bench.store, pool, {"local": heard}, encoding=Encoding(), may_run=lambda: True
        )
        made = ledger.transcriptions.add(recording.recording_id, source="local")
        assert Worker(jobs).run_due() == 1
        assert len(heard.transcribe.mock_calls) >= 4
        assert bench.state(made).found_language == "en"
        cues = ledger.transcripts.cues(ledger.transcripts.get(recording.recording_id, "en"))
        found = words(" ".join(cue.text for cue in cues))
        expected = words(" ".join([TEXT] * times))
        assert errors(found, expected) <= 0.04 * len(expected)
        duration = recording.facts.duration if recording.facts else 0
        assert all(cue.end_ms <= duration * 1000 + 1 for cue in cues)


@pytest.mark.outage
def test_killed_engine_resumes_the_words_of_the_model(model: Path, speech: array.array[int], tmp_path: Path) -> None:
    silence = array.array("h", [0]) * (RATE * passages.MAX_SECONDS)  # the second speech is in the second passage
    first = speech[: FIRST_SECONDS * RATE]
    write_samples(tmp_path / "speech.wav", first + silence + first)
    # With its default priority, the model would get a hundredth of a core beside other tests.
    settings = {"CLIPENGINE_TRANSCRIPTION__MODEL_FOLDER": str(model), "CLIPENGINE_ENCODING__NICE": "0"}
    with running_server(tmp_path / "data", env=settings | {"CLIPENGINE_FAULT": "transcribed:kill9"}) as server:
        client = server.client()
        recording = client.recordings.upload(tmp_path / "speech.wav").wait()
        made = client.transcripts.transcribe(recording.recording_id, language="en")
        assert server.process.wait(300) == -9
    (kept,) = kept_passages(tmp_path / "data", made.transcript_id)
    held = f"transcribed:until={tmp_path / 'never'}"
    with running_server(tmp_path / "data", env=settings | {"CLIPENGINE_FAULT": held}) as server:
        until(lambda: "fault point transcribed: until" in server.log.read_text())  # it has kept one passage
        server.process.kill()
        server.process.wait()
    resumed, second = kept_passages(tmp_path / "data", made.transcript_id)
    assert resumed == kept
    assert second.start_sample == kept.end_sample
    with running_server(tmp_path / "data", env=settings) as server:
        client = server.client()
        assert client.transcripts.wait(made.transcript_id).status == "complete"
        (transcript,) = client.transcripts.list(recording.recording_id).data
        cues = client.transcripts.get(recording.recording_id, transcript.language)
    expected = words(f"{FIRST_TEXT} {FIRST_TEXT}")
    assert errors(words(" ".join(cue.text for cue in cues)), expected) <= 0.04 * len(expected)


def kept_passages(data: Path, transcript_id: str) -> Sequence[Passage]:
    """Return the finished passages of a transcription in the ledger of a stopped server."""
    with closing(open_ledger(data / "ledger.db")) as ledger:
        return ledger.transcriptions.passages(ledger.transcriptions.get(transcript_id))


def test_noise_without_speech_gives_no_words(model: Path, pool: ChildPool) -> None:
    source = LocalTranscriber(Encoding(), Transcription(model_folder=model), lambda: pool.take("transcriber"))
    tone = array.array("h", [3000, 0, -3000, 0] * (RATE * 5))
    assert source.transcribe(tone, language="en", report=lambda part: None).cues == ()


def test_unknown_language_is_an_error(model: Path, speech: array.array[int], pool: ChildPool) -> None:
    source = LocalTranscriber(Encoding(), Transcription(model_folder=model), lambda: pool.take("transcriber"))
    with pytest.raises(TranscriberFailed, match="does not know the language de"):
        source.transcribe(speech, language="de", report=lambda part: None)


def test_damaged_model_is_an_error(model: Path, speech: array.array[int], pool: ChildPool, tmp_path: Path) -> None:
    for each in model_files(model):
        (tmp_path / each.name).write_bytes(each.read_bytes()[: 1 << 20])
    source = LocalTranscriber(Encoding(), Transcription(model_folder=tmp_path), lambda: pool.take("transcriber"))
    with pytest.raises(TranscriberFailed):
        source.transcribe(speech, language=None, report=lambda part: None)
    (tmp_path / "model.bin").unlink()
    with pytest.raises(TranscriberFailed, match=r"no file model\.bin"):
        source.transcribe(speech, language=None, report=lambda part: None)


def test_model_that_did_not_run_is_tried_again(
    model: Path, speech: array.array[int], pool: ChildPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_WINDOW_SECONDS", 1.0)

    def suspended() -> Child:
        child = pool.take("transcriber")
        child.wait_until_ready()
        os.kill(child._process.pid, signal.SIGSTOP)
        return child

    source = LocalTranscriber(Encoding(stall_seconds=1), Transcription(model_folder=model), suspended)
    with pytest.raises(TranscriberUnavailable, match=r"the model did not finish: .* no progress was made"):
        source.transcribe(speech, language=None, report=lambda part: None)


def test_model_whose_child_cannot_start_is_tried_again(model: Path, speech: array.array[int]) -> None:
    source = LocalTranscriber(
        Encoding(), Transcription(model_folder=model), lambda: Child("transcriber", launch=launch_unstarted)
    )
    with pytest.raises(TranscriberUnavailable, match="could not be started"):
        source.transcribe(speech, language=None, report=lambda part: None)


def test_memory_of_the_model_is_limited(model: Path, speech: array.array[int], pool: ChildPool) -> None:
    settings = Transcription(model_folder=model, memory_mb=64)
    source = LocalTranscriber(Encoding(), settings, lambda: pool.take("transcriber"))
    with pytest.raises(TranscriberFailed):
        source.transcribe(speech, language=None, report=lambda part: None)


def test_libraries_of_the_model_keep_nothing_that_the_sandbox_takes_away(model: Path, tmp_path: Path) -> None:
    """A library that uses a descriptor after it was closed would read or close another one."""
    script = """
import os
from clipengine.media.worker.transcriber import get_vad_model
get_vad_model()
names = [os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd") if int(each) > 2
    and os.path.exists(f"/proc/self/fd/{each}")]
print(names, len(os.listdir("/proc/self/task")))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), list(tmp_path.iterdir())) == ("[] 1", [])


def test_sandbox_of_the_model_has_all_layers(model: Path) -> None:
    child = Child("transcriber", sandbox="required")
    try:
        assert all(layer.holds for layer in child.wait_until_ready())
    finally:
        child.close()


def test_file_is_transcribed_without_a_server(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "speech.srt"
    done = run_command("transcribe", str(speech_file()), str(target), "--model-folder", str(model), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "best of times" in target.read_text("utf-8")
