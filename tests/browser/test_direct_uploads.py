"""Uploads of the page that go straight to the bucket, in a real browser."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_uploads import choose, remove_uploaded, upload_row
from tests.films.film import Film
from tests.support.page import opened
from tests.support.s3 import S3Server, allow_origin, bucket, open_uploads, s3, s3_settings, true_s3  # noqa: F401 - fixtures
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.outage  # another program: a store with CORS, which moto does not check
PART = 16 << 20


@pytest.fixture
def talk(tmp_path: Path, film: Film) -> Path:
    """Return a recording of three parts: a film with a free box behind it."""
    path, filling = tmp_path / "talk.mp4", random.Random(7).randbytes(2 * PART)
    path.write_bytes(film.path.read_bytes() + (len(filling) + 8).to_bytes(4, "big") + b"free" + filling)
    return path


@pytest.fixture
def server(tmp_path: Path, true_s3: S3Server, bucket: str) -> Iterator[RunningServer]:  # noqa: F811
    env = {**s3_settings(true_s3, bucket), "CLIPENGINE_STORAGE__DIRECT_UPLOADS": "true"}
    with running_server(tmp_path / "data", env=env) as server:
        yield server


def uploaded(page: Any, server: RunningServer, talk: Path) -> Counter[tuple[str, bool]]:
    """Upload the file and count the requests with bytes: the method, and whether the server took them."""
    sent: Counter[tuple[str, bool]] = Counter()

    def count(request: Any) -> None:
        if request.method in ("PUT", "PATCH"):
            sent[request.method, request.url.startswith(server.url)] += 1

    page.goto(server.url)
    page.on("requestfinished", count)
    choose(page, talk)
    page.locator(".recording:not(.uploading)").filter(has_text="talk.mp4").locator(".poster .time").wait_for()
    assert upload_row(page).count() == 0
    return sent


def test_page_sends_parts_to_the_bucket(
    browser: Any,
    server: RunningServer,
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
    talk: Path,
) -> None:
    allow_origin(s3, bucket, server.url)
    with opened(browser, server) as page:
        assert uploaded(page, server, talk) == {("PUT", False): 3}
    assert open_uploads(s3, bucket) == []
    remove_uploaded(server, talk)


def test_page_sends_through_the_server_if_the_bucket_refuses_its_origin(
    browser: Any,
    server: RunningServer,
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
    talk: Path,
) -> None:
    allow_origin(s3, bucket, "https://other.example")
    with opened(browser, server, expected="CORS|net::ERR_FAILED") as page:
        assert uploaded(page, server, talk) == {("PATCH", True): 1 + 3}  # the first one has no bytes
    assert open_uploads(s3, bucket) == []
    remove_uploaded(server, talk)
