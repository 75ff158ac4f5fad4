"""kill -9 during the multipart upload of a clip above 64 MiB: one whole object at the end, and no parts left."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest
from minio.error import S3Error

from clipengine.stores.s3_upload import PART_BYTES, SINGLE_PUT_BYTES
from tests.support.outage import Outage, kill
from tests.support.s3 import open_uploads
from tests.support.s3_faults import Exchange
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage

FRAMES, SIZE = 105, (640, 480)
NOISE = {
    "CLIPENGINE_PROFILES__NOISE__PRESET": "ultrafast",
    "CLIPENGINE_PROFILES__NOISE__CRF": "0.5",
    "CLIPENGINE_ENCODING__THREADS_PER_CLIP": "2",
}


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 3.5 seconds of noise that no encoder compresses well."""
    path = tmp_path_factory.mktemp("noise") / "noise.mp4"
    dice = random.Random(3)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mjpeg", rate=30, options={"qmin": "1", "qmax": "1"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuvj420p"
        for number in range(FRAMES):
            frame = av.VideoFrame(*SIZE, "yuvj420p")
            for plane in frame.planes:
                plane.update(dice.randbytes(plane.buffer_size))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@contextmanager
def _watched(outage: Outage, key: str) -> Iterator[list[int]]:
    """Collect the sizes that the object has while the block runs."""
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        client = outage.s3.client
        while not over.wait(0.02):
            try:
                seen.append(client.stat_object(outage.bucket, key).size or 0)
            except S3Error:
                continue  # it does not exist

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("when", ["parts", "completed"])
def test_interrupted_multipart_upload_is_completed(outage: Outage, noise: Path, when: str) -> None:
    """Killed between two parts, or after the store has assembled them but before the response."""
    running: list[RunningServer] = []
    sent: list[int] = []

    def cut_off(exchange: Exchange) -> None:
        if when == "completed":
            exchange.ask()
        running[0].process.kill()
        running[0].process.wait(300)
        exchange.hang_up()

    def count(exchange: Exchange) -> None:
        sent.append(len(exchange.request.body))
        exchange.reply(exchange.ask())

    method, query = ("PUT", "partNumber=3") if when == "parts" else ("POST", "uploadId")
    outage.proxy.fail(cut_off, method=method, query=query)
    with running_server(outage.data, env={**outage.env(), **NOISE}) as server, server.client() as api:
        running.append(server)
        recording = outage.recording(api, noise)
        made: Any = api.clips.create(recording, "large", 0.0, FRAMES / 30, profile="noise", poster=False)
        key = _object_key(outage, made.clip_id)
        with _watched(outage, key) as seen:
            until(lambda: server.process.poll() is not None)
            time.sleep(0.3)
        kill(server)
    left = open_uploads(outage.s3, outage.bucket)
    [file] = outage.scratch()
    size = file.stat().st_size
    assert size > SINGLE_PUT_BYTES
    assert set(seen) <= ({size} if when == "completed" else set())
    assert [name for name, _ in left] == ([key] if when == "parts" else [])

    outage.proxy.fail(count, method="PUT", query="partNumber", times=100)
    with (
        _watched(outage, key) as seen,
        running_server(outage.data, env={**outage.env(), **NOISE}) as server,
        server.client() as api,
    ):
        ended = api.clips.wait(made.clip_id, timeout=300)
        assert (ended.status, ended.attempt) == ("complete", 1), ended.error
        until(lambda: not open_uploads(outage.s3, outage.bucket))
        server.stop()
    assert set(seen) <= {size}
    assert sent == ([PART_BYTES] * (size // PART_BYTES) + [size % PART_BYTES] if when == "parts" else [])
    listed = [each.object_name for each in outage.s3.client.list_objects(outage.bucket, recursive=True)]
    assert sorted(str(name) for name in listed) == sorted([key, f"{key.removesuffix('.mp4')}.json", "h_01/meeting.mp4"])
    outage.check()


def _object_key(outage: Outage, clip_id: str) -> str:
    """Return the key that the clip will have."""
    connection = sqlite3.connect(outage.data / "ledger.db", timeout=300)
    try:
        row = connection.execute("SELECT object_key FROM clips WHERE clip_id = ?", (clip_id,)).fetchone()
    finally:
        connection.close()
    return str(row[0])
