"""Responses to requests that fail."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class FaultObject(TypedDict):
    """One error of a request, at a `pointer` (RFC 6901) in the body, a `parameter` or a `header`.

    None of the three is present if the whole body is wrong.
    """

    detail: str
    pointer: NotRequired[str | None]
    parameter: NotRequired[str | None]
    header: NotRequired[str | None]
    code: str
    hint: str


class ProblemObject(TypedDict):
    """Problem document (RFC 9457). `code` is stable; `detail` says what happened and ends with `hint`, what to do.

    `errors` lists at most 20 faults of the request; `errors_omitted` counts the others.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    hint: NotRequired[str | None]
    errors: NotRequired[list[FaultObject] | None]
    errors_omitted: NotRequired[int | None]
    request_id: NotRequired[str | None]
