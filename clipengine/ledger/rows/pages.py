"""Keyset pagination of lists, newest first by default, so that all pages cost the same.

A cursor is opaque to clients. It contains the list and the last row of the previous page, and remains valid while rows
are added and deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import peewee

from clipengine.ledger.database.database import Database, Row, compact_json
from clipengine.ledger.rows.cursors import decode_cursor, encode_cursor, list_of_cursor

T = TypeVar("T")


_FIRST = 1000  # rows of a list that are searched before all others


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. The last page has no `next_cursor`."""

    data: list[T]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class ListFilter:
    """One page of a list: an item meets all filters.

    `status` is the API's: processing, complete or failed. `created_after` is inclusive, `created_before` is not (ms).
    An item has every `tag`, every pair of `metadata` and the words of `q`. `sort` is an order of the list, after a `-`
    if descending. `created_by` is the id of a principal.
    """

    limit: int
    cursor: str | None = None
    status: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    tag: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    q: str | None = None
    sort: str = "-created_at"
    created_by: str | None = None


@dataclass(frozen=True)
class Sort:
    """An order of a list: by `value`, an indexed expression that is never NULL, of the type `kind`, then by id."""

    name: str
    value: Any
    kind: Callable[[str], Any]
    descending: bool = True


@dataclass(frozen=True)
class Search:
    """A search that many rows match: `among` filters ids by the words of their rows, in the same order.

    A match has the words and fulfils the `conditions`. `matches` is the condition of the words for all rows.
    """

    among: Callable[[Sequence[str]], list[str]]
    conditions: Sequence[Any]
    matches: Any


def sort_by(sorts: Mapping[str, tuple[Any, Callable[[str], Any]]], name: str) -> Sort | None:
    """Return the order of a name such as `-size`, or None for the default, `-created_at`."""
    if name == "-created_at":
        return None
    value, kind = sorts[name.removeprefix("-")]
    return Sort(name, value, kind, descending=name.startswith("-"))


def beginning(text: Any) -> peewee.Function:
    """Return the first 60 characters of a text, without case, for a Sort: a cursor holds at most 500 characters."""
    return peewee.fn.SUBSTR(peewee.fn.LOWER(text), peewee.SQL("1"), peewee.SQL("60"))


def read_page(
    database: Database,
    query: Any,
    *,
    of: str,
    created_at: Any,
    ident: Any,
    limit: int,
    cursor: str | None,
    make: Callable[[Row], T],
    after: int | None = None,
    before: int | None = None,
    sort: Sort | None = None,
    search: Search | None = None,
    then: Callable[[], tuple[Any, Search | None]] | None = None,
) -> Page[T]:
    """Return the page of `query` after `cursor`, at most `limit` rows, newest first unless `sort` is given.

    `of` names the list: a cursor of another one is refused. `after` is inclusive, `before` is not (ms). The rows of
    `then`, another query and its search, follow the rows of `query`.
    """
    order = sort or Sort("", created_at, int)
    of = of if sort is None else f"{of}+{sort.name}"

    def first() -> tuple[Any, Search | None]:
        return query, search

    lists = [(of, first), *([] if then is None else [(f"{of}+then", then)])]
    if cursor is not None and list_of_cursor(cursor, order.kind) == lists[-1][0]:
        del lists[:-1]
    found: list[tuple[str, Row]] = []
    for name, ask in lists:
        chosen, its_search = ask()
        last = None if cursor is None else decode_cursor(cursor, name, order.kind)
        chosen = _placed(chosen, sort, created_at, ident, last=last, after=after, before=before)
        # One more row than requested shows if there is another page.
        found += [(name, row) for row in _read(database, chosen, ident, limit + 1 - len(found), its_search)]
        if len(found) > limit:
            break
        cursor = None
    column = created_at.name if sort is None else "sorted_by"
    name, row = found[limit - 1] if len(found) > limit else ("", {})
    next_cursor = encode_cursor(name, row[column], row[ident.name]) if row else None
    return Page([make(row) for _, row in found[:limit]], next_cursor)


def _placed(
    query: Any,
    sort: Sort | None,
    created_at: Any,
    ident: Any,
    *,
    last: tuple[Any, str] | None,
    after: int | None,
    before: int | None,
) -> Any:
    """Return the sorted query of the rows after `last`, within the times."""
    order = sort or Sort("", created_at, int)
    if sort is not None:
        query = query.select_extend(sort.value.alias("sorted_by"))
    if before is not None and sort is None:
        # A single upper bound, so that the other conditions decide which index is used.
        last = min([(before, ""), *([] if last is None else [last])])
    elif before is not None:
        query = query.where(created_at < before)
    if last is not None:
        position = peewee.Tuple(order.value, ident)
        query = query.where(position < last if order.descending else position > last)
    if after is not None:
        query = query.where(created_at >= after)
    keys = [key.desc() if order.descending else key.asc() for key in (order.value, ident)]
    return query.order_by(*keys)


def _read(database: Database, query: Any, ident: Any, limit: int, search: Search | None) -> list[Row]:
    """Return the first rows of a sorted query. A search that fills the page among the first ones ends there."""
    if search is None:
        return database.rows(query.limit(limit))
    first = [row[ident.name] for row in database.rows(query.select(ident).limit(_FIRST))]
    found = compact_json(search.among(first))  # one parameter: Peewee is slow with a thousand
    has_words = database.any_of(ident, "SELECT value FROM json_each(?)", found)
    rows = database.rows(query.where(has_words, *search.conditions).limit(limit))
    if len(rows) == limit:
        return rows
    return database.rows(query.where(search.matches, *search.conditions).limit(limit))
