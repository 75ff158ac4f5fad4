"""Uploads to an S3 store: whole or not at all, and proved by what the store says afterwards.

Up to 64 MiB go in one PUT, which S3 makes visible at once or not. More goes in parts, under this module's control: a
completion may fail inside an answer of 200, come padded with white space, or succeed without its answer arriving.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import BinaryIO
from uuid import uuid4
from xml.etree import ElementTree

from minio import Minio
from minio.datatypes import Object, Part
from minio.error import MinioException
from minio.helpers import md5sum_hash
from minio.xml import Element, SubElement, findall, findtext, getbytes

from clipengine.errors import ObjectMissing, PayloadTooLarge, StorageError, StorageUnavailable
from clipengine.stores.base import StoredObject
from clipengine.stores.body import Body
from clipengine.stores.s3_client import S3Client
from clipengine.stores.s3_errors import S3_FAULTS
from clipengine.stores.s3_journal import OpenUpload, UploadJournal

SINGLE_PUT_BYTES = 64 * 1024 * 1024
PART_BYTES = 16 * 1024 * 1024
_MAX_PARTS = 10_000
_ABORT_ATTEMPTS = 2
_log = logging.getLogger(__name__)


class Uploader:
    """`proof` below is a header of HEAD with its value: what tells this content, or this upload, from any other."""

    def __init__(self, client: S3Client, journal: UploadJournal, *, single_put_bytes: int, part_bytes: int) -> None:
        self._client = client
        self._journal = journal
        self._single_put_bytes = single_put_bytes
        self._part_bytes = part_bytes

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str, sha256: str) -> StoredObject:
        source = Body(body, size=size)
        proof = ("x-amz-meta-sha256", sha256)
        headers = {"Content-Type": content_type, **dict([proof])}
        if size <= self._single_put_bytes:
            data = source.take(size)
            source.check(key, sha256=sha256)
            self._put_whole(key, data, headers)
        else:
            part_bytes = max(self._part_bytes, math.ceil(size / _MAX_PARTS))
            self._put_parts(key, _promised(source, part_bytes, key, sha256), headers, size, proof)
        return self._prove(key, size, proof)

    def put_stream(self, key: str, body: BinaryIO, *, content_type: str, limit: int) -> StoredObject:
        """One part is held in memory: a ten-thousandth of `limit`, so that a caller who knows the length gives that."""
        source = Body(body, size=limit + 1)
        part_bytes = max(self._part_bytes, math.ceil(limit / _MAX_PARTS))
        proof = ("x-amz-meta-upload", uuid4().hex)
        headers = {"Content-Type": content_type, **dict([proof])}
        parts = _limited(source, part_bytes, limit)
        first = next(parts, b"")
        if len(first) < part_bytes:
            self._put_whole(key, first, {**headers, "x-amz-meta-sha256": source.sha256})
        else:
            self._put_parts(key, chain([first], parts), headers, None, proof)
        return self._prove(key, source.taken, proof)

    def sweep(self) -> int:
        """Abort what is left behind; how many uploads that were."""
        aborted = 0
        for upload in self._journal.left_behind():
            for upload_id in [upload.upload_id] if upload.upload_id else self._find(upload.name):
                aborted += self._abort(upload.name, upload_id)
            upload.settle()
        return aborted

    # ---- one PUT

    def _put_whole(self, key: str, data: bytes, headers: dict[str, str]) -> None:
        self._client.call(
            # minio-py writes its signature into the headers that it is given.
            lambda minio: minio._put_object(self._client.bucket, self._client.name(key), data, {**headers}),
            key=key,
        )

    # ---- parts

    def _put_parts(
        self, key: str, parts: Iterator[bytes], headers: dict[str, str], size: int | None, proof: tuple[str, str]
    ) -> None:
        name = self._client.name(key)
        with self._journal.record(name) as upload:
            try:
                upload.started(self._create(key, headers, upload))
                sent = [
                    Part(number, self._send_part(key, upload, number, data)) for number, data in enumerate(parts, 1)
                ]
                self._complete(key, upload, sent, size, proof)
            except BaseException:
                self._give_up(upload)
                raise
            upload.settle()

    def _create(self, key: str, headers: dict[str, str], upload: OpenUpload) -> str:
        def create(minio: Minio) -> str:
            try:
                return minio._create_multipart_upload(self._client.bucket, self._client.name(key), {**headers})
            except MinioException:
                raise
            except S3_FAULTS:
                upload.search = True  # the answer is lost, and with it the id of an upload that may exist
                raise

        return self._client.call(create, key=key)

    def _send_part(self, key: str, upload: OpenUpload, number: int, data: bytes) -> str:
        return self._client.call(
            lambda minio: minio._upload_part(
                self._client.bucket, self._client.name(key), data, None, str(upload.upload_id), number
            ),
            key=key,
        )

    def _complete(
        self, key: str, upload: OpenUpload, parts: list[Part], size: int | None, proof: tuple[str, str]
    ) -> None:
        body = _completion(parts)

        def complete(minio: Minio) -> None:
            try:
                response = minio._execute(
                    "POST",
                    self._client.bucket,
                    self._client.name(key),
                    body=body,
                    headers={"Content-Type": "application/xml", "Content-MD5": str(md5sum_hash(body))},
                    query_params={"uploadId": str(upload.upload_id)},
                )
                self._check_completion(key, response.data)
            except (StorageError, *S3_FAULTS):
                # The store may have completed it all the same, now or at the attempt before.
                if not self._landed(key, size, proof):
                    raise

        try:
            self._client.call(complete, key=key)
        except ObjectMissing as error:
            raise StorageUnavailable(f"the store has lost the upload of {key} before it was complete") from error

    def _check_completion(self, key: str, answer: bytes) -> None:
        root = ElementTree.fromstring(answer.strip())
        tag = root.tag.rpartition("}")[2]
        if tag == "CompleteMultipartUploadResult":
            return
        code, message = findtext(root, "Code") or "", findtext(root, "Message") or ""
        raise replace(self._client.where, key=key).fault_of(code, 500, message or f"answer {tag}")

    def _landed(self, key: str, size: int | None, proof: tuple[str, str]) -> bool:
        try:
            return _matches(self._client.stat(key, attempts=1, explain_missing=False), size, proof)
        except StorageError:
            return False

    # ---- after it

    def _prove(self, key: str, size: int, proof: tuple[str, str]) -> StoredObject:
        def prove(_: Minio) -> Object:
            try:
                found = self._client.stat(key, attempts=1, explain_missing=False)
            except ObjectMissing:
                raise StorageUnavailable(f"the store confirmed the upload of {key}, but does not hold it") from None
            if not _matches(found, size, proof):
                raise StorageUnavailable(
                    f"the store confirmed the upload of {key} with {size} bytes, but holds another of {found.size}"
                )
            return found

        return self._client.describe(self._client.call(prove, key=key))

    def _give_up(self, upload: OpenUpload) -> None:
        """Abort, without hiding why: what cannot be aborted now stays in the journal for the sweep."""
        if upload.upload_id is None:
            return
        try:
            self._abort(upload.name, upload.upload_id)
        except StorageError as error:
            _log.warning("upload %s of %s is left for the sweep: %s", upload.upload_id, upload.name, error)
        else:
            upload.settle()

    def _abort(self, name: str, upload_id: str) -> bool:
        """False where the store knows no such upload any more."""
        try:
            self._client.call(
                lambda minio: minio._abort_multipart_upload(self._client.bucket, name, upload_id),
                key=self._client.key(name),
                attempts=_ABORT_ATTEMPTS,
            )
        except ObjectMissing:
            return False
        return True

    def _find(self, name: str) -> list[str]:
        """The ids of the open uploads of one object."""

        def find(minio: Minio) -> list[str]:
            query = {"uploads": "", "prefix": name, "max-uploads": "1000"}
            response = minio._execute("GET", self._client.bucket, query_params={**query})
            uploads = findall(ElementTree.fromstring(response.data), "Upload")
            return [findtext(each, "UploadId") or "" for each in uploads if findtext(each, "Key") == name]

        return self._client.call(find, key=self._client.key(name))


def _promised(source: Body, part_bytes: int, key: str, sha256: str) -> Iterator[bytes]:
    while data := source.take(part_bytes):
        yield data
    source.check(key, sha256=sha256)


def _limited(source: Body, part_bytes: int, limit: int) -> Iterator[bytes]:
    while data := source.take(part_bytes):
        if source.taken > limit:
            raise PayloadTooLarge(f"the upload is larger than {limit} bytes")
        yield data


def _matches(found: Object, size: int | None, proof: tuple[str, str]) -> bool:
    name, value = proof
    return (size is None or found.size == size) and (found.metadata or {}).get(name) == value


def _completion(parts: list[Part]) -> bytes:
    element = Element("CompleteMultipartUpload")
    for part in parts:
        tag = SubElement(element, "Part")
        SubElement(tag, "PartNumber", str(part.part_number))
        SubElement(tag, "ETag", f'"{part.etag}"')
    return getbytes(element)
