"""A loopback server with the transcription API of OpenAI, and recordings for it."""

from __future__ import annotations

import array
import json
import math
import re
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

RATE = 16_000
_TONE = array.array("h", (round(8000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(RATE)))


def write_wav(path: Path, seconds: float, *, silences: Sequence[tuple[float, float]] = ()) -> Path:
    """Write a tone with silences at these times."""
    samples = _TONE * math.ceil(seconds)
    del samples[round(seconds * RATE) :]
    for start, end in silences:
        first, last = round(start * RATE), round(end * RATE)
        samples[first:last] = array.array("h", [0]) * (last - first)
    return write_samples(path, samples)


def write_samples(path: Path, samples: array.array[int]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


@dataclass
class Heard:
    """One request: the fields of its form, the samples of its file, and its headers."""

    fields: list[tuple[str, str]]
    samples: array.array[int]
    headers: dict[str, str]

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def say(text: str, *, language: str = "english") -> Callable[[Heard], bytes]:
    """Return an answer that says this in the first two seconds of each passage, in words of equal length."""

    def answer(heard: Heard) -> bytes:
        words, step = text.split(), 2 / len(text.split())
        timed = [{"word": word, "start": n * step, "end": (n + 1) * step} for n, word in enumerate(words)]
        segment = {"id": 0, "start": 0.0, "end": 2.0, "text": f" {text}"}
        return json.dumps({"language": language, "text": text, "segments": [segment], "words": timed}).encode()

    return answer


@dataclass
class SpeechServer:
    """`answers` are those of the next requests; the last one is repeated. `status` is that of the next responses."""

    answer: Callable[[Heard], bytes] = field(default_factory=lambda: say("Good morning everyone."))
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    arrived: Event = field(default_factory=Event)
    go: Event = field(default_factory=Event)
    waits: bool = False  # until `go` is set
    url: str = ""


@contextmanager
def speech_server(**options: Any) -> Iterator[SpeechServer]:
    served = SpeechServer(**options)

    class Handler(_Handler):
        speech = served

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/v1/audio/transcriptions"
    try:
        yield served
    finally:
        served.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    speech: SpeechServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        speech = self.speech
        body = self.rfile.read(int(self.headers["Content-Length"]))
        heard = _heard(body, {name.lower(): value for name, value in self.headers.items()})
        speech.heard.append(heard)
        speech.arrived.set()
        if speech.waits:
            speech.go.wait(300)
        status = speech.statuses.pop(0) if speech.statuses else 200
        answer = speech.answer(heard)
        self.close_connection = True
        try:
            self.send_response(status)
            for name, value in speech.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            pass  # the client was killed, or has enough

    def log_message(self, format: str, *args: object) -> None:
        pass


def _heard(body: bytes, headers: dict[str, str]) -> Heard:
    boundary = headers["content-type"].partition("boundary=")[2].encode()
    fields, samples = [], array.array("h")
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        name = re.search(rb' name="([^"]*)"', head)
        assert name is not None
        if b"filename=" in head:
            assert content[:4] == b"RIFF"
            samples.frombytes(content[44:])
        else:
            fields.append((name[1].decode(), content.decode()))
    return Heard(fields, samples, headers)
