"""Parts that clients send to an S3 store themselves, with presigned links to the parts of a multipart upload."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import count

from clipengine.errors import StorageError, StorageUnavailable
from clipengine.recordings.partial_object import PartialObject
from clipengine.stores.s3_client import S3Client
from clipengine.stores.s3_multipart import UploadRequests
from clipengine.stores.s3_partial import PartialUploads, unfinished_folder

_SOURCE, _BODY = b"clipengine: the source of a copy\n", b"clipengine: a part\n"  # of different lengths
_CHECK = "copies"
_CHECK_SECONDS = 60
_UNDECIDED = {404, 408, 409, 429, 500, 502, 503, 504}


class S3DirectParts:
    """The parts of the objects of one bucket, see `DirectParts`."""

    def __init__(self, client: S3Client, uploads: PartialUploads) -> None:
        self._client = client
        self._uploads = uploads
        self._requests = UploadRequests(client)

    def part_bytes(self, size: int) -> int | None:
        found = self._uploads.part_size(size)
        return found if size > found else None

    def begin(self, partial: PartialObject) -> PartialObject:
        return replace(partial, handle=self._uploads.begin(partial), part_bytes=self._uploads.part_size(partial.size))

    def count(self, partial: PartialObject) -> tuple[PartialObject, Collection[int]]:
        found = self._uploads.stored_parts(partial)
        numbers = range(1, partial.part_count + 1) if found is None else found.keys()
        first_missing = next(number for number in count(1) if number not in numbers)
        offset = min((first_missing - 1) * partial.part_bytes, partial.size)
        if offset != partial.offset - partial.rest:  # else the rest belongs to the missing part
            partial = replace(partial, offset=offset, rest=0)
        return partial, numbers

    def link(self, partial: PartialObject, number: int, *, seconds: int) -> str:
        length = partial.part_length(number)
        return self._client.link_of_part(partial.key, partial.handle, number, length=length, seconds=seconds)

    def takes_copies(self) -> bool:
        # One name for all checks, so that each deletes what a check of a killed process has left. Another one that runs
        # at the same time may then lack its objects, which is no refusal of the store.
        folder = unfinished_folder(_CHECK)
        source, target = f"{folder}source", f"{folder}target"
        partial = PartialObject(_CHECK, target, len(_SOURCE), "text/plain")
        try:
            self._requests.put_whole(source, _SOURCE, {})
            handle = self._uploads.begin(partial)
            partial = replace(partial, handle=handle)
            status = self._client.copy_into_part(source, target, handle, body=_BODY, seconds=_CHECK_SECONDS)
            if any(part.size == len(_SOURCE) for part in self._requests.parts(target, handle)):
                return True
            if status in _UNDECIDED:
                raise StorageUnavailable(f"the store neither made nor refused a copy into a part (HTTP {status})")
            return False
        finally:
            if partial.handle:
                self._requests.abort(self._client.name(target), partial.handle)
            self._uploads.discard(partial)

    def abort_days(self) -> int | None:
        try:
            found = self._client.call(lambda minio: minio.get_bucket_lifecycle(self._client.bucket), attempts=1)
        except StorageError:  # the policy need not allow it, and some stores have no rules
            return None
        rules = [rule for rule in (found.rules if found else ()) if rule.status == "Enabled"]
        days = [
            rule.abort_incomplete_multipart_upload.days_after_initiation
            for rule in rules
            if rule.abort_incomplete_multipart_upload
        ]
        return min((each for each in days if each is not None), default=None)
