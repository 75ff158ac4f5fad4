"""Cursors of lists, which are opaque to clients: the list and the last row of a page. Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from clipengine.errors import InvalidRequest


def encode_cursor(of: str, value: Any, ident: str) -> str:
    """Return the cursor of a row in the list `of`. Neither `of` nor the id has a dot."""
    return base64.urlsafe_b64encode(f"{of}.{value}.{ident}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str, of: str | None = None, kind: Callable[[str], Any] = int) -> tuple[Any, str]:
    """Return the value of the row by which the list is sorted, and the id that the cursor holds.

    Raises InvalidRequest if it is not a cursor of the list `of`, or, for None, of any list.
    """
    name, value, ident = _decoded(cursor, kind)
    if of is not None and name != of:
        raise _refused("cursor belongs to another list")
    return value, ident


def _decoded(cursor: str, kind: Callable[[str], Any]) -> tuple[str, Any, str]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        name, _, rest = text.partition(".")
        stored, _, ident = rest.rpartition(".")
        value = kind(stored)
    except ValueError:
        raise _invalid() from None
    out_of_range = not isinstance(value, str) and not 0 <= value < 2**63
    if not name or not ident or "\0" in text or out_of_range:
        raise _invalid()
    return name, value, ident


def list_of_cursor(cursor: str, kind: Callable[[str], Any]) -> str:
    """Return the list of a cursor. Raises InvalidRequest."""
    return _decoded(cursor, kind)[0]


def _invalid() -> InvalidRequest:
    return _refused("cursor is not a valid cursor")


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest(
        detail, errors=[{"detail": detail, "parameter": "cursor"}], hint="Send the first request without cursor."
    )
