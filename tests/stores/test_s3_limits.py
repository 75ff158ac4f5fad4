"""Responses of an S3 store that have no end, or more than the engine keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from clipengine.errors import StorageUnavailable
from clipengine.stores import s3
from clipengine.stores.s3 import S3Store
from clipengine.stores.s3_client import PAGE_OBJECTS, Retries, S3Location
from clipengine.stores.s3_http import MAX_RESPONSE_BYTES, MAX_RESPONSE_TAGS
from tests.support.s3_faults import Answer, Exchange, Fault, FaultyS3

_SENT_BYTES = 1 << 18
_TAGS = b"<Contents/>" * (MAX_RESPONSE_TAGS + 1)


@pytest.fixture
def server() -> Iterator[FaultyS3]:
    """A server that answers by faults only."""
    with FaultyS3("http://127.0.0.1:9") as started:
        yield started


@pytest.fixture
def store(server: FaultyS3, tmp_path: Path) -> S3Store:
    return S3Store(
        S3Location(server.endpoint, "bucket", "key", "secret"), journal=tmp_path, retries=Retries(attempts=1)
    )


def endless(status: int, sent: list[int]) -> Fault:
    """Send a body without an end, and count its bytes until the client disconnects."""

    def act(exchange: Exchange) -> None:
        exchange.reply(Answer(status, [("Content-Type", "application/xml")], b""), length=1 << 40)
        try:
            while sum(sent) < 4 * MAX_RESPONSE_BYTES:
                exchange.send(b" " * _SENT_BYTES)
                sent.append(_SENT_BYTES)
        except OSError:
            pass

    return act


@pytest.mark.parametrize("status", [200, 404])
def test_response_without_an_end_is_not_kept(store: S3Store, server: FaultyS3, status: int) -> None:
    sent: list[int] = []
    server.fail(endless(status, sent), method="GET", times=10)
    with pytest.raises(StorageUnavailable, match="a response of the store has more than 8388608 bytes"):
        store.check()
    assert sum(sent) < 4 * MAX_RESPONSE_BYTES


def test_error_without_an_end_for_an_object_is_not_kept(store: S3Store, server: FaultyS3) -> None:
    server.fail(endless(500, []), method="GET")
    with pytest.raises(StorageUnavailable, match="more than 8388608 bytes"):
        store.read("a.m3u8", limit=100)


def test_listing_of_too_many_elements_is_not_parsed(store: S3Store, server: FaultyS3) -> None:
    body = b"<ListBucketResult>" + _TAGS + b"</ListBucketResult>"
    server.fail(lambda exchange: exchange.answer(200, body), method="GET")
    with pytest.raises(StorageUnavailable, match="a response of the store has more than 100000 tags"):
        next(iter(store.list()))


def test_response_to_head_may_state_the_length_of_a_large_object(store: S3Store, server: FaultyS3) -> None:
    head = Answer(200, [("ETag", '"e"'), ("Last-Modified", "Sun, 29 Nov 2026 10:00:00 GMT")], b"")
    server.fail(lambda exchange: exchange.reply(head, length=1 << 40), method="HEAD")
    assert store.head("a.mp4").size == 1 << 40


def page(exchange: Exchange) -> None:
    """List a page of objects, whose names follow the last listed one, as if there were always more."""
    first = int(dict(parse_qsl(exchange.request.query)).get("start-after", "0")) + 1
    found = "".join(
        f"<Contents><Key>{number:09}</Key><Size>1</Size></Contents>" for number in range(first, first + PAGE_OBJECTS)
    )
    exchange.answer(200, f"<ListBucketResult><IsTruncated>true</IsTruncated>{found}</ListBucketResult>".encode())


def test_listing_without_an_end_stops_at_its_limit(
    store: S3Store, server: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_MAX_LISTED", 2 * PAGE_OBJECTS + 1)
    server.fail(page, method="GET", times=10)
    listed = store.list()
    assert len([next(listed) for _ in range(2 * PAGE_OBJECTS)]) == 2 * PAGE_OBJECTS
    with pytest.raises(StorageUnavailable, match="a listing has more than 2001 objects"):
        next(listed)
    assert server.count("GET") == 3
