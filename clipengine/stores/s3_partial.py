"""Objects that an S3 store receives in steps: a multipart upload that outlives the process that began it.

A step ends with a part, or with the rest of its bytes in a temporary object if they are too few for one. An object that
fits into one part is stored by one PUT. The caller's record of the state is the journal of these uploads; one that the
caller does not know, because its process was killed, is found by the object's name, which no other upload has.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

from clipengine.errors import ObjectMissing, StorageDenied, StorageUnavailable
from clipengine.recordings.partial_object import MAX_PARTS, PartialObject
from clipengine.stores.base import StoredObject
from clipengine.stores.keys import PARTIAL, RESERVED
from clipengine.stores.s3_client import S3Client
from clipengine.stores.s3_minio import Part
from clipengine.stores.s3_multipart import Tag, UploadRequests
from clipengine.stores.s3_reader import read_whole
from clipengine.stores.s3_upload import part_size

_LEAST_PART_BYTES = 5 << 20  # of S3, except for the last part

log = logging.getLogger(__name__)


class PartialUploads:
    """The objects of one bucket that are stored in steps. One part is held in memory for each."""

    def __init__(self, client: S3Client, *, part_bytes: int) -> None:
        self._client = client
        self._requests = UploadRequests(client)
        self._part_bytes = part_bytes

    def extend(self, partial: PartialObject, body: BinaryIO) -> Iterator[PartialObject]:
        """Append a stream, see `Store.extend`."""
        part_bytes, offset = partial.part_bytes or self.part_size(partial.size), partial.offset
        held = self._read_rest(partial)
        while offset < partial.size:
            found = _read(body, min(part_bytes - len(held), partial.size - offset))
            held, offset = held + found, offset + len(found)
            if offset == partial.offset:
                return
            if not self._is_part(partial, held, offset, part_bytes):
                yield self._put_rest(partial, held, offset)
                return
            partial = self._put_part(partial, held, offset)
            held = b""
            yield partial

    def forget(self, partial: PartialObject) -> None:
        if partial.rest:
            self._delete_rest(_rest_key(partial))

    def finish(self, partial: PartialObject) -> StoredObject:
        if partial.handle and (parts := self._parts(partial)) is not None:
            self._requests.complete(partial.key, partial.handle, parts, partial.size, _tag(partial))
        stored = self._requests.verify(partial.key, partial.size, _tag(partial))
        self._delete_rests(partial)
        return stored

    def discard(self, partial: PartialObject) -> None:
        if partial.size > _LEAST_PART_BYTES:
            self._abort_all(partial)
        self._delete_rests(partial)

    # ---- parts

    def part_size(self, size: int) -> int:
        return part_size(size, least=self._part_bytes)

    def stored_parts(self, partial: PartialObject) -> dict[int, Part] | None:
        """Return the parts with the right size of an object with `part_bytes` by number, or None if it is finished."""
        try:
            found = self._requests.parts(partial.key, partial.handle)
        except ObjectMissing:
            if self._requests.is_complete(partial.key, partial.size, _tag(partial)):
                return None
            raise
        numbers = range(1, partial.part_count + 1)
        return {
            each.part_number: each
            for each in found
            if each.part_number in numbers and each.size == partial.part_length(each.part_number)
        }

    def _parts(self, partial: PartialObject) -> Sequence[Part] | None:
        """Return all parts of an object, or None if it is finished."""
        if not partial.part_bytes:
            return [Part(number, etag) for number, etag in enumerate(partial.parts, 1)]
        found = self.stored_parts(partial)
        if found is not None and len(found) < partial.part_count:
            raise StorageUnavailable(f"a client has replaced parts of {partial.key} while they were assembled")
        return None if found is None else [found[number] for number in sorted(found)]

    def _is_part(self, partial: PartialObject, held: bytes, offset: int, part_bytes: int) -> bool:
        """Return True if the bytes become a part: the last or a full one, or one if parts are left for the others."""
        if len(held) == part_bytes or offset == partial.size:
            return True
        if partial.part_bytes:  # a shorter one would move all that follow
            return False
        left = (MAX_PARTS - len(partial.parts) - 1) * part_bytes
        return len(held) >= _LEAST_PART_BYTES and left >= partial.size - offset

    def _put_part(self, partial: PartialObject, data: bytes, offset: int) -> PartialObject:
        if partial.part_bytes:
            number = (offset - 1) // partial.part_bytes + 1
            self._requests.send_part(partial.key, partial.handle, number, data)
            return replace(partial, offset=offset, rest=0)
        if not partial.parts and offset == partial.size:
            self._requests.put_whole(partial.key, data, _headers(partial))
            return replace(partial, offset=offset, rest=0)
        handle = partial.handle or self.begin(partial)
        part = self._requests.send_part(partial.key, handle, len(partial.parts) + 1, data)
        return replace(partial, offset=offset, rest=0, handle=handle, parts=(*partial.parts, str(part.etag)))

    def begin(self, partial: PartialObject) -> str:
        """Start the multipart upload and return its id. Abort those of the object whose ids were lost."""
        self._abort_all(partial)
        lost: list[bool] = []
        handle = self._requests.create(partial.key, _headers(partial), on_lost=lambda: lost.append(True))
        if lost:
            self._abort_all(replace(partial, handle=handle), but=handle)
        return handle

    def _abort_all(self, partial: PartialObject, *, but: str = "") -> None:
        name = self._client.name(partial.key)
        try:
            found = self._requests.find(name)
        except StorageDenied as error:
            log.warning("open uploads of %s cannot be listed: %s", name, error.message)
            found = []
        for upload_id in {*found, partial.handle} - {but, ""}:
            self._requests.abort(name, upload_id)

    # ---- rests

    def _read_rest(self, partial: PartialObject) -> bytes:
        if not partial.rest:
            return b""
        found = read_whole(self._client, _rest_key(partial), limit=partial.rest, unless=None)
        if found is None or len(found[1]) != partial.rest:
            raise ObjectMissing(f"the store has lost bytes of the upload of {partial.key}")
        return found[1]

    def _put_rest(self, partial: PartialObject, data: bytes, offset: int) -> PartialObject:
        stored = replace(partial, offset=offset, rest=len(data))
        self._requests.put_whole(_rest_key(stored), data, {})
        return stored

    def _delete_rests(self, partial: PartialObject) -> None:
        """Delete the temporary objects, also those that a killed process did not record."""
        for found in self._client.page(unfinished_folder(partial.upload_id), after=""):
            self._delete_rest(self._client.key(found.object_name or ""))

    def _delete_rest(self, key: str) -> None:
        name = self._client.name(key)
        try:
            self._client.call(lambda minio: minio.remove_object(self._client.bucket, name), key=key)
        except ObjectMissing:
            pass


def unfinished_folder(upload_id: str) -> str:
    """Return what the keys of the temporary objects of an upload begin with."""
    return f"{RESERVED}/{PARTIAL}/{upload_id}/"


def _rest_key(partial: PartialObject) -> str:
    """Return the key of the rest. Its name says which bytes it has, so that no other writer replaces them."""
    return f"{unfinished_folder(partial.upload_id)}{partial.offset}-{partial.rest}"


def _tag(partial: PartialObject) -> Tag:
    return "x-amz-meta-upload", partial.upload_id


def _headers(partial: PartialObject) -> dict[str, str]:
    return {"Content-Type": partial.content_type, **dict([_tag(partial)])}


def _read(body: BinaryIO, length: int) -> bytes:
    """Return the next `length` bytes, even if the stream returns short reads; fewer only at the end."""
    chunks: list[bytes] = []
    while length > 0 and (chunk := body.read(length)):
        chunks.append(chunk)
        length -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
