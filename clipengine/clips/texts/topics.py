"""Sentences that begin a topic, found by the words before and after them. Pure.

This is TextTiling (Hearst, 1997): where the words of two neighbouring blocks of a text have little in common, the topic
changes. Words count by how few parts of the text have them, so that no list of stop words is needed for a language.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean, pstdev
from typing import NamedTuple

from clipengine.clips.texts.words import words_of

MAX_ABOUT_WORDS = 3

_BLOCK_WORDS = 120  # on each side of a sentence, about a minute of speech
_PART_WORDS = _BLOCK_WORDS // 2  # of a part of the text, in which a word occurs or not
_LEAST_WORDS = 3 * _BLOCK_WORDS  # of a text that can have several topics
_LEAST_LETTERS = 3  # shorter words, such as articles, say nothing about a topic
_STEM_LETTERS = 6  # the same in most forms of a word
_LEAST_DEPTH = 0.25  # by which the similarity of two blocks is below the similarities around it
_OF_PAUSE, _PAUSE_MS = 0.2, 2000  # a pause of this length, or longer, makes a border deeper by so much
_LEAST_MENTIONS = 2  # more than before it, of a word that distinguishes a topic
_LEAST_OWN = 2  # words that distinguish it; without them, blocks differ by chance
_OWN_SHARE = 0.6  # of all parts, in which such a word may occur at most
_ABOUT_LETTERS = range(4, 41)


class Sentence(NamedTuple):
    """A sentence, and the pause before it."""

    text: str
    pause_ms: int


class Topic(NamedTuple):
    """A topic that begins with a sentence. `depth` is from 0 to 1; `about` are the words that distinguish it."""

    depth: float
    about: tuple[str, ...]


class _Word(NamedTuple):
    stem: str
    written: str


class _Border(NamedTuple):
    """The place of a sentence in the words of the text, and the similarity of the words before and after it."""

    sentence: int
    place: int
    pause_ms: int
    similarity: float


def topics(sentences: Iterable[Sentence]) -> dict[int, Topic]:
    """Return the topics of a text, except the first one, by the number of their first sentence."""
    words: list[_Word] = []
    starts: list[tuple[int, int, int]] = []
    for number, sentence in enumerate(sentences):
        starts.append((number, len(words), sentence.pause_ms))
        words.extend(_words(sentence.text))
    if len(words) < _LEAST_WORDS:
        return {}
    rarity = _rarity(words)
    borders = list(_borders(words, starts, rarity))
    found = {}
    for border, depth in _deepest(borders):
        own = _own(words, border.place, rarity)
        if len(own) >= _LEAST_OWN:
            named = [word.written for word in own if len(word.written) in _ABOUT_LETTERS]
            found[border.sentence] = Topic(min(1.0, depth), tuple(named[:MAX_ABOUT_WORDS]))
    return found


def _words(text: str) -> Iterator[_Word]:
    """Yield the words that can name a topic. In scripts without spaces, they are pairs of characters."""
    before = None
    for word in words_of(text):
        if len(word.folded) >= _LEAST_LETTERS:
            yield _Word(word.folded[:_STEM_LETTERS], text[word.start : word.end])
        elif before is not None and before.end == word.start:
            yield _Word(before.folded + word.folded, "")
        before = word


def _rarity(words: Sequence[_Word]) -> Mapping[str, float]:
    """Return the inverse document frequency of each stem, of which the parts of the text are the documents."""
    parts = [{word.stem for word in words[at : at + _PART_WORDS]} for at in range(0, len(words), _PART_WORDS)]
    frequency = Counter(stem for part in parts for stem in part)
    return {stem: math.log(len(parts) / count) for stem, count in frequency.items()}


def _borders(
    words: Sequence[_Word], starts: Iterable[tuple[int, int, int]], rarity: Mapping[str, float]
) -> Iterator[_Border]:
    """Yield the sentences before and after which there is half a block of words or more."""
    last = -1
    for sentence, place, pause_ms in starts:
        if place == last or not _PART_WORDS <= place <= len(words) - _PART_WORDS:
            continue
        last = place
        before = Counter(word.stem for word in words[max(0, place - _BLOCK_WORDS) : place])
        after = Counter(word.stem for word in words[place : place + _BLOCK_WORDS])
        yield _Border(sentence, place, pause_ms, _similarity(before, after, rarity))


def _similarity(one: Counter[str], other: Counter[str], rarity: Mapping[str, float]) -> float:
    """Return the cosine of the two weighted vectors."""
    product = sum(count * other[stem] * rarity[stem] ** 2 for stem, count in one.items() if stem in other)
    lengths = [math.sqrt(sum((n * rarity[stem]) ** 2 for stem, n in each.items())) for each in (one, other)]
    return product / (lengths[0] * lengths[1]) if all(lengths) else 1.0


def _deepest(borders: Sequence[_Border]) -> list[tuple[_Border, float]]:
    """Return the borders that are deeper than most others, and their depths, at least a block apart."""
    depths = [_depth(borders, number) for number in range(len(borders))]
    if not depths:
        return []
    least = max(_LEAST_DEPTH, fmean(depths) + pstdev(depths) / 2)
    deep = [(border, depth) for border, depth in zip(borders, depths, strict=True) if depth >= least]
    taken: dict[int, int] = {}  # the place of the border that was taken in each block
    chosen = []
    for border, depth in sorted(deep, key=lambda each: (-each[1], each[0].place)):
        block = border.place // _BLOCK_WORDS
        near = (taken[each] for each in (block - 1, block, block + 1) if each in taken)
        if all(abs(border.place - place) >= _BLOCK_WORDS for place in near):
            taken[block] = border.place
            chosen.append((border, depth))
    return chosen


def _depth(borders: Sequence[_Border], number: int) -> float:
    """Return how far the similarity is below its peaks in the blocks before and after the border."""
    here = borders[number]
    peaks = []
    for step in (-1, 1):
        peak, at = here.similarity, number + step
        while 0 <= at < len(borders) and abs(borders[at].place - here.place) <= _BLOCK_WORDS:
            peak = max(peak, borders[at].similarity)
            at += step
        peaks.append(peak)
    return sum(peaks) - 2 * here.similarity + _OF_PAUSE * min(1.0, here.pause_ms / _PAUSE_MS)


def _own(words: Sequence[_Word], place: int, rarity: Mapping[str, float]) -> list[_Word]:
    """Return the words that are frequent after the border, and rare before it and in the rest of the text."""
    before = Counter(word.stem for word in words[max(0, place - _BLOCK_WORDS) : place])
    after = words[place : place + _BLOCK_WORDS]
    written: dict[str, str] = {}
    for word in after:  # the lower case of a word that also begins a sentence
        written[word.stem] = max(written.get(word.stem, ""), word.written)
    scores = {
        stem: (count - before[stem]) * rarity[stem]
        for stem, count in Counter(word.stem for word in after).items()
        if count - before[stem] >= _LEAST_MENTIONS and rarity[stem] >= -math.log(_OWN_SHARE)
    }
    return [_Word(stem, written[stem]) for stem in sorted(scores, key=lambda stem: (-scores[stem], stem))]
