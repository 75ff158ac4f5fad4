"""Captions: subtitles that are drawn into the picture, and when each is shown. Pure."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import replace
from fractions import Fraction
from heapq import heappop, heappush
from itertools import accumulate
from math import inf
from typing import Generic, NamedTuple, Protocol, TypeVar

from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.effects import repeated_steps
from clipengine.clips.texts.cues import Cue, plain_payload

MAX_TOGETHER = 6  # cues that are shown at the same time
MAX_FONTS = 8  # of one clip: each is a descriptor, and is read into memory
MAX_FONT_BYTES = 64 << 20
_KEY_CAP = "\u20e3"
_JOINERS = frozenset(("\u200d", *map(chr, range(0xE0020, 0xE0080))))  # of emoji; the others are the letters of flags
_SHORTEST_STEP = Fraction(1, 200)  # seconds between two frames with the same picture


class Caption(NamedTuple):
    """A text that is drawn for a time: a cue, or a page of it. `cue` is the number of the cue in its track.

    `spoken` is the range of characters, if any, that are spoken at that time.
    """

    start_ms: int
    end_ms: int
    text: str
    cue: int = 0
    spoken: tuple[int, int] | None = None


class _Timed(Protocol):
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...


T = TypeVar("T", bound=_Timed)


class CaptionTimes(Generic[T]):
    """The captions of a part of a clip, in recording time, by the time of the part.

    The part begins at `origin` and is played with this speed. Times are exact: a caption is shown on each frame whose
    time is from its start on and before its end.
    """

    def __init__(self, captions: Sequence[T], origin: Fraction, speed: Fraction) -> None:
        self._captions = captions
        self._origin = origin
        self._speed = speed
        self._moments = sorted({moment for each in captions for moment in (each.start_ms, each.end_ms)})
        self._by_start = sorted(range(len(captions)), key=lambda number: captions[number].start_ms)
        self._starts = [captions[number].start_ms for number in self._by_start]
        # The latest end up to each of them: before a caption whose latest end has passed, none is shown.
        self._latest = [*accumulate((captions[number].end_ms for number in self._by_start), max)]
        self._found: tuple[int, tuple[T, ...]] = (0, ())  # number of the last interval, and its captions

    def shown(self, time: Fraction) -> tuple[T, ...]:
        """Return all captions that are shown at a time of the part, in their order."""
        millis = self._millis(time)
        number = bisect_right(self._moments, millis)
        if number != self._found[0]:
            self._found = number, tuple(self._captions[each] for each in sorted(self._at(millis)))
        return self._found[1]

    def _at(self, millis: Fraction) -> Iterator[int]:
        """Yield the numbers of the captions that are shown at this time."""
        for place in range(bisect_right(self._starts, millis) - 1, -1, -1):
            if self._latest[place] <= millis:
                return
            if self._captions[self._by_start[place]].end_ms > millis:
                yield self._by_start[place]

    def steps(self, time: Fraction, duration: Fraction, *, step: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
        """Return time and duration of each frame to write for a frame that is shown at `time`.

        A frame that is held for longer than the usual `step` is repeated when the captions change.
        """
        return repeated_steps(self.changes(time, time + duration), time, duration, step=step, shortest=_SHORTEST_STEP)

    def changes(self, start: Fraction, end: Fraction) -> list[Fraction]:
        """Return the times from `start` on and before `end` at which the captions change, in order."""
        low, high = (bisect_left(self._moments, self._millis(each)) for each in (start, end))
        return [(Fraction(moment, 1000) - self._origin) / self._speed for moment in self._moments[low:high]]

    def _millis(self, time: Fraction) -> Fraction:
        return (self._origin + time * self._speed) * 1000


def starts_of_display(cues: Sequence[Cue], most: int = MAX_TOGETHER) -> list[int | None]:
    """Return the time from which each cue is shown, in ms, if at most so many are shown at once. None: it never is.

    The cues are in order of time. A cue that begins while so many others are shown waits for the end of one of them.
    """
    found: list[int | None] = [None] * len(cues)
    ends: list[int] = []  # of the cues that are shown
    waiting: deque[int] = deque()

    def show(number: int, at: int) -> None:
        found[number] = at
        heappush(ends, cues[number].end_ms)

    def pass_to(time: float) -> None:
        """End the cues that end by this time, each of which makes room for a waiting cue."""
        while ends and ends[0] <= time:
            at = heappop(ends)
            while waiting and cues[waiting[0]].end_ms <= at:
                waiting.popleft()
            if waiting:
                show(waiting.popleft(), at)

    for number, cue in enumerate(cues):
        pass_to(cue.start_ms)
        if len(ends) < most:
            show(number, cue.start_ms)
        else:
            waiting.append(number)
    pass_to(inf)
    return found


def crowded_out(cues: Sequence[Cue], characters: Set[str]) -> int:
    """Return the number of cues that are shown late or never, because others are shown at their time.

    The fonts have these characters; a cue without any of them takes no room.
    """
    drawn = [cue for cue in cues if drawable(plain_payload(cue), characters)]
    starts = starts_of_display(drawn)
    return sum(start is None or start > cue.start_ms for cue, start in zip(drawn, starts, strict=True))


def drawn_cues(cues: Iterable[Cue], style: CaptionStyle | None) -> tuple[Cue, ...]:
    """Return the cues without the speakers and the times of words that the style does not show."""
    if style is None:
        return tuple(replace(cue, timed_words=()) for cue in cues)
    return tuple(
        replace(
            cue,
            speaker=cue.speaker if style.speaker else None,
            timed_words=cue.timed_words if style.name == "word" else (),
        )
        for cue in cues
    )


def is_ignorable(character: str) -> bool:
    """Return True for characters that control the shaping of others and need no glyph."""
    return unicodedata.category(character) == "Cf" or _selects(character)


def drawable(text: str, characters: Set[str], *, shapes: bool = True) -> str:
    """Return the text without the symbols that the fonts lack, or an empty one if no glyph is left.

    Ignorable characters stay if the fonts' glyphs are shaped.
    """
    drawn = without_symbols(
        unicodedata.normalize("NFC", text),
        lambda each: each in characters or each == "\n" or (shapes and is_ignorable(each)),
    )
    return drawn if any(each in characters and not is_ignorable(each) for each in drawn) else ""


def without_symbols(text: str, drawn: Callable[[str], bool]) -> str:
    """Return the text without the characters that are not drawn, their joiners, and the space after them.

    The key cap of an emoji such as 1\ufe0f\u20e3 is left out too: fonts without emoji draw a box over the digit.
    """
    kept: list[str] = []
    lost = False
    for character in text:
        if lost and (_selects(character) or character in _JOINERS):
            continue
        if lost and character == " " and (not kept or kept[-1].isspace()):
            continue
        lost = character == _KEY_CAP or not drawn(character)
        if not lost:
            kept.append(character)
    return "".join(kept)


def _selects(character: str) -> bool:
    """Return True for a character that selects a form of an emoji."""
    return character == _KEY_CAP or "\ufe00" <= character <= "\ufe0f"
