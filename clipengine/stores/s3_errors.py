"""Translation of S3, minio-py and network errors into storage errors.

Callers of the API see the messages. They name the cause, the bucket and the endpoint, but contain no credentials, not
even the access key's id, and no complete response of the store, which may repeat signed data.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import Literal
from xml.etree import ElementTree

from minio import InvalidResponseError, S3Error, ServerError
from minio.error import MinioException
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from clipengine.errors import DiskFull, ObjectChanged, ObjectMissing, StorageDenied, StorageError, StorageUnavailable
from clipengine.stores.s3_minio import invalid_response

# ValueError: responses that are not UTF-8 or have invalid dates or lengths.
S3_EXCEPTIONS = (MinioException, HTTPError, OSError, ElementTree.ParseError, ValueError)

_DENIED = {
    "AccessDenied": "storage.access_key has no permission to do this with {what} in bucket {bucket}",
    "AllAccessDisabled": "all access to bucket {bucket} is disabled",
    "ExpiredToken": "storage.session_token has expired",
    "InvalidToken": "storage.session_token is not valid",
    "InvalidAccessKeyId": "the store does not know storage.access_key",
    "InvalidBucketName": "{bucket} is not a valid bucket name",
    "InvalidObjectState": "{what} is archived: restore it in the store first",
    "NoSuchBucket": "bucket {bucket} does not exist",
    "RequestExpired": "this machine's clock differs too much from the store's",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the store's",
    "SignatureDoesNotMatch": "storage.secret_key does not belong to storage.access_key",
}
# Hints that replace the default hint of StorageDenied.
_HINTS = {"NoSuchBucket": "Create the bucket, or set storage.bucket to an existing one."}
_MISSING = {"NoSuchKey", "NoSuchVersion", "NoSuchUpload"}
_CHANGED = {"PreconditionFailed", "InvalidRange"}
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"}
# Errors with a 4xx status that a retry may resolve.
_TRANSIENT_CODES = {
    "BadDigest",
    "IncompleteBody",
    "InvalidPart",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "XAmzContentSHA256Mismatch",
}
_TRANSIENT_STATUSES = {408, 409, 425, 429}
_Kind = Literal["full", "missing", "changed", "transient", "redirect", "rejected"]
_CODE = re.compile(r"<Code>\s*([A-Za-z0-9.]{1,64})\s*</Code>")
_MAX_CHARACTERS = 300


@dataclass(frozen=True)
class S3ErrorContext:
    """Facts that error messages may name, except for the access key, which is removed from them."""

    endpoint: str
    bucket: str
    access_key: str = field(repr=False)
    key: str | None = None

    def translate(self, error: Exception) -> StorageError:
        """Return the storage error for an exception of minio-py, urllib3 or the socket."""
        if isinstance(error, StorageError):
            return error
        if isinstance(error, S3Error):
            return self.from_response(error.code or "", error.response.status, error.message or "")
        if isinstance(error, ServerError):
            return self.from_response("", error.status_code, "")
        if isinstance(error, InvalidResponseError):
            status, body = invalid_response(error)
            found = _CODE.search(body)
            return self.from_response(found[1] if found else "", status, "")
        return self._from_connection(error)

    def from_response(self, code: str, status: int, message: str) -> StorageError:
        """Return the storage error for an error response: by its S3 code if it has one, else by its HTTP status."""
        what, bucket, store = self.key or "its objects", f"bucket {self.bucket}", f"the store at {self.endpoint}"
        if code in _DENIED:
            text = _DENIED[code].format(what=what, bucket=self.bucket)
            return StorageDenied(f"{text} ({code})", hint=_HINTS.get(code))
        reason = self._reason(code, status, message)
        match _kind(code, status):
            case "full":
                hint = "Raise its quota, or free space in the store."
                return DiskFull(f"{bucket} is full ({reason})", hint=hint)
            case "missing":
                return ObjectMissing(f"{what} is not in {bucket} ({reason})")
            case "changed":
                return ObjectChanged(f"{what} is no longer the object that was opened ({reason})")
            case "transient":
                return StorageUnavailable(f"{store} cannot serve {bucket} now ({reason})")
            case "redirect":
                hint = "Set storage.endpoint and storage.region to those of the bucket."
                return StorageDenied(f"{store} redirects {bucket} ({reason})", hint=hint)
            case "rejected":
                return StorageDenied(f"{store} rejected a request for {bucket} ({reason})")

    def _reason(self, code: str, status: int, message: str) -> str:
        # Some stores repeat the access key's id in their message.
        message = message.replace(self.access_key, "storage.access_key") if self.access_key else message
        return _one_line(f"{code or f'HTTP {status}'}{': ' if message else ''}{message}")

    def _from_connection(self, error: BaseException) -> StorageError:
        if isinstance(error, MaxRetryError) and error.reason:
            error = error.reason
        inner = error.args[0] if isinstance(error, SSLError) and error.args else error
        if isinstance(inner, ssl.SSLCertVerificationError):
            hint = "Set storage.ca_file to the authority that signed it, or correct the host name in the endpoint."
            reason = _one_line(inner.verify_message)
            return StorageDenied(f"the certificate of {self.endpoint} is not trusted: {reason}", hint=hint)
        return StorageUnavailable(f"the store at {self.endpoint} cannot be used: {_connection_problem(error)}")


def _kind(code: str, status: int) -> _Kind:
    kinds: tuple[tuple[_Kind, bool], ...] = (
        ("full", code in _FULL or status == 507),
        ("missing", code in _MISSING or (not code and status == 404)),
        ("changed", code in _CHANGED or status in (412, 416)),
        ("transient", code in _TRANSIENT_CODES or status in _TRANSIENT_STATUSES or status >= 500),
        ("redirect", 300 <= status < 400),
    )
    return next((kind for kind, applies in kinds if applies), "rejected")


def _connection_problem(error: BaseException) -> str:
    if isinstance(error, NameResolutionError):
        return "its name cannot be resolved"
    if isinstance(error, NewConnectionError):  # a subclass of ConnectTimeoutError
        cause = getattr(error.__cause__, "strerror", None) or "refused"
        return f"no connection ({_one_line(cause)})"
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ElementTree.ParseError | ValueError):
        return "its response is not that of an S3 store"
    return f"the connection broke: {_one_line(str(error))}"


def _one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable[:_MAX_CHARACTERS]
