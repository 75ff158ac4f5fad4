"""Downloads under the address rules: redirects, tokens, limits, and the errors that they end with."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from clipengine.errors import FetchFailed, FetchInterrupted
from clipengine.outbound.download import MAX_REDIRECTS, MAX_URL_CHARACTERS, Downloader
from tests.support.origin_server import origin_server

LOOPBACK = ["127.0.0.0/8"]


def fetched(downloader: Downloader, url: str, **options: Any) -> bytes:
    with downloader.get(url, seconds=10, **options) as response:
        return b"".join(response.chunks)


def test_body_is_returned_with_its_headers() -> None:
    with origin_server(b"media") as origin, Downloader(LOOPBACK).get(origin.url + "/a?b=c", seconds=300) as response:
        assert (response.status, response.headers["etag"]) == (200, '"v1"')
        assert b"".join(response.chunks) == b"media"
    ((path, headers),) = origin.requests
    assert path == "/a?b=c"
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/a", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "http://[::1]/"]
)
def test_private_addresses_are_refused(url: str) -> None:
    with pytest.raises(FetchFailed, match="is refused: the URL resolves to"):
        fetched(Downloader(), url)


@pytest.mark.parametrize("url", ["", "ftp://example.org/a", "file:///etc/passwd", "http://a@b/", "http://x:25/", "x"])
def test_invalid_urls_are_refused(url: str) -> None:
    with pytest.raises(FetchFailed, match="is refused: "):
        fetched(Downloader(LOOPBACK), url)


def test_url_of_8192_characters_is_fetched_and_a_longer_one_refused() -> None:
    with origin_server(b"media") as origin:
        longest = origin.url + "/?" + "x" * (MAX_URL_CHARACTERS - len(origin.url) - 2)
        assert fetched(Downloader(LOOPBACK), longest) == b"media"
        with pytest.raises(FetchFailed, match="1 to 8192 characters"):
            fetched(Downloader(LOOPBACK), longest + "x")


def test_redirects_are_followed_and_checked_each() -> None:
    with origin_server(b"media") as origin:
        assert fetched(Downloader(LOOPBACK), f"{origin.url}/redirect?to=/b") == b"media"
        assert [path for path, _ in origin.requests] == ["/redirect?to=/b", "/b"]
        for target in ("http://169.254.169.254/", "http://10.1.2.3/", "file:///etc/passwd", "//[::", "gopher://x"):
            with pytest.raises(FetchFailed, match=r"is refused|an invalid URL"):
                fetched(Downloader(LOOPBACK), f"{origin.url}/redirect?to={target}")


def test_name_is_resolved_again_for_a_redirect() -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    def lookup(name: str, port: int) -> Sequence[str]:
        return next(answers)

    with origin_server(b"media") as origin:
        port = origin.url.rpartition(":")[2]
        with pytest.raises(FetchFailed, match="a metadata address"):
            fetched(Downloader(LOOPBACK, lookup=lookup), f"http://rebinding.example:{port}/redirect?to=/b")
    assert len(origin.requests) == 1


def test_redirect_loop_ends() -> None:
    with origin_server(b"media") as origin:
        loop = f"{origin.url}/redirect?to=" * MAX_REDIRECTS
        assert fetched(Downloader(LOOPBACK), f"{loop}/b") == b"media"
        with pytest.raises(FetchFailed, match="redirects more than 5 times"):
            fetched(Downloader(LOOPBACK), f"{origin.url}/redirect?to={loop}/b")


def test_token_is_sent_to_the_first_host_only() -> None:
    with origin_server(b"media") as origin, origin_server(b"media") as other:
        fetched(Downloader(LOOPBACK), f"{origin.url}/redirect?to={origin.url}/redirect?to={other.url}/c", token="t0ken")
    assert [headers.get("authorization") for _, headers in origin.requests] == ["Bearer t0ken"] * 2
    assert [headers.get("authorization") for _, headers in other.requests] == [None]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, FetchFailed), (404, FetchFailed), (204, FetchFailed), (429, FetchInterrupted), (503, FetchInterrupted)],
)
def test_status_decides_whether_it_is_tried_again(status: int, kind: type[Exception]) -> None:
    with origin_server(b"", status=status) as origin, pytest.raises(kind, match=f"responded with status {status}"):
        fetched(Downloader(LOOPBACK), f"{origin.url}/secret?signature=x")


def test_errors_do_not_contain_the_path_of_the_url() -> None:
    with origin_server(b"", status=404) as origin, pytest.raises(FetchFailed) as raised:
        fetched(Downloader(LOOPBACK), f"{origin.url}/secret?signature=x")
    assert "secret" not in raised.value.message + raised.value.hint


def test_interrupted_body_and_dead_host_are_tried_again() -> None:
    with (
        origin_server(b"x" * 100_000, cut_after=10_000) as origin,
        pytest.raises(FetchInterrupted, match="incomplete"),
    ):
        fetched(Downloader(LOOPBACK), origin.url)
    with pytest.raises(FetchInterrupted, match="connection: "):
        fetched(Downloader(LOOPBACK), origin.url)


def test_stalled_body_ends() -> None:
    with (
        origin_server(b"x" * 200_000, pause_after=65_536) as origin,
        pytest.raises(FetchInterrupted, match="responds too slowly"),
    ):
        fetched(Downloader(LOOPBACK, stall_seconds=0.2), origin.url)


@contextmanager
def dripping_server(start: bytes, piece: bytes, *, pause: float) -> Iterator[str]:
    """Yield the URL of a server that sends `start`, and then `piece` again and again, until the client ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as connection:
                connection.sendall(start)
                while not time.sleep(pause):
                    connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a"
        thread.join(300)
        assert not thread.is_alive()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (OK, b"X: y\r\n"),
        (OK + b"X: ", b"y"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"Content-Length: 1000000\r\n\r\n", b"x"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1", b";x"),
        (OK + b"Content-Length: 1000000\r\n\r\n" + b"x" * 500_000, b"x"),
    ],
    ids=["headers", "header", "continues", "body", "chunks", "chunk_extension", "end_of_body"],
)
@pytest.mark.typical(2)
def test_server_that_sends_slowly_is_left(start: bytes, piece: bytes) -> None:
    """Row 83 of the faults: neither a slow head nor a slow body holds a slot of the fetches."""
    began = time.monotonic()
    with (
        dripping_server(start, piece, pause=0.05) as url,
        pytest.raises(FetchInterrupted, match="responds too slowly, or not at all"),
    ):
        fetched(Downloader(LOOPBACK, stall_seconds=0.5), url)
    assert time.monotonic() - began < 60


def test_endless_informational_responses_end_at_once() -> None:
    """Row 83 of the faults: they do not use a processor until the deadline either."""
    with (
        dripping_server(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, pause=0) as url,
        pytest.raises(FetchInterrupted, match="connection: the head of the response is too long"),
    ):
        fetched(Downloader(LOOPBACK), url)


def test_json_is_bounded() -> None:
    downloader = Downloader(LOOPBACK)
    with origin_server(b'{"download_link": "https://x.example/"}') as origin:
        assert downloader.get_json(origin.url, seconds=300) == {"download_link": "https://x.example/"}
        for body, message in ((b" " * 65_537, "more than 65536 bytes"), (b"[" * 60_000, "JSON"), (b"<html>", "JSON")):
            origin.body = body
            with pytest.raises(FetchFailed, match=message):
                downloader.get_json(origin.url, seconds=300)
