"""Transcripts and the answers of speech servers, as documents that a child parses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from clipengine.basis.documents import STRICT, Document, packed_rows, unpacked_rows
from clipengine.clips.texts.cues import MAX_CUES, Cue, TextFormat, TimedWord, check_cues, clean_line, clean_text
from clipengine.clips.texts.language_tags import MAX_LANGUAGE_CHARACTERS
from clipengine.clips.texts.segmented import parse_segments
from clipengine.clips.texts.spoken import Spoken, parse_spoken
from clipengine.clips.texts.transcript_file import parse_transcript
from clipengine.errors import InvalidTranscript

_Row = tuple[int, int, str, str | None, list[tuple[int, int, str]]]
_ROW: TypeAdapter[_Row] = TypeAdapter(_Row, config=STRICT)
_LANGUAGE: TypeAdapter[str | None] = TypeAdapter(str | None, config=STRICT)


def pack_cues(cues: Iterable[Cue]) -> bytes:
    """Return cues as lines of JSON."""
    return packed_rows([each.start_ms, each.end_ms, each.text, each.speaker, each.timed_words] for each in cues)


def unpack_cues(data: bytes, **values: Any) -> list[Cue]:
    """Return the cues of `pack_cues`, which are checked again. Raises ValueError."""
    try:
        return check_cues(_cues(data))
    except InvalidTranscript as error:
        raise ValueError(error.message) from None


def _cues(data: bytes) -> list[Cue]:
    return [
        Cue(
            start,
            end,
            clean_text(text),
            None if speaker is None else clean_line(speaker),
            tuple(TimedWord(first, last, clean_line(word)) for first, last, word in words),
        )
        for start, end, text, speaker, words in unpacked_rows(data, _ROW, most=MAX_CUES)
    ]


def _parse_transcript(data: bytes, *, kind: TextFormat) -> list[Cue]:
    return parse_transcript(data, kind)


def _parse_spoken(data: bytes, *, seconds: float) -> Spoken:
    try:
        return parse_spoken(data, seconds=seconds)
    except ValueError as error:
        raise InvalidTranscript(str(error)) from None


def _pack_spoken(spoken: Spoken) -> bytes:
    return packed_rows([spoken.language]) + b"\n" + pack_cues(spoken.cues)


def _unpack_spoken(data: bytes, **values: Any) -> Spoken:
    first, _, rows = data.partition(b"\n")
    language = _LANGUAGE.validate_json(first)
    if len(language or "") > MAX_LANGUAGE_CHARACTERS:
        raise ValueError("the language is too long")
    return Spoken(language, tuple(unpack_cues(rows)) if rows else ())


TRANSCRIPT: Document[list[Cue]] = Document("transcript", 64_000, _parse_transcript, pack_cues, unpack_cues)
SEGMENTED_TEXT: Document[list[Cue]] = Document("segmented text", 64_000, parse_segments, pack_cues, unpack_cues)
SPOKEN: Document[Spoken] = Document("spoken", 150_000, _parse_spoken, _pack_spoken, _unpack_spoken)
