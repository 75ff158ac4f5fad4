"""Keyset pagination of lists, newest first, so that all pages cost the same.

A cursor is opaque to clients. It contains the list and the last row of the previous page, and remains valid while rows
are added and deleted.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import peewee

from clipengine.errors import InvalidRequest
from clipengine.ledger.database.database import Database, Row

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. The last page has no `next_cursor`."""

    data: list[T]
    next_cursor: str | None


def encode_cursor(of: str, created_at: int, ident: str) -> str:
    """Return the cursor of a row in the list `of`, whose name has no dot."""
    return base64.urlsafe_b64encode(f"{of}.{created_at}.{ident}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str, of: str | None = None) -> tuple[int, str]:
    """Return `created_at` and the id that the cursor holds.

    Raises InvalidRequest if it is not a cursor of the list `of`, or, for None, of any list.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        name, created_at, ident = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split(".", 2)
        moment = int(created_at)
    except ValueError:
        name, moment, ident = "", 0, ""
    if not name or not ident or not 0 <= moment < 2**63:
        raise _refused("cursor is not a valid cursor")
    if of is not None and name != of:
        raise _refused("cursor belongs to another list")
    return moment, ident


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest(
        detail, errors=[{"detail": detail, "parameter": "cursor"}], hint="Send the first request without cursor."
    )


def read_page(
    database: Database,
    query: peewee.Query,
    *,
    of: str,
    created_at: Any,
    ident: Any,
    limit: int,
    cursor: str | None,
    make: Callable[[Row], T],
    after: int | None = None,
    before: int | None = None,
) -> Page[T]:
    """Return the page of `query` after `cursor`, at most `limit` rows, newest first.

    `of` names the list: a cursor of another one is refused. `after` is inclusive, `before` is not (ms).
    """
    # A single upper bound, so that the other conditions decide which index is used.
    bounds = [*([] if before is None else [(before, "")]), *([] if cursor is None else [decode_cursor(cursor, of)])]
    if bounds:
        query = query.where(peewee.Tuple(created_at, ident) < min(bounds))
    if after is not None:
        query = query.where(created_at >= after)
    # One more row than requested shows if there is another page.
    rows = database.rows(query.order_by(created_at.desc(), ident.desc()).limit(limit + 1))
    more = len(rows) > limit
    rows = rows[:limit]
    last = encode_cursor(of, rows[-1][created_at.name], rows[-1][ident.name]) if more else None
    return Page([make(row) for row in rows], last)
