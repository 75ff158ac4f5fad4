"""Uploads that resume against a server that is killed in each state, or whose store is away or full. Row 120."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from clipengine.client import ApiError, ServerUnreachable
from tests.support.full_disk import disk, grow
from tests.support.s3 import S3Server, bucket, open_uploads, s3, s3_settings  # noqa: F401 - fixtures
from tests.support.s3_faults import Exchange, FaultyS3
from tests.support.server import COMMAND, RunningServer, clean_environ, running_server
from tests.support.tus import append, begin, offset
from tests.support.waiting import until

pytestmark = pytest.mark.proof

MEBIBYTE = 1 << 20
DATA = random.Random(120).randbytes(40 * MEBIBYTE + 3)


class Site:
    """A server on one data folder, which can be started again."""

    def __init__(self, data: Path, env: dict[str, str], stack: ExitStack) -> None:
        self._data, self._env, self._stack = data, env, stack
        self.server: RunningServer | None = None

    def start(self, **env: str) -> None:
        key = self.server and self.server._key
        self.server = self._stack.enter_context(running_server(self._data, env={**self._env, **env}))
        self.server._key.extend(key or [])

    def http(self) -> httpx.Client:
        assert self.server is not None
        headers = {"Authorization": f"Bearer {self.server.key}"}
        client = httpx.Client(base_url=self.server.url, headers=headers, timeout=300, trust_env=False)
        return self._stack.enter_context(client)

    def leftovers(self) -> list[str]:
        return [path.name for name in ("uploads", "tmp") for path in self._data.rglob(f".clipengine/{name}/*")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path / "data", {}, stack)


@pytest.mark.outage
@pytest.mark.parametrize("point", ["appended", "recorded", "published", "registered"])
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_upload_outlives_a_kill_in_each_state(
    tmp_path: Path, request: pytest.FixtureRequest, point: str, kind: str
) -> None:
    env: dict[str, str] = {}
    if kind == "s3":
        server: S3Server = request.getfixturevalue("s3")
        env = s3_settings(server, request.getfixturevalue("bucket"))
    with ExitStack() as stack:
        site = Site(tmp_path / "data", env, stack)
        site.start(CLIPENGINE_FAULT=f"{point}:kill9")
        http = site.http()
        path = begin(http, len(DATA)).headers["location"]
        with pytest.raises(httpx.TransportError):
            append(http, path, 0, DATA)
        assert site.server is not None
        site.server.process.wait(300)
        site.start()
        http = site.http()
        at = offset(http, path)
        assert {"appended": at == 0, "recorded": at == 16 * MEBIBYTE}.get(point, at == len(DATA))
        if at < len(DATA):
            until(lambda: append(http, path, at, DATA[at:]).status_code == 204)
        recording_id = http.get(path).json()["recording_id"]
        assert [each["recording_id"] for each in http.get("/v1/recordings").json()["data"]] == [recording_id]
        assert site.leftovers() == []
        stored = http.get(f"/v1/recordings/{recording_id}").json()
        assert stored["file_size_bytes"] == len(DATA)
        if kind == "folder":
            assert next(site._data.rglob(f"{recording_id}/talk.mp4")).read_bytes() == DATA
        else:
            client = server.client
            objects = {
                each.object_name: each
                for each in client.list_objects(env["CLIPENGINE_STORAGE__BUCKET"], recursive=True)
            }
            assert list(objects) == [stored["bucket_path"]]
            answer = client.get_object(env["CLIPENGINE_STORAGE__BUCKET"], stored["bucket_path"])
            assert answer.read() == DATA
            answer.close()


@pytest.mark.outage
@pytest.mark.parametrize("point", ["appended", "published", "registered"])
def test_parts_in_the_bucket_outlive_a_kill(tmp_path: Path, s3: S3Server, bucket: str, point: str) -> None:  # noqa: F811
    """The client sends each part once to the store, and the engine sends none."""
    film = tmp_path / "talk.mp4"
    film.write_bytes(DATA)
    with FaultyS3(s3.endpoint, remember=True) as public, ExitStack() as stack:
        direct = {"CLIPENGINE_STORAGE__DIRECT_UPLOADS": "true", "CLIPENGINE_STORAGE__PUBLIC_ENDPOINT": public.endpoint}
        site = Site(tmp_path / "data", {**s3_settings(s3, bucket), **direct}, stack)
        site.start(CLIPENGINE_FAULT=f"{point}:kill9")
        assert site.server is not None
        with site.server.client() as client, pytest.raises(ServerUnreachable):
            client.recordings.upload(film, idempotency_key="talk", patience=0)
        site.server.process.wait(300)
        site.start()
        with site.server.client() as client:
            made = client.recordings.upload(film, idempotency_key="talk")
            assert [each.recording_id for each in client.recordings.list().data] == [made.recording_id]
        assert [each.method for each in public.seen] == ["PUT"] * 3
        assert open_uploads(s3, bucket) == []
        (stored,) = s3.client.list_objects(bucket, recursive=True)
        answer = s3.client.get_object(bucket, str(stored.object_name))
        assert answer.read() == DATA
        answer.close()


def connections_to(port: int) -> int:
    """Return how many connections clients of this machine have to a port of the loopback interface."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(remote == f"0100007F:{port:04X}" and state == "01" for _, _, remote, state, *_ in rows)


