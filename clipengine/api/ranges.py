"""Ranges and validators (RFC 9110, sections 13 and 14): one range of bytes or the whole, and what is had already."""

from __future__ import annotations

import re

from clipengine.errors import RangeNotSatisfiable

_ONE = re.compile(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*\Z", re.ASCII | re.IGNORECASE)


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """`[start, end)` of an object of `size` bytes, None for the whole.

    A header that is not understood is ignored, as the RFC wants it. Raises RangeNotSatisfiable for a range outside
    the object, and for several ranges: nobody who plays a video asks for them, and many of them are an attack.
    """
    if header is None:
        return None
    if "," in header:
        raise RangeNotSatisfiable("Only one range can be asked for at a time")
    match = _ONE.match(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:  # the last so many bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(f"The range lies outside the object, which has {size} bytes")
    return start, end


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether a client that sent this If-None-Match has what `etag` names."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in tags or etag in tags
