"""HTML documents of the manual: header with the search, grouped navigation, contents of the page, and its text.

All links are relative, so that they also work behind a proxy with a path prefix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

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
    navigation = "\n".join(_group(group, pages, current, root) for group in groups)
    headings = [each for each in sections if each.level in (2, 3)]
    contents = _contents(headings) if len(headings) >= _LEAST_CONTENTS else ""
    folded = f'<details class="contents"><summary>On this page</summary>{contents}</details>\n' if contents else ""
    beside = f"<aside>{contents}</aside>\n" if contents else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · clipengine</title>
<link rel="icon" href="{root}../assets/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="{root}style.css">
<script src="{root}manual.js" defer></script>
</head>
<body>
<a class="skip" href="#main">To the text</a>
<header>
<a class="home" href="{root}../"><img src="{root}../assets/mark.svg" alt="" width="22" height="22">clipengine</a>
<form action="{root}search" role="search">
<label for="q">Search the documents</label>
<input id="q" type="search" name="q" value="{escape(query)}" placeholder="webhook signature" maxlength="200"
title="Search (/)">
<button>Search</button>
</form>
</header>
<details class="menu"><summary>All documents</summary>
<nav aria-label="Documents">
{navigation}
</nav>
</details>
<div class="columns">
<nav aria-label="Documents">
{navigation}
</nav>
<main id="main">
{folded}{body}
</main>
{beside}</div>
</body>
</html>
"""


def _group(group: Group, pages: Mapping[str, Page], current: str, root: str) -> str:
    entries = "".join(
        f'<li><a href="{root}{name}"{_mark(name, current)}>{escape(pages[name].title)}</a></li>\n'
        for name in group.names
    )
    return f"<h2>{escape(group.title)}</h2>\n<ul>\n{entries}</ul>"


def _mark(name: str, current: str) -> str:
    return ' aria-current="page"' if name == current else ""


def _contents(headings: Sequence[Section]) -> str:
    return f'<nav aria-label="On this page"><h2>On this page</h2>\n<ul>\n{"".join(_entries(headings))}</ul></nav>'


def _entries(headings: Sequence[Section]) -> Iterator[str]:
    for each in headings:
        kind = ' class="deeper"' if each.level == 3 else ""
        yield f'<li{kind}><a href="#{escape(each.anchor)}">{escape(each.title)}</a></li>\n'
