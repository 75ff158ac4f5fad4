"""S3 client for one bucket: minio-py with retries, and with errors translated to `clipengine.errors`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from minio import S3Error

from clipengine.basis.backoff import Backoff
from clipengine.basis.moments import microseconds_of, note_left_out
from clipengine.errors import (
    ClipEngineError,
    ObjectChanged,
    ObjectMissing,
    SettingsError,
    StorageDenied,
    StorageError,
    StorageUnavailable,
)
from clipengine.stores.base import Disposition, StoredObject
from clipengine.stores.keys import clean_prefix
from clipengine.stores.s3_credentials import CredentialChain
from clipengine.stores.s3_errors import S3_EXCEPTIONS, S3ErrorContext
from clipengine.stores.s3_http import RequestObserver, Timeouts, connection_pool, ignore_request
from clipengine.stores.s3_minio import DeleteObject, MinioClient, Object, check_bucket_name

PAGE_OBJECTS = 1000
# Ceph checks the right to delete a batch on the bucket: a policy for the objects of a prefix does not grant it.
_NO_BATCH = {"NotImplemented", "MethodNotAllowed", "AccessDenied"}
T = TypeVar("T")


@dataclass(frozen=True)
class S3Location:
    """Address and credentials of a bucket. Secrets are excluded from repr."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    chain: bool = False  # take the credentials from the environment instead
    region: str = "us-east-1"
    prefix: str = ""
    path_style: bool = True
    tls_verify: bool = True
    ca_file: Path | None = None
    public_endpoint: str = ""
    timeouts: Timeouts = field(default_factory=Timeouts)


_BACKOFF = Backoff(0.2, 5)


@dataclass(frozen=True)
class Retries:
    """Retry policy of one call. Longer outages are handled by the caller's own retry policy."""

    attempts: int = 5
    backoff: Backoff = _BACKOFF
    seconds: float = 120  # no retry starts after this time

    def wait(self, failures: int, started: float) -> bool:
        """Sleep before the next attempt. Return False if there must not be one."""
        delay = self.backoff.after(failures)
        if failures >= self.attempts or time.monotonic() + delay > started + self.seconds:
            return False
        time.sleep(delay)
        return True


