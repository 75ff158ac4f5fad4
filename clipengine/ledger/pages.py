"""Pages of a list: newest first, by keyset, so that a page costs the same wherever it lies.

A cursor is opaque outside: it names the last row of the page before, and stays right while rows come and go.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import peewee

from clipengine.errors import InvalidRequest
from clipengine.ledger.database import Database, Row

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """`next_cursor` is None on the last page."""

    data: list[T]
    next_cursor: str | None


def encode_cursor(created_at: int, ident: str) -> str:
    return base64.urlsafe_b64encode(f"{created_at}.{ident}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[int, str]:
    """Raises InvalidRequest where the text is no cursor of this engine."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        created_at, dot, ident = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(".")
        moment = int(created_at)
    except (ValueError, binascii.Error):
        dot, ident, moment = "", "", 0
    if not dot or not ident or not 0 <= moment < 2**63:
        fault = {"detail": "cursor is none that a list has given", "parameter": "cursor"}
        raise InvalidRequest(fault["detail"], errors=[fault], hint="Begin again without cursor.")
    return moment, ident


def read_page(
    database: Database,
    query: peewee.Query,
    *,
    created_at: Any,
    ident: Any,
    limit: int,
    cursor: str | None,
    make: Callable[[Row], T],
    after: int | None = None,
    before: int | None = None,
) -> Page[T]:
    """The page of `query` behind `cursor`, at most `limit` rows, newest first.

    `after` is inclusive, `before` is not (ms).
    """
    # One bound from above, so that an index is chosen by what else is asked for.
    bounds = [*([] if before is None else [(before, "")]), *([] if cursor is None else [decode_cursor(cursor)])]
    if bounds:
        query = query.where(peewee.Tuple(created_at, ident) < min(bounds))
    if after is not None:
        query = query.where(created_at >= after)
    # One row more than asked for says whether there is another page.
    rows = database.rows(query.order_by(created_at.desc(), ident.desc()).limit(limit + 1))
    more = len(rows) > limit
    rows = rows[:limit]
    last = encode_cursor(rows[-1][created_at.name], rows[-1][ident.name]) if more else None
    return Page([make(row) for row in rows], last)
