"""The manual's pages: Markdown to HTML with an anchor for whatever can be linked to, and the search over them.

A heading is an anchor by its words; a table's row that begins with one name in code (an error's code, a setting) is
one by that name, so that `errors#queue_full` leads to its row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MOST_WORDS = 10  # of a query; further ones are ignored
_MOST_HITS = 40
_EXCERPT = 160  # characters
_NAME = re.compile(r"[A-Za-z_][\w.-]*\Z")


@dataclass
class Section:
    """The text under one anchor. The page itself has no anchor."""

    anchor: str
    title: str
    text: str = ""


@dataclass(frozen=True)
class Page:
    name: str
    title: str
    html: str
    sections: list[Section] = field(repr=False)


@dataclass(frozen=True)
class Hit:
    """`excerpt` is HTML, the rest is text."""

    page: str
    page_title: str
    anchor: str
    title: str
    excerpt: str


def render(name: str, text: str) -> Page:
    """Render a page from Markdown that begins with its title. HTML in the text is escaped."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    outline = _Outline()
    for index, token in enumerate(tokens):
        if token.type == "inline":
            _follow_links(token)
            if tokens[index - 1].type != "heading_open":
                outline.add_text(_words(token))
        elif token.type in ("fence", "code_block"):
            outline.add_text(token.content)
            token.attrSet("tabindex", "0")  # what scrolls sideways can be reached by keyboard
        elif token.type == "heading_open":
            outline.add_heading(token, _words(tokens[index + 1]))
        elif token.type == "tr_open":
            outline.add_row(token, _row_name(tokens[index + 2]))
    html = markdown.renderer.render(tokens, markdown.options, {})
    return Page(name, outline.sections[0].title if outline.sections else name, html, outline.sections)


class _Outline:
    """The sections of a page, with the anchors that it gives to their tokens."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self._taken: set[str] = set()

    def add_heading(self, token: Token, title: str) -> None:
        anchor = _unused(_slug(title), self._taken) if self.sections else ""
        if anchor:
            token.attrSet("id", anchor)
        self.sections.append(Section(anchor, title))

    def add_row(self, token: Token, name: str) -> None:
        if name and name not in self._taken:
            self._taken.add(name)
            token.attrSet("id", name)
            self.sections.append(Section(name, name))

    def add_text(self, text: str) -> None:
        if self.sections:
            self.sections[-1].text += text + " "


def search(pages: Iterable[Page], query: str) -> list[Hit]:
    """Return the sections that have words of the query, best first: by how many they have, then by their titles."""
    words = list(dict.fromkeys(query.casefold().split()))[:_MOST_WORDS]
    found: list[tuple[tuple[int, int], Page, Section]] = []
    for page in pages if words else ():
        for section in page.sections:
            title, text = section.title.casefold(), section.text.casefold()
            if told := sum(word in title or word in text for word in words):
                named = sum(word in title for word in words) + 2 * (query.casefold() == title)
                found.append(((told, named), page, section))
    found.sort(key=lambda item: item[0], reverse=True)  # stable: otherwise in the order of reading
    return [
        Hit(page.name, page.title, section.anchor, section.title, _excerpt(section.text, words))
        for _, page, section in found[:_MOST_HITS]
    ]


def _follow_links(token: Token) -> None:
    """`errors.md#x` of the files is `errors#x` of the pages."""
    for child in token.children or ():
        href = child.attrGet("href") if child.type == "link_open" else None
        if isinstance(href, str) and "://" not in href:
            child.attrSet("href", re.sub(r"\.md(?=#|\Z)", "", href))


def _words(token: Token) -> str:
    return "".join(
        child.content if child.content else " " * (child.type == "softbreak") for child in token.children or ()
    )


def _row_name(cell: Token) -> str:
    """Return the name in the first cell of a table row, if it is nothing but code."""
    inside = cell.children or []
    if (
        cell.type == "inline"
        and len(inside) == 1
        and inside[0].type == "code_inline"
        and _NAME.match(inside[0].content)
    ):
        return inside[0].content
    return ""


def _slug(title: str) -> str:
    """Return GitHub's anchor for a heading, so that links work in both places."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


def _unused(anchor: str, taken: set[str]) -> str:
    count, found = 1, anchor
    while found in taken:
        found = f"{anchor}-{count}"
        count += 1
    taken.add(found)
    return found


def _excerpt(text: str, words: list[str]) -> str:
    """Return the text around the first match with all matches marked."""
    text = " ".join(text.split())
    pattern = re.compile("|".join(map(re.escape, words)), re.IGNORECASE)
    match = pattern.search(text)
    begin = max(0, (match.start() if match else 0) - _EXCERPT // 3)
    shown = text[begin : begin + _EXCERPT]
    parts, last = [], 0
    for match in pattern.finditer(shown):
        parts += [escape(shown[last : match.start()]), f"<mark>{escape(match[0])}</mark>"]
        last = match.end()
    parts.append(escape(shown[last:]))
    return ("…" if begin else "") + "".join(parts) + ("…" if begin + _EXCERPT < len(text) else "")
