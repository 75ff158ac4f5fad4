"""A data folder whose store is S3 behind a proxy that injects faults."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from clipengine.client import Client
from clipengine.clips.clip import Clip
from clipengine.stores.s3 import S3Store
from tests.support.invariants import check_invariants
from tests.support.s3 import S3Server, open_uploads
from tests.support.s3_faults import Fault, FaultyS3
from tests.support.server import RunningServer

FOR_EVER = 10**6
SECONDS = 300


@dataclass
class Outage:
    s3: S3Server
    bucket: str
    proxy: FaultyS3
    data: Path

    def env(self, fault: str = "", pace: int = 20) -> dict[str, str]:
        return {
            "CLIPENGINE_ENCODING__NICE": "0",
            "CLIPENGINE_STORAGE__KIND": "s3",
            "CLIPENGINE_STORAGE__ENDPOINT": self.proxy.endpoint,
            "CLIPENGINE_STORAGE__BUCKET": self.bucket,
            "CLIPENGINE_STORAGE__REGION": self.s3.region,
            "CLIPENGINE_STORAGE__ACCESS_KEY": self.s3.access_key,
            "CLIPENGINE_STORAGE__SECRET_KEY": self.s3.secret_key,
            "CLIPENGINE_FAULT": f"outage:pace={pace}" + (f",{fault}" if fault else ""),
        }

    def recording(self, api: Client, film: Path) -> str:
        self.s3.client.fput_object(self.bucket, "h_01/meeting.mp4", str(film))
        recording = api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=SECONDS)
        assert recording.status == "complete", recording.error
        return recording.recording_id

    def break_off(self, fault: Fault, method: str = "PUT") -> None:
        self.proxy.fail(fault, method=method, times=FOR_EVER)

    def scratch(self) -> list[Path]:
        return sorted((self.data / "scratch").glob("*/clip.mp4"))

    def check(self, *, settled: bool = True) -> dict[str, Clip]:
        store = S3Store(self.s3.location(self.bucket), journal=self.data / "uploads")
        uploads = open_uploads(self.s3, self.bucket)
        clips = check_invariants(self.data, settled=settled, store=store, open_uploads=uploads)
        return {clip.label: clip for clip in clips}


def kill(server: RunningServer) -> None:
    server.process.kill()
    assert server.process.wait(300) == -signal.SIGKILL
