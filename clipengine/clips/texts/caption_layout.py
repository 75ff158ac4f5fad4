"""Layout of captions: how a text breaks into lines, and what its script asks of a font. Pure.

Only the painter imports this module: its patterns take time to compile.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from clipengine.clips.texts.captions import is_ignorable
from clipengine.clips.texts.words import NO_SPACES

_DENSE = re.compile(f"[{NO_SPACES}\u3000-\u303f\uff00-\uffef]")  # lines may break before and after such a character
_OPENING = frozenset("([{«‹“‘「『（［｛〈《【〔¿¡")
_CLOSING = frozenset(")]}»›”’」』）］｝〉》】〕、。，．・：；！？!?,.:;…ー々〜%")
_SHAPED = re.compile("[\u0900-\u0e7f\u0e80-\u0fff\u1000-\u109f\u1780-\u17ff\u1a20-\u1aaf\u1b00-\u1b7f]")


def wrap(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """Yield the lines of a text, each as long as `fits` allows but of at least one character."""
    for paragraph in text.split("\n"):
        line = ""
        for piece in pieces_of(paragraph):
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


def pieces_of(text: str) -> Iterator[str]:
    """Yield the parts of a text between which a line may break. Spaces follow the part before them."""
    start = 0
    for at in range(1, len(text)):
        if _may_break(text[at - 1], text[at]):
            yield text[start:at]
            start = at
    yield text[start:]


def breakable_parts(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """Yield the parts of a text between which a line may break, with those that do not fit in a line cut further."""
    for piece in pieces_of(text):
        while not fits(piece.strip()) and (end := _longest(piece, fits)) < len(piece):
            yield piece[:end]
            piece = piece[end:]
        yield piece


def _may_break(before: str, after: str) -> bool:
    if after.isspace() or before.isspace():
        return before.isspace() and not after.isspace()
    if before in _OPENING or after in _CLOSING or not _begins_cluster(after):
        return False
    return bool(_DENSE.match(before) or _DENSE.match(after))


def _begins_cluster(character: str) -> bool:
    return unicodedata.category(character)[0] != "M" and not is_ignorable(character)


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
