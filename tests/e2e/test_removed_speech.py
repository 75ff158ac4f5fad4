"""Pauses and fillers are removed from ten recordings of real speech, and every other word stays whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.audio.resampler import AudioResampler

from clipengine.client import Client, ClipPlan
from tests.support.real_speech import model_folder, speech_file

pytestmark = pytest.mark.exhaustive

Samples = npt.NDArray[np.float32]

RATE, SECONDS = 48_000, 22
_HEARD_RATE = 16_000
_LOUDER = 4  # the file is quieter than recordings of meetings
_QUIET = 10 ** (-35 / 20)  # of full scale: below it is silence
_LAG = round(0.06 * _HEARD_RATE)  # of the decoder, in containers that do not state it
Word = tuple[float, float, str]


@dataclass(frozen=True)
class Talk:
    """A recording of the speech with pauses before some of its words, by their numbers, and with fillers."""

    container: str
    audio: str
    rate: int = RATE
    layout: str = "mono"
    video: str | None = "libx264"
    fps: int = 25
    gop_seconds: int = 2
    pauses: tuple[float, ...] = (0.8, 3.0, 0.4, 1.5)
    fillers: bool = False
    render: str = "encode"
    burns: bool = False

    @property
    def name(self) -> str:
        return f"{self.container}-{self.audio}-{self.rate}" + ("" if self.video is None else f"-{self.gop_seconds}s")


TALKS = [
    Talk("mp4", "aac", gop_seconds=1),
    Talk("mp4", "aac", layout="stereo", fps=30, gop_seconds=10, pauses=(6.0, 0.7, 0.61), fillers=True),
    Talk("mov", "aac", rate=44_100, render="smart", pauses=(2.0,)),
    Talk("matroska", "libopus", fps=24, gop_seconds=10, pauses=(0.59, 0.9, 4.0), render="auto"),
    Talk("webm", "libopus", layout="stereo", video="libvpx", fps=15, fillers=True, burns=True),
    Talk("mpegts", "aac", rate=32_000, gop_seconds=1, fps=50, pauses=(1.0, 1.2), fillers=True),
    Talk("mp4", "aac", rate=22_050, fps=10, burns=True, pauses=(5.0, 5.0)),
    Talk("wav", "pcm_s16le", rate=16_000, video=None, fillers=True),
    Talk("mp3", "libmp3lame", rate=44_100, layout="stereo", video=None, pauses=(0.65, 0.75, 0.85)),
    Talk("flac", "flac", rate=22_050, video=None, pauses=(10.0,)),
]


@pytest.fixture(scope="module")
def speech() -> Samples:
    """Return the beginning of the speech."""
    with av.open(str(speech_file())) as container:
        frames = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
    samples: Samples = np.concatenate(frames)[: SECONDS * RATE].astype(np.float32) / 32768 * _LOUDER
    return samples


@pytest.fixture(scope="module")
def words(speech: Samples) -> list[Word]:
    """Return the words as the model hears them."""
    whisper = pytest.importorskip("faster_whisper")
    model = whisper.WhisperModel(str(model_folder()), device="cpu", compute_type="int8", cpu_threads=1)
    segments, _ = model.transcribe(speech[:: RATE // _HEARD_RATE], language="en", word_timestamps=True)
    found = [(each.start, each.end, each.word.strip()) for segment in segments for each in segment.words]
    assert len(found) > 50
    return found[:-1]  # the last one may be cut off


def _said(talk: Talk, speech: Samples, words: Sequence[Word]) -> tuple[Samples, list[Word], list[tuple[float, float]]]:
    """Return the samples, the words, and the pauses that were added."""
    dice = np.random.default_rng(7)
    chunks: list[Samples] = []
    said: list[Word] = []
    pauses: list[tuple[float, float]] = []
    taken, length = 0, 0

    def add(samples: Samples) -> None:
        nonlocal length
        chunks.append(samples)
        length += len(samples)

    def pause(seconds: float) -> tuple[float, float]:
        begin = length / RATE
        add(dice.uniform(-0.003, 0.003, round(seconds * RATE)).astype(np.float32))
        return begin, length / RATE

    for number, (start, end, text) in enumerate(words):
        if number % 9 == 5:
            border = _quietest(speech, (words[number - 1][1] + start) / 2)
            add(speech[taken:border])
            taken = border
            pauses.append(pause(talk.pauses[number // 9 % len(talk.pauses)]))
            if talk.fillers:
                begin = length / RATE
                add(_hum(0.4))
                said.append((begin, length / RATE, "um,"))
                pause(0.3 * (number % 2))
        shift = length / RATE - taken / RATE
        said.append((start + shift, end + shift, text))
    add(speech[taken:])
    return np.concatenate(chunks), said, pauses


def _quietest(speech: Samples, near: float) -> int:
    """Return the place within 0.1 s at which the speech is quietest."""
    step = RATE // 100
    places = range(round((near - 0.1) * RATE), round((near + 0.1) * RATE), step)
    return min(places, key=lambda place: float(np.abs(speech[place : place + step]).max())) + step // 2


def _hum(seconds: float) -> Samples:
    at = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 130 * overtone * at) / overtone for overtone in range(1, 8))
    hum: Samples = (0.2 * tone * np.minimum(1, 50 * np.minimum(at, seconds - at))).astype(np.float32)
    return hum


def _write(talk: Talk, samples: Samples, path: Path) -> None:
    with av.open(str(path), "w", format=talk.container) as container:
        audio: Any = container.add_stream(talk.audio, rate=talk.rate, layout=talk.layout)
        packets = [] if talk.video is None else _video_packets(talk, container, len(samples) / RATE)
        resampler = AudioResampler(audio.codec_context.format, talk.layout, talk.rate, audio.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        for each in (frame, None):
            for converted in resampler.resample(each):
                packets += audio.encode(converted)
        packets += audio.encode(None)
        container.mux(sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base))


def _video_packets(talk: Talk, container: Any, seconds: float) -> list[Any]:
    gop = talk.gop_seconds * talk.fps
    options = {"preset": "ultrafast", "bf": "2", "sc_threshold": "0"}
    if talk.video == "libvpx":
        options = {"deadline": "realtime", "cpu-used": "8"}
    video = container.add_stream(talk.video, rate=talk.fps, options=options | {"g": str(gop)})
    video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
    packets: list[Any] = []
    for number in range(round(seconds * talk.fps)):
        luma = np.full((135, 160), 128, np.uint8)
        luma[:90] = (np.arange(160) + 4 * number) % 220 + 16
        frame = av.VideoFrame.from_ndarray(luma, "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, talk.fps)
        packets += video.encode(frame)
    return packets + video.encode(None)


def _heard(path: Path) -> Samples:
    """Return the samples of a file from time 0 on."""
    with av.open(str(path)) as container:
        audio = container.streams.audio[0]
        resampler = AudioResampler("flt", "mono", _HEARD_RATE)
        chunks, first = [], None
        for frame in container.decode(audio):
            first = frame.time if first is None else first
            frame.pts = None
            chunks += [each.to_ndarray().ravel() for each in resampler.resample(frame)]
    return np.concatenate([np.zeros(round((first or 0) * _HEARD_RATE), np.float32), *chunks])


def _found(part: Samples, heard: Samples, at: int) -> tuple[float, int]:
    """Return the best correlation of a piece with what is heard around a place, and how many samples later it is."""
    best = (0.0, 0)
    for lag in range(-_LAG, _LAG + 1):
        other = heard[max(0, at + lag) : at + lag + len(part)]
        if len(other) == len(part):
            norm = float(np.linalg.norm(part) * np.linalg.norm(other)) or 1.0
            best = max(best, (float(part @ other) / norm, lag))
    return best


def _removed_before(plan: ClipPlan, time: float) -> float:
    return sum(
        each["end_seconds"] - each["start_seconds"] for each in plan.removed if each["end_seconds"] <= time + 1e-3
    )


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.name)
def test_no_word_is_shortened_and_the_clip_is_as_long_as_planned(
    client: Client, speech: Samples, words: list[Word], tmp_path: Path, talk: Talk
) -> None:
    samples, said, pauses = _said(talk, speech, words)
    path = tmp_path / f"talk.{talk.container}"
    _write(talk, samples, path)
    recording = client.recordings.wait(client.recordings.upload(path).recording_id, timeout=300)
    assert recording.media is not None, recording.error
    cue = {"start_seconds": said[0][0], "end_seconds": said[-1][1], "text": "All words.", "words": said}
    client.transcripts.put(recording.recording_id, "en", [cue])
    request: dict[str, Any] = {
        "start_seconds": 0,
        "end_seconds": round(len(samples) / RATE, 2),
        "without": ["silence", "fillers"] if talk.fillers else ["silence"],
        "render": talk.render,
        "subtitles": {"mode": "burn", "language": "en", "style": {"name": "word"}} if talk.burns else {"mode": "none"},
    }
    plan = client.clips.plan(recording.recording_id, **request)
    clip = client.clips.wait(client.clips.create(recording.recording_id, "short", **request).clip_id, timeout=300)
    assert clip.result is not None, clip.error
    assert clip.result.duration_seconds == plan.duration_seconds
    removed = [(each["start_seconds"], each["end_seconds"]) for each in plan.removed]
    assert clip.result.removed_seconds == pytest.approx(sum(end - start for start, end in removed), abs=1e-5)

    kept = [word for word in said if word[2] != "um,"]
    assert [word for word in kept for start, end in removed if start < word[1] - 5e-4 and end > word[0] + 5e-4] == []
    for start, end in pauses:  # what is left of it: 0.2 s, and whole frames
        gone = sum(min(end, last) - max(start, first) for first, last in removed if first < end and last > start)
        if end - start > 0.6 + 0.1:
            assert gone >= end - start - 0.2 - 2 / talk.fps - 0.1
    slack = 0.1 + 1 / talk.fps  # the next word may begin in the filler
    for start, end, text in said:
        if text == "um,":
            assert any(first <= start + slack and last >= end - slack for first, last in removed), (start, end)

    clip.download(tmp_path / "clip")
    heard, source = _heard(tmp_path / "clip"), samples[:: RATE // _HEARD_RATE]
    # PyAV also returns what pads the last frame of AAC.
    assert len(heard) / _HEARD_RATE == pytest.approx(plan.duration_seconds, abs=max(0.06, 1024 / talk.rate))
    for start, end in removed:  # nothing that can be heard, also if the model has missed it
        if not any(text == "um," and first < end and last > start for first, last, text in said):
            inner = source[round((start + 0.02) * _HEARD_RATE) : round((end - 0.02) * _HEARD_RATE)]
            assert inner.size == 0 or float(np.abs(inner).max()) < 1.5 * _QUIET
    lags = []
    for start, end, text in kept:
        piece = source[round(start * _HEARD_RATE) : round(end * _HEARD_RATE)]
        if len(piece) < _HEARD_RATE // 20 or float(np.abs(piece).max()) < 2 * _QUIET:
            continue
        place = start - _removed_before(plan, start) - plan.actual_start_seconds
        likeness, lag = _found(piece, heard, round(place * _HEARD_RATE))
        assert likeness > 0.8, (text, start)
        lags.append(lag)
    assert len(lags) > 0.8 * len(kept)
    assert (max(lags) - min(lags)) / _HEARD_RATE < 0.005
