"""Lines of captions: the text of a page, with its line breaks. Pure.

A line ends at the end of a phrase if that is possible: after punctuation.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from clipengine.clips.texts.line_breaks import breakable_parts
from clipengine.clips.texts.phrases import phrase_rank

_RANKED = 0.3  # credit for the end of a clause, as a part of the length of a line

Fits = Callable[[str], bool]  # whether a text has room in a line


def joined(text: str) -> str:
    """Return a text on one line, with single spaces."""
    return " ".join(text.split())


def _lines(text: str, fits: Fits, count: int) -> list[str]:
    """Return the lines of a page.

    They are the lines of the cue if these fit, or else broken at the end of a phrase or near the middle.
    """
    whole = joined(text)
    authored = [joined(line) for line in text.split("\n") if line.strip()]
    if 1 < len(authored) <= count and all(map(fits, authored)):
        return authored
    if count < 2 or fits(whole):
        return [whole]
    ends = [*accumulate(map(len, breakable_parts(whole, fits)))]
    choices = [end for end in ends if fits(whole[:end].rstrip()) and fits(whole[end:])]
    if not choices:
        return [whole]

    def cost(end: int) -> float:
        return abs(2 * end - len(whole)) / len(whole) - _RANKED * phrase_rank(whole[:end])

    end = min(choices, key=cost)
    return [whole[:end].rstrip(), whole[end:]]


def laid_out(text: str, fits: Fits, count: int) -> tuple[str, list[int]]:
    """Return the text of a page with its line breaks, and the place of each of its characters in it."""
    shown = "\n".join(_lines(text, fits, count))
    places, at = [], 0
    for character in text:
        if not character.isspace():
            while at < len(shown) and shown[at].isspace():
                at += 1
            places.append(at)
            at += 1
        else:
            places.append(min(at, len(shown)))
    return shown, places
