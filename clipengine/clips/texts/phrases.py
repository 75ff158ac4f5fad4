"""Ends of phrases, where cues, captions and lines may end: after punctuation, or where the speaker pauses. Pure."""

from __future__ import annotations

_SENTENCE = frozenset(".?!…。！？؟।")
_CLAUSE = frozenset(",;:–—、，；：،؛")
_QUOTES = "\"'”’»)]}）」』"
PAUSE_MS = 300  # between two words: a phrase ends there


def phrase_rank(said: str, *, pause: bool = False) -> int:
    """Return how well a line or cue ends after this text: 2 after a sentence, 1 after a clause or before a pause."""
    last = said.rstrip().rstrip(_QUOTES)[-1:]
    if last in _SENTENCE:
        return 2
    return int(last in _CLAUSE or pause)
