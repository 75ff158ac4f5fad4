"""What an S3 store, its client library or the network says, in the words of the error tree.

Messages name the cause, the bucket and the endpoint; never a part of the credentials, the access key's id included (a
caller of the API sees them), and never the store's answer as a whole, which can hold what was signed.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from xml.etree import ElementTree

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from clipengine.errors import (
    DiskFull,
    ObjectChanged,
    ObjectMissing,
    StorageDenied,
    StorageError,
    StorageUnavailable,
)

# ValueError: answers that are not UTF-8, dates and lengths that are none.
S3_FAULTS = (MinioException, HTTPError, OSError, ElementTree.ParseError, ValueError)

_DENIED = {
    "AccessDenied": "storage.access_key has no right to do this with {what} in bucket {bucket}",
    "AllAccessDisabled": "all access to bucket {bucket} is disabled",
    "ExpiredToken": "storage.session_token has expired",
    "InvalidToken": "storage.session_token is not valid",
    "InvalidAccessKeyId": "the store does not know storage.access_key",
    "InvalidBucketName": "{bucket} is no name of a bucket",
    "InvalidObjectState": "{what} is archived: restore it in the store first",
    "NoSuchBucket": "bucket {bucket} does not exist",
    "RequestExpired": "this machine's clock differs too much from the store's",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the store's",
    "SignatureDoesNotMatch": "storage.secret_key does not belong to storage.access_key",
}
# What to do, where it is not what is to be done about every refusal.
_REMEDIES = {"NoSuchBucket": "Create the bucket, or set storage.bucket to the one that is there."}
_MISSING = {"NoSuchKey", "NoSuchVersion", "NoSuchUpload"}
_CHANGED = {"PreconditionFailed", "InvalidRange"}
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"}
# 4xx that say nothing of the request itself: the next try may succeed.
_PASSING = {
    "BadDigest",
    "IncompleteBody",
    "InvalidPart",
    "OperationAborted",
    "RequestTimeout",
    "XAmzContentSHA256Mismatch",
}
_PASSING_STATUS = {408, 409, 425, 429}
_CODE = re.compile(r"<Code>\s*([A-Za-z0-9.]{1,64})\s*</Code>")
_CHARACTERS = 300


@dataclass(frozen=True)
class Where:
    """What a message may name."""

    endpoint: str
    bucket: str
    access_key: str = field(repr=False)
    key: str | None = None

    def fault(self, error: Exception) -> StorageError:
        """The error of the tree that says what happened and who has to act."""
        if isinstance(error, StorageError):
            return error
        if isinstance(error, S3Error):
            return self.fault_of(error.code or "", error.response.status, error.message or "")
        if isinstance(error, ServerError):
            return self.fault_of("", error.status_code, "")
        if isinstance(error, InvalidResponseError):
            found = _CODE.search(error._body or "")
            return self.fault_of(found[1] if found else "", error._code, "")
        return self._no_answer(error)

    def fault_of(self, code: str, status: int, message: str) -> StorageError:
        """From an error answer: its S3 code where it has one, else its HTTP status."""
        what = self.key or "its objects"
        # Some stores put the key's id into their words.
        message = message.replace(self.access_key, "storage.access_key") if self.access_key else message
        said = _one_line(f"{code or f'HTTP {status}'}{': ' if message else ''}{message}")
        if code in _DENIED:
            text = _DENIED[code].format(what=what, bucket=self.bucket)
            return StorageDenied(f"{text} ({code})", hint=_REMEDIES.get(code))
        if code in _FULL or status == 507:
            return DiskFull(
                f"bucket {self.bucket} is full ({said})", hint="Raise its quota, or free space in the store."
            )
        if code in _MISSING or (not code and status == 404):
            return ObjectMissing(f"{what} is not in bucket {self.bucket} ({said})")
        if code in _CHANGED or status in (412, 416):
            return ObjectChanged(f"{what} is no longer the object that was opened ({said})")
        if status >= 500 or status in _PASSING_STATUS or code in _PASSING or code == "SlowDown":
            return StorageUnavailable(f"the store at {self.endpoint} cannot serve bucket {self.bucket} now ({said})")
        if 300 <= status < 400:
            hint = "Set storage.endpoint and storage.region to those of the bucket."
            return StorageDenied(f"the store at {self.endpoint} has bucket {self.bucket} elsewhere ({said})", hint=hint)
        return StorageDenied(
            f"the store at {self.endpoint} refuses bucket {self.bucket} to storage.access_key ({said})"
        )

    def _no_answer(self, error: BaseException) -> StorageError:
        if isinstance(error, MaxRetryError) and error.reason:
            error = error.reason
        inner = error.args[0] if isinstance(error, SSLError) and error.args else error
        if isinstance(inner, ssl.SSLCertVerificationError):
            hint = "Name the authority that signed it in storage.ca_file, or correct the endpoint's name."
            reason = _one_line(inner.verify_message)
            return StorageDenied(f"the certificate of {self.endpoint} cannot be trusted: {reason}", hint=hint)
        if isinstance(error, NameResolutionError):
            reason = "its name cannot be resolved"
        elif isinstance(error, NewConnectionError):  # which is a ConnectTimeoutError too
            cause = getattr(error.__cause__, "strerror", None) or "refused"
            reason = f"no connection ({_one_line(cause)})"
        elif isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError):
            reason = "it does not answer in time"
        elif isinstance(error, ElementTree.ParseError | ValueError):
            reason = "its answer is not one of an S3 store"
        else:
            reason = f"the connection broke: {_one_line(str(error))}"
        return StorageUnavailable(f"the store at {self.endpoint} cannot be used: {reason}")


def _one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable[:_CHARACTERS]
