"""Suggested moments: ranges of a recording that may be worth a clip, found in its transcript and chapters. Pure.

A range begins with a sentence that asks, that another speaker says, that opens a chapter, a topic or a point, that
contains a keyword or that follows a pause, and ends with a sentence. The best ranges that do not overlap are suggested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, NamedTuple, Protocol

from typing_extensions import TypedDict

from clipengine.clips.texts.cues import Cue, without_overrides
from clipengine.clips.texts.points import point_phrase
from clipengine.clips.texts.sentence_ends import separates
from clipengine.clips.texts.topics import Sentence, Topic, topics
from clipengine.clips.texts.words import indexed_words

MIN_SECONDS, MAX_SECONDS = 15, 90
MAX_SUGGESTIONS = 50
MAX_KEYWORDS = 100
MAX_KEYWORD_CHARACTERS = 100
MAX_TEXT_CHARACTERS = 300
MAX_TITLE_CHARACTERS = 100

Reason = Literal["question", "keyword", "chapter", "speaker", "point", "topic", "pause", "model"]
Source = Literal["local", "url"]

_IDEAL_SECONDS = 40
_MAX_SENTENCES = 60  # of a range; faster ones are not speech
_LONG_PAUSE_MS = 5000  # over which no range extends
_END_PAUSE_MS = 1000  # after which the end of a range sounds like one
_SENTENCE_MS = 60_000  # a longer average means that the text has no punctuation
_PAUSE_MS = 2000  # after which a speaker begins something new
_CHAPTER_LEAD_MS = 1000  # by which the first sentence of a chapter may begin before it
_QUESTION_WORDS = 4  # fewer, such as "Right?", ask for nothing
_STOP = re.compile(r"([.!?…؟⁇⁈](?=[\"'”’»›)\]\s]|$)|[。！？])")
_QUESTION_MARKS = frozenset("?؟⁇⁈？")
# Parts of a score, of which the largest ones are 1 together.
_OF_REASON: dict[Reason, float] = {
    "question": 0.5,
    "keyword": 0.35,
    "chapter": 0.4,
    "speaker": 0.3,
    "point": 0.3,
    "topic": 0.2,
    "pause": 0.1,
}
_OF_DEPTH = 0.15  # of a topic whose words differ most from the words before it
_OF_KEYWORD, _OF_LENGTH, _OF_END = 0.2, 0.2, 0.1
_UNANSWERED = 0.35  # of a question after which no other speaker is known to speak


class SuggestionObject(TypedDict):
    """A range of 15 to 90 s that may be worth a clip. It begins and ends with a sentence."""

    start_seconds: float
    end_seconds: float
    reason: Reason
    """Why it begins there: a question, a keyword of the settings, a chapter, another speaker, a phrase that begins a
    point, a change of topic, a pause, or the choice of a language model."""
    about: str | None
    """The keyword, the title of the chapter, the speaker, the phrase, up to three words of the topic, or the title that
    the model gave.

    Null for a question and a pause, and for a chapter without a title and a topic without such words."""
    text: str
    """The sentence with which it begins, at most 300 characters of it."""
    score: float
    """From 0 to 1; for the order of the suggestions of one recording."""


class Chapter(Protocol):
    """The start of a chapter in seconds, and its title."""

    @property
    def start(self) -> Fraction: ...
    @property
    def title(self) -> str: ...


@dataclass(frozen=True)
class _Sentence:
    """`changes` is True if another speaker said the sentence before it. `pause_ms` is the pause before it."""

    start_ms: int
    end_ms: int
    spoken_ms: int
    text: str
    speaker: str | None
    changes: bool
    keyword: str | None
    point: str | None
    pause_ms: int
    topic: Topic | None = None

    @property
    def asks(self) -> bool:
        parts = _STOP.split(self.text)
        asked = (part for part, stop in zip(parts[::2], parts[1::2], strict=False) if stop in _QUESTION_MARKS)
        return any(len(indexed_words(part).split()) >= _QUESTION_WORDS for part in asked)


@dataclass
class _Section:
    """Sentences without a long pause or the border of a chapter. `chapter` is the title if a chapter begins here."""

    sentences: list[_Sentence]
    chapter: str | None = None


class Choice(NamedTuple):
    """The first and the last sentence of a range, by their numbers, that a language model chose, and its title."""

    first: int
    last: int
    title: str | None


class _Opening(NamedTuple):
    """A sentence of a section with which a range may begin."""

    first: int
    reason: Reason
    about: str | None
    weight: float


def suggest(
    cues: Sequence[Cue],
    *,
    duration_ms: int,
    language: str = "und",
    chapters: Sequence[Chapter] = (),
    keywords: Iterable[str] = (),
    limit: int = MAX_SUGGESTIONS,
) -> list[SuggestionObject]:
    """Return the best ranges, the best one first, and the earlier one of two that are equal.

    `cues` are sorted by time.
    """
    sections = _sections(_with_topics(list(_sentences(cues, duration_ms, language, keywords))), chapters)
    found = [best for section in sections for opening in _openings(section) if (best := _best(section, opening))]
    found.sort(key=lambda each: (-each["score"], each["start_seconds"]))
    return _without_overlaps(found, limit)


def suggest_chosen(
    cues: Sequence[Cue], choose: Callable[[Sequence[str]], Sequence[Choice]], *, duration_ms: int, limit: int
) -> list[SuggestionObject]:
    """Return the ranges that `choose` names, which it returns with the best one first.

    It gets a line for each sentence with its number, its start in seconds, its speaker and its text. A range that is
    too short or too long ends with another sentence. A choice without such an end is left out.
    """
    sentences = list(_sentences(cues, duration_ms, "und", ()))
    choices = choose(
        [
            f"{number} {each.start_ms // 1000}s {f'{each.speaker}: ' if each.speaker else ''}{each.text}"
            for number, each in enumerate(sentences)
        ]
    )
    found: list[SuggestionObject] = []
    for rank, choice in enumerate(choices):
        end_ms = _chosen_end(sentences, choice)
        if end_ms is not None:
            first = sentences[choice.first]
            found.append(
                {
                    "start_seconds": first.start_ms / 1000,
                    "end_seconds": end_ms / 1000,
                    "reason": "model",
                    "about": _shown(choice.title),
                    "text": _shortened(first.text),
                    "score": round(1 - rank / len(choices), 3),
                }
            )
    return _without_overlaps(found, limit)


def _chosen_end(sentences: Sequence[_Sentence], choice: Choice) -> int | None:
    """Return the allowed end in ms that is nearest to the chosen end, or None."""
    if not 0 <= choice.first < len(sentences):
        return None
    ends: list[tuple[int, int]] = []  # distance from the end that was chosen, and time
    end_ms = 0
    for number, sentence in enumerate(sentences[choice.first : choice.first + _MAX_SENTENCES], choice.first):
        end_ms = max(end_ms, sentence.end_ms)
        seconds = (end_ms - sentences[choice.first].start_ms) / 1000
        if MIN_SECONDS <= seconds <= MAX_SECONDS:
            ends.append((abs(number - choice.last), end_ms))
    return min(ends)[1] if ends else None


def _without_overlaps(found: Iterable[SuggestionObject], limit: int) -> list[SuggestionObject]:
    chosen: list[SuggestionObject] = []
    for each in found:
        if len(chosen) < limit and not any(_overlap(each, other) for other in chosen):
            chosen.append(each)
    return chosen


def _overlap(one: SuggestionObject, other: SuggestionObject) -> bool:
    return one["start_seconds"] < other["end_seconds"] and other["start_seconds"] < one["end_seconds"]


class Said(NamedTuple):
    """A sentence that contains one of several words."""

    start_seconds: float
    end_seconds: float
    word: str


def said(cues: Sequence[Cue], words: Iterable[str], *, duration_ms: int) -> list[Said]:
    """Return the sentences that contain one of the words, in order of time. `cues` are sorted by time."""
    return [
        Said(each.start_ms / 1000, each.end_ms / 1000, each.keyword)
        for each in _sentences(cues, duration_ms, "und", words)
        if each.keyword is not None
    ]


def check_keyword(keyword: str) -> str:
    """Return the keyword. Raises ValueError if it has no word or is too long."""
    if len(keyword) > MAX_KEYWORD_CHARACTERS:
        raise ValueError(f"{keyword[:20]!r}… has more than {MAX_KEYWORD_CHARACTERS} characters")
    if not indexed_words(keyword):
        raise ValueError(f"{keyword!r} has no word")
    return keyword


def _sentences(cues: Sequence[Cue], duration_ms: int, language: str, keywords: Iterable[str]) -> Iterator[_Sentence]:
    """Yield the sentences within the recording. They begin and end with a cue, as for snapped cuts.

    In a text without punctuation, such as automatic captions, each cue counts as a sentence.
    """
    known = {keyword: f" {indexed_words(keyword)}{'' if keyword.endswith('*') else ' '}" for keyword in keywords}
    within = [cue for cue in cues if cue.start_ms < duration_ms]
    ends = [separates(cue, following) for cue, following in zip(within, [*within[1:], None], strict=False)]
    if sum(ends) * _SENTENCE_MS < sum(cue.end_ms - cue.start_ms for cue in within):
        ends = [True] * len(within)
    group: list[Cue] = []
    before: str | None = None
    said_ms = 0
    for cue, ends_sentence in zip(within, ends, strict=True):
        group.append(cue)
        if not ends_sentence:
            continue
        text = " ".join(" ".join(each.text for each in group).split())
        words = f" {indexed_words(text)} " if known else ""
        yield _Sentence(
            start_ms=group[0].start_ms,
            end_ms=min(duration_ms, max(each.end_ms for each in group)),
            spoken_ms=sum(min(duration_ms, each.end_ms) - each.start_ms for each in group),
            text=text,
            speaker=cue.speaker,
            changes=None not in (before, cue.speaker) and before != cue.speaker,
            keyword=next((keyword for keyword, folded in known.items() if folded in words), None),
            point=point_phrase(text, language),
            pause_ms=max(0, group[0].start_ms - said_ms),
        )
        said_ms = max(said_ms, *(each.end_ms for each in group))
        group, before = [], cue.speaker


def _with_topics(sentences: Sequence[_Sentence]) -> Iterator[_Sentence]:
    found = topics(Sentence(each.text, each.pause_ms) for each in sentences)
    for number, sentence in enumerate(sentences):
        yield replace(sentence, topic=found[number]) if number in found else sentence


def _sections(sentences: Iterable[_Sentence], chapters: Sequence[Chapter]) -> Iterator[_Section]:
    starts = sorted(((round(each.start * 1000), each.title) for each in chapters), reverse=True)
    section = _Section([])
    for sentence in sentences:
        chapter = None
        while starts and starts[-1][0] <= sentence.start_ms + _CHAPTER_LEAD_MS:
            chapter = starts.pop()[1]
        paused = section.sentences and sentence.start_ms - section.sentences[-1].end_ms >= _LONG_PAUSE_MS
        if chapter is not None or paused:
            yield section
            section = _Section([], chapter)
        section.sentences.append(sentence)
    yield section


def _openings(section: _Section) -> Iterator[_Opening]:
    sentences = section.sentences
    if section.chapter is not None:
        yield _Opening(0, "chapter", section.chapter or None, _OF_REASON["chapter"])
    for number, sentence in enumerate(sentences):
        if sentence.asks:
            answered = any(each.changes for each in sentences[number + 1 : number + 2])
            yield _Opening(number, "question", None, _OF_REASON["question"] if answered else _UNANSWERED)
        if sentence.keyword is not None:
            yield _Opening(number, "keyword", sentence.keyword, _OF_REASON["keyword"])
        if sentence.changes:
            yield _Opening(number, "speaker", sentence.speaker, _OF_REASON["speaker"])
        if sentence.point is not None:
            yield _Opening(number, "point", sentence.point, _OF_REASON["point"])
        if sentence.topic is not None:
            about = ", ".join(sentence.topic.about) or None
            yield _Opening(number, "topic", about, _OF_REASON["topic"] + _OF_DEPTH * sentence.topic.depth)
        if sentence.pause_ms >= _PAUSE_MS:
            yield _Opening(number, "pause", None, _OF_REASON["pause"])


def _best(section: _Section, opening: _Opening) -> SuggestionObject | None:
    """Return the best range with this opening, the shorter one of two that are equal, or None if it has none."""
    first = section.sentences[opening.first]
    found = max(_ends(section, opening), key=lambda each: (each[1], -each[0]), default=None)
    if found is None:
        return None
    end_ms, score = found
    return {
        "start_seconds": first.start_ms / 1000,
        "end_seconds": end_ms / 1000,
        "reason": opening.reason,
        "about": _shown(opening.about),
        "text": _shortened(first.text),
        "score": score,
    }


def _ends(section: _Section, opening: _Opening) -> Iterator[tuple[int, float]]:
    """Yield the ends of the ranges with this opening, in ms, and their scores."""
    sentences = section.sentences[opening.first : opening.first + _MAX_SENTENCES + 1]
    start_ms, end_ms, spoken_ms, mentions = sentences[0].start_ms, 0, 0, False
    for sentence, following in zip(sentences[:_MAX_SENTENCES], [*sentences[1:], None], strict=False):
        if opening.reason == "speaker" and sentence.changes and sentence is not sentences[0]:
            return  # the turn of the speaker ends
        end_ms = max(end_ms, sentence.end_ms)
        seconds = (end_ms - start_ms) / 1000
        if seconds > MAX_SECONDS:
            return
        spoken_ms += sentence.spoken_ms
        mentions = mentions or sentence.keyword is not None
        if seconds >= MIN_SECONDS:
            score = opening.weight + _OF_KEYWORD * mentions + _OF_END * _ends_well(end_ms, following)
            score += _OF_LENGTH * (1 - abs(seconds - _IDEAL_SECONDS) / (MAX_SECONDS - _IDEAL_SECONDS))
            yield end_ms, round(score * min(1.0, spoken_ms / 1000 / seconds), 3)


def _ends_well(end_ms: int, following: _Sentence | None) -> bool:
    if following is None or following.changes or following.topic is not None:
        return True
    return following.start_ms - end_ms >= _END_PAUSE_MS


def _shown(about: str | None) -> str | None:
    """Return a title, which a model, a file or a speaker's name may have, as it is shown beside others."""
    return None if about is None else without_overrides(about).strip() or None


def _shortened(text: str) -> str:
    text = without_overrides(text)
    if len(text) <= MAX_TEXT_CHARACTERS:
        return text
    return f"{text[: MAX_TEXT_CHARACTERS - 1].rsplit(' ', 1)[0]}…"
