"""Load test: posts many clips with several clients, waits for them, and prints POST latency and outcomes.

    python -m scripts.load [--clips 200] [--clients 8]

Starts a server in a temporary folder and a webhook receiver. Exits with 1 if a clip or webhook is missing or
duplicated; latencies are informative and gate nothing.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Literal

import click

from scripts.sample import make_sample
from tests.support.invariants import check_invariants
from tests.support.receiver import Receiver
from tests.support.server import running_server


@dataclass(frozen=True)
class Outcome:
    """Result of a load: seconds of each POST, final state of each clip, count of each clip's webhooks."""

    posts: list[float]
    states: Counter[Literal["processing", "complete", "failed"]]
    webhooks: Counter[str]
    seconds: float


def run(folder: Path, *, clips: int, clients: int) -> Outcome:
    """Post `clips` short clips of one recording with `clients` parallel clients, and wait for all of them."""
    data = folder / "data"
    film = folder / "film.mp4"
    make_sample(film, seconds=10)
    with Receiver() as receiver:
        settings = {"CLIPENGINE_WEBHOOKS__ENDPOINTS": f'[{{url = "{receiver.url}", secret = "a secret of tests"}}]'}
        with running_server(data, env=settings) as server, server.client() as api:
            recording = api.recordings.wait(api.recordings.upload(film).recording_id, timeout=60)
            began = time.monotonic()
            posts = _post(server.url, server.key, recording.recording_id, clips, clients)
            ids = [clip.clip_id for clip in api.clips.each()]
            states = Counter(api.clips.wait(clip_id, timeout=600).status for clip_id in ids)
            seconds = time.monotonic() - began
            receiver.wait_for(clips, timeout=60)
            time.sleep(1)
            webhooks = Counter(request.headers["webhook-id"] for request in receiver.requests)
            server.stop()
        check_invariants(data)
    return Outcome(posts, states, webhooks, seconds)


def _post(url: str, key: str, recording_id: str, clips: int, clients: int) -> list[float]:
    seconds: list[float] = []
    together = threading.Barrier(clients)

    def client(number: int) -> None:
        # The simplest client, so that the measured time is the server's.
        connection = HTTPConnection(url.removeprefix("http://"), timeout=60)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        together.wait()
        for index in range(number, clips, clients):
            start = (index % 90) / 10
            body = json.dumps(
                {"label": f"clip {index}", "start_seconds": start, "end_seconds": start + 0.5, "poster": False}
            )
            began = time.perf_counter()
            connection.request("POST", f"/v1/recordings/{recording_id}/clips", body, headers)
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - began)
            assert answer.status == 202, answer.status
        connection.close()

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    return sorted(seconds)


@click.command(help=__doc__)
@click.option("--clips", default=200, show_default=True)
@click.option("--clients", default=8, show_default=True)
def main(clips: int, clients: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder), clips=clips, clients=clients)
    posts = outcome.posts
    for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        click.echo(f"POST {name}  {posts[min(len(posts) - 1, int(len(posts) * part))] * 1000:7.1f} ms")
    click.echo(f"clips     {dict(outcome.states)} in {outcome.seconds:.1f} s")
    click.echo(f"webhooks  {len(outcome.webhooks)}, at most {max(outcome.webhooks.values())} per clip")
    if outcome.states != {"complete": clips} or set(outcome.webhooks.values()) != {1} or len(outcome.webhooks) != clips:
        sys.exit(1)


if __name__ == "__main__":
    main()
