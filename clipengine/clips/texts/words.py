"""Words of a text for the search, equal for every database: without case, accents and compatibility forms. Pure.

Scripts that are written without spaces (Chinese, Japanese, Thai …) give one word per character, so that parts of their
text can be found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from clipengine.errors import InvalidRequest

MAX_QUERY_CHARACTERS = 200
_MAX_WORD_CHARACTERS = 400  # PostgreSQL accepts words of at most 2,046 bytes
NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
NO_SPACES += "\U00020000-\U0003ffff"
# Marks that belong to the letter before them: Latin, Cyrillic, Hebrew, Arabic. Indic letters and marks share blocks.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c2\u05c4-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
)
_ACCENT = re.compile(f"[{_MARKS}]")
_INDIC = "\u0900-\u0963\u0966-\u0dff"
_WORD = re.compile(f"[{NO_SPACES}]|(?:(?![{NO_SPACES}])[^\\W_]|[{_MARKS}{_INDIC}])+")
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')


class Word(NamedTuple):
    """A word and its place in the text."""

    folded: str
    start: int
    end: int


@dataclass(frozen=True)
class Phrase:
    """Words that follow each other. The last one may be the beginning of a word."""

    words: tuple[str, ...]
    prefix: bool = False

    def found_in(self, words: Sequence[Word]) -> Iterator[tuple[int, int]]:
        """Yield start and end of each occurrence in the text."""
        count = len(self.words)
        for first in range(len(words) - count + 1):
            if self._matches([word.folded for word in words[first : first + count]]):
                yield words[first].start, words[first + count - 1].end

    def _matches(self, folded: Sequence[str]) -> bool:
        same = folded[-1].startswith(self.words[-1]) if self.prefix else folded[-1] == self.words[-1]
        return same and tuple(folded[:-1]) == self.words[:-1]


def words_of(text: str) -> Iterator[Word]:
    for match in _WORD.finditer(text):
        # A mark or a compatibility form may fold to several words, or to none.
        for folded in _fold(match[0]).split():
            yield Word(folded[:_MAX_WORD_CHARACTERS], match.start(), match.end())


def indexed_words(text: str) -> str:
    """Return the words of the text, separated by spaces."""
    return " ".join(word.folded for word in words_of(text))


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else _fold_marks(text)


@lru_cache(maxsize=1024)
def _fold_marks(text: str) -> str:
    # Only marks of alphabets are accents: marks of Indic scripts and of kana make other syllables.
    plain = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", text.casefold()))).casefold()
    return "".join(each if each.isalnum() or unicodedata.category(each)[0] == "M" else " " for each in plain)


def parse_query(query: str) -> tuple[Phrase, ...]:
    """Return the phrases that a text must contain: each word, `"words in order"`, and `begin*`.

    Raises InvalidRequest if there is no word.
    """
    found = []
    for quoted, term in _TERM.findall(query[:MAX_QUERY_CHARACTERS]):
        if words := tuple(word.folded for word in words_of(quoted or term)):
            found.append(Phrase(words, prefix=term.endswith("*")))
    if not found:
        detail = "q has no word"
        raise InvalidRequest(detail, errors=[{"detail": detail, "parameter": "q"}], hint="Give a word to search for.")
    return tuple(dict.fromkeys(found))


def highlights(text: str, phrases: Sequence[Phrase]) -> list[list[int]]:
    """Return start and end of each match of the phrases in the text, in characters, without overlaps."""
    words = list(words_of(text))
    merged: list[list[int]] = []
    for start, end in sorted(place for phrase in phrases for place in phrase.found_in(words)):
        if merged and start < merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end])
    return merged
