"""Adapter for minio-py 7: the only module that uses private methods and internal modules of that package.

minio-py's public methods hide responses that the engine must see (an error in the body of a 200, an upload id). The
next major version drops these methods, so setup.cfg excludes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from minio import InvalidResponseError, Minio
from minio.datatypes import Object, Part
from minio.deleteobjects import DeleteObject
from minio.helpers import check_bucket_name, md5sum_hash
from minio.xml import Element, SubElement, findall, findtext, getbytes
from urllib3.response import BaseHTTPResponse

__all__ = ["DeleteObject", "MinioClient", "Object", "Part", "check_bucket_name", "invalid_response", "parse_completion"]

_COMPLETED = "CompleteMultipartUploadResult"


class MinioClient(Minio):
    """Client of minio-py that can send each request of a multipart upload separately."""

    def set_path_style(self, path_style: bool) -> None:
        self._base_url.virtual_style_flag = not path_style

    def list_one(self, bucket: str, prefix: str) -> BaseHTTPResponse:
        """Return the response to a listing of at most one object."""
        return self._execute("GET", bucket, query_params={"list-type": "2", "max-keys": "1", "prefix": prefix})

    def put_bytes(self, bucket: str, name: str, data: bytes, headers: dict[str, str]) -> None:
        self._put_object(bucket, name, data, {**headers})  # minio-py writes its signature into the headers

    def create_upload(self, bucket: str, name: str, headers: dict[str, str]) -> str:
        """Start a multipart upload and return its id."""
        return self._create_multipart_upload(bucket, name, {**headers})

    def send_part(self, bucket: str, name: str, upload_id: str, number: int, data: bytes) -> Part:
        return Part(number, self._upload_part(bucket, name, data, None, upload_id, number))

    def complete_upload(self, bucket: str, name: str, upload_id: str, parts: Sequence[Part]) -> bytes:
        """Send the completion and return the body of the response, which may contain an error."""
        body = _completion(parts)
        response = self._execute(
            "POST",
            bucket,
            name,
            body=body,
            headers={"Content-Type": "application/xml", "Content-MD5": str(md5sum_hash(body))},
            query_params={"uploadId": upload_id},
        )
        return response.data

    def abort_upload(self, bucket: str, name: str, upload_id: str) -> None:
        self._abort_multipart_upload(bucket, name, upload_id)

    def find_uploads(self, bucket: str, name: str) -> list[str]:
        """Return the ids of the open uploads of an object."""
        query = {"uploads": "", "prefix": name, "max-uploads": "1000"}
        response = self._execute("GET", bucket, query_params={**query})
        uploads = findall(ElementTree.fromstring(response.data), "Upload")
        return [findtext(each, "UploadId") or "" for each in uploads if findtext(each, "Key") == name]


def parse_completion(body: bytes) -> tuple[str, str] | None:
    """Return the code and message of the error in the response to a completion, or None if the upload is complete."""
    root = ElementTree.fromstring(body.strip())
    element = root.tag.rpartition("}")[2]
    if element == _COMPLETED:
        return None
    return findtext(root, "Code") or "", findtext(root, "Message") or f"<{element}> in the response"


def invalid_response(error: InvalidResponseError) -> tuple[int, str]:
    """Return the status and the body of a response that is not XML."""
    return error._code, error._body or ""


def _completion(parts: Sequence[Part]) -> bytes:
    element = Element("CompleteMultipartUpload")
    for part in parts:
        child = SubElement(element, "Part")
        SubElement(child, "PartNumber", str(part.part_number))
        SubElement(child, "ETag", f'"{part.etag}"')
    return getbytes(element)
