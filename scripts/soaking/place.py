"""The setup: an engine's data folder, its store behind a fault-injecting proxy, and a webhook receiver."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx

from clipengine.clips.clip import Clip
from clipengine.stores.s3 import S3Store
from scripts.sample import make_sample
from tests.support.invariants import check_invariants
from tests.support.ports import free_port
from tests.support.receiver import Receiver
from tests.support.s3 import S3Server, open_uploads, running_s3
from tests.support.s3_faults import FaultyS3
from tests.support.server import RunningServer, running_server

FILM_SECONDS = 8
_PACE = 20


@dataclass
class Told:
    """Clips that the engine has accepted, and clips that were cancelled or deleted."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    accepted: list[str] = field(default_factory=list)
    undone: set[str] = field(default_factory=set)  # possibly cancelled or deleted: the response may be lost
    answers: Counter[str] = field(default_factory=Counter)


@dataclass
class Place:
    """A data folder, its store behind a proxy, its receiver and the port of the engine."""

    data: Path
    s3: S3Server
    bucket: str
    proxy: FaultyS3
    receiver: Receiver
    port: int = field(default_factory=free_port)
    key: str = ""
    recording: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def engine(self, **env: str) -> Iterator[RunningServer]:
        settings = {
            "CLIPENGINE_STORAGE__KIND": "s3",
            "CLIPENGINE_STORAGE__ENDPOINT": self.proxy.endpoint,
            "CLIPENGINE_STORAGE__BUCKET": self.bucket,
            "CLIPENGINE_STORAGE__REGION": self.s3.region,
            "CLIPENGINE_STORAGE__ACCESS_KEY": self.s3.access_key,
            "CLIPENGINE_STORAGE__SECRET_KEY": self.s3.secret_key,
            "CLIPENGINE_WEBHOOKS__ENDPOINTS": f'[{{url = "{self.receiver.url}", secret = "a secret of tests"}}]',
            "CLIPENGINE_FAULT": f"outage:pace={_PACE}",
            **env,
        }
        with running_server(self.data, env=settings, options=["--port", str(self.port)]) as server:
            self.key = self.key or server.key
            yield server

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

    def prepare(self, film: Path) -> None:
        """Put a recording into the bucket and register it."""
        self.s3.client.fput_object(self.bucket, "h_01/meeting.mp4", str(film))
        with self.engine() as server, server.client() as api:
            made = api.recordings.add("h_01/meeting.mp4")
            self.recording = api.recordings.wait(made.recording_id, timeout=120).recording_id
            server.stop()

    def check(self) -> dict[str, Clip]:
        store = S3Store(self.s3.location(self.bucket), journal=self.data / "uploads")
        clips = check_invariants(self.data, store=store, open_uploads=open_uploads(self.s3, self.bucket))
        return {clip.clip_id: clip for clip in clips}


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    film = folder / "film.mp4"
    make_sample(film, seconds=FILM_SECONDS)
    with ExitStack() as stack:
        s3 = stack.enter_context(running_s3(folder))
        bucket = f"soak-{uuid4().hex[:12]}"
        s3.client.make_bucket(bucket)
        proxy = stack.enter_context(FaultyS3(s3.endpoint, remember=False))
        receiver = stack.enter_context(Receiver())
        made = Place(folder / "data", s3, bucket, proxy, receiver)
        made.prepare(film)
        yield made