class S3Client:
    """Client for one bucket. A `name` is an object's full name in the bucket; a `key` is relative to the prefix."""

    def __init__(self, location: S3Location, retries: Retries, on_request: RequestObserver = ignore_request) -> None:
        self.bucket = location.bucket
        self.retries = retries
        self.timeouts = location.timeouts
        self.errors = S3ErrorContext(location.endpoint, location.bucket, location.access_key)
        self._prefix = clean_prefix(location.prefix)
        credentials = CredentialChain() if location.chain else None
        self._chain = credentials
        self._minio = _connect(location, location.endpoint, "storage.endpoint", on_request, credentials)
        # A presigned URL is signed for the host that its user connects to.
        self._links = self._minio
        if public := location.public_endpoint:
            self._links = _connect(location, public, "storage.public_endpoint", on_request, credentials)

    def name(self, key: str) -> str:
        return self._prefix + key

    def key(self, name: str) -> str:
        return name.removeprefix(self._prefix)

    def call(self, operation: Callable[[MinioClient], T], *, key: str | None = None, attempts: int | None = None) -> T:
        """Return the result of `operation`, retrying while the store is unavailable. Raises only StorageError.

        The operation must be idempotent.
        """
        retries = self.retries if attempts is None else replace(self.retries, attempts=attempts)
        started, failures = time.monotonic(), 0
        while True:
            try:
                return operation(self._minio)
            except (StorageError, *S3_EXCEPTIONS) as error:
                access_key = self._chain.access_key if self._chain else self.errors.access_key
                translated = replace(self.errors, key=key, access_key=access_key).translate(error)
                failures += 1
                if not isinstance(translated, StorageUnavailable) or not retries.wait(failures, started):
                    raise translated from error

    def stat(self, key: str, *, attempts: int | None = None, explain_missing: bool = True) -> Object:
        """Send a HEAD request and return the object's metadata.

        A HEAD response has no body, so it does not tell a missing bucket from a missing object. After a 403 or 404 the
        request is repeated with GET to get the error code.
        """

        def head(minio: MinioClient) -> Object:
            found = minio.stat_object(self.bucket, self.name(key))
            if not found.etag or "content-length" not in (found.metadata or {}):
                raise StorageUnavailable(f"the store returned no length or no ETag for {key}")
            return found

        try:
            return self.call(head, key=key, attempts=attempts)
        except (StorageDenied, ObjectMissing) as error:
            if explain_missing or isinstance(error, StorageDenied):
                self._raise_cause(key, attempts)
            raise

    def _raise_cause(self, key: str, attempts: int | None) -> None:
        def get(minio: MinioClient) -> None:
            minio.get_object(self.bucket, self.name(key), 0, 1).close()

        try:
            self.call(get, key=key, attempts=attempts)
        except (ObjectMissing, ObjectChanged):
            pass  # no new information; an empty object has no first byte, hence ObjectChanged
        except StorageDenied as error:
            if not self._may_exist(key, attempts):
                raise ObjectMissing(f"{key} is not in bucket {self.bucket} (not in its listing)") from error
            raise

    def _may_exist(self, key: str, attempts: int | None) -> bool:
        """Return False if a listing shows that the object is missing, True if it exists or listing is denied.

        S3 answers 403 instead of 404 if the credentials have no permission to list the whole bucket, which the engine
        does not need.
        """

        def first(minio: MinioClient) -> list[Object]:
            return list(islice(minio.list_objects(self.bucket, prefix=self.name(key), recursive=True), 1))

        try:
            found = self.call(first, key=key, attempts=attempts)
        except StorageDenied:
            return True
        return bool(found) and found[0].object_name == self.name(key)

    def page(self, prefix: str, *, after: str) -> list[Object]:
        """Return the next objects whose keys begin with `prefix`, after the object named `after`.

        The last page has fewer than PAGE_OBJECTS objects.
        """
        name = self.name(prefix)
        return self.call(lambda minio: minio.list_page(self.bucket, name, after, PAGE_OBJECTS))

    def delete_batch(self, keys: Sequence[str]) -> dict[str, ClipEngineError] | None:
        """Delete the objects in one request and return the error of each that was not deleted.

        Return None, with nothing deleted, if the store does not implement the request.
        """
        objects = [DeleteObject(self.name(key)) for key in keys]

        def request(minio: MinioClient) -> dict[str, ClipEngineError] | None:
            try:
                errors = list(minio.remove_objects(self.bucket, objects))
            except S3Error as refusal:
                if refusal.code in _NO_BATCH:
                    return None
                raise
            failed: dict[str, ClipEngineError] = {}
            for each in errors:
                key = None if each.name is None else self.key(each.name)
                error = replace(self.errors, key=key).from_response(each.code, 500, each.message or "")
                if key is None:  # an error response with status 200 is about the whole request
                    raise error
                if not isinstance(error, ObjectMissing):
                    failed[key] = error
            return failed

        return self.call(request)

    def describe(self, found: Object) -> StoredObject:
        headers = found.metadata or {}
        return StoredObject(
            key=self.key(found.object_name or ""),
            size=found.size or 0,
            etag=found.etag or "",
            modified=self._modified(found.last_modified),
            content_type=found.content_type or StoredObject.content_type,
            sha256=headers.get("x-amz-meta-sha256"),
        )

    @staticmethod
    def _modified(stated: datetime | None) -> int:
        """Return when an object was stored, or 0 if that is not known."""
        try:
            return 0 if stated is None else round(microseconds_of(stated) / 1000)
        except ValueError as error:
            note_left_out("the store", "Last-Modified of an object", error)
            return 0

    def link(self, key: str, *, filename: str, content_type: str, kind: Disposition, seconds: int) -> str:
        """Return a presigned GET URL. The file name is percent-encoded (RFC 5987), so that no quoting is needed."""
        disposition = f"{kind}; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
        return self._links.presigned_get_object(
            self.bucket,
            self.name(key),
            timedelta(seconds=seconds),
            response_headers={
                "response-content-disposition": disposition,
                "response-content-type": content_type,
            },
        )

    def link_of_part(self, key: str, upload_id: str, number: int, *, length: int, seconds: int) -> str:
        """Return a presigned URL for a PUT of one part of a multipart upload."""
        return self._links.link_of_part(self.bucket, self.name(key), upload_id, number, length, seconds)

    def copy_into_part(self, source: str, key: str, upload_id: str, *, body: bytes, seconds: int) -> int:
        """Send the first part of an upload with a link and a header that names another object, as a client might.

        Returns the status of the response.
        """
        headers = {"x-amz-copy-source": quote(f"/{self.bucket}/{self.name(source)}")}

        def send(minio: MinioClient) -> int:
            url = minio.link_of_part(self.bucket, self.name(key), upload_id, 1, len(body), seconds)
            return minio.send_by_link(url, headers, body)

        return self.call(send)


def _connect(
    location: S3Location,
    endpoint: str,
    setting: str,
    on_request: RequestObserver,
    credentials: CredentialChain | None,
) -> MinioClient:
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.netloc:
        raise SettingsError(f"{setting} must be http://host[:port] or https://host[:port]")
    try:
        check_bucket_name(location.bucket)
        minio = MinioClient(
            endpoint=endpoint.removeprefix(f"{url.scheme}://").rstrip("/"),
            access_key=None if credentials else location.access_key,
            secret_key=None if credentials else location.secret_key,
            session_token=location.session_token or None,
            credentials=credentials,
            secure=url.scheme == "https",
            region=location.region or "us-east-1",  # an empty region makes minio-py request it first
            http_client=connection_pool(
                location.timeouts, tls_verify=location.tls_verify, ca_file=location.ca_file, on_request=on_request
            ),
        )
    except ValueError as error:
        raise SettingsError(f"{setting}, storage.bucket or storage.region is wrong: {error}") from None
    minio.set_path_style(location.path_style)
    return minio
