"""A list of the API that is longer than one page, as one iterator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from clipengine.client.models import Page

T = TypeVar("T")


def follow(fetch: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Every item of the pages that `fetch(cursor)` answers, fetched as they are needed."""
    cursor: str | None = None
    while True:
        page = fetch(cursor)
        yield from page.data
        cursor = page.next_cursor
        if cursor is None:
            return
