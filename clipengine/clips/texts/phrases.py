"""Ends of phrases, where cues, captions and lines may end: after punctuation, or where the speaker pauses. Pure."""

from __future__ import annotations

_SENTENCE = frozenset(".?!…。！？؟।")
_CLAUSE = frozenset(",;:–—、，；：،؛")
_SPACED = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))  # Thai and Lao, Burmese, Khmer
SPACES = (" ", "\u200b")  # a zero-width space is one between words
_QUOTES = "\"'”’»)]}）」』"
PAUSE_MS = 300  # between two words: a phrase ends there


def phrase_rank(said: str, *, pause: bool = False) -> int:
    """Return how well a line or cue ends after this text: 2 after a sentence, 1 after a clause or before a pause."""
    last = said.rstrip().rstrip(_QUOTES)[-1:]
    if last in _SENTENCE:
        return 2
    return int(last in _CLAUSE or pause or ends_with_spaced_phrase(said))


def ends_with_spaced_phrase(said: str) -> bool:
    """Return True if the text ends with a space in a script that has none between words, but between phrases."""
    letter = said.rstrip("".join(SPACES))[-1:]
    return said.endswith(SPACES) and any(first <= letter <= last for first, last in _SPACED)
