"""Atomic uploads to an S3 store, verified with a HEAD request.

Bodies of up to 64 MiB are sent with one PUT request, larger ones as a multipart upload. This module completes multipart
uploads itself: the completion may fail in the body of a 200 response, be padded with white space, or succeed although
the response is lost.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import BinaryIO
from uuid import uuid4

from minio.error import MinioException

from clipengine.errors import ObjectMissing, PayloadTooLarge, StorageError, StorageUnavailable
from clipengine.stores.base import StoredObject
from clipengine.stores.body import Body
from clipengine.stores.s3_client import S3Client
from clipengine.stores.s3_errors import S3_EXCEPTIONS
from clipengine.stores.s3_journal import OpenUpload, UploadJournal
from clipengine.stores.s3_minio import MinioClient, Object, Part, parse_completion

SINGLE_PUT_BYTES = 64 * 1024 * 1024
PART_BYTES = 16 * 1024 * 1024
_MAX_PARTS = 10_000
_ABORT_ATTEMPTS = 2
_log = logging.getLogger(__name__)


class Uploader:
    """Uploader for one bucket. A `tag` is the metadata header and value by which HEAD recognises an uploaded object."""

    def __init__(self, client: S3Client, journal: UploadJournal, *, single_put_bytes: int, part_bytes: int) -> None:
        self._client = client
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
            self._put_whole(key, data, headers)
        else:
            part_bytes = max(self._part_bytes, math.ceil(size / _MAX_PARTS))
            self._put_parts(key, _verified(source, part_bytes, key, sha256), headers, size, tag)
        return self._verify(key, size, tag)

    def put_stream(self, key: str, body: BinaryIO, *, content_type: str, limit: int) -> StoredObject:
        """Store a stream. One part is held in memory: at least `limit` / 10,000, so pass the length if it is known."""
        source = Body(body, size=limit + 1)
        part_bytes = max(self._part_bytes, math.ceil(limit / _MAX_PARTS))
        tag = ("x-amz-meta-upload", uuid4().hex)
        headers = {"Content-Type": content_type, **dict([tag])}
        parts = _limited(source, part_bytes, limit)
        first = next(parts, b"")
        if len(first) < part_bytes:
            self._put_whole(key, first, {**headers, "x-amz-meta-sha256": source.sha256})
        else:
            self._put_parts(key, chain([first], parts), headers, None, tag)
        return self._verify(key, source.bytes_read, tag)

    def sweep(self) -> int:
        """Abort abandoned uploads and return their number."""
        aborted = 0
        for upload in self._journal.abandoned():
            for upload_id in [upload.upload_id] if upload.upload_id else self._find(upload.name):
                aborted += self._abort(upload.name, upload_id)
            upload.close()
        return aborted

    # ---- one PUT

    def _put_whole(self, key: str, data: bytes, headers: dict[str, str]) -> None:
        self._client.call(
            lambda minio: minio.put_bytes(self._client.bucket, self._client.name(key), data, headers),
            key=key,
        )

    # ---- parts

    def _put_parts(
        self, key: str, parts: Iterator[bytes], headers: dict[str, str], size: int | None, tag: tuple[str, str]
    ) -> None:
        name = self._client.name(key)
        with self._journal.record(name) as upload:
            try:
                upload.started(self._create(key, headers, upload))
                sent = [self._send_part(key, upload, number, data) for number, data in enumerate(parts, 1)]
                self._complete(key, upload, sent, size, tag)
            except BaseException:
                self._abort_or_defer(upload)
                raise
            upload.close()

    def _create(self, key: str, headers: dict[str, str], upload: OpenUpload) -> str:
        def create(minio: MinioClient) -> str:
            try:
                return minio.create_upload(self._client.bucket, self._client.name(key), headers)
            except MinioException:
                raise
            except S3_EXCEPTIONS:
                upload.search = True  # the upload may exist, but its id is lost
                raise

        return self._client.call(create, key=key)

    def _send_part(self, key: str, upload: OpenUpload, number: int, data: bytes) -> Part:
        name, upload_id = self._client.name(key), str(upload.upload_id)
        return self._client.call(
            lambda minio: minio.send_part(self._client.bucket, name, upload_id, number, data), key=key
        )

    def _complete(
        self, key: str, upload: OpenUpload, parts: list[Part], size: int | None, tag: tuple[str, str]
    ) -> None:
        name, upload_id = self._client.name(key), str(upload.upload_id)

        def complete(minio: MinioClient) -> None:
            try:
                body = minio.complete_upload(self._client.bucket, name, upload_id, parts)
                if error := parse_completion(body):
                    code, message = error
                    raise replace(self._client.errors, key=key).from_response(code, 500, message)
            except (StorageError, *S3_EXCEPTIONS):
                # The store may have completed the upload, in this attempt or an earlier one.
                if not self._is_complete(key, size, tag):
                    raise

        try:
            self._client.call(complete, key=key)
        except ObjectMissing as error:
            raise StorageUnavailable(f"the store lost the upload of {key} before it was complete") from error

    def _is_complete(self, key: str, size: int | None, tag: tuple[str, str]) -> bool:
        try:
            return _matches(self._client.stat(key, attempts=1, explain_missing=False), size, tag)
        except StorageError:
            return False

    # ---- afterwards

    def _verify(self, key: str, size: int, tag: tuple[str, str]) -> StoredObject:
        def verify(_: MinioClient) -> Object:
            try:
                found = self._client.stat(key, attempts=1, explain_missing=False)
            except ObjectMissing:
                raise StorageUnavailable(f"the store confirmed the upload of {key}, but does not have it") from None
            if not _matches(found, size, tag):
                raise StorageUnavailable(
                    f"the store confirmed the upload of {key} with {size} bytes, but has another object of {found.size}"
                )
            return found

        return self._client.describe(self._client.call(verify, key=key))

    def _abort_or_defer(self, upload: OpenUpload) -> None:
        """Abort the upload, or leave it to the sweep if that fails, so that the original error is raised."""
        if upload.upload_id is None:
            return
        try:
            self._abort(upload.name, upload.upload_id)
        except StorageError as error:
            _log.warning("upload %s of %s is left to the sweep: %s", upload.upload_id, upload.name, error)
        else:
            upload.close()

    def _abort(self, name: str, upload_id: str) -> bool:
        """Abort an upload. Return False if it no longer exists."""
        try:
            self._client.call(
                lambda minio: minio.abort_upload(self._client.bucket, name, upload_id),
                key=self._client.key(name),
                attempts=_ABORT_ATTEMPTS,
            )
        except ObjectMissing:
            return False
        return True

    def _find(self, name: str) -> list[str]:
        """Return the ids of the open uploads of an object."""
        key = self._client.key(name)
        return self._client.call(lambda minio: minio.find_uploads(self._client.bucket, name), key=key)


def _verified(source: Body, part_bytes: int, key: str, sha256: str) -> Iterator[bytes]:
    while data := source.read(part_bytes):
        yield data
    source.verify(key, sha256=sha256)


def _limited(source: Body, part_bytes: int, limit: int) -> Iterator[bytes]:
    while data := source.read(part_bytes):
        if source.bytes_read > limit:
            raise PayloadTooLarge(f"the upload is larger than {limit} bytes")
        yield data


def _matches(found: Object, size: int | None, tag: tuple[str, str]) -> bool:
    name, value = tag
    return (size is None or found.size == size) and (found.metadata or {}).get(name) == value
