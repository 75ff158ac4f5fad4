"""Cues, the timed texts of transcripts and subtitles: their limits, their cut to a clip and their formats. Pure."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from clipengine.errors import InvalidTranscript

TextFormat = Literal["vtt", "srt", "json"]
MEDIA_TYPES: dict[TextFormat, str] = {
    "vtt": "text/vtt",
    "srt": "application/x-subrip",
    "json": "application/json",
}

# A transcript can also be written as plain text, which has no times and is therefore not read.
WrittenFormat = Literal["vtt", "srt", "json", "txt"]
WRITTEN_TYPES: dict[WrittenFormat, str] = {**{kind: MEDIA_TYPES[kind] for kind in MEDIA_TYPES}, "txt": "text/plain"}

MAX_CUES = 20_000
TOO_MANY_CUES = f"A transcript has at most {MAX_CUES:,} cues: join short ones that follow each other."
MAX_CUE_CHARACTERS = 2000
MAX_SPEAKER_CHARACTERS = 200
MAX_CUE_SECONDS = 10_000_000
MAX_TIMED_WORDS = 1000  # of one cue
WORD_TOLERANCE_MS = 100  # by which a word may be outside its cue, as rounded times are
_MAX_LISTED = 20  # faults in one error
_OVERRIDES = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class TimedWord(NamedTuple):
    """A word of a cue and its time."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True)
class Cue:
    """A text and its time. `text` has no control characters and no empty lines, but may have several lines.

    `timed_words` is empty if the times of the words are not known.
    """

    start_ms: int
    end_ms: int
    text: str
    speaker: str | None = None
    timed_words: tuple[TimedWord, ...] = ()

    def to_object(self) -> dict[str, Any]:
        found = {"start_seconds": self.start_ms / 1000, "end_seconds": self.end_ms / 1000, "text": self.text}
        if self.speaker is not None:
            found["speaker"] = self.speaker
        if self.timed_words:
            found["words"] = [[start / 1000, end / 1000, text] for start, end, text in self.timed_words]
        return found


