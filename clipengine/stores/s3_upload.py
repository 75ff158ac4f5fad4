"""Atomic uploads to an S3 store, verified with a HEAD request.

Bodies of up to 64 MiB are sent with one PUT request, larger ones as a multipart upload.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO
from uuid import uuid4

from clipengine.errors import ObjectMissing, PayloadTooLarge, StorageError, StorageUnavailable
from clipengine.recordings.partial_object import MAX_PARTS
from clipengine.stores.base import StoredObject
from clipengine.stores.body import Body
from clipengine.stores.s3_client import S3Client
from clipengine.stores.s3_journal import OpenUpload, UploadJournal
from clipengine.stores.s3_minio import Part
from clipengine.stores.s3_multipart import Tag, UploadRequests

SINGLE_PUT_BYTES = 64 * 1024 * 1024
PART_BYTES = 16 * 1024 * 1024
_log = logging.getLogger(__name__)


class Uploader:
    """Uploader for one bucket."""

    def __init__(self, client: S3Client, journal: UploadJournal, *, single_put_bytes: int, part_bytes: int) -> None:
        self._client = client
        self._requests = UploadRequests(client)
        self._journal = journal
        self._single_put_bytes = single_put_bytes
        self._part_bytes = part_bytes

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str, sha256: str) -> StoredObject:
        source = Body(body, size=size)
        tag = ("x-amz-meta-sha256", sha256)
        headers = {"Content-Type": content_type, **dict([tag])}
        if size <= self._single_put_bytes:
            data = source.read(size)
            source.verify(key, sha256=sha256)
            self._requests.put_whole(key, data, headers)
        else:
            part_bytes = part_size(size, least=self._part_bytes)
            self._put_parts(key, _verified(source, part_bytes, key, sha256), headers, size, tag)
        return self._requests.verify(key, size, tag)

    def put_stream(self, key: str, body: BinaryIO, *, content_type: str, limit: int) -> StoredObject:
        """Store a stream. One part is held in memory: at least `limit` / 10,000, so pass the length if it is known."""
        source = Body(body, size=limit + 1)
        part_bytes = part_size(limit, least=self._part_bytes)
        tag = ("x-amz-meta-upload", uuid4().hex)
        headers = {"Content-Type": content_type, **dict([tag])}
        parts = _limited(source, part_bytes, limit)
        first = next(parts, b"")
        if len(first) < part_bytes:
            self._requests.put_whole(key, first, {**headers, "x-amz-meta-sha256": source.sha256})
        else:
            self._put_parts(key, chain([first], parts), headers, None, tag)
        return self._requests.verify(key, source.bytes_read, tag)

    def sweep(self) -> int:
        """Abort abandoned uploads and return their number."""
        aborted = 0
        for upload in self._journal.abandoned():
            for upload_id in [upload.upload_id] if upload.upload_id else self._requests.find(upload.name):
                aborted += self._requests.abort(upload.name, upload_id)
            upload.close()
        return aborted

    def _put_parts(self, key: str, parts: Iterator[bytes], headers: dict[str, str], size: int | None, tag: Tag) -> None:
        with self._journal.record(self._client.name(key)) as upload:
            try:
                upload_id = self._requests.create(key, headers, on_lost=upload.lost)
                upload.started(upload_id)
                sent = [self._requests.send_part(key, upload_id, number, data) for number, data in enumerate(parts, 1)]
                self._complete(key, upload_id, sent, size, tag)
            except BaseException:
                self._abort_or_defer(upload)
                raise
            upload.close()

    def _complete(self, key: str, upload_id: str, parts: list[Part], size: int | None, tag: Tag) -> None:
        try:
            self._requests.complete(key, upload_id, parts, size, tag)
        except ObjectMissing as error:
            raise StorageUnavailable(f"the store lost the upload of {key} before it was complete") from error

    def _abort_or_defer(self, upload: OpenUpload) -> None:
        """Abort the upload, or leave it to the sweep if that fails, so that the original error is raised."""
        if upload.upload_id is None:
            return
        try:
            self._requests.abort(upload.name, upload.upload_id)
        except StorageError as error:
            _log.warning("upload %s of %s is left to the sweep: %s", upload.upload_id, upload.name, error)
        else:
            upload.close()


def part_size(size: int, *, least: int) -> int:
    """Return the size of the parts of an object: `least`, or more if it would have too many parts."""
    return max(least, math.ceil(size / MAX_PARTS))


def _verified(source: Body, part_bytes: int, key: str, sha256: str) -> Iterator[bytes]:
    while data := source.read(part_bytes):
        yield data
    source.verify(key, sha256=sha256)


def _limited(source: Body, part_bytes: int, limit: int) -> Iterator[bytes]:
    while data := source.read(part_bytes):
        if source.bytes_read > limit:
            raise PayloadTooLarge(f"the upload is larger than {limit} bytes")
        yield data
