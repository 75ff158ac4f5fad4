"""HTML documents of the manual: header with the search, grouped navigation, contents of the page, and its text.

All links are relative, so that they also work behind a proxy with a path prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from clipengine.api.http.pages import page
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
    body: str,
    *,
    current: str = "",
    query: str = "",
    sections: Sequence[Section] = (),
) -> str:
    """Return the HTML document around `body`. `current` is the name of the page, `sections` are its headings."""
    root = "../" * current.count("/")
    headings = [each for each in sections if each.level in (2, 3)]
    return page(
        "manual.html",
        groups=groups,
        pages=pages,
        title=title,
        body=Markup(body),
        current=current,
        query=query,
        root=root,
        headings=headings if len(headings) >= _LEAST_CONTENTS else (),
    )
