"""Requests of uploads to an S3 store: one PUT, the steps of a multipart upload, and the verification with HEAD.

Multipart uploads are completed here and not by minio-py: the completion may fail in the body of a 200 response, be
padded with white space, or succeed although the response is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from minio.error import MinioException

from clipengine.errors import ObjectMissing, StorageError, StorageUnavailable
from clipengine.stores.base import StoredObject
from clipengine.stores.s3_client import S3Client
from clipengine.stores.s3_errors import S3_EXCEPTIONS
from clipengine.stores.s3_minio import MinioClient, Object, Part, parse_completion

_ABORT_ATTEMPTS = 2

Tag = tuple[str, str]  # the metadata header and value by which HEAD recognises an uploaded object


class UploadRequests:
    """The requests of uploads to one bucket. All may be repeated."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def put_whole(self, key: str, data: bytes, headers: Mapping[str, str]) -> None:
        self._client.call(
            lambda minio: minio.put_bytes(self._client.bucket, self._client.name(key), data, dict(headers)),
            key=key,
        )

    def create(self, key: str, headers: Mapping[str, str], *, on_lost: Callable[[], None]) -> str:
        """Start a multipart upload and return its id. Call `on_lost` if there may be another one whose id is lost."""

        def create(minio: MinioClient) -> str:
            try:
                return minio.create_upload(self._client.bucket, self._client.name(key), dict(headers))
            except MinioException:
                raise
            except S3_EXCEPTIONS:
                on_lost()
                raise

        return self._client.call(create, key=key)

    def send_part(self, key: str, upload_id: str, number: int, data: bytes) -> Part:
        name = self._client.name(key)
        return self._client.call(
            lambda minio: minio.send_part(self._client.bucket, name, upload_id, number, data), key=key
        )

    def parts(self, key: str, upload_id: str) -> list[Part]:
        """Return the parts that the store has. Raises ObjectMissing if it has no such upload (any more)."""
        name = self._client.name(key)
        return self._client.call(lambda minio: minio.parts(self._client.bucket, name, upload_id), key=key)

    def complete(self, key: str, upload_id: str, parts: Sequence[Part], size: int | None, tag: Tag) -> None:
        """Complete an upload, or find it complete. Raises ObjectMissing if the store has lost it."""
        name = self._client.name(key)

        def complete(minio: MinioClient) -> None:
            try:
                body = minio.complete_upload(self._client.bucket, name, upload_id, parts)
                if error := parse_completion(body):
                    code, message = error
                    raise replace(self._client.errors, key=key).from_response(code, 500, message)
            except (StorageError, *S3_EXCEPTIONS):
                # The store may have completed the upload, in this attempt or an earlier one.
                if not self.is_complete(key, size, tag):
                    raise

        self._client.call(complete, key=key)

    def verify(self, key: str, size: int, tag: Tag) -> StoredObject:
        """Return the uploaded object. Raises StorageUnavailable if the store does not have it, or another one."""

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

    def abort(self, name: str, upload_id: str) -> bool:
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

    def find(self, name: str) -> list[str]:
        """Return the ids of the open uploads of an object."""
        key = self._client.key(name)
        return self._client.call(lambda minio: minio.find_uploads(self._client.bucket, name), key=key)

    def is_complete(self, key: str, size: int | None, tag: Tag) -> bool:
        """Return True if the store has the uploaded object."""
        try:
            return _matches(self._client.stat(key, attempts=1, explain_missing=False), size, tag)
        except StorageError:
            return False


def _matches(found: Object, size: int | None, tag: Tag) -> bool:
    name, value = tag
    return (size is None or found.size == size) and (found.metadata or {}).get(name) == value