@pytest.mark.outage
def test_commands_with_the_same_file_make_one_recording(site: Site, tmp_path: Path) -> None:
    film = tmp_path / "talk.mp4"
    film.write_bytes(DATA)
    site.start()
    server = site.server
    assert server is not None
    env = {"CLIPENGINE_URL": server.url, "CLIPENGINE_API_KEY": server.key, "XDG_STATE_HOME": str(tmp_path / "state")}
    line = [COMMAND, "recordings", "add", "--upload", str(film), "--json"]
    # Both have read the kept key when they connect, and neither has been answered before.
    server.process.send_signal(signal.SIGSTOP)
    commands = [subprocess.Popen(line, env=clean_environ(env), stdout=subprocess.PIPE) for _ in range(2)]
    try:
        until(lambda: connections_to(httpx.URL(server.url).port or 0) == 2)
    finally:
        server.process.send_signal(signal.SIGCONT)
        outputs = [command.communicate(timeout=300)[0] for command in commands]
    (recording_id,) = {json.loads(each)["recording_id"] for each in outputs}
    assert [each["recording_id"] for each in site.http().get("/v1/recordings").json()["data"]] == [recording_id]
    assert next(site._data.rglob(f"{recording_id}/talk.mp4")).read_bytes() == DATA
    assert (site.leftovers(), [*(tmp_path / "state").rglob("*.json")]) == ([], [])


@pytest.mark.outage
def test_upload_continues_when_a_full_disk_has_more_space(tmp_path: Path) -> None:
    data, film = tmp_path / "data", tmp_path / "talk.mp4"
    film.write_bytes(DATA)
    with disk(data / "store", 30), running_server(data) as server, server.client() as client:
        with pytest.raises(ApiError, match="disk_full"):
            client.recordings.upload(film, idempotency_key="talk")
        assert client.recordings.list().data == []
        grow(data / "store", 60)
        made = client.recordings.upload(film, idempotency_key="talk")
        assert next(data.rglob(f"{made.recording_id}/talk.mp4")).read_bytes() == DATA
        assert len(client.recordings.list().data) == 1
        assert [*data.rglob(".clipengine/uploads/*")] == []


@pytest.mark.outage
def test_upload_continues_when_the_store_is_available_again(tmp_path: Path, s3: S3Server, bucket: str) -> None:  # noqa: F811
    film = tmp_path / "talk.mp4"
    film.write_bytes(DATA)
    with FaultyS3(s3.endpoint, remember=False) as store:
        env = s3_settings(s3, bucket) | {"CLIPENGINE_STORAGE__ENDPOINT": store.endpoint}
        with running_server(tmp_path / "data", env=env) as server, server.client() as client:
            refused = threading.Semaphore(0)

            def refuse(exchange: Exchange) -> None:
                refused.release()
                exchange.hang_up()

            store.fail(refuse, method="PUT", times=10**6)
            with ThreadPoolExecutor(1) as pool:
                upload = pool.submit(client.recordings.upload, film)
                for _ in range(8):  # the engine repeats a request a few times
                    assert refused.acquire(timeout=300)
                store.clear()
                made = upload.result(300)
            answer = s3.client.get_object(bucket, made.bucket_path)
            assert answer.read() == DATA
            answer.close()
            assert len(client.recordings.list().data) == 1
            assert open_uploads(s3, bucket) == []
            assert len([*s3.client.list_objects(bucket, recursive=True)]) == 1
