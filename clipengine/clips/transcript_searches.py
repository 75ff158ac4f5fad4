"""Searches in a transcript, as documents: a child runs those in a long one, which take seconds. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from pydantic import Field, TypeAdapter

from clipengine.basis.documents import STRICT, Document, packed_rows, unpacked_rows
from clipengine.clips.suggested import (
    MAX_SUGGESTIONS,
    MAX_TEXT_CHARACTERS,
    Chapter,
    Reason,
    Said,
    SuggestionObject,
    said,
    suggest,
)
from clipengine.clips.texts.cues import MAX_CUES, Cue

_SMALL_BYTES = 10_000  # 150 short sentences

T = TypeVar("T")

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]
_Suggestion = tuple[_Seconds, _Seconds, Reason, _Text | None, _Text, Annotated[float, Field(ge=0, le=1)]]
_SUGGESTION: TypeAdapter[_Suggestion] = TypeAdapter(_Suggestion, config=STRICT)
_Sentence = tuple[_Seconds, _Seconds, _Text]
_SENTENCE: TypeAdapter[_Sentence] = TypeAdapter(_Sentence, config=STRICT)


class _Chapter(NamedTuple):
    start: Fraction
    title: str


@dataclass(frozen=True)
class Search(Generic[T]):
    """A search with the cues in which it looks. Its result is what `document` says in `data`."""

    document: Document[T]
    data: bytes


def suggestion_search(
    cues: Iterable[Cue],
    *,
    duration_ms: int,
    language: str,
    chapters: Iterable[Chapter],
    keywords: Iterable[str],
    limit: int,
) -> Search[list[SuggestionObject]]:
    """Return the search of `suggest`."""
    given = {"duration_ms": duration_ms, "language": language, "keywords": [*keywords], "limit": limit}
    starts = [[round(each.start * 1000), each.title] for each in chapters]
    return Search(SUGGESTIONS, _packed({**given, "chapters": starts}, cues))


def sentence_search(cues: Iterable[Cue], words: Iterable[str], *, duration_ms: int) -> Search[list[Said]]:
    """Return the search of `said`."""
    return Search(SENTENCES, _packed({"words": [*words], "duration_ms": duration_ms}, cues))


def _packed(given: dict[str, Any], cues: Iterable[Cue]) -> bytes:
    rows = ([each.start_ms, each.end_ms, each.text, each.speaker] for each in cues)
    return b"\n".join([packed_rows([given]), packed_rows(rows)])


def _unpacked(data: bytes) -> tuple[dict[str, Any], Sequence[Cue]]:
    first, _, rows = data.partition(b"\n")
    return json.loads(first), [Cue(*json.loads(each)) for each in rows.split(b"\n") if each]


def _suggest(data: bytes) -> list[SuggestionObject]:
    given, cues = _unpacked(data)
    chapters = [_Chapter(Fraction(start_ms, 1000), title) for start_ms, title in given.pop("chapters")]
    return suggest(cues, chapters=chapters, **given)


def _pack_suggestions(found: Iterable[SuggestionObject]) -> bytes:
    return packed_rows(tuple(each.values()) for each in found)


def _unpack_suggestions(data: bytes) -> list[SuggestionObject]:
    return [
        {
            "start_seconds": start,
            "end_seconds": end,
            "reason": reason,
            "about": about,
            "text": text,
            "score": score,
        }
        for start, end, reason, about, text, score in unpacked_rows(data, _SUGGESTION, most=MAX_SUGGESTIONS)
    ]


def _said(data: bytes) -> list[Said]:
    given, cues = _unpacked(data)
    return said(cues, **given)


def _unpack_sentences(data: bytes) -> list[Said]:
    return [Said(*each) for each in unpacked_rows(data, _SENTENCE, most=MAX_CUES)]


SUGGESTIONS: Document[list[SuggestionObject]] = Document(
    "suggestions", _SMALL_BYTES, _suggest, _pack_suggestions, _unpack_suggestions
)
SENTENCES: Document[list[Said]] = Document("sentences", _SMALL_BYTES, _said, packed_rows, _unpack_sentences)
