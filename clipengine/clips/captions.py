"""Captions: subtitles that are drawn into the picture. When each is shown, and how its text breaks into lines. Pure."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from clipengine.clips.cues import Cue
from clipengine.clips.words import NO_SPACES

MAX_TOGETHER = 6  # cues that are shown at the same time
MAX_FONTS = 8  # of one clip: each is a descriptor, and is read into memory
MAX_FONT_BYTES = 64 << 20
_SHORTEST_STEP = Fraction(1, 200)  # seconds between two frames with the same picture
_USUAL_STEP = Fraction(1, 25)

_DENSE = re.compile(f"[{NO_SPACES}\u3000-\u303f\uff00-\uffef]")  # lines may break before and after such a character
_OPENING = frozenset("([{«‹“‘「『（［｛〈《【〔¿¡")
_CLOSING = frozenset(")]}»›”’」』）］｝〉》】〕、。，．・：；！？!?,.:;…ー々〜%")


class CaptionTimes:
    """The cues of a part of a clip, in recording time, by the time of the part.

    The part begins at `origin` and is played with this speed. Times are exact: a cue is shown on each frame whose time
    is from its start on and before its end.
    """

    def __init__(self, cues: Sequence[Cue], origin: Fraction, speed: Fraction) -> None:
        self._cues = cues
        self._origin = origin
        self._speed = speed
        self._moments = sorted({moment for cue in cues for moment in (cue.start_ms, cue.end_ms)})
        self._found: tuple[int, tuple[Cue, ...]] = (0, ())  # number of the last interval, and its cues

    def shown(self, time: Fraction) -> tuple[Cue, ...]:
        """Return all cues that are shown at a time of the part."""
        millis = self._millis(time)
        number = bisect_right(self._moments, millis)
        if number != self._found[0]:
            self._found = number, tuple(cue for cue in self._cues if cue.start_ms <= millis < cue.end_ms)
        return self._found[1]

    def steps(self, time: Fraction, duration: Fraction, *, step: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
        """Yield time and duration of each frame to write for one that is shown at `time`.

        A frame that is held for longer than the usual `step` is repeated when the captions change.
        """
        end = time + duration
        if duration > (step or _USUAL_STEP) * 3 / 2:
            low, high = (bisect_left(self._moments, self._millis(each)) for each in (time, end))
            for moment in self._moments[low:high]:
                change = (Fraction(moment, 1000) - self._origin) / self._speed
                if min(change - time, end - change) >= _SHORTEST_STEP:
                    yield time, change - time
                    time = change
        yield time, end - time

    def _millis(self, time: Fraction) -> Fraction:
        return (self._origin + time * self._speed) * 1000


def wrap(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """Yield the lines of a text, each as long as `fits` allows but of at least one character."""
    for paragraph in text.split("\n"):
        line = ""
        for piece in _pieces(paragraph):
            if fits((line + piece).rstrip()):
                line += piece
                continue
            if line.strip():
                yield line.rstrip()
            line = piece
            while not fits(line.rstrip()) and (end := _longest(line, fits)) < len(line):
                yield line[:end]
                line = line[end:]
        if line.strip():
            yield line.rstrip()


def _longest(text: str, fits: Callable[[str], bool]) -> int:
    """Return the number of characters at the start of a text that fit, at least those of the first cluster."""
    end = 0
    for after in range(1, len(text) + 1):
        if after < len(text) and not _begins_cluster(text[after]):
            continue
        if end and not fits(text[:after]):
            break
        end = after
    return end


def _pieces(text: str) -> Iterator[str]:
    """Yield the parts of a text between which a line may break. Spaces follow the part before them."""
    start = 0
    for at in range(1, len(text)):
        if _may_break(text[at - 1], text[at]):
            yield text[start:at]
            start = at
    yield text[start:]


def _may_break(before: str, after: str) -> bool:
    if after.isspace() or before.isspace():
        return before.isspace() and not after.isspace()
    if before in _OPENING or after in _CLOSING or not _begins_cluster(after):
        return False
    return bool(_DENSE.match(before) or _DENSE.match(after))


def _begins_cluster(character: str) -> bool:
    return unicodedata.category(character)[0] != "M" and not is_ignorable(character)


def is_ignorable(character: str) -> bool:
    """Return True for characters that control the shaping of others and need no glyph."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def is_right_to_left(text: str) -> bool:
    """Return True if the first character with a direction is one of Arabic, Hebrew or another such script."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def needs_shaping(text: str) -> bool:
    """Return True if the glyphs of a text depend on their neighbours or run from right to left."""
    return any(unicodedata.bidirectional(each) in ("R", "AL") or _SHAPED.match(each) for each in text)


_SHAPED = re.compile("[\u0900-\u0e7f\u0e80-\u0fff\u1000-\u109f\u1780-\u17ff\u1a20-\u1aaf\u1b00-\u1b7f]")
