"""Answers of transcribers, in the shape `verbose_json` of the OpenAI API, as cues with the times of their words. Pure.

Servers differ: words are at the top or in segments, whole or in tokens, with or without spaces; languages are tags or
English names; some times are nanoseconds. An answer may also be hostile: every number is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from clipengine.basis.json_budget import JsonLimits
from clipengine.clips.texts.cues import MAX_CUE_CHARACTERS, MAX_SPEAKER_CHARACTERS, Cue, clean_line
from clipengine.clips.texts.languages import language_tag
from clipengine.clips.texts.spoken_cues import Segment, cues_of
from clipengine.errors import InvalidTranscript

MAX_ANSWER_BYTES = 4 << 20
_MAX_ITEMS = 50_000  # segments, and words
_MAX_DEPTH, _MAX_TOKENS = 32, 1_500_000  # Whisper lists the tokens of each segment, and ten numbers of each word
_MAX_SEGMENT_CHARACTERS = 20_000
_UNTIMED_SECONDS = 10.0  # of a passage whose text may be one cue
# Whisper decodes windows of 30 s, so that a segment may end after the audio.
_OVERRUN_SECONDS = 30.0
_NANOSECONDS = 1_000_000_000
_LARGEST = 1 << 63
_LIMITS = JsonLimits("the answer", InvalidTranscript, _MAX_DEPTH, _MAX_TOKENS)


@dataclass(frozen=True)
class Spoken:
    """The cues of a passage. `language` is None if the transcriber does not name it."""

    language: str | None
    cues: tuple[Cue, ...]


def parse_spoken(answer: bytes, *, seconds: float) -> Spoken:
    """Return the cues of a passage of this length. Raises ValueError, with the reason, for an invalid answer."""
    if len(answer) > MAX_ANSWER_BYTES:
        raise ValueError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    try:
        text = answer.decode("utf-8")
        _LIMITS.check(text)
        found = json.loads(text, parse_constant=_refuse)
    except InvalidTranscript as error:
        raise ValueError(error.message) from None
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("the answer is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("the answer is not a JSON object")
    if "segments" not in found and "words" not in found and not isinstance(found.get("text"), str):
        raise ValueError("the answer has neither segments nor words nor text")
    cues = cues_of(_segments(found, seconds), length_ms=round(seconds * 1000))
    return Spoken(language_tag(found.get("language")), tuple(cues))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"the answer has the number {constant}")


def _segments(found: dict[str, Any], seconds: float) -> list[Segment]:
    listed, words = _items(found, "segments"), _items(found, "words")
    clock = _Clock(seconds, _unit(listed + words, seconds))
    segments = [_segment(each, clock) for each in listed]
    segments = [each for each in segments if each.text]
    loose = [word for word in (_word(each, clock) for each in words) if word is not None]
    if not segments:
        text = _text(found.get("text") or " ".join(text.strip() for _, _, text in loose))
        if text and not loose and seconds > _UNTIMED_SECONDS:
            raise ValueError("it has no times; the server must support verbose_json")
        whole = (loose[0][0], max(end for _, end, _ in loose)) if loose else (0.0, seconds)
        segments = [Segment(*whole, text, None, [])] if text else []
    if loose and not any(segment.words for segment in segments):
        _assign(segments, loose)
    return segments


def _assign(segments: Sequence[Segment], words: Sequence[tuple[float, float, str]]) -> None:
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


def _segment(item: dict[str, Any], clock: _Clock) -> Segment:
    start, end = clock.range(item)
    speaker = item.get("speaker")
    named = _text(speaker)[:MAX_SPEAKER_CHARACTERS] if isinstance(speaker, str) else ""
    words = [word for word in (_word(each, clock) for each in _items(item, "words")) if word is not None]
    return Segment(start, end, _text(item.get("text")), named or None, words)


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
