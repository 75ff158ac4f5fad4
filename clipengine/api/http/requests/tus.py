"""Requests of uploads that resume: tus 1.0 (https://tus.io/protocols/resumable-upload), read with limits."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Any, BinaryIO, Protocol

from pydantic import AfterValidator, Field
from starlette.requests import Request

from clipengine.api.http.requests.fields import UNIQUE, Body, distinct, like
from clipengine.api.http.requests.recordings import UploadMetadata
from clipengine.api.http.validation import content_type, invalid_header, parse_json, validate_body
from clipengine.basis.budget import whole_number
from clipengine.errors import (
    ChecksumMismatch,
    InvalidRequest,
    PayloadTooLarge,
    RequestError,
    TusVersionUnsupported,
    UnsupportedContentType,
)
from clipengine.recordings.partial_object import MAX_PARTS

VERSION = "1.0.0"
BYTES = "application/offset+octet-stream"
MAX_METADATA_CHARACTERS = 32 << 10  # of the header; all headers together have at most 64 KiB
MAX_METADATA_PAIRS = 50
MAX_NUMBERS = 100  # of parts in one request
_ALGORITHMS = ("sha256", "sha1", "md5")
_UNSUPPORTED = {  # headers of extensions; Upload-Concat would begin a part of another upload
    "Upload-Defer-Length": "send Upload-Length",
    "Upload-Concat": "send the recording as one upload",
}
_MOST = 2**63 - 1
_MAX_CHECKSUM_CHARACTERS = 200


def tus_headers(max_bytes: int) -> Mapping[str, str]:
    """Return the headers of every response, which say what the server supports."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": "creation,creation-with-upload,expiration,checksum,termination",
        "Tus-Max-Size": str(max_bytes),
        "Tus-Checksum-Algorithm": ",".join(_ALGORITHMS),
    }


def check_version(request: Request) -> None:
    """Raise TusVersionUnsupported for another version. A request without one is taken as the current one."""
    version = request.headers.get("tus-resumable", VERSION)
    if version != VERSION:
        raise TusVersionUnsupported(f"Tus-Resumable is {version[:20]!r}; this server supports {VERSION}")


def upload_length(request: Request, *, most: int) -> int:
    """Return Upload-Length. Raise InvalidRequest, and PayloadTooLarge above `most`."""
    for name, instead in _UNSUPPORTED.items():
        if name in request.headers:
            raise invalid_header(name, f"is not supported: {instead}")
    length = _number(request, "Upload-Length")
    if length > most:
        raise PayloadTooLarge(f"The upload is larger than {most} bytes", hint=f"Send at most {most} bytes.")
    if not length:
        raise invalid_header("Upload-Length", "must not be 0: a recording has bytes")
    return length


def upload_offset(request: Request) -> int:
    """Return Upload-Offset. Raise UnsupportedContentType if the body is no part of an upload, and InvalidRequest."""
    check_content_type(request)
    return _number(request, "Upload-Offset")


def check_content_type(request: Request) -> None:
    """Raise UnsupportedContentType unless the body has the type of parts of uploads."""
    found = content_type(request)
    if found != BYTES:
        hint = f"Send the bytes with Content-Type: {BYTES}."
        raise UnsupportedContentType(f"Content-Type is {found or 'missing'}", hint=hint)


def described(header: str) -> UploadMetadata:
    """Return what Upload-Metadata says of the recording. Raise InvalidRequest."""
    values: dict[str, Any] = {}
    pairs = _pairs(header)
    try:
        if "filename" in pairs:
            values["filename"] = _text(pairs["filename"])
        if "recording" in pairs:
            values["recording"] = parse_json(_decoded(pairs["recording"]))
        return validate_body(UploadMetadata, values)
    except RequestError as error:
        raise _invalid(error.message) from None


def metadata_header(request: Request) -> str:
    """Return Upload-Metadata, which is empty if it is missing. Raise InvalidRequest if it is too long."""
    header = ",".join(request.headers.getlist("upload-metadata"))
    if len(header) > MAX_METADATA_CHARACTERS:
        raise _invalid(f"has more than {MAX_METADATA_CHARACTERS} characters")
    if not (header.isascii() and header.isprintable()):
        raise _invalid("must be pairs of a key and a base64 text, separated by commas")
    return header


def _pairs(header: str) -> dict[str, str]:
    """Return the encoded values by key."""
    found: dict[str, str] = {}
    if not header.strip():
        return found
    if header.count(",") >= MAX_METADATA_PAIRS:
        raise _invalid(f"has more than {MAX_METADATA_PAIRS} pairs")
    for pair in header.split(","):
        key, _, value = pair.strip(" ").partition(" ")
        if not key or key in found:
            raise _invalid("has an empty key" if not key else f"has the key {key[:60]!r} twice")
        found[key] = value
    return found


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise InvalidRequest("a value is not base64") from None


def _text(value: str) -> str:
    try:
        return _decoded(value).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("filename is not UTF-8") from None


def _invalid(detail: str) -> InvalidRequest:
    return invalid_header("Upload-Metadata", detail)


def _number(request: Request, name: str) -> int:
    number = whole_number(request.headers.get(name, "").strip(" "), _MOST)
    if number is None:
        raise invalid_header(name, "must be a whole number")
    return number


class RequestParts(Body):
    """Parts of an upload that are sent to the store directly."""

    model_config = like(numbers=[1, 2, 3])

    numbers: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_PARTS)]],
        Field(min_length=1, max_length=MAX_NUMBERS, json_schema_extra=UNIQUE),
        AfterValidator(distinct),
    ] = Field(description="Numbers of the parts, from 1.")


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Checksum:
    """The checksum that a body must have. It is compared when the body was read."""

    def __init__(self, digest: Digest, expected: bytes) -> None:
        self._digest = digest
        self._expected = expected
        self._body: BinaryIO | None = None

    def reading(self, body: BinaryIO) -> Checksum:
        """Return this as a stream that reads the body."""
        self._body = body
        return self

    def read(self, length: int = -1, /) -> bytes:
        assert self._body is not None
        chunk = self._body.read(length)
        self._digest.update(chunk)
        return chunk

    def verify(self) -> None:
        """Raise ChecksumMismatch unless the bytes that were read have the checksum."""
        if not hmac.compare_digest(self._digest.digest(), self._expected):
            raise ChecksumMismatch("The bytes do not have the checksum of Upload-Checksum")


def expected_checksum(request: Request) -> Checksum | None:
    """Return the checksum of Upload-Checksum, or None without the header. Raise InvalidRequest."""
    header = request.headers.get("upload-checksum")
    if header is None:
        return None
    algorithm, _, value = header[:_MAX_CHECKSUM_CHARACTERS].strip(" ").partition(" ")
    if algorithm not in _ALGORITHMS:
        raise invalid_header("Upload-Checksum", f"must begin with one of {', '.join(_ALGORITHMS)}")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    try:
        expected = _decoded(value)
    except InvalidRequest:
        expected = b""
    if len(expected) != digest.digest_size:
        raise invalid_header("Upload-Checksum", f"must have the {algorithm} of the body in base64")
    return Checksum(digest, expected)
