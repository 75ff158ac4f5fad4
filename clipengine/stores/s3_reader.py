"""Ranged reads of an object in an S3 store."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from minio import InvalidResponseError, ServerError
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from clipengine.errors import ObjectChanged, StorageUnavailable
from clipengine.stores.base import StoredObject
from clipengine.stores.s3_client import S3Client
from clipengine.stores.s3_minio import MinioClient, invalid_response

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_READ_BYTES = 256 * 1024
# An attempt that received this much resets the retry count, so that long reads succeed over a bad connection.
_PROGRESS_BYTES = 64 * 1024


class S3Reader:
    """Reader that sends one GET request per read. Thread-safe; there is nothing to close."""

    def __init__(self, client: S3Client, info: StoredObject) -> None:
        self.info = info
        self._client = client

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.info.size)
        data = bytearray()
        started, failures = time.monotonic(), 0
        while offset + len(data) < end:
            before = len(data)
            try:
                self._client.call(lambda minio: self._fetch(minio, offset, end, data), key=self.info.key, attempts=1)
            except StorageUnavailable:
                failures = 1 if len(data) - before >= _PROGRESS_BYTES else failures + 1
                if not self._client.retries.wait(failures, started):
                    raise
        return bytes(data)

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        pass

    def _fetch(self, minio: MinioClient, offset: int, end: int, data: bytearray) -> None:
        """Request the rest of [offset, end) and append it to `data`; bytes received before a failure are kept."""
        first = offset + len(data)
        response = minio.get_object(
            self._client.bucket,
            self._client.name(self.info.key),
            first,
            end - first,
            request_headers={"If-Match": f'"{self.info.etag}"'},
        )
        with _released(response):
            self._check_range(response.status, response.headers.get("content-range", ""), first, end)
            if response.headers.get("etag", self.info.etag).replace('"', "") != self.info.etag:
                raise ObjectChanged(f"{self.info.key} was replaced while it was read")
            _read_body(response, end - first, data, self._client.timeouts.for_body(end - first))

    def _check_range(self, status: int, content_range: str, first: int, end: int) -> None:
        found = _CONTENT_RANGE.fullmatch(content_range.strip())
        if status != 206 or not found:
            raise StorageUnavailable(
                f"the store answered a range request for {self.info.key} with HTTP {status} and no range",
                hint="The store, or a proxy in front of it, must support HTTP range requests.",
            )
        if found[3] not in ("*", str(self.info.size)):
            raise ObjectChanged(f"{self.info.key} has {found[3]} bytes, expected {self.info.size}")
        if (int(found[1]), int(found[2])) != (first, end - 1):
            raise StorageUnavailable(f"the store returned a different range of {self.info.key} than requested")


def read_whole(client: S3Client, key: str, *, limit: int, unless: str | None) -> tuple[StoredObject, bytes] | None:
    """Return an object and its first `limit` bytes, or None if its ETag is still `unless`, with one request."""
    condition: dict[str, str | list[str] | tuple[str]] = {} if unless is None else {"If-None-Match": f'"{unless}"'}

    def fetch(minio: MinioClient) -> tuple[StoredObject, bytes] | None:
        try:
            response = minio.get_object(client.bucket, client.name(key), request_headers=condition)
        except (ServerError, InvalidResponseError) as error:
            status = error.status_code if isinstance(error, ServerError) else invalid_response(error)[0]
            if status == HTTPStatus.NOT_MODIFIED:
                return None
            raise
        with _released(response):
            etag, size = response.headers.get("etag", "").replace('"', ""), response.headers.get("content-length", "")
            if not etag or not size.isdecimal():
                raise StorageUnavailable(f"the store returned no length or no ETag for {key}")
            if etag == unless:  # the store ignores the condition
                return None
            data = bytearray()
            wanted = min(int(size), limit)
            _read_body(response, wanted, data, client.timeouts.for_body(wanted))
            return StoredObject(key, int(size), etag, modified=0), bytes(data)

    return client.call(fetch, key=key)


@contextmanager
def _released(response: BaseHTTPResponse) -> Iterator[None]:
    """Return the connection of the response to the pool, or close it if unread data remains."""
    whole = False
    try:
        yield
        whole = not response.read1(1, decode_content=False)
    finally:
        if not whole:
            response.close()
        response.release_conn()


def _read_body(response: BaseHTTPResponse, length: int, data: bytearray, seconds: float) -> None:
    """Append so many bytes of a response to `data`; bytes received before a failure are kept."""
    deadline = time.monotonic() + seconds
    missing = length
    while missing > 0:
        # `read` blocks until all bytes are there, so a slow peer could pass the deadline; `read1` does not.
        chunk = response.read1(min(missing, _READ_BYTES), decode_content=False)
        if not chunk:
            raise HTTPError(f"the body ended {missing} bytes early")
        data += chunk[:missing]
        missing -= len(chunk)
        if missing > 0 and time.monotonic() > deadline:
            raise ReadTimeoutError(None, None, "the body arrives too slowly")  # type: ignore[arg-type]
