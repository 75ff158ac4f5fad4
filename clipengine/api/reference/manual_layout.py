"""HTML documents of the manual: header with the search, grouped navigation, contents of the page, and its text.

All links are relative, so that they also work behind a proxy with a path prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipengine.api.http.templates import rendered
from clipengine.api.reference.manual import Page, Section

_LEAST_CONTENTS = 4  # headings of a page with a table of contents


@dataclass(frozen=True)
class Group:
    """A group of the navigation."""

    title: str
    names: Sequence[str]


def document(
    groups: Sequence[Group],
    pages: Mapping[str, Page],
    title: str,
    *,
    template: str = "manual",
    current: str = "",
    query: str = "",
    sections: Sequence[Section] = (),
    **values: Any,
) -> str:
    """Return an HTML document of the manual. `current` is the name of the page, `sections` are its headings.

    `values` are the variables of the template: for `manual` the `body`, as HTML.
    """
    headings = [each for each in sections if each.level in (2, 3)]
    return rendered(
        template,
        groups=groups,
        pages=pages,
        title=title,
        root="../" * current.count("/"),
        current=current,
        query=query,
        headings=headings if len(headings) >= _LEAST_CONTENTS else [],
        **values,
    )
