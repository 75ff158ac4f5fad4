"""The way to one bucket: minio-py with its traps closed, retries in one place, faults as errors of the tree.

minio-py's public calls hide what this engine has to see (a 200 for a range, an error inside a 200, an upload id), so
that the private ones of one pinned major version are used, here and in the reader and the upload, and nowhere else.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from minio import Minio
from minio.datatypes import Object
from minio.helpers import check_bucket_name

from clipengine.errors import (
    ObjectChanged,
    ObjectMissing,
    SettingsError,
    StorageDenied,
    StorageError,
    StorageUnavailable,
)
from clipengine.stores.base import StoredObject
from clipengine.stores.keys import clean_prefix
from clipengine.stores.s3_errors import S3_FAULTS, Where
from clipengine.stores.s3_http import Timeouts, connection_pool

PAGE_OBJECTS = 1000
T = TypeVar("T")


@dataclass(frozen=True)
class S3Location:
    """Where a bucket is and who asks. The secrets are not shown by repr."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    region: str = "us-east-1"
    prefix: str = ""
    path_style: bool = True
    tls_verify: bool = True
    ca_file: Path | None = None
    public_endpoint: str = ""
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True)
class Retries:
    """How long one call waits for a store that fails. Whoever called waits for hours where that is right."""

    attempts: int = 5
    first_delay: float = 0.2
    longest_delay: float = 5
    seconds: float = 120  # no new attempt after this time

    def wait(self, failures: int, started: float) -> bool:
        """Sleep before the next attempt, with jitter; False when there shall be none."""
        delay = min(self.first_delay * 2 ** (failures - 1), self.longest_delay) * random.uniform(0.5, 1)
        if failures >= self.attempts or time.monotonic() + delay > started + self.seconds:
            return False
        time.sleep(delay)
        return True


class S3Client:
    """Calls on one bucket. `name` is the object's name in the bucket, `key` is relative to the prefix."""

    def __init__(self, location: S3Location, retries: Retries) -> None:
        self.bucket = location.bucket
        self.retries = retries
        self.timeouts = location.timeouts
        self.where = Where(location.endpoint, location.bucket, location.access_key)
        self._prefix = clean_prefix(location.prefix)
        self._minio = _connect(location, location.endpoint, "storage.endpoint")
        public = location.public_endpoint
        # Signing needs no connection, but the host that the reader of the link will see.
        self._links = _connect(location, public, "storage.public_endpoint") if public else self._minio

    def name(self, key: str) -> str:
        return self._prefix + key

    def key(self, name: str) -> str:
        return name.removeprefix(self._prefix)

    def call(self, operation: Callable[[Minio], T], *, key: str | None = None, attempts: int | None = None) -> T:
        """The operation's result; sent again while the store is unavailable. Raises only StorageErrors of the tree.

        The operation must be one that may happen twice.
        """
        retries = self.retries if attempts is None else replace(self.retries, attempts=attempts)
        started, failures = time.monotonic(), 0
        while True:
            try:
                return operation(self._minio)
            except (StorageError, *S3_FAULTS) as error:
                fault = replace(self.where, key=key).fault(error)
                failures += 1
                if not isinstance(fault, StorageUnavailable) or not retries.wait(failures, started):
                    raise fault from error

    def stat(self, key: str, *, attempts: int | None = None, explain_missing: bool = True) -> Object:
        """HEAD. Its answers have no body to say why, so that a refusal or a miss is asked for once more, with GET.

        Only so is a bucket that does not exist told from an object that does not.
        """

        def head(minio: Minio) -> Object:
            found = minio.stat_object(self.bucket, self.name(key))
            if not found.etag or "content-length" not in (found.metadata or {}):
                raise StorageUnavailable(f"the store does not say the length and the ETag of {key}")
            return found

        try:
            return self.call(head, key=key, attempts=attempts)
        except (StorageDenied, ObjectMissing) as fault:
            if explain_missing or isinstance(fault, StorageDenied):
                self._explain(key, attempts)
            raise

    def _explain(self, key: str, attempts: int | None) -> None:
        def get(minio: Minio) -> None:
            minio.get_object(self.bucket, self.name(key), 0, 1).close()

        try:
            self.call(get, key=key, attempts=attempts)
        except (ObjectMissing, ObjectChanged):
            pass  # no more than HEAD has said; an empty object has no first byte
        except StorageDenied as fault:
            if not self._listed(key, attempts):
                raise ObjectMissing(f"{key} is not in bucket {self.bucket} (the store lists none)") from fault
            raise

    def _listed(self, key: str, attempts: int | None) -> bool:
        """Whether an object has the name, or who may not ask for it may not list it either.

        A store refuses what is not there, instead of saying so, to who may not list the whole bucket; as somebody
        who may do no more than the engine needs.
        """

        def first(minio: Minio) -> list[Object]:
            return list(islice(minio.list_objects(self.bucket, prefix=self.name(key), recursive=True), 1))

        try:
            found = self.call(first, key=key, attempts=attempts)
        except StorageDenied:
            return True
        return bool(found) and found[0].object_name == self.name(key)

    def page(self, prefix: str, *, after: str) -> list[Object]:
        """The next objects whose keys begin with `prefix`, after the object named `after`.

        Fewer than PAGE_OBJECTS are the last.
        """

        def fetch(minio: Minio) -> list[Object]:
            found = minio.list_objects(self.bucket, prefix=self.name(prefix), recursive=True, start_after=after or None)
            return list(islice(found, PAGE_OBJECTS))

        return self.call(fetch)

    def describe(self, found: Object) -> StoredObject:
        headers = found.metadata or {}
        modified = found.last_modified.timestamp() if found.last_modified else 0
        return StoredObject(
            key=self.key(found.object_name or ""),
            size=found.size or 0,
            etag=found.etag or "",
            modified=round(modified * 1000),
            content_type=found.content_type or StoredObject.content_type,
            sha256=headers.get("x-amz-meta-sha256"),
        )

    def link(self, key: str, *, filename: str, content_type: str, seconds: int) -> str:
        """A presigned GET link. The file name travels in the one form that has no quoting to break out of."""
        disposition = f"attachment; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
        return self._links.presigned_get_object(
            self.bucket,
            self.name(key),
            timedelta(seconds=seconds),
            response_headers={
                "response-content-disposition": disposition,
                "response-content-type": content_type,
            },
        )


def _connect(location: S3Location, endpoint: str, setting: str) -> Minio:
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.netloc:
        raise SettingsError(f"{setting} must be http://host[:port] or https://host[:port]")
    try:
        check_bucket_name(location.bucket)
        minio = Minio(
            endpoint=endpoint.removeprefix(f"{url.scheme}://").rstrip("/"),
            access_key=location.access_key,
            secret_key=location.secret_key,
            session_token=location.session_token or None,
            secure=url.scheme == "https",
            region=location.region or "us-east-1",  # without one, every first call asks the store for it
            http_client=connection_pool(location.timeouts, tls_verify=location.tls_verify, ca_file=location.ca_file),
        )
    except ValueError as error:
        raise SettingsError(f"{setting}, storage.bucket or storage.region is wrong: {error}") from None
    minio._base_url.virtual_style_flag = not location.path_style
    return minio
