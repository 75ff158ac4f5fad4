"""Uploads that resume against a server that is killed in each state, or whose store is away or full. Row 120."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.s3 import S3Server, bucket, s3, s3_settings  # noqa: F401 - fixtures
from tests.support.server import RunningServer, running_server
from tests.support.tus import append, begin, offset
from tests.support.waiting import until

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
