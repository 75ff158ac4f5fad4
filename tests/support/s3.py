"""An S3 store for tests: the one at S3_ENDPOINT if it is set, else moto's server, started for the run.

The environment variables are S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY and S3_REGION. Every test has its own bucket, so
tests can run in parallel against one store. moto accepts wrong keys and stores truncated bodies; tests that need a real
store are skipped with it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4
from xml.etree import ElementTree

import pytest
import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.helpers import md5sum_hash

from clipengine.basis.backoff import Backoff
from clipengine.stores.s3_client import Retries, S3Location
from clipengine.stores.s3_http import Timeouts
from tests.support.ports import free_port
from tests.support.s3_faults import FaultyS3

# Fast enough for a test to reach the last attempt.
QUICK = Retries(attempts=4, backoff=Backoff(0.01, 0.05), seconds=20)
COPYING = "copies-"  # what the names of buckets of moto begin with that allow copies into parts
_START_SECONDS = 300


@dataclass(frozen=True)
class S3Server:
    """Address and credentials of the store."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str
    moto: bool

    @property
    def client(self) -> Minio:
        """Return a client that is independent of the tested code."""
        url = urllib3.util.parse_url(self.endpoint)
        return Minio(
            endpoint=url.netloc or "",
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=url.scheme == "https",
            region=self.region,
        )

    def location(self, bucket: object, **changes: object) -> S3Location:
        """Return the location of a bucket; `changes` replace fields."""
        location = S3Location(
            endpoint=self.endpoint,
            bucket=str(bucket),
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
            timeouts=Timeouts(connect=5, read=20),
        )
        return replace(location, **changes)  # type: ignore[arg-type]


def report_header() -> str:
    """Return a line for pytest's header that names the store."""
    endpoint = os.environ.get("S3_ENDPOINT")
    return f"S3 store: {endpoint}" if endpoint else "S3 store: S3_ENDPOINT is not set, so moto's server is started"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Yield the store. Each xdist worker starts its own moto; a store from the environment is shared."""
    with running_s3(tmp_path_factory.mktemp("moto")) as server:
        yield server


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """Yield the store of the environment, or start moto's server with its log in `folder`."""
    if os.environ.get("S3_ENDPOINT"):
        yield S3Server(
            endpoint=os.environ["S3_ENDPOINT"],
            access_key=os.environ.get("S3_ACCESS_KEY", "testkey"),
            secret_key=os.environ.get("S3_SECRET_KEY", "testsecret"),
            region=os.environ.get("S3_REGION", "us-east-1"),
            moto=False,
        )
        return
    port = free_port()
    log = folder / "moto.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.moto_server", COPYING, "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
        )
    try:
        _wait_for(port, process, log)
        yield S3Server(f"http://127.0.0.1:{port}", "testkey", "testsecret", "us-east-1", moto=True)
    finally:
        process.terminate()
        process.wait(timeout=300)


@pytest.fixture
def true_s3(s3: S3Server) -> S3Server:
    """Return the store, unless it is moto; then the test is skipped."""
    if s3.moto:
        pytest.skip("moto does not check signatures, lengths or uploads: set S3_ENDPOINT to a real store")
    return s3


@pytest.fixture
def bucket(s3: S3Server) -> Iterator[str]:
    """Yield the name of a new bucket, deleted with its objects after the test."""
    name = f"test-{uuid4().hex}"
    client = s3.client
    client.make_bucket(name)
    yield name
    for upload in open_uploads(s3, name):
        client._abort_multipart_upload(name, *upload)
    names = [found.object_name for found in client.list_objects(name, recursive=True)]
    assert not list(client.remove_objects(name, (DeleteObject(each) for each in names if each)))
    client.remove_bucket(name)


@pytest.fixture
def faulty_s3(s3: S3Server) -> Iterator[FaultyS3]:
    """Yield a proxy in front of the store that injects faults."""
    with FaultyS3(s3.endpoint) as faulty:
        yield faulty


def open_uploads(s3: S3Server, bucket: str) -> list[tuple[str, str]]:
    """Return names and upload ids of the open multipart uploads."""
    found = s3.client._list_multipart_uploads(bucket)
    return [(upload.object_name, upload.upload_id or "") for upload in found.uploads]


def allow_origin(s3: S3Server, bucket: str, origin: str) -> None:
    """Let pages of the origin, and no others, send objects to the bucket."""
    rule = f"<AllowedOrigin>{origin}</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader>"
    body = f"<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>".encode()
    headers = {"Content-MD5": str(md5sum_hash(body))}
    s3.client._execute("PUT", bucket, body=body, headers=headers, query_params={"cors": ""})


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"moto's server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def deletions(proxy: FaultyS3) -> Counter[str]:
    """Count the deletions of each key of a bucket that were requested through the proxy, single or in batches."""
    found: Counter[str] = Counter()
    for request in proxy.seen:
        if request.method == "DELETE" and not request.query:
            found[unquote(request.path.split("/", 2)[2])] += 1
        elif request.method == "POST" and request.query.startswith("delete"):
            found.update(each.text or "" for each in ElementTree.fromstring(request.body).iter() if _is_key(each.tag))
    return found


def _is_key(tag: str) -> bool:
    return tag.rpartition("}")[2] == "Key"


def s3_settings(s3: S3Server, bucket: str) -> dict[str, str]:
    """Return the environment of an engine whose store is this bucket."""
    return {
        "CLIPENGINE_STORAGE__KIND": "s3",
        "CLIPENGINE_STORAGE__ENDPOINT": s3.endpoint,
        "CLIPENGINE_STORAGE__BUCKET": bucket,
        "CLIPENGINE_STORAGE__REGION": s3.region,
        "CLIPENGINE_STORAGE__ACCESS_KEY": s3.access_key,
        "CLIPENGINE_STORAGE__SECRET_KEY": s3.secret_key,
    }