def clean_text(text: str) -> str:
    """Return the lines of the text that are not empty, without control characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n").split("\n")
    return "\n".join(line for each in lines if (line := clean_line(each)))


def clean_line(text: str) -> str:
    """Return the text without control characters and surrounding spaces."""
    if text.isprintable():
        return text.strip()
    return "".join(" " if unicodedata.category(each) in {"Cc", "Zl", "Zp"} else each for each in text).strip()


def without_overrides(text: str) -> str:
    """Return the text without controls that change the direction of the text after it, such as U+202E."""
    return text.translate(_OVERRIDES)


def check_cues(cues: Sequence[Cue]) -> list[Cue]:
    """Return the cues with a text, sorted by time.

    Raises InvalidTranscript if there is none, and with a pointer to each fault, in which cues are counted from 0 as
    they were given.
    """
    if len(cues) > MAX_CUES:
        raise InvalidTranscript(
            f"the transcript has {len(cues)} cues, at most {MAX_CUES} are allowed", hint=TOO_MANY_CUES
        )
    found = [fault for index, cue in enumerate(cues) for fault in _faults(index, cue)]
    if found:
        more = f", and {len(found) - 1} more faults" if len(found) > 1 else ""
        first = f"cue {found[0]['pointer'].split('/')[1]}: {found[0]['detail']}{more}"
        raise InvalidTranscript(first, errors=found[:_MAX_LISTED], omitted=max(0, len(found) - _MAX_LISTED))
    kept = sorted((cue for cue in cues if cue.text), key=lambda cue: (cue.start_ms, cue.end_ms))
    if not kept:
        raise InvalidTranscript(
            "the transcript has no cue with a text", hint="Give at least one; to remove a transcript, delete it."
        )
    return kept


def _faults(index: int, cue: Cue) -> Iterator[dict[str, str]]:
    def fault(key: str, detail: str) -> dict[str, str]:
        return {"detail": detail, "pointer": f"/{index}/{key}"}

    for key, value in (("start_seconds", cue.start_ms), ("end_seconds", cue.end_ms)):
        if not 0 <= value <= MAX_CUE_SECONDS * 1000:
            yield fault(key, f"{key} must be from 0 to {MAX_CUE_SECONDS}")
    if cue.end_ms <= cue.start_ms:
        said = f"end_seconds ({cue.end_ms / 1000:g}) must be greater than start_seconds ({cue.start_ms / 1000:g})"
        yield fault("end_seconds", said)
    if len(cue.text) > MAX_CUE_CHARACTERS:
        yield fault("text", f"text has {len(cue.text)} characters, at most {MAX_CUE_CHARACTERS} are allowed")
    if wrong := _fault_of_words(cue):
        number, detail = wrong
        yield fault(f"words/{number}", detail)
    if len(cue.speaker or "") > MAX_SPEAKER_CHARACTERS:
        yield fault("speaker", f"speaker must have at most {MAX_SPEAKER_CHARACTERS} characters")


def _fault_of_words(cue: Cue) -> tuple[int, str] | None:
    """Return the number of the first word with wrong times and its fault, or None. Words may overlap."""
    before = 0
    for number, (start, end, _) in enumerate(cue.timed_words):
        if end < start:
            return number, f"the word ends ({end / 1000:g}) before it starts ({start / 1000:g})"
        if start < cue.start_ms - WORD_TOLERANCE_MS or end > cue.end_ms + WORD_TOLERANCE_MS:
            return number, f"the word ({start / 1000:g} to {end / 1000:g}) is not within the times of its cue"
        if start < before:
            return number, f"the word starts ({start / 1000:g}) before the word in front of it ({before / 1000:g})"
        before = start
    return None


def cut_cues(
    cues: Iterable[Cue],
    start: Fraction,
    end: Fraction,
    *,
    speed: Fraction = Fraction(1),
    offset: Fraction = Fraction(0),
) -> list[Cue]:
    """Return the cues of `[start, end)`, which begins at `offset` seconds of a clip with this speed, in clip time.

    One that overlaps a cut is shortened, not dropped, unless the range is shorter than a millisecond of the clip. Each
    time is rounded once, so that no cue reaches into the range that follows.
    """

    def clip_ms(ms: Fraction | int) -> int:
        return round(1000 * offset + (ms - 1000 * start) / speed)

    first, last = clip_ms(1000 * start), clip_ms(1000 * end)
    last = last if first else max(last, 1)
    found: list[Cue] = []
    for cue in cues:
        if first < last and cue.start_ms < end * 1000 and cue.end_ms > start * 1000:
            begin = min(max(first, clip_ms(cue.start_ms)), last - 1)
            found.append(Cue(begin, min(last, max(begin + 1, clip_ms(cue.end_ms))), cue.text, cue.speaker))
    return found


def moved(cues: Iterable[Cue], by_ms: int) -> tuple[Cue, ...]:
    """Return the cues, and their words, later by so many milliseconds."""
    return tuple(
        replace(
            cue,
            start_ms=cue.start_ms + by_ms,
            end_ms=cue.end_ms + by_ms,
            timed_words=tuple(TimedWord(start + by_ms, end + by_ms, text) for start, end, text in cue.timed_words),
        )
        for cue in cues
    )


def format_cues(cues: Iterable[Cue], kind: WrittenFormat) -> bytes:
    """Return the cues as a file. The text is escaped, so that it cannot end a cue or begin another."""
    if kind == "json":
        text = json.dumps([cue.to_object() for cue in cues], ensure_ascii=False, separators=(",", ":"))
    elif kind == "vtt":
        text = "WEBVTT\n" + "".join(f"\n{_times(cue, '.')}\n{vtt_payload(cue)}\n" for cue in cues)
    elif kind == "txt":
        text = "".join(f"{plain_payload(cue)}\n" for cue in cues)
    else:
        blocks = (f"{number}\n{_times(cue, ',')}\n{_srt_payload(cue)}\n" for number, cue in enumerate(cues, 1))
        text = "\n".join(blocks)
    return text.encode()


def vtt_payload(cue: Cue) -> str:
    """Return the text of the cue for WebVTT, in a voice span if its speaker is known."""
    text = cue.text.translate(_VTT_ESCAPES)
    return text if cue.speaker is None else f"<v {cue.speaker.translate(_VTT_ESCAPES)}>{text}"


def plain_payload(cue: Cue) -> str:
    """Return the text of the cue, after the name of its speaker if that is known."""
    return cue.text if cue.speaker is None else f"{cue.speaker}: {cue.text}"


def _srt_payload(cue: Cue) -> str:
    return plain_payload(cue).replace("-->", "--\u200b>")  # SubRip has no escape; a zero-width space breaks the arrow


def _times(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start_ms, point)} --> {_clock(cue.end_ms, point)}"


def _clock(millis: int, point: str) -> str:
    seconds, millis = divmod(millis, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{point}{millis:03d}"
