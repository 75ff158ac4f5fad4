"""Answers of transcribers, in the shape `verbose_json` of the OpenAI API, as cues with the times of their words. Pure.

Servers differ: words are at the top or in segments, whole or in tokens, with or without spaces; languages are tags or
English names; some times are nanoseconds. An answer may also be hostile: every number is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from clipengine.clips.texts.cues import (
    MAX_CUE_CHARACTERS,
    MAX_SPEAKER_CHARACTERS,
    MAX_TIMED_WORDS,
    Cue,
    TimedWord,
    clean_line,
)
from clipengine.clips.texts.languages import language_tag
from clipengine.clips.texts.words import NO_SPACES

MAX_ANSWER_BYTES = 4 << 20
_MAX_ITEMS = 50_000  # segments, and words
_MAX_SEGMENT_CHARACTERS = 20_000
_LINES_CHARACTERS, _SENTENCE_CHARACTERS = 84, 40  # of a cue: two lines; one that ends with a sentence may be shorter
_SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")
# Whisper decodes windows of 30 s, so that a segment may end after the audio.
_OVERRUN_SECONDS = 30.0
_NANOSECONDS = 1_000_000_000
_LARGEST = 1 << 63


@dataclass(frozen=True)
class Spoken:
    """The cues of a passage. `language` is None if the transcriber does not name it."""

    language: str | None
    cues: tuple[Cue, ...]


class _Placed(NamedTuple):
    """A word: its times, and its place in the text of its segment."""

    start: float
    end: float
    place: int


@dataclass
class _Segment:
    start: float
    end: float
    text: str
    speaker: str | None
    words: list[tuple[float, float, str]]


def parse_spoken(answer: bytes, *, seconds: float) -> Spoken:
    """Return the cues of a passage of this length. Raises ValueError, with the reason, for an invalid answer."""
    if len(answer) > MAX_ANSWER_BYTES:
        raise ValueError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    try:
        found = json.loads(answer.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("the answer is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("the answer is not a JSON object")
    if "segments" not in found and "words" not in found and not isinstance(found.get("text"), str):
        raise ValueError("the answer has neither segments nor words nor text")
    segments = _segments(found, seconds)
    cues = (cue for segment in segments for cue in _cues(segment))
    return Spoken(language_tag(found.get("language")), tuple(sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms))))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"the answer has the number {constant}")


def _segments(found: dict[str, Any], seconds: float) -> list[_Segment]:
    listed, words = _items(found, "segments"), _items(found, "words")
    clock = _Clock(seconds, _unit(listed + words, seconds))
    segments = [_segment(each, clock) for each in listed]
    segments = [each for each in segments if each.text]
    loose = [word for word in (_word(each, clock) for each in words) if word is not None]
    if not segments:
        text = _text(found.get("text") or " ".join(text.strip() for _, _, text in loose))
        whole = (loose[0][0], max(end for _, end, _ in loose)) if loose else (0.0, seconds)
        segments = [_Segment(*whole, text, None, [])] if text else []
    if loose and not any(segment.words for segment in segments):
        _assign(segments, loose)
    return segments


def _assign(segments: Sequence[_Segment], words: Sequence[tuple[float, float, str]]) -> None:
    """Add each word to the last segment that begins before its middle."""
    number = 0
    for word in words:
        middle = (word[0] + word[1]) / 2
        while number + 1 < len(segments) and segments[number + 1].start <= middle:
            number += 1
        segments[number].words.append(word)


def _items(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = found.get(name) or []
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        raise ValueError(f"{name} is not a list of objects")
    if len(items) > _MAX_ITEMS:
        raise ValueError(f"the answer has {len(items)} {name}, at most {_MAX_ITEMS} are allowed")
    return items


def _segment(item: dict[str, Any], clock: _Clock) -> _Segment:
    start, end = clock.range(item)
    speaker = item.get("speaker")
    named = _text(speaker)[:MAX_SPEAKER_CHARACTERS] if isinstance(speaker, str) else ""
    words = [word for word in (_word(each, clock) for each in _items(item, "words")) if word is not None]
    return _Segment(start, end, _text(item.get("text")), named or None, words)


def _word(item: dict[str, Any], clock: _Clock) -> tuple[float, float, str] | None:
    """Return a word. One without times, such as a number that was not aligned, is None."""
    if item.get("start") is None or item.get("end") is None:
        return None
    text = item.get("word", item.get("text"))
    if not isinstance(text, str) or len(text) > MAX_CUE_CHARACTERS:
        raise ValueError("a word has no text, or too long a text")
    return (*clock.range(item), text)


def _text(text: Any) -> str:
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > _MAX_SEGMENT_CHARACTERS:
        raise ValueError("a segment has no text, or too long a text")
    text.encode()  # raises ValueError for a lone surrogate, which cannot be stored
    return clean_line(text)


@dataclass(frozen=True)
class _Clock:
    """The times of one answer: at most `seconds`, and in parts of a second, `unit` of which are one."""

    seconds: float
    unit: int

    def range(self, item: dict[str, Any]) -> tuple[float, float]:
        start, end = (self._time(item.get(name)) for name in ("start", "end"))
        if end < start:
            raise ValueError(f"an end ({end:g}) lies before its start ({start:g})")
        return min(start, self.seconds), min(end, self.seconds)

    def _time(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("a time is not a number")
        if abs(value) >= _LARGEST:
            raise ValueError("a time is too large")
        time = value / self.unit
        if not math.isfinite(time) or not 0 <= time <= self.seconds + _OVERRUN_SECONDS:
            raise ValueError(f"a time ({time:g}) lies outside the audio")
        return time


def _unit(items: Sequence[dict[str, Any]], seconds: float) -> int:
    """Return the number of units in a second: LocalAI counts nanoseconds, as integers."""
    ends = [end for each in items if type(end := each.get("end")) is int]
    return _NANOSECONDS if ends and (seconds + _OVERRUN_SECONDS) * 1000 < max(ends) < _LARGEST else 1


def _cues(segment: _Segment) -> Iterator[Cue]:
    """Yield a segment as cues of at most two lines, if the times of its words are known."""
    placed = _placed(segment)
    if not placed:
        for number, text in enumerate(_slices(segment.text)):
            start = _ms(segment.start) + number  # each must begin later, and no more is known
            yield Cue(start, max(start + 1, _ms(segment.end)), text, segment.speaker)
        return
    first = 0
    for number, (word, place) in enumerate(placed):
        begun = segment.text[placed[first][1] : place].rstrip()
        length = place + len(word.text) - placed[first][1]
        ends_sentence = len(begun) >= _SENTENCE_CHARACTERS and begun.endswith(_SENTENCE_ENDS)
        if number > first and (length > _LINES_CHARACTERS or ends_sentence):
            yield _cue(segment, placed, first, number)
            first = number
    yield _cue(segment, placed, first, len(placed))


def _cue(segment: _Segment, placed: Sequence[tuple[TimedWord, int]], first: int, stop: int) -> Cue:
    words = tuple(word for word, _ in placed[first:stop])
    begin = placed[first][1] if first else 0
    text = segment.text[begin : placed[stop][1] if stop < len(placed) else None].strip()
    start, end = words[0].start_ms, max(word.end_ms for word in words)
    return Cue(start, max(start + 1, end), text[:MAX_CUE_CHARACTERS], segment.speaker, words[:MAX_TIMED_WORDS])


def _slices(text: str) -> Iterator[str]:
    for first in range(0, len(text), MAX_CUE_CHARACTERS):
        yield text[first : first + MAX_CUE_CHARACTERS]


def _placed(segment: _Segment) -> list[tuple[TimedWord, int]]:
    """Return the words with their places in the text, or nothing if they are not those of the text.

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
        if joined and place > 0 and not text[place - 1].isspace() and not _stands_alone(text, place):
            joined[-1] = joined[-1]._replace(end=max(joined[-1].end, end))
        else:
            joined.append(_Placed(start, end, place))
    stops = [each.place for each in joined[1:]] + [len(text)] if joined else []
    return [
        (TimedWord(_ms(start), _ms(end), text[place:stop].strip()[:MAX_CUE_CHARACTERS]), place)
        for (start, end, place), stop in zip(joined, stops, strict=True)
    ]


def _stands_alone(text: str, place: int) -> bool:
    """Return True if the character is of a script without spaces, where each word follows the other."""
    return any(low <= text[place] <= high for low, high in _RANGES)


_RANGES = [(NO_SPACES[number], NO_SPACES[number + 2]) for number in range(0, len(NO_SPACES), 3)]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
