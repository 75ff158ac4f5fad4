"""The manual's pages: Markdown to HTML with anchors for headings and table rows, and with tabs.

The anchor of a heading is made of its words. A table row that begins with one name in code (an error code, a setting)
has that name as its anchor, so that `errors#queue_full` links to its row. Code blocks that follow each other become
tabs if their info strings have titles: `sh curl`, `python Python`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import count, groupby, pairwise, takewhile

import pygments
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_FORMATTER = HtmlFormatter(nowrap=True)
_NAME = re.compile(r"[A-Za-z_][\w.-]*\Z")
# An option of a command, in brackets (short enough for the line of a phone) or with its value.
_OPTION = re.compile(r"\[-[^\[\]]{1,32}\]|[\[(]?(?<![\w-])--?\w[\w-]*(?: [A-Z]+\b)?")


@dataclass
class Section:
    """The text under one anchor. The page itself has no anchor.

    `level` is the level of the heading, 0 for a table row, whose `heading` is the title above the table.
    """

    anchor: str
    title: str
    level: int = 0
    text: str = ""
    heading: str = ""


@dataclass(frozen=True)
class Page:
    name: str
    title: str
    html: str
    sections: list[Section] = field(repr=False)


def render(name: str, text: str) -> Page:
    """Render a page from Markdown that begins with its title. HTML in the text is escaped."""
    markdown = MarkdownIt("commonmark", {"html": False, "highlight": _highlight}).enable("table")
    markdown.add_render_rule("code_inline", _code)
    tokens = markdown.parse(text)
    outline = _Outline()
    columns: list[str] = []
    for index, token in enumerate(tokens):
        if token.type == "inline":
            _follow_links(token)
            if tokens[index - 1].type != "heading_open":
                outline.add_text(_words(token))
        elif token.type in ("fence", "code_block"):
            outline.add_text(token.content)
            token.attrSet("tabindex", "0")  # what scrolls sideways can be reached by keyboard
        elif token.type == "table_open":
            token.attrSet("tabindex", "0")
            columns = _columns(tokens[index:])
        elif token.type == "heading_open":
            outline.add_heading(token, _words(tokens[index + 1]))
        elif token.type == "tr_open":
            outline.add_row(token, _row_name(tokens[index + 2]))
            column = iter(columns)
        elif token.type == "table_close":
            outline.end_table()
        elif token.type == "td_open":
            token.attrSet("data-column", next(column))  # shown with the cell in narrow windows
    html = markdown.renderer.render([*_with_tabs(tokens)], markdown.options, {})
    return Page(name, outline.sections[0].title if outline.sections else name, html, outline.sections)


def _highlight(code: str, language: str, attributes: str) -> str:
    """Return the HTML of a code block: spans whose classes are the short names of Pygments, coloured by `style.css`."""
    try:
        return str(pygments.highlight(code, get_lexer_by_name(language, stripnl=False), _FORMATTER))
    except ClassNotFound:
        return escape(code)


class _Outline:
    """The sections of a page, with the anchors that it gives to their tokens."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self._taken: set[str] = set()
        self._heading = self._current = Section("", "")

    def add_heading(self, token: Token, title: str) -> None:
        anchor = _unused(_slug(title), self._taken) if self.sections else ""
        if anchor:
            token.attrSet("id", anchor)
        self._heading = self._current = Section(anchor, title, int(token.tag[1:]))
        self.sections.append(self._current)

    def add_row(self, token: Token, name: str) -> None:
        """Begin a section for a row with a name. The text of other rows belongs to the heading."""
        self._current = self._heading
        if name and name not in self._taken:
            self._taken.add(name)
            token.attrSet("id", name)
            self._current = Section(name, name, heading=self._heading.title)
            self.sections.append(self._current)

    def end_table(self) -> None:
        self._current = self._heading

    def add_text(self, text: str) -> None:
        self._current.text += text + " "


def _with_tabs(tokens: Iterable[Token]) -> Iterator[Token]:
    """Wrap code blocks that follow each other and have titles. Radio buttons choose one, without a script."""
    groups = count(1)
    for titled, group in groupby(tokens, lambda token: token.type == "fence" and bool(_tab_title(token))):
        blocks = list(group)
        if titled and len(blocks) > 1:
            number = next(groups)
            yield _html('<fieldset class="tabs"><legend>Language</legend>')
            for index, block in enumerate(blocks):
                title, checked = escape(_tab_title(block)), "" if index else " checked"
                yield _html(f'<label><input type="radio" name="tabs-{number}" value="{title}"{checked}>{title}</label>')
            yield from blocks
            yield _html("</fieldset>\n")
        else:
            yield from blocks


def _tab_title(token: Token) -> str:
    return token.info.partition(" ")[2].strip()


def _html(text: str) -> Token:
    return Token("html_block", "", 0, content=text)


def _code(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """Return inline code whose options are not divided at the end of a line."""
    parts, last = [], 0
    text = tokens[index].content
    for match in _OPTION.finditer(text):
        parts += [escape(text[last : match.start()]), f'<span class="whole">{escape(match[0])}</span>']
        last = match.end()
    return f"<code>{''.join(parts)}{escape(text[last:])}</code>"


def _columns(tokens: Sequence[Token]) -> list[str]:
    """Return the names of the columns of the table with which the tokens begin."""
    head = takewhile(lambda pair: pair[0].type != "thead_close", pairwise(tokens))
    return [_words(inside) for token, inside in head if token.type == "th_open"]


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
