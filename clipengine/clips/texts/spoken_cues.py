"""Cues of speech: segments of a transcriber become cues of similar length, at most two lines long. Pure.

A sentence may go on over several segments. It is split where phrases end, and no cue has only one word or lasts less
than a second if another cue of the sentence has room for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

from clipengine.clips.texts.cues import MAX_CUE_CHARACTERS, MAX_TIMED_WORDS, Cue, TimedWord, clean_line
from clipengine.clips.texts.phrases import PAUSE_MS, phrase_rank
from clipengine.clips.texts.word_times import lasting
from clipengine.clips.texts.words import NO_SPACES

_LINES_CHARACTERS, _SENTENCE_CHARACTERS = 84, 40  # of a cue: two lines; one that ends with a sentence may be shorter
_SHORT_MS = 1000  # of a cue
_APART_MS = 1500  # between two segments, whose words are then in different cues
_RANKED = (0.15, 0.05, 0.0)  # cost of the end of a cue by its rank
_ORPHAN = 4.0  # cost of a cue of one word or less than a second
_RANGES = [(NO_SPACES[number], NO_SPACES[number + 2]) for number in range(0, len(NO_SPACES), 3)]


@dataclass
class Segment:
    """A stretch of an answer. The times are seconds of the passage."""

    start: float
    end: float
    text: str
    speaker: str | None
    words: list[tuple[float, float, str]]


class _Placed(NamedTuple):
    """A word: its times, and its place in the text of its segment."""

    start: float
    end: float
    place: int


@dataclass(frozen=True)
class _Unit:
    """A text that no cue splits: a word, or a segment whose words have no times. The text has the spaces after it.

    `group` is the same for units of one segment, or of several ones over which a sentence goes on.
    """

    start_ms: int
    end_ms: int
    text: str
    speaker: str | None
    word: str | None
    group: int = 0

    @property
    def ends_sentence(self) -> bool:
        return phrase_rank(self.text) == 2

    @property
    def is_short(self) -> bool:
        """Return True if it lasts less than a second, or is one word of a script with spaces."""
        text = self.text.strip()
        return self.end_ms - self.start_ms < _SHORT_MS or not (" " in text or _is_dense(text[:1]))


def cues_of(segments: Iterable[Segment], *, length_ms: int) -> list[Cue]:
    """Return the segments of a passage of this length as cues, in order of time."""
    ordered = sorted(segments, key=lambda segment: (segment.start, segment.end))
    units = _joined([list(_units(each)) for each in ordered])
    units = _with_lasting_words(units, length_ms)
    cues = (cue for _, group in groupby(units, lambda unit: unit.group) for cue in _split([*group]))
    return sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms))


def _units(segment: Segment) -> Iterator[_Unit]:
    placed = _placed(segment)
    if not placed:
        for number, text in enumerate(_slices(segment.text)):
            start = _ms(segment.start) + number  # each must begin later, and no more is known
            yield _Unit(start, max(start + 1, _ms(segment.end)), text, segment.speaker, None)
        return
    edges = [0, *(each.place for each in placed[1:]), len(segment.text)]
    for each, (begin, end) in zip(placed, pairwise(edges), strict=True):
        word = segment.text[each.place : end].strip()[:MAX_CUE_CHARACTERS]
        yield _Unit(_ms(each.start), _ms(each.end), segment.text[begin:end], segment.speaker, word)


def _slices(text: str) -> Iterator[str]:
    for first in range(0, len(text), MAX_CUE_CHARACTERS):
        yield text[first : first + MAX_CUE_CHARACTERS]


def _joined(segments: Sequence[list[_Unit]]) -> list[_Unit]:
    """Return the units of all segments. Segments over which a sentence goes on have the same group."""
    found: list[_Unit] = []
    group = 0
    for units in segments:
        if found and _goes_on(found[-1], units):
            space = "" if _is_dense(found[-1].text[-1]) and _is_dense(units[0].text[0]) else " "
            found[-1] = replace(found[-1], text=found[-1].text.rstrip() + space)
        else:
            group += 1
        found += (replace(unit, group=group) for unit in units)
    return found


def _goes_on(last: _Unit, units: Sequence[_Unit]) -> bool:
    """Return True if a sentence goes on from the last unit of a segment to the units of the next segment."""
    first = units[0]
    apart = first.start_ms < last.start_ms or first.start_ms - last.end_ms >= _APART_MS
    if apart or last.ends_sentence or last.speaker != first.speaker:
        return False
    # Without the times of its words, a segment has better times as a separate cue than as a part of a cue.
    return (last.word is not None and first.word is not None) or last.is_short or (len(units) == 1 and first.is_short)


def _with_lasting_words(units: Sequence[_Unit], length_ms: int) -> list[_Unit]:
    """Return the units with words that last for a moment. Two speakers may speak at the same time."""
    found: list[_Unit] = []
    runs: list[list[_Unit]] = []
    for unit in units:
        if not runs or unit.word is None or runs[-1][-1].word is None or _is_beside(runs[-1][-1], unit):
            runs.append([])
        runs[-1].append(unit)
    for number, run in enumerate(runs):
        if run[0].word is None:
            found += run
            continue
        low = min(run[0].start_ms, found[-1].end_ms) if found else 0
        high = max(length_ms, run[-1].start_ms)
        if number + 1 < len(runs) and runs[number + 1][0].word is None:
            high = max(run[-1].end_ms, min(high, runs[number + 1][0].start_ms))
        times = lasting([(unit.start_ms, unit.end_ms) for unit in run], low, high)
        if times is None:  # no time for so many words
            found += (replace(unit, end_ms=max(unit.end_ms, unit.start_ms + 1), word=None) for unit in run)
        else:
            found += (replace(unit, start_ms=a, end_ms=b) for unit, (a, b) in zip(run, times, strict=True))
    return found


def _is_beside(last: _Unit, unit: _Unit) -> bool:
    return last.speaker != unit.speaker and unit.start_ms < last.end_ms


def _split(units: Sequence[_Unit]) -> Iterator[Cue]:
    """Yield the cues of a group. Long sentences get separate cues, the others are joined."""
    first = length = 0
    for number, unit in enumerate(units, 1):
        length += len(unit.text)
        if number == len(units) or (unit.ends_sentence and length >= _SENTENCE_CHARACTERS):
            yield from map(_cue, _balanced(units[first:number]))
            first, length = number, 0


def _balanced(units: Sequence[_Unit]) -> Iterator[Sequence[_Unit]]:
    """Yield the units in runs of similar length with at most two lines each, if no unit is longer."""
    begins = [0, *accumulate(len(unit.text) for unit in units)]
    ends = [begin + len(unit.text.rstrip()) for begin, unit in zip(begins, units, strict=False)]
    breaks = [_cost_of_break(unit, after) for unit, after in pairwise(units)] + [0.0]
    # For each number of units: the least cost of their runs, and where the last of these begins.
    ways: list[tuple[float, int]] = [(0.0, 0)]
    for last, unit in enumerate(units):
        slack = max(0.0, 1 - (ends[last] - begins[last]) / _LINES_CHARACTERS)
        best = ways[last][0] + slack**2 + (_ORPHAN if unit.is_short else 0), last
        latest = unit.end_ms - _SHORT_MS  # start of a cue that lasts a second
        for first in range(last - 1, -1, -1):
            length = ends[last] - begins[first]
            if length > _LINES_CHARACTERS:
                break
            cost = ways[first][0] + (1 - length / _LINES_CHARACTERS) ** 2
            if units[first].start_ms > latest:
                cost += _ORPHAN
            if cost < best[0]:
                best = cost, first
        ways.append((best[0] + breaks[last], best[1]))
    edges = [len(units)]
    while edges[-1]:
        edges.append(ways[edges[-1]][1])
    yield from (units[first:last] for first, last in pairwise(edges[::-1]))


def _cost_of_break(unit: _Unit, after: _Unit) -> float:
    return _RANKED[phrase_rank(unit.text, pause=after.start_ms - unit.end_ms >= PAUSE_MS)]


def _cue(run: Sequence[_Unit]) -> Cue:
    words = [TimedWord(unit.start_ms, unit.end_ms, unit.word) for unit in run if unit.word]
    text = "".join(unit.text for unit in run).strip()[:MAX_CUE_CHARACTERS]
    start, end = run[0].start_ms, max(unit.end_ms for unit in run)
    return Cue(start, max(start + 1, end), text, run[0].speaker, tuple(words[:MAX_TIMED_WORDS]))


def _placed(segment: Segment) -> list[_Placed]:
    """Return the words with their places in the text, or nothing if a word is not in the text.

    Tokens that continue a word are joined to it. A word has the punctuation of the text around it.
    """
    text, cursor = segment.text, 0
    joined: list[_Placed] = []
    for start, end, raw in segment.words:
        word = clean_line(raw)
        if not word:
            continue
        place = text.find(word, cursor)
        if place < 0 or text[cursor:place].strip().isalnum():
            return []
        cursor = place + len(word)
        if joined and place > 0 and not text[place - 1].isspace() and not _is_dense(text[place], hangul=True):
            joined[-1] = joined[-1]._replace(end=max(joined[-1].end, end))
        else:
            joined.append(_Placed(start, end, place))
    return joined


def _is_dense(character: str, *, hangul: bool = False) -> bool:
    """Return True if the character is of a script without spaces, where each word follows the other.

    Korean has spaces, but its words are also found by their characters.
    """
    if "\uac00" <= character <= "\ud7af":
        return hangul
    return any(low <= character <= high for low, high in _RANGES)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
