"""Times and places of the words of a cue: each word lasts for a moment, and none overlaps another. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from clipengine.clips.texts.cues import Cue, TimedWord, clean_text
from clipengine.clips.texts.phrases import phrase_rank

SHORTEST_WORD_MS = 80  # more than a frame at 15 frames per second
_GROWN_MS = 300  # most of a free time that a word without a length is given

Times = tuple[int, int]


def lasting(times: Sequence[Times], low: int, high: int, *, shortest: int = SHORTEST_WORD_MS) -> list[Times] | None:
    """Return the times of words, in their order from `low` to `high`, each at least `shortest` ms and none overlapping.

    A word that is shorter gets the time up to the next one, or some of its neighbours' time. All are shorter if there
    is too little time. Returns None if there is less than 1 ms for each.
    """
    if not times:
        return []
    shortest = min(shortest, (high - low) // len(times))
    if shortest < 1:
        return None
    starts, ends, at = [], [], low
    for (start, end), following in zip(times, [*(start for start, _ in times[1:]), high], strict=True):
        start = max(at, start)
        if end - start < shortest:
            end = min(following, start + (_GROWN_MS if end <= start else shortest))
        starts.append(start)
        ends.append(max(start + shortest, min(end, following)))
        at = start + shortest
    for number in range(len(times) - 1, -1, -1):  # words that were moved beyond the end move back
        ends[number] = min(ends[number], high)
        starts[number] = min(starts[number], ends[number] - shortest)
        high = starts[number]
    return list(zip(starts, ends, strict=True))


def places(text: str, words: Sequence[TimedWord]) -> Iterator[tuple[int, int]]:
    """Yield the places of the words that are in the text, in their order, each with the number of its word."""
    at = 0
    for number, word in enumerate(words):
        wanted = word.text.strip()
        place = text.find(wanted, at) if wanted else -1
        if place >= 0:
            at = place + len(wanted)
            yield place, number


def without_words(cue: Cue, is_removed: Callable[[TimedWord], bool]) -> Cue | None:
    """Return the cue without some of its words, in its text too, or None if nothing is left."""
    removed = {number for number, word in enumerate(cue.timed_words) if is_removed(word)}
    if not removed:
        return cue
    left = tuple(word for number, word in enumerate(cue.timed_words) if number not in removed)
    if not left:
        return None
    text, at = "", 0
    for (place, number), (following, _) in pairwise([*places(cue.text, cue.timed_words), (len(cue.text), -1)]):
        if number in removed:
            text += cue.text[at:place]
            at = _end_of(cue.text, place + len(cue.timed_words[number].text.strip()), following)
            text = _ended(text, cue.text[place:at])
    text = clean_text(text + cue.text[at:])
    return Cue(cue.start_ms, cue.end_ms, text, cue.speaker, left) if any(map(str.isalnum, text)) else None


def is_said(word: TimedWord, start_ms: Fraction | int, end_ms: Fraction | int) -> bool:
    """Return True if the middle of the word is in the range, or the middle of the range in the word."""
    word_middle, middle = word.start_ms + word.end_ms, start_ms + end_ms
    return 2 * start_ms <= word_middle < 2 * end_ms or 2 * word.start_ms <= middle < 2 * word.end_ms


def said_between(cue: Cue, start: Fraction, end: Fraction) -> Cue | None:
    """Return the cue with only the words that are said in `[start, end)`, or None if it has words but none of these.

    The cue keeps its times. It is returned as it is if the times of its words are not known, or if none of them is in
    its text.
    """
    said = [is_said(word, 1000 * start, 1000 * end) for word in cue.timed_words]
    placed = [] if all(said) else [*places(cue.text, cue.timed_words)]
    if not placed:
        return cue
    kept = [order for order, (_, number) in enumerate(placed) if said[number]]
    if not kept:
        return None
    first, after = kept[0], kept[-1] + 1
    begin = _opened(cue.text, placed[first][0]) if first else 0
    finish = _opened(cue.text, placed[after][0]) if after < len(placed) else len(cue.text)
    words = tuple(word for word, is_said in zip(cue.timed_words, said, strict=True) if is_said)
    return replace(cue, text=clean_text(cue.text[begin:finish]), timed_words=words)


def _opened(text: str, at: int) -> int:
    """Return the place of the punctuation that opens the word at this place, such as a quotation mark."""
    line = text.rfind("\n", 0, at) + 1
    if not any(map(str.isalnum, text[line:at])):
        return line  # such as the dash before a speech
    begin = at
    while begin > line and unicodedata.category(text[begin - 1])[0] in "PS":
        begin -= 1
    if text[begin - 1].isspace():
        return begin
    while begin < at and unicodedata.category(text[begin]) not in ("Ps", "Pi"):
        begin += 1  # punctuation after the word before, as in Chinese, belongs to that word
    return begin


def _ended(text: str, removed: str) -> str:
    """Return the text with the end of the sentence that was removed after it, if it lacks one."""
    if not text.strip() or phrase_rank(removed) < 2 or phrase_rank(text) == 2:
        return text
    last = max((at for at, character in enumerate(removed) if character.isalnum()), default=-1)
    return text.rstrip().rstrip(",;:") + removed[last + 1 :]


def _end_of(text: str, at: int, following: int) -> int:
    """Return where a word ends with its punctuation and the spaces after it, at most where the next word begins."""
    while at < following and not text[at].isalnum() and not text[at].isspace():
        at += 1
    while at < following and text[at] == " ":
        at += 1
    return at
