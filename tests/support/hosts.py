"""Several hosts: a server and workers that share one PostgreSQL and one S3 store, each with its own data folder."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clipengine.client import Client
from clipengine.clips.clip import ClipResult
from clipengine.clips.request import ClipRequest
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.ledger import Ledger
from clipengine.stores.s3 import S3Store
from tests.support.receiver import Receiver
from tests.support.s3 import S3Server
from tests.support.server import (
    COMMAND,
    LOOPBACK_ALLOWED,
    RunningServer,
    RunningWorker,
    running_server,
    running_worker,
)
from tests.support.waiting import until

SECONDS = 300
NO_CUTS = {"CLIPENGINE_ENCODING__WORKERS": "1", "CLIPENGINE_FAULT": "nudged:sleep=600"}


@dataclass
class Hosts:
    """The shared resources of all hosts: a database, a bucket, an API key and a webhook receiver."""

    folder: Path
    url: str
    s3: S3Server
    bucket: str
    receiver: Receiver
    running: ExitStack = field(default_factory=ExitStack)

    def env(self, **more: str) -> dict[str, str]:
        return {
            **LOOPBACK_ALLOWED,
            "CLIPENGINE_DATABASE__URL": self.url,
            "CLIPENGINE_DATABASE__SECRETS_KEY": str(self.folder / "secrets.key"),
            "CLIPENGINE_ENCODING__NICE": "0",
            "CLIPENGINE_STORAGE__KIND": "s3",
            "CLIPENGINE_STORAGE__ENDPOINT": self.s3.endpoint,
            "CLIPENGINE_STORAGE__BUCKET": self.bucket,
            "CLIPENGINE_STORAGE__REGION": self.s3.region,
            "CLIPENGINE_STORAGE__ACCESS_KEY": self.s3.access_key,
            "CLIPENGINE_STORAGE__SECRET_KEY": self.s3.secret_key,
            "CLIPENGINE_WEBHOOKS__ENDPOINTS": f'[{{url = "{self.receiver.url}", secret = "a secret of tests"}}]',
            **more,
        }

    def server(
        self, name: str, options: Sequence[str] = (), *, command: Sequence[str] = (COMMAND,), **more: str
    ) -> RunningServer:
        return self.running.enter_context(
            running_server(self.folder / name, env=self.env(**more), options=options, command=command)
        )

    def worker(
        self, name: str, options: Sequence[str] = (), *, command: Sequence[str] = (COMMAND,), **more: str
    ) -> RunningWorker:
        return self.running.enter_context(
            running_worker(self.folder / name, env=self.env(**more), options=options, command=command)
        )

    def recording(self, api: Client, film: Path) -> str:
        self.s3.client.fput_object(self.bucket, "h_01/meeting.mp4", str(film))
        recording = api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=SECONDS)
        assert recording.status == "complete", recording.error
        return recording.recording_id

    def ledger(self) -> Ledger:
        place = PostgresLocation(self.url, self.folder / "secrets.key")
        return Ledger.open(place, key_prefix="relay_live", organisation_id="org_local", max_queued=100)

    def complete_clips(self, ledger: Ledger, recording_id: str, count: int) -> list[str]:
        """Mark this number of clips complete without cutting them, and return the keys of their objects."""
        recording, keys = ledger.recordings.get(recording_id), []
        for number in range(count):
            clip = ledger.clips.create(recording, ClipRequest(f"made {number}", 0.0, 1.0), extension="mp4")
            ledger.engines.beat("test")  # otherwise the others release its claims
            assert ledger.clips.claim("test")
            for key in (clip.object_key, clip.poster_key):
                self.s3.client.put_object(self.bucket, key, io.BytesIO(b"x"), 1)
                keys.append(key)
            result = ClipResult(
                0.0, 1.0, 1.0, 25, 320, 180, "h264", "aac", 1, "0" * 64, clip.poster_key, 1.0, 1, "encode", 0.0, 1.0, []
            )
            assert ledger.clips.complete(clip.clip_id, 1, result)
        return keys

    def check(self, clip_ids: list[str]) -> None:
        """Check that every clip is complete, is one whole object, and has one event, which was delivered."""
        ledger = self.ledger()
        try:
            clips = [ledger.clips.get(clip_id) for clip_id in clip_ids]
            events = Counter(event.clip_id for event in ledger.events.after(0, limit=10_000) if event.clip_id)
        finally:
            ledger.close()
        store = S3Store(self.s3.location(self.bucket), journal=self.folder / "uploads")
        made = {clip.clip_id: clip for clip in clips}
        for clip in clips:
            assert clip.state == "complete", clip.error
            assert clip.result is not None
            found = store.head(clip.object_key)
            assert (found.size, found.sha256) == (clip.result.size_bytes, clip.result.sha256)
        wanted = {key for clip in clips for key in (clip.object_key, clip.poster_key)}
        # 0.1.0 writes no manifests.
        wanted |= {clip.result.manifest_path for clip in clips if clip.result and clip.result.manifest_path}
        wanted |= {each.path for clip in clips if clip.result for each in clip.result.subtitles}
        until(lambda: {each.key for each in store.list("h_01/clips/")} == wanted, SECONDS)
        assert events == dict.fromkeys(made, 1)
        until(lambda: self._announced().keys() >= made.keys(), SECONDS)
        assert self._announced() == dict.fromkeys(made, 1)

    def _announced(self) -> Counter[str]:
        """Return the clips of the webhooks. A request may be repeated, with its id: deliveries are at least once."""
        sent = {each.headers["webhook-id"]: json.loads(each.body) for each in list(self.receiver.requests)}
        return Counter(body["data"]["clip_id"] for body in sent.values() if body["event"] == "clip.ready")


@pytest.fixture
def hosts(database_url: str, s3: S3Server, bucket: str, tmp_path: Path) -> Iterator[Hosts]:
    with Receiver() as receiver, ExitStack() as running:
        yield Hosts(tmp_path, database_url, s3, bucket, receiver, running)
