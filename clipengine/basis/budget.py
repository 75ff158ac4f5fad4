"""Budgets of text from outside, which its parsers spend while they read.

A parser holds the interpreter and keeps what it has read, so a limit that is checked afterwards comes too late. Each
budget ends with the error of its kind of document, whose message has the number of the limit. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

_BLOCK_BYTES = 1 << 16  # decoded and split by one call, which holds the interpreter
_MOST_BYTES_OF_A_CHARACTER = 4
_BOM = b"\xef\xbb\xbf"

Refusal = Callable[[str], Exception]


class Allowance:
    """The number of things that may still be read, such as the segments of all playlists of a recording."""

    __slots__ = ("_limit", "_owner", "_refusal", "_things", "left")

    def __init__(self, limit: int, things: str, *, of: str, refusal: Refusal) -> None:
        self._limit, self._things, self._owner, self._refusal = limit, things, of, refusal
        self.left = limit

    @property
    def state(self) -> tuple[int, int, str]:
        """The number left, the limit and the owner, with which another process continues to count."""
        return self.left, self._limit, self._owner

    def spend(self, count: int = 1) -> None:
        """Count things that are about to be read. Raises the error of the document if they are too many."""
        self.left -= count
        if self.left < 0:
            raise self._refusal(f"{self._owner} has more than {self._limit} {self._things}")


@dataclass(frozen=True)
class TextLimits:
    """Limits of one kind of document, and the error for a text that exceeds them or is not UTF-8."""

    document: str
    refusal: Refusal
    max_bytes: int
    max_lines: int
    max_line_characters: int


class LineReader:
    """Reader of the lines of one document, in as many calls as it arrives in. `line` is the number of lines read."""

    def __init__(self, limits: TextLimits) -> None:
        self._limits = limits
        self._lines = Allowance(limits.max_lines, "lines", of=limits.document, refusal=limits.refusal)
        self._block = max(_BLOCK_BYTES, limits.max_line_characters * _MOST_BYTES_OF_A_CHARACTER + 1)

    @property
    def line(self) -> int:
        return self._limits.max_lines - self._lines.left

    def check_size(self, size: int) -> None:
        """Raise the error of the document if it has more bytes than the limit."""
        most = self._limits.max_bytes
        if size > most:
            shown = f"{most} bytes" if most % (1 << 20) else f"{most >> 20} MiB"
            raise self._limits.refusal(f"{self._limits.document} has more than {shown}")

    def blocks(self, data: bytes, begin: int = 0, end: int | None = None) -> Iterator[list[str]]:
        """Yield the lines of `data[begin:end]` without their line feeds, a block of them at a time.

        A byte order mark at the start of the document is skipped. Raises the error of the document.
        """
        self.check_size(len(data))
        end = len(data) if end is None else end
        if not begin and data.startswith(_BOM):
            begin = len(_BOM)
        while begin < end:
            stop = min(begin + self._block, end)
            feed = data.rfind(b"\n", begin, stop)
            if feed < 0 and stop < end:
                raise self._too_long(self.line + 1)
            feed = stop if feed < 0 else feed
            yield self._split(data, begin, feed)
            begin = feed + 1

    def _split(self, data: bytes, begin: int, end: int) -> list[str]:
        first = self.line + 1
        self._lines.spend(data.count(b"\n", begin, end) + 1)
        try:
            lines = data[begin:end].decode().split("\n")
        except UnicodeDecodeError as error:
            line = first + data.count(b"\n", begin, begin + error.start)
            raise self._limits.refusal(f"line {line} of {self._limits.document} is not UTF-8") from None
        most = self._limits.max_line_characters
        if max(map(len, lines)) > most:
            raise self._too_long(next(number for number, line in enumerate(lines, first) if len(line) > most))
        return lines

    def _too_long(self, line: int) -> Exception:
        most = self._limits.max_line_characters
        return self._limits.refusal(f"line {line} of {self._limits.document} has more than {most} characters")


def whole_number(text: str, most: int) -> int | None:
    """Return the ASCII digits as a number of 0 to `most`, or None. The cost is linear in the text."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(most)) or (number := int(digits)) > most:
        return None
    return number


def decimal_number(text: str, most: int, *, places: int = 12) -> Fraction | None:
    """Return ASCII digits with or without a fraction as a number of 0 to `most`, or None.

    Digits after so many decimal places are ignored. The cost is linear in the text.
    """
    before, _, after = text.partition(".")
    whole = whole_number(before, most)
    if whole is None or (after and not (after.isascii() and after.isdigit())):
        return None
    kept = after[:places]
    number = Fraction(whole * 10 ** len(kept) + int(kept or 0), 10 ** len(kept))
    return number if number <= most else None
