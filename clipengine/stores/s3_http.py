"""HTTP connections to an S3 store: TLS, timeouts, a minimum transfer rate, and limits of responses.

urllib3's own retries are off: `S3Client.call` knows which requests may be repeated.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from clipengine.basis.budget import Allowance
from clipengine.errors import SettingsError, StorageUnavailable

MAX_RESPONSE_BYTES = 8 << 20  # a page of 1,000 objects has 3.5 MB if each name has 1,024 bytes to escape
MAX_RESPONSE_TAGS = 100_000  # opening and closing ones; a page has 20,000
_MAX_RESPONSE_SECONDS = 900  # S3 sends white space for minutes while it assembles the parts of a large object
_SLICE_BYTES = 128 * 1024
_POOL_CONNECTIONS = 16

RequestObserver = Callable[[str, str, float], None]


@dataclass(frozen=True)
class Timeouts:
    """Timeouts in seconds. A body must be transferred within `grace` plus its length at `min_bytes_per_second`."""

    connect: float = 5
    read: float = 60
    grace: float = 20
    min_bytes_per_second: int = 16 * 1024

    def for_body(self, length: int) -> float:
        return self.grace + length / self.min_bytes_per_second


class _SlicedSend:
    """Connection mixin that sends a body in slices, each under the read timeout, the whole under a deadline.

    urllib3 sends the whole body with one `sendall` under the connect timeout, so longer uploads would fail.
    """

    timeouts: Timeouts
    sock: Any

    def send(self, data: Any) -> None:
        if not isinstance(data, bytes | bytearray) or len(data) <= _SLICE_BYTES:
            super().send(data)  # type: ignore[misc]
            return
        deadline = time.monotonic() + self.timeouts.for_body(len(data))
        view = memoryview(data)
        for start in range(0, len(view), _SLICE_BYTES):
            if self.sock is not None:
                self.sock.settimeout(self.timeouts.read)
            super().send(view[start : start + _SLICE_BYTES])  # type: ignore[misc]
            if time.monotonic() > deadline:
                raise TimeoutError(f"sent only {start} of {len(view)} bytes in time")


class _BoundedPool(urllib3.PoolManager):
    """Connection pool that reports each request, and reads a response whole only within limits.

    A report has the method, the status or "error", and the seconds to the headers.
    """

    on_request: RequestObserver

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        is_whole = kw.pop("preload_content", True)
        began, status = time.monotonic(), "error"
        try:
            response = super().urlopen(method, url, redirect, preload_content=False, **kw)
            status = str(response.status)
        finally:
            self.on_request(method, status, time.monotonic() - began)
        if is_whole or not 200 <= response.status < 300:  # minio-py reads an error whole
            return _read_whole(response, method)
        return response


def _read_whole(response: urllib3.BaseHTTPResponse, method: str) -> urllib3.BaseHTTPResponse:
    """Return the response with its decoded body in memory.

    Raises StorageUnavailable if it has too many bytes or tags, and TimeoutError if it arrives too slowly.
    """
    left = Allowance(MAX_RESPONSE_BYTES, "bytes", of="a response of the store", refusal=StorageUnavailable)
    tags = Allowance(MAX_RESPONSE_TAGS, "tags", of="a response of the store", refusal=StorageUnavailable)
    data, began = bytearray(), time.monotonic()
    try:
        while block := response.read1(_SLICE_BYTES):
            left.spend(len(block))
            tags.spend(block.count(b"<"))
            data += block
            if time.monotonic() > began + _MAX_RESPONSE_SECONDS:
                raise TimeoutError(f"received only {len(data)} bytes in time")
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return urllib3.HTTPResponse(
        BytesIO(data),
        headers=response.headers,
        status=response.status,
        reason=response.reason,
        decode_content=False,
        enforce_content_length=False,
        request_method=method,
    )


def ignore_request(method: str, status: str, seconds: float) -> None:
    """Observe nothing."""


def status_and_headers(
    pool: urllib3.PoolManager, method: str, url: str, *, headers: Mapping[str, str] | None, body: bytes | None
) -> tuple[int, Mapping[str, str]]:
    """Return the status and the headers of the response to a presigned URL. Raises StorageUnavailable without one."""
    try:
        answer = pool.urlopen(method, url, headers=headers or {}, body=body)
    except HTTPError as error:
        raise StorageUnavailable(f"no response ({type(error).__name__})") from error
    return answer.status, answer.headers


def connection_pool(
    timeouts: Timeouts, *, tls_verify: bool, ca_file: Path | None, on_request: RequestObserver = ignore_request
) -> urllib3.PoolManager:
    """Return a connection pool that ignores proxy settings of the environment and follows no redirects."""
    pool = _BoundedPool(
        timeout=urllib3.Timeout(connect=timeouts.connect, read=timeouts.read),
        maxsize=_POOL_CONNECTIONS,
        retries=urllib3.Retry(total=False, raise_on_redirect=False, raise_on_status=False),
        ssl_context=_tls(tls_verify, ca_file),
    )

    class Plain(_SlicedSend, HTTPConnection):
        pass

    class Tls(_SlicedSend, HTTPSConnection):
        pass

    Plain.timeouts = Tls.timeouts = timeouts

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    pool.on_request = on_request
    pool.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
    return pool


def _tls(verify: bool, ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"storage.ca_file {ca_file} cannot be used: {error}") from None
    if not ca_file:
        # In addition to the system's authorities, which a slim container image does not have.
        context.load_verify_locations(certifi.where())
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        urllib3.disable_warnings(InsecureRequestWarning)
    return context
