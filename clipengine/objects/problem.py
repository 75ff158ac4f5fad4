"""Responses to requests that fail."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from clipengine.objects.base import described


class FaultObject(TypedDict):
    """One error of a request, at a `pointer` (RFC 6901) in the body, a `parameter` or a `header`.

    None of the three is present if the whole body is wrong.
    """

    detail: str
    """What is wrong."""
    pointer: NotRequired[str | None]
    """Location in the body (JSON pointer)."""
    parameter: NotRequired[str | None]
    """Name of the parameter of the query."""
    header: NotRequired[str | None]
    """Name of the header."""
    code: str
    hint: str


@described
class ProblemObject(TypedDict):
    """Problem document (RFC 9457). `code` is stable; `detail` says what happened and ends with `hint`, what to do.

    `errors` lists at most 20 faults of the request; `errors_omitted` counts the others.
    """

    type: str
    """Address of the error's documentation."""
    title: str
    """Short name of the error."""
    status: int
    """HTTP status."""
    detail: str
    """What happened, and what to do."""
    code: str
    instance: str
    """Path of the request."""
    hint: NotRequired[str | None]
    errors: NotRequired[list[FaultObject] | None]
    """The faults of the request, at most 20."""
    errors_omitted: NotRequired[int | None]
    """Number of faults that are not listed."""
    request_id: NotRequired[str | None]
    """Finds the request in the log; only for errors of the server."""
