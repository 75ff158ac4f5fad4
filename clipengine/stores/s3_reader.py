"""One object of an S3 store, open for ranged reads and pinned to its ETag."""

from __future__ import annotations

import re
import time

from minio import Minio
from urllib3.exceptions import HTTPError, ReadTimeoutError

from clipengine.errors import ObjectChanged, StorageUnavailable
from clipengine.stores.base import StoredObject
from clipengine.stores.s3_client import S3Client

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_READ_BYTES = 256 * 1024
# An attempt that brought this much is no failure: a long read over a bad line gets through.
_PROGRESS_BYTES = 64 * 1024


class S3Reader:
    """Every read is a GET of its own, so that threads may share a reader and there is nothing to close."""

    def __init__(self, client: S3Client, info: StoredObject) -> None:
        self.info = info
        self._client = client

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.info.size)
        got = bytearray()
        started, failures = time.monotonic(), 0
        while offset + len(got) < end:
            before = len(got)
            try:
                self._client.call(lambda minio: self._fetch(minio, offset, end, got), key=self.info.key, attempts=1)
            except StorageUnavailable:
                failures = 1 if len(got) - before >= _PROGRESS_BYTES else failures + 1
                if not self._client.retries.wait(failures, started):
                    raise
        return bytes(got)

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        pass

    def _fetch(self, minio: Minio, offset: int, end: int, got: bytearray) -> None:
        """One GET for what is missing of [offset, end). What it brings is kept in `got` even when it fails."""
        first = offset + len(got)
        response = minio.get_object(
            self._client.bucket,
            self._client.name(self.info.key),
            first,
            end - first,
            request_headers={"If-Match": f'"{self.info.etag}"'},
        )
        whole = False  # else the connection has more to say, and serves nobody any more
        try:
            self._check_answer(response.status, response.headers.get("content-range", ""), first, end)
            if response.headers.get("etag", self.info.etag).replace('"', "") != self.info.etag:
                raise ObjectChanged(f"{self.info.key} was replaced while it was read")
            deadline = time.monotonic() + self._client.timeouts.for_body(end - first)
            while (missing := end - offset - len(got)) > 0:
                # `read` waits for all that it was asked for, however slowly it drips; `read1` for what there is.
                chunk = response.read1(min(missing, _READ_BYTES), decode_content=False)
                if not chunk:
                    raise HTTPError(f"the body ended {missing} bytes too early")
                got += chunk[:missing]
                if missing > len(chunk) and time.monotonic() > deadline:
                    raise ReadTimeoutError(None, None, "the body comes too slowly")  # type: ignore[arg-type]
            whole = not response.read1(1, decode_content=False)
        finally:
            if not whole:
                response.close()
            response.release_conn()

    def _check_answer(self, status: int, content_range: str, first: int, end: int) -> None:
        found = _CONTENT_RANGE.fullmatch(content_range.strip())
        if status != 206 or not found:
            raise StorageUnavailable(
                f"the store answered the range of {self.info.key} with HTTP {status} and no range",
                hint="The store, or a proxy before it, does not serve HTTP ranges; the engine needs them.",
            )
        if found[3] not in ("*", str(self.info.size)):
            raise ObjectChanged(f"{self.info.key} has {found[3]} bytes, no longer {self.info.size}")
        if (int(found[1]), int(found[2])) != (first, end - 1):
            raise StorageUnavailable(f"the store answered another range of {self.info.key} than was asked for")
