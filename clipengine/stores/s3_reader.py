"""Ranged reads of an object in an S3 store."""

from __future__ import annotations

import re
import time

from urllib3.exceptions import HTTPError, ReadTimeoutError

from clipengine.errors import ObjectChanged, StorageUnavailable
from clipengine.stores.base import StoredObject
from clipengine.stores.s3_client import S3Client
from clipengine.stores.s3_minio import MinioClient

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
        whole = False  # if not, unread data remains and the connection cannot be reused
        try:
            self._check_range(response.status, response.headers.get("content-range", ""), first, end)
            if response.headers.get("etag", self.info.etag).replace('"', "") != self.info.etag:
                raise ObjectChanged(f"{self.info.key} was replaced while it was read")
            deadline = time.monotonic() + self._client.timeouts.for_body(end - first)
            while (missing := end - offset - len(data)) > 0:
                # `read` blocks until all bytes are there, so a slow peer could pass the deadline; `read1` does not.
                chunk = response.read1(min(missing, _READ_BYTES), decode_content=False)
                if not chunk:
                    raise HTTPError(f"the body ended {missing} bytes early")
                data += chunk[:missing]
                if missing > len(chunk) and time.monotonic() > deadline:
                    raise ReadTimeoutError(None, None, "the body arrives too slowly")  # type: ignore[arg-type]
            whole = not response.read1(1, decode_content=False)
        finally:
            if not whole:
                response.close()
            response.release_conn()

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
