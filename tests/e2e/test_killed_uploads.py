"""Uploads that resume in S3, while the server is killed at each request to the store. Row 120."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from tests.e2e.test_resumable_uploads import Site
from tests.support.s3 import S3Server, bucket, open_uploads, s3, s3_settings  # noqa: F401 - fixtures
from tests.support.s3_faults import Exchange, FaultyS3, Request
from tests.support.tus import append, begin, offset
from tests.support.waiting import until

MEBIBYTE = 1 << 20
DATA = random.Random(121).randbytes(33 * MEBIBYTE + 5)
# In steps that leave rests, complete parts with rests, and are larger than a part.
ENDS = [MEBIBYTE, 17 * MEBIBYTE, 18 * MEBIBYTE, len(DATA)]
KEY = {"Idempotency-Key": "once"}

pytestmark = [pytest.mark.outage, pytest.mark.proof]


def step_of(request: Request) -> str | None:
    """Return the kind of a request that concerns an upload, or None for others."""
    target = unquote(f"{request.path}?{request.query}")
    is_rest = ".clipengine/uploads/" in target
    if not (is_rest or "rec_" in target) or (request.method == "GET" and not (is_rest or "upload" in request.query)):
        return None  # such as of the probe, which reads the recording
    part = re.search(r"partNumber=(\d+)", target)
    names = sorted({each.partition("=")[0] for each in request.query.split("&")} & {"uploads", "uploadId", "list-type"})
    return " ".join([request.method, "rest" if is_rest else "object", *names, *([part[1]] if part else [])])


class Killer:
    """Kills a server at each kind of request to the store: before the store gets it, and after it was answered."""

    def __init__(self, store: FaultyS3, site: Site) -> None:
        self.kills: list[str] = []
        self.is_armed = True
        self._site = site
        self._lock = threading.Lock()
        for method in ("GET", "PUT", "POST", "HEAD", "DELETE"):
            store.fail(self._pass_on, method=method, times=10**6)

    def _pass_on(self, exchange: Exchange) -> None:
        server, step = self._site.server, step_of(exchange.request)
        with self._lock:
            kill = next((f"{at} {step}" for at in ("before", "after") if f"{at} {step}" not in self.kills), None)
            if kill is None or step is None or not self.is_armed or server is None:
                return exchange.reply(exchange.ask())
            self.kills.append(kill)
            if kill.startswith("after"):
                exchange.ask()
            server.process.kill()
        exchange.hang_up()
        return None


@pytest.fixture
def killed(tmp_path: Path, s3: S3Server, bucket: str) -> Iterator[tuple[Site, Killer]]:  # noqa: F811
    with FaultyS3(s3.endpoint, remember=False) as store, ExitStack() as stack:
        direct = {"CLIPENGINE_STORAGE__DIRECT_UPLOADS": "true", "CLIPENGINE_STORAGE__PUBLIC_ENDPOINT": s3.endpoint}
        env = s3_settings(s3, bucket) | {"CLIPENGINE_STORAGE__ENDPOINT": store.endpoint, **direct}
        site = Site(tmp_path / "data", env, stack)
        site.start()
        yield site, Killer(store, site)


def restarted(site: Site) -> httpx.Client:
    assert site.server is not None
    site.server.process.wait(300)
    site.start()
    return site.http()


def is_one_recording(http: httpx.Client, s3: S3Server, name: str, path: str) -> None:  # noqa: F811
    """Check that the upload made one recording with its bytes, and that the bucket has nothing else."""
    recording_id = http.get(path).json()["recording_id"]
    (recording,) = http.get("/v1/recordings").json()["data"]
    assert recording["recording_id"] == recording_id
    (stored,) = s3.client.list_objects(name, prefix="", recursive=True)
    assert stored.object_name == recording["bucket_path"]
    answer = s3.client.get_object(name, str(stored.object_name))
    assert answer.read() == DATA
    answer.close()
    assert open_uploads(s3, name) == []


def test_upload_through_the_server_outlives_a_kill_at_each_request_to_the_store(
    killed: tuple[Site, Killer],
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
) -> None:
    site, killer = killed
    http = site.http()

    def advanced() -> str | None:
        """Send the next bytes. Return the path when the recording is registered."""
        begun = begin(http, len(DATA), content=DATA[: ENDS[0]], **KEY)
        if begun.status_code != 201:
            return None
        path = begun.headers["location"]
        at = offset(http, path)
        for end in ENDS:
            if at < end:
                append(http, path, at, DATA[at:end])  # 423 until the claim of the killed server is released
                at = offset(http, path)
        return path if http.get(path).json()["recording_id"] else None

    path = None
    while path is None:
        try:
            path = advanced()
        except httpx.TransportError:
            http = restarted(site)
    killer.is_armed = False
    steps = {each.partition(" ")[2] for each in killer.kills}
    assert {"PUT rest", "GET rest", "POST object uploads", "PUT object uploadId 1", "PUT object uploadId 3"} <= steps
    assert {"POST object uploadId", "HEAD object", "DELETE rest"} <= steps
    if site.server is not None and site.server.process.poll() is not None:
        http = restarted(site)
    is_one_recording(http, s3, bucket, path)


def test_upload_of_parts_outlives_a_kill_at_each_request_to_the_store(
    killed: tuple[Site, Killer],
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
) -> None:
    site, killer = killed
    http = site.http()

    def advanced() -> str | None:
        begun = begin(http, len(DATA), **KEY).json()
        path = f"/v1/uploads/{begun['upload_id']}"
        asked = http.post(f"{path}/parts", json={"numbers": [1, 2, 3]})
        if asked.status_code == 200:
            size = asked.json()["part_bytes"]
            for part in asked.json()["data"]:
                first = (part["number"] - 1) * size
                if part["url"] is not None:
                    sent = httpx.put(part["url"], content=DATA[first : first + size], trust_env=False, timeout=300)
                    assert sent.status_code == 200
        return path if http.get(path).json().get("recording_id") else None

    path = None
    while path is None:
        try:
            path = advanced()
        except httpx.TransportError:
            http = restarted(site)
    killer.is_armed = False
    steps = {each.partition(" ")[2] for each in killer.kills}
    assert {"POST object uploads", "GET object uploadId", "POST object uploadId", "HEAD object"} <= steps
    if site.server is not None and site.server.process.poll() is not None:
        http = restarted(site)
    is_one_recording(http, s3, bucket, path)


def test_upload_that_is_ended_outlives_a_kill_at_each_request_to_the_store(
    killed: tuple[Site, Killer],
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
) -> None:
    """It does not continue, and what the killed server has left is deleted later."""
    site, killer = killed
    killer.is_armed = False
    http, before = site.http(), -1
    while len(killer.kills) != before:
        before = len(killer.kills)
        path = begin(http, len(DATA), content=DATA[: 17 * MEBIBYTE]).headers["location"]
        assert offset(http, path) == 17 * MEBIBYTE
        killer.is_armed = True
        try:
            assert http.delete(path).status_code == 204
        except httpx.TransportError:
            http = restarted(site)
        killer.is_armed = False
        assert http.get(path).status_code == 404
    steps = {each.partition(" ")[2] for each in killer.kills}
    assert {"GET object uploads", "DELETE object uploadId", "DELETE rest", "DELETE object"} <= steps
    until(lambda: open_uploads(s3, bucket) == [])
    until(lambda: [*s3.client.list_objects(bucket, recursive=True)] == [])
