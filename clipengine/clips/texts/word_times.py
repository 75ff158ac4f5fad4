"""Times and places of the words of a cue: each word lasts for a moment, and none overlaps another. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    for number in range(len(times) - 1, -1, -1):  # what was moved beyond the end moves back
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
