"""Adapter for minio-py 7: the only module that uses private methods and internal modules of that package.

minio-py's public methods hide responses that the engine must see (an error in the body of a 200, an upload id). The
next major version drops these methods, so setup.cfg excludes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import unquote_plus, urlunsplit
from xml.etree import ElementTree

from minio import InvalidResponseError, Minio, time
from minio.datatypes import Object, Part
from minio.deleteobjects import DeleteObject
from minio.helpers import check_bucket_name, md5sum_hash
from minio.signer import (
    _get_canonical_request_hash,
    _get_scope,
    _get_signature,
    _get_signing_key,
    _get_string_to_sign,
)
from minio.xml import Element, SubElement, findall, findtext, getbytes
from urllib3.response import BaseHTTPResponse

from clipengine.basis.moments import note_left_out, parse_utc

__all__ = ["DeleteObject", "MinioClient", "Object", "Part", "check_bucket_name", "invalid_response", "parse_completion"]

_COMPLETED, _LISTING = "CompleteMultipartUploadResult", "ListBucketResult"


class MinioClient(Minio):
    """Client of minio-py that can send each request of a multipart upload separately."""

    def set_path_style(self, path_style: bool) -> None:
        self._base_url.virtual_style_flag = not path_style

    def list_one(self, bucket: str, prefix: str) -> BaseHTTPResponse:
        """Return the response to a listing of at most one object."""
        return self._execute("GET", bucket, query_params={"list-type": "2", "max-keys": "1", "prefix": prefix})

    def list_page(self, bucket: str, prefix: str, after: str, count: int) -> list[Object]:
        """Return the first `count` objects whose names begin with `prefix` and sort after `after`.

        minio-py takes several times as long to parse a listing.
        """
        query = {"delimiter": "", "encoding-type": "url", "list-type": "2", "max-keys": str(count), "prefix": prefix}
        found: list[Object] = []
        while True:
            place = {"start-after": after} if after else {}
            root = ElementTree.fromstring(self._execute("GET", bucket, query_params={**query, **place}).data)
            page = list(_listed(root, bucket))
            found += page
            is_truncated = (findtext(root, "IsTruncated") or "").lower() == "true"
            if len(found) >= count or not is_truncated:
                return found[:count]
            if not page:
                raise ValueError("the listing is truncated and has no objects")
            after = page[-1].object_name or ""

    def put_bytes(self, bucket: str, name: str, data: bytes, headers: dict[str, str]) -> None:
        self._put_object(bucket, name, data, {**headers})  # minio-py writes its signature into the headers

    def create_upload(self, bucket: str, name: str, headers: dict[str, str]) -> str:
        """Start a multipart upload and return its id."""
        return self._create_multipart_upload(bucket, name, {**headers})

    def send_part(self, bucket: str, name: str, upload_id: str, number: int, data: bytes) -> Part:
        return Part(number, self._upload_part(bucket, name, data, None, upload_id, number))

    def parts(self, bucket: str, name: str, upload_id: str) -> list[Part]:
        """Return the parts of a multipart upload, by number. Raises ValueError if the list does not proceed."""
        found: list[Part] = []
        while True:
            last = found[-1].part_number if found else 0
            page = self._list_parts(bucket, name, upload_id, part_number_marker=str(last) if last else None)
            found += page.parts
            if not page.is_truncated:
                return found
            if not page.parts or page.parts[-1].part_number <= last:
                raise ValueError("the list of parts is truncated and does not proceed")

    def link_of_part(self, bucket: str, name: str, upload_id: str, number: int, length: int, seconds: int) -> str:
        """Return a presigned URL for a PUT of `length` bytes.

        minio-py signs the host only. With the length, the store rejects bodies that are shorter or longer.
        """
        region, now = self._get_region(bucket), time.utcnow()
        credentials = self._provider.retrieve() if self._provider else None
        if credentials is None:
            raise ValueError("without credentials, no link can be signed")
        scope = _get_scope(now, region, "s3")
        query = {
            "uploadId": upload_id,
            "partNumber": str(number),
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{credentials.access_key}/{scope}",
            "X-Amz-Date": time.to_amz_date(now),
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "content-length;host",
        }
        if credentials.session_token:
            query["X-Amz-Security-Token"] = credentials.session_token
        url = self._base_url.build(
            method="PUT", region=region, bucket_name=bucket, object_name=name, query_params={**query}
        )
        headers = {"host": url.netloc, "content-length": str(length)}
        request, _ = _get_canonical_request_hash("PUT", url, headers, "UNSIGNED-PAYLOAD")
        key = _get_signing_key(credentials.secret_key, now, region, "s3")
        return f"{urlunsplit(url)}&X-Amz-Signature={_get_signature(key, _get_string_to_sign(now, scope, request))}"

    def send_by_link(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Send a PUT to a presigned URL and return the status of the response."""
        return int(self._http.urlopen("PUT", url, headers=headers, body=body).status)

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


def _listed(root: ElementTree.Element, bucket: str) -> Iterator[Object]:
    """Yield the objects of a listing. Raises ValueError."""
    space = root.tag[: root.tag.find("}") + 1]
    if root.tag != f"{space}{_LISTING}":
        raise ValueError(f"<{root.tag}> is not a listing")
    is_encoded = root.findtext(f"{space}EncodingType") == "url"
    for each in root.iterfind(f"{space}Contents"):
        fields = {child.tag.removeprefix(space): child.text or "" for child in each}
        name, modified = fields.get("Key", ""), fields.get("LastModified")
        yield Object(
            bucket,
            unquote_plus(name) if is_encoded else name,
            last_modified=None if modified is None else _stated(modified),
            etag=fields.get("ETag", "").replace('"', ""),
            size=int(fields.get("Size", "0")),
        )


def _stated(modified: str) -> datetime | None:
    try:
        return parse_utc(modified)
    except ValueError as error:
        note_left_out("the store", "LastModified of an object", error)
        return None


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
