"""What the client raises.

ClientError
├── ApiError            the server answered with an error: `status`, `code`, `detail`, `hint`, `errors`
├── ServerUnreachable   no answer: refused, unknown host, timed out
├── NotClipengine       an answer, but not of this engine
├── JobFailed           a clip or a recording has failed: `code`, `message`, `hint`, `retryable`
├── WaitTimeout         it had not ended when the time to wait was over
└── SignatureInvalid    a webhook is not signed with this secret, or is too old
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ClientError(Exception):
    """Base of all. `code` is stable; `hint` says what to do, and may be empty."""

    code = "client_error"
    hint = ""


class ApiError(ClientError):
    """The server's problem document. `code` is stable; `errors` names every fault of a request that was invalid."""

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

    def __init__(self, url: str, cause: str, *, passing: bool = False) -> None:
        super().__init__(f"no answer from {url}: {cause}")
        self.url = url
        self.passing = passing  # whether the next try may find it well
        self.hint = "Start it with `clipengine serve`, or set CLIPENGINE_URL to where it runs."


class NotClipengine(ClientError):
    code = "server_unreachable"
    hint = "Set CLIPENGINE_URL to where `clipengine serve` runs."


class JobFailed(ClientError):
    """Raised by `raise_for_error` of a clip or a recording."""

    def __init__(self, code: str, message: str, hint: str = "", *, retryable: bool = False) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.hint = hint
        self.retryable = retryable


class WaitTimeout(ClientError):
    code = "wait_timeout"
    hint = "It goes on by itself: wait again, or look at it later."


class SignatureInvalid(ClientError):
    code = "signature_invalid"
    hint = "Drop the webhook, and check that the secret is the endpoint's and that the body was not re-encoded."
