"""Cues of a transcript in JSON, from a request or a file."""

from __future__ import annotations

from clipengine.api.http.requests.cues import TranscriptCues
from clipengine.api.http.validation import parse_json, validate_list
from clipengine.basis.documents import Document
from clipengine.clips.texts.cues import MAX_CUES, TOO_MANY_CUES, Cue, TimedWord, check_cues, clean_line, clean_text
from clipengine.clips.texts.text_documents import pack_cues, unpack_cues

_TOKENS = 400_000  # of a transcript of 2 MiB: strings, brackets and commas, also of the times of its words


def json_cues(body: bytes) -> list[Cue]:
    """Return the cues of a transcript in JSON, sorted by time. Raises RequestError with a pointer to each fault."""
    value = parse_json(body, members=MAX_CUES, tokens=_TOKENS, hint=TOO_MANY_CUES)
    return check_cues(
        [
            Cue(
                each.start_ms,
                each.end_ms,
                clean_text(each.text),
                clean_line(each.speaker or "") or None,
                tuple(TimedWord(start, end, word) for start, end, text in each.words if (word := clean_line(text))),
            )
            for each in validate_list(TranscriptCues, value)
        ]
    )


JSON_CUES: Document[list[Cue]] = Document("json cues", 200_000, json_cues, pack_cues, unpack_cues)
