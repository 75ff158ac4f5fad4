"""Exceptions of the client.

ClientError
├── ApiError            error response: `status`, `code`, `detail`, `hint`, `errors`
├── ServerUnreachable   no response: connection refused, unknown host, timeout
├── NotClipengine       the response is not from this engine
├── FileChanged         a file changed while it was uploaded
├── JobFailed           a clip or a recording failed: `code`, `message`, `hint`, `retryable`
├── WaitTimeout         a clip or a recording did not end in time
└── SignatureInvalid    a webhook is not signed with this secret, or is too old
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ClientError(Exception):
    """Base class. `code` is stable; `hint` says what to do and may be empty."""

    code = "client_error"
    hint = ""


class ApiError(ClientError):
    """Error response of the server. `code` is stable; `errors` lists every problem of an invalid request."""

    def __init__(
        self, status: int, code: str, detail: str, hint: str = "", errors: Sequence[dict[str, Any]] = ()
    ) -> None:
        super().__init__(f"{detail} ({code})")
        self.status = status
        self.code = code
        self.detail = detail
        self.hint = hint
        self.errors = list(errors)


class ServerUnreachable(ClientError):
    code = "server_unreachable"

    def __init__(self, url: str, cause: str, *, retryable: bool = False) -> None:
        super().__init__(f"no answer from {url}: {cause}")
        self.url = url
        self.retryable = retryable
        self.hint = "Start it with `clipengine serve`, or set CLIPENGINE_URL to its address."


class NotClipengine(ClientError):
    code = "server_unreachable"
    hint = "Set CLIPENGINE_URL to the address of `clipengine serve`, without a path such as /docs."


class FileChanged(ClientError):
    code = "file_changed"
    hint = "Upload it again when no program writes to it. What was uploaded is deleted."


class JobFailed(ClientError):
    """A clip or a recording failed. Raised by `raise_for_error`."""

    def __init__(self, code: str, message: str, hint: str = "", *, retryable: bool = False) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.hint = hint
        self.retryable = retryable


class WaitTimeout(ClientError):
    code = "wait_timeout"
    hint = "The job continues: wait again, or check it later."


class SignatureInvalid(ClientError):
    code = "signature_invalid"
    hint = "Reject the webhook. Check that the secret belongs to the endpoint and that the body was not re-encoded."
