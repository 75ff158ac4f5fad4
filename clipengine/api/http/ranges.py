"""Range, If-Match and If-None-Match headers (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request

from clipengine.api.http.validation import invalid_header
from clipengine.errors import RangeNotSatisfiable

_ONE = re.compile(r"bytes=[ \t]*(\d*)-(\d*)[ \t]*\Z", re.ASCII | re.IGNORECASE)
MAX_IF_MATCH = 200  # characters
_MOST_DIGITS = 19  # of a number that is read; a longer one is past the end of any object


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return `[start, end)` of an object of `size` bytes, clamped to its end; None for the whole object.

    A header that is not understood is ignored, as the RFC requires. Raise RangeNotSatisfiable if the range begins past
    the end of the object, and for several ranges: no video player sends them, and many of them are an attack.
    """
    if header is None:
        return None
    if "," in header:
        raise RangeNotSatisfiable("Only one range can be requested at a time")
    match = _ONE.match(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:  # the last so many bytes
        start, end = max(0, size - _number(last)), size
    else:
        start, end = _number(first), min(size, _number(last) + 1) if last else size
        if last and _number(last) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(f"The range lies outside the object, which has {size} bytes")
    return start, end


def _number(digits: str) -> int:
    """Return the number, or one that no size reaches if it has more digits than Python converts quickly."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def if_match(request: Request) -> str | None:
    """Return the If-Match of a request. Raises RequestError if it is too long."""
    given = ",".join(request.headers.getlist("if-match")) if "if-match" in request.headers else None
    if given is not None and len(given) > MAX_IF_MATCH:
        raise invalid_header("If-Match", f"has more than {MAX_IF_MATCH} characters")
    return given


def matches(tags_of_client: str | None, etag: str) -> bool:
    """Return True if an If-Match or If-None-Match header matches this ETag."""
    tags = [tag.strip().removeprefix("W/") for tag in (tags_of_client or "").split(",")]
    return "*" in tags or etag in tags


def if_match_schema(description: str, example: str) -> dict[str, Any]:
    """Return the schema of an If-Match for the API's description."""
    return {"type": "string", "maxLength": MAX_IF_MATCH, "description": description, "examples": [f'"{example}"']}
