"""Latency from the response of POST to the first byte read, and from the last byte written to the webhook.

An idle real server with a folder store is observed from outside: inotify reports when the recording is read and when
the encoder last writes to the clip, and the receiver records the arrival of the webhook.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path

from scripts.benchmarks import sources
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.watching import CREATED, READ, WRITTEN, Watching
from scripts.sample import make_sample
from tests.support.receiver import Receiver
from tests.support.server import RunningServer, running_server

_TO_FIRST_BYTE_MS, _TO_WEBHOOK_MS = 50, 150  # targets
_WAIT_SECONDS = 600
_REST_SECONDS = 1.0  # between clips, so that each starts on an idle engine


def figures(bench: Bench) -> Iterator[Figure]:
    rounds, long_rounds = bench.sized((30, 5), (5, 2), (1, 1))
    with tempfile.TemporaryDirectory(dir=bench.cache) as folder:
        small = Path(folder) / "small.mp4"
        make_sample(small, seconds=20)
        films = {"2 s of 360p": (small, 2.0, rounds)}
        if (reason := sources.lacking()) is None:
            films["30 s of 1080p"] = (sources.recording(bench, sources.H264_1080, 90), 30.0, long_rounds)
        else:
            bench.say(f"  {reason}")
        with Receiver() as receiver, Watching() as watching:
            hook = f'[{{url = "{receiver.url}", secret = "a secret of tests"}}]'
            data = Path(folder) / "data"
            with running_server(data, env={"CLIPENGINE_WEBHOOKS__ENDPOINTS": hook}) as server:
                scene = _Scene(server, receiver, watching)
                for name, (film, seconds, times) in films.items():
                    yield from _one_by_one(name, scene, film, seconds, times)
                yield from _two_at_once(scene, small, rounds)


class _Scene:
    """The server and its observers."""

    def __init__(self, server: RunningServer, receiver: Receiver, watching: Watching) -> None:
        self._server = server
        self._receiver = receiver
        self._watching = watching
        self._read: dict[str, list[float]] = {}
        self._written: dict[str, float] = {}
        watching.add(server.data / "scratch", CREATED, self._watch_attempt)

    def register(self, film: Path) -> str:
        """Register this film, wait for its probe, start observing its reads, and return its id."""
        api = self._server.client()
        recording = api.recordings.wait(api.recordings.upload(film).recording_id, timeout=60)
        reads = self._read[recording.recording_id] = []
        stored = self._server.data / "store" / recording.bucket_path
        self._watching.add(stored, READ, lambda kind, name, at: reads.append(at))
        return recording.recording_id

    def clip(self, recording_id: str, start: float, seconds: float) -> tuple[float, float]:
        """Cut a clip; return the seconds from response to first read, and from last write to webhook."""
        body = {"label": "latency", "start_seconds": start, "end_seconds": start + seconds}
        connection = HTTPConnection(self._server.url.removeprefix("http://"), timeout=60)
        headers = {"Authorization": f"Bearer {self._server.key}", "Content-Type": "application/json"}
        connection.connect()
        posted = time.monotonic()
        connection.request("POST", f"/v1/recordings/{recording_id}/clips", json.dumps(body), headers)
        answer = connection.getresponse()
        clip_id = json.loads(answer.read())["clip_id"]
        answered = time.monotonic()
        connection.close()
        told = self._webhook_of(clip_id)
        first_read = min(at for at in self._read[recording_id] if at >= posted)
        return max(0.0, first_read - answered), told - self._written[clip_id]

    def _webhook_of(self, clip_id: str) -> float:
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            for request in reversed(self._receiver.requests):
                told = json.loads(request.body)
                if told["data"].get("clip_id") == clip_id:
                    assert told["event"] == "clip.ready", told
                    return request.at
            time.sleep(0.01)
        raise TimeoutError(f"no webhook for {clip_id}")

    def _watch_attempt(self, kind: int, name: str, at: float) -> None:
        clip_id = name.rpartition("-")[0]

        def note(kind: int, name: str, at: float) -> None:
            if name.startswith("clip."):  # the folder also has files that wait for their upload
                self._written[clip_id] = at

        self._watching.add(self._server.data / "scratch" / name, WRITTEN, note)


def _one_by_one(name: str, scene: _Scene, film: Path, seconds: float, times: int) -> Iterator[Figure]:
    recording_id = scene.register(film)
    spans = []
    for number in range(times):
        time.sleep(_REST_SECONDS)
        spans.append(scene.clip(recording_id, 1.0 + number % 10, seconds))
    yield from _spread(f"{name}: POST to first byte", [first for first, _ in spans], _TO_FIRST_BYTE_MS)
    yield from _spread(f"{name}: last byte to webhook", [last for _, last in spans], _TO_WEBHOOK_MS)


def _two_at_once(scene: _Scene, film: Path, times: int) -> Iterator[Figure]:
    recordings = [scene.register(film), scene.register(film)]
    firsts: list[float] = []

    def cut(recording_id: str, start: float) -> None:
        firsts.append(scene.clip(recording_id, start, 2.0)[0])

    for number in range(times):
        time.sleep(_REST_SECONDS)
        threads = [threading.Thread(target=cut, args=(each, 1.0 + number % 10)) for each in recordings]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    yield from _spread("two at once: POST to first byte", firsts, _TO_FIRST_BYTE_MS)


def _spread(what: str, seconds: Sequence[float], aim: float) -> Iterator[Figure]:
    ordered = sorted(each * 1000 for each in seconds)
    yield Figure(f"{what}, p50", ordered[len(ordered) // 2], "ms")
    yield Figure(f"{what}, p95", ordered[int(len(ordered) * 0.95)], "ms", at_most=aim)
    yield Figure(f"{what}, longest of {len(ordered)}", ordered[-1], "ms")
