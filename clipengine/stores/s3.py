"""The S3 store, composed of `s3_client`, `s3_reader` and `s3_upload`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from urllib3.response import BaseHTTPResponse

from clipengine.basis.budget import Allowance
from clipengine.basis.moments import parse_http_date
from clipengine.basis.timecode import now_ms
from clipengine.errors import ClipEngineError, ObjectMissing, StorageUnavailable
from clipengine.stores.base import Disposition, ObjectReader, Skipped, StoredObject, delete_each
from clipengine.stores.keys import INVALID_KEY, RESERVED, check_key, check_list_prefix, is_key
from clipengine.stores.object_errors import check_etag
from clipengine.stores.os_errors import translate_os_errors
from clipengine.stores.s3_client import PAGE_OBJECTS, Retries, S3Client, S3Location
from clipengine.stores.s3_direct import S3DirectParts
from clipengine.stores.s3_http import RequestObserver, ignore_request
from clipengine.stores.s3_journal import UploadJournal
from clipengine.stores.s3_partial import PartialUploads
from clipengine.stores.s3_reader import S3Reader, read_whole
from clipengine.stores.s3_upload import PART_BYTES, SINGLE_PUT_BYTES, Uploader

_MAX_LISTED = 100_000_000  # only a store that does not work as it should lists more
_NOT_IN_XML = re.compile("[\ufffe\uffff]")  # valid in a key, but not in XML


class S3Store:
    """A bucket, or a prefix in it. `journal` is a local folder that must survive a restart."""

    def __init__(
        self,
        location: S3Location,
        *,
        journal: Path,
        link_seconds: int = 3600,
        retries: Retries = Retries(),
        single_put_bytes: int = SINGLE_PUT_BYTES,
        part_bytes: int = PART_BYTES,
        on_request: RequestObserver = ignore_request,
    ) -> None:
        self._client = S3Client(location, retries, on_request)
        self._link_seconds = link_seconds
        uploads = UploadJournal(journal, endpoint=location.endpoint, bucket=location.bucket)
        self._uploader = Uploader(self._client, uploads, single_put_bytes=single_put_bytes, part_bytes=part_bytes)
        partial = PartialUploads(self._client, part_bytes=part_bytes)
        self.extend, self.forget = partial.extend, partial.forget
        self.finish, self.discard = partial.finish, partial.discard
        self._direct = S3DirectParts(self._client, partial)

    @property
    def direct(self) -> S3DirectParts:
        return self._direct

    def head(self, key: str) -> StoredObject:
        return self._client.describe(self._client.stat(check_key(key)))

    def open(self, key: str, *, etag: str | None = None) -> ObjectReader:
        info = self.head(key)
        check_etag(info, etag)
        return S3Reader(self._client, info)

    def growing(self, key: str) -> StoredObject | None:
        check_key(key)
        return None

    def read(self, key: str, *, limit: int, unless: str | None = None) -> tuple[StoredObject, bytes] | None:
        return read_whole(self._client, check_key(key), limit=limit, unless=unless)

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str, sha256: str) -> StoredObject:
        try:
            stored = self._client.describe(self._client.stat(check_key(key), explain_missing=False))
        except ObjectMissing:
            stored = None
        if stored and (stored.size, stored.sha256) == (size, sha256):
            return stored
        return self._uploader.put(key, body, size=size, content_type=content_type, sha256=sha256)

    def put_stream(self, key: str, body: BinaryIO, *, content_type: str, limit: int) -> StoredObject:
        return self._uploader.put_stream(check_key(key), body, content_type=content_type, limit=limit)

    def delete(self, key: str) -> None:
        name = self._client.name(check_key(key))
        try:
            self._client.call(lambda minio: minio.remove_object(self._client.bucket, name), key=key)
        except ObjectMissing:
            pass

    def delete_many(self, keys: Sequence[str]) -> dict[str, ClipEngineError]:
        together = [key for key in keys if is_key(key) and not _NOT_IN_XML.search(key)]
        failed = self._client.delete_batch(together) if len(together) > 1 else None
        if failed is None:
            return delete_each(self.delete, keys)
        return failed | delete_each(self.delete, sorted(set(keys).difference(together)))

    def list(self, prefix: str = "", *, after: str = "", skipped: Skipped | None = None) -> Iterator[StoredObject]:
        check_list_prefix(prefix)
        name: str | None = self._client.name(after) if after else ""
        left = Allowance(_MAX_LISTED, "objects", of="a listing", refusal=StorageUnavailable)
        while name is not None:
            page = self._client.page(prefix, after=name)
            left.spend(len(page))
            if page and (page[-1].object_name or "") <= name:
                raise StorageUnavailable("the store lists the same objects again")
            for found in page:
                stored = self._client.describe(found)
                if is_key(stored.key):
                    yield stored
                elif skipped is not None and not _is_internal(stored.key):
                    skipped(stored.key, INVALID_KEY)
            name = page[-1].object_name if len(page) == PAGE_OBJECTS else None

    def link(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        kind: Disposition = "attachment",
        seconds: int | None = None,
    ) -> str | None:
        valid = self._link_seconds if seconds is None else max(1, min(seconds, self._link_seconds))
        return self._client.link(check_key(key), filename=filename, content_type=content_type, kind=kind, seconds=valid)

    def sweep_uploads(self) -> int:
        with translate_os_errors("the upload journal"):
            return self._uploader.sweep()

    def clock_ahead(self) -> float | None:
        date = self._list_one().headers.get("date", "")
        try:
            return (parse_http_date(date) - now_ms()) / 1000
        except ValueError:
            return None

    def check(self) -> None:
        self._list_one()

    def _list_one(self) -> BaseHTTPResponse:
        prefix = self._client.name("")
        return self._client.call(lambda minio: minio.list_one(self._client.bucket, prefix), attempts=1)


def _is_internal(key: str) -> bool:
    """Return True for the marker of a folder, and for an internal object of the store."""
    return key.endswith("/") or key.startswith(f"{RESERVED}/")
