"""Pages of captions: a cue whose text is too long for two lines is shown as texts that follow each other. Pure.

Pages end at the ends of phrases if that is possible: after punctuation, or where the speaker pauses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import accumulate, pairwise
from typing import NamedTuple

from clipengine.clips.options.caption_style import MAX_LINES, CaptionStyle
from clipengine.clips.texts.caption_lines import Fits, joined, laid_out
from clipengine.clips.texts.captions import Caption
from clipengine.clips.texts.cues import WORD_TOLERANCE_MS, Cue, plain_payload
from clipengine.clips.texts.line_breaks import breakable_parts
from clipengine.clips.texts.phrases import PAUSE_MS, phrase_rank
from clipengine.clips.texts.word_times import SHORTEST_WORD_MS, lasting, places

_SHORT = 0.4  # part of the longest page, below which a page is short; also the cost of that
_UNRANKED = (1.3, 0.2, 0.0)  # cost of the end of a page by its rank, as a part of a page


class _Word(NamedTuple):
    """A word of a cue: its characters in the text, and its time."""

    start: int
    end: int
    start_ms: int
    end_ms: int


def captions_of(
    cues: Sequence[Cue],
    style: CaptionStyle | None,
    fits: Fits,
    *,
    lines: int = MAX_LINES,
    shortest_ms: int = SHORTEST_WORD_MS,
) -> list[Caption]:
    """Return the captions of cues, which are in order of time. `fits` says which texts have room in a line.

    Without a style, each cue is one caption, and its lines are broken by the painter. With one, each has at most so
    many `lines`, or one if others are shown meanwhile. Each word is marked for at least `shortest_ms` if its cue is
    long enough.
    """
    if style is None:
        return [Caption(cue.start_ms, cue.end_ms, plain_payload(cue), number) for number, cue in enumerate(cues)]
    found: list[Caption] = []
    for number, (cue, together) in enumerate(zip(cues, _overlaps(cues), strict=True)):
        found += _captions(cue, number, fits, 1 if together else lines, shortest_ms)
    return found


def _overlaps(cues: Sequence[Cue]) -> list[bool]:
    """Return for each cue whether another one is shown during its time."""
    latest = [0, *accumulate((cue.end_ms for cue in cues), max)]
    following = [cue.start_ms for cue in cues[1:]]
    return [
        latest[number] > cue.start_ms or (number < len(following) and following[number] < cue.end_ms)
        for number, cue in enumerate(cues)
    ]


def _captions(cue: Cue, number: int, fits: Fits, lines: int, shortest_ms: int) -> Iterator[Caption]:
    text = plain_payload(cue)
    words = _words_in(text, cue, shortest_ms)
    pages = _pages(text, words, fits, lines)
    if not pages:
        return
    for (start, end), (first_ms, last_ms) in zip(pages, _times(text, pages, words, cue), strict=True):
        shown, places = laid_out(text[start:end], fits, lines)
        spoken = [word for word in words if start <= word.start < end]
        after = next((word for word in words if word.start >= end), None)
        for start_ms, end_ms, word in _marks(spoken, after, first_ms, last_ms):
            marked = None if word is None else (places[word.start - start], places[min(word.end, end) - 1 - start] + 1)
            yield Caption(start_ms, end_ms, shown, number, marked)


def _words_in(text: str, cue: Cue, shortest_ms: int) -> list[_Word]:
    """Return the timed words of a cue that are in its text, in order, each long enough to be marked."""
    low, high = cue.start_ms - WORD_TOLERANCE_MS, cue.end_ms + WORD_TOLERANCE_MS
    placed = ((place, cue.timed_words[number]) for place, number in places(text, cue.timed_words))
    found = [(place, word) for place, word in placed if low <= word.start_ms < high]
    times = [(word.start_ms, min(word.end_ms, cue.end_ms)) for _, word in found]
    lasting_times = lasting(times, cue.start_ms, cue.end_ms, shortest=shortest_ms) or []
    return [
        _Word(place, place + len(word.text.strip()), *each)
        for (place, word), each in zip(found, lasting_times, strict=False)
    ]


def _pages(text: str, words: Sequence[_Word], fits: Fits, lines: int) -> list[tuple[int, int]]:
    """Return the ranges of characters of the pages: as few as possible, which end with phrases."""
    ends = [0, *accumulate(map(len, breakable_parts(text, fits)))]
    pauses = {each.end for each, after in pairwise(words) if after.start_ms - each.end_ms >= PAUSE_MS}
    # For each end that pages can have: the least cost up to it, and the end before it.
    ways: dict[int, tuple[float, int]] = {0: (0.0, 0)}
    for first in range(len(ends) - 1):
        if first in ways:
            longest = _longest_page(text, ends, first, fits, lines)
            for last in _possible_ends(text, ends, first, longest, pauses):
                cost = ways[first][0] + _cost(text, ends, first, last, longest, pauses)
                if last not in ways or cost < ways[last][0]:
                    ways[last] = cost, first
    found, last = [], len(ends) - 1
    while last:
        first = ways[last][1]
        found.append((ends[first], ends[last]))
        last = first
    return [(start, end) for start, end in reversed(found) if text[start:end].strip()]


def _possible_ends(text: str, ends: Sequence[int], first: int, longest: int, pauses: Set[int]) -> Iterator[int]:
    """Yield the candidates for the end of a page.

    They are the end of the longest page, ends of phrases, and the middle of a rest that fits on two pages.
    """
    yield longest
    if longest == len(ends) - 1:
        return
    rest, page = ends[-1] - ends[first], ends[longest] - ends[first]
    for last in range(first + 1, longest):
        halves = rest < 2 * page and ends[last] - ends[first] >= rest / 2 > ends[last - 1] - ends[first]
        if halves or _rank(text[ends[first] : ends[last]], ends[first], pauses):
            yield last


def _cost(text: str, ends: Sequence[int], first: int, last: int, longest: int, pauses: Set[int]) -> float:
    """Return the cost of a page: at least 1, more if it does not end with a phrase or is short."""
    rank = 2 if last == len(ends) - 1 else _rank(text[ends[first] : ends[last]], ends[first], pauses)
    short = ends[last] - ends[first] < _SHORT * (ends[longest] - ends[first])
    is_sentence = rank == 2 and (first == 0 or _rank(text[: ends[first]]) == 2)
    return 1 + _UNRANKED[rank] + (_SHORT if short and not is_sentence else 0)


def _longest_page(text: str, ends: Sequence[int], first: int, fits: Fits, lines: int) -> int:
    """Return the number of the last end up to which the text has room in so many lines."""
    last = first
    for _ in range(lines):
        begin = last
        while last < len(ends) - 1 and (last == first or fits(joined(text[ends[begin] : ends[last + 1]]))):
            last += 1
    return last


def _rank(said: str, start: int = 0, pauses: Set[int] = frozenset()) -> int:
    return phrase_rank(said, pause=start + len(said.rstrip()) in pauses)


def _times(text: str, pages: Sequence[tuple[int, int]], words: Sequence[_Word], cue: Cue) -> Iterator[tuple[int, int]]:
    """Yield start and end of each page: by its first word, or else by its share of the text."""
    starts = []
    for start, end in pages:
        first = next((word.start_ms for word in words if start <= word.start < end), None)
        share = cue.start_ms + round((cue.end_ms - cue.start_ms) * start / max(1, len(text)))
        starts.append(share if first is None else first)
    starts = [cue.start_ms, *starts[1:], cue.end_ms]
    for number in range(1, len(starts) - 1):  # each page begins after the page before, while the cue is shown
        starts[number] = min(cue.end_ms, max(starts[number - 1] + 1, starts[number]))
    yield from pairwise(starts)


def _marks(
    words: Sequence[_Word], after: _Word | None, start_ms: int, end_ms: int
) -> Iterator[tuple[int, int, _Word | None]]:
    """Yield the stretches of a page, each with the word that is spoken then. Short pauses belong to the word before.

    `after` is the first word after the page.
    """
    at = start_ms
    for word, following in zip(words, [*words[1:], after] if words else [], strict=True):
        begin, end = max(at, word.start_ms), min(end_ms, word.end_ms)
        if following is not None and following.start_ms - word.end_ms < PAUSE_MS:
            end = min(end_ms, following.start_ms)
        if end <= begin:
            continue
        if at < begin:
            yield at, begin, None
        yield begin, end, word
        at = end
    if at < end_ms:
        yield at, end_ms, None
