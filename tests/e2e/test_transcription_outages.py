"""Transcriptions of engines that are killed: resumed, with one transcript."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server import running_server
from tests.support.speech import speech_server, write_wav

pytestmark = [pytest.mark.outage, pytest.mark.proof]


def test_killed_engine_resumes_after_its_finished_passages(tmp_path: Path) -> None:
    file = write_wav(tmp_path / "long.wav", 1000, silences=[(500, 501), (1000 - 60, 1000 - 59)])
    data = tmp_path / "data"
    with speech_server() as speech:
        settings = {"CLIPENGINE_TRANSCRIPTION__URL": speech.url}
        with running_server(data, env={"CLIPENGINE_FAULT": "transcribed:kill9", **settings}) as server:
            client = server.client()
            recording = client.recordings.upload(file).wait()
            made = client.transcripts.transcribe(recording.recording_id)
            assert server.process.wait(300) == -9
        assert len(speech.heard) == 1
        with running_server(data, env=settings) as server:
            client = server.client()
            ended = client.transcripts.wait(made.transcript_id, timeout=300)
            assert (ended.status, ended.progress, ended.cues) == ("complete", 1.0, len(speech.heard))
            (transcript,) = client.transcripts.list(recording.recording_id).data
            assert (transcript.language, transcript.source) == ("en", "made")
            kinds = []
            for event in client.events(recording_id=recording.recording_id, last_event_id="0"):
                kinds.append(event.event)
                if event.event == "transcript.ready":
                    break
            assert kinds.count("transcript.ready") == 1
        assert sum(heard.seconds for heard in speech.heard) == pytest.approx(1000, abs=0.01)
