"""Line breaks of captions: places at which a line may break, and scripts that need a font with shaping. Pure.

Only the painter imports this module: its patterns take time to compile.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from clipengine.clips.texts.captions import is_ignorable
from clipengine.clips.texts.phrases import SPACES, ends_with_spaced_phrase
from clipengine.clips.texts.words import NO_SPACES

_DENSE = re.compile(f"[{NO_SPACES}\u3000-\u303f\uff00-\uffef]")  # lines may break before and after such a character
_OPENING = frozenset("([{«‹“‘「『（［｛〈《【〔〖〘〚｟｢¿¡￥＄")
_CLOSING = frozenset(")]}»›”’」』）］｝〉》】〕〗〙〛｠｣、。，．・：；！？!?,.:;…‥｡､･%％‰°")
# No line begins with these either: small kana and marks of repetition (JIS X 4051).
_CLOSING |= frozenset("ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶｧｨｩｪｫｬｭｮｯーｰ゛゜ﾞﾟ々〻ゝゞヽヾ〜～゠")
# Thai and Lao vowels before their consonant or within a syllable, and letters and signs that follow another one.
_OPENING |= frozenset("เแโใไເແໂໃໄ\u0e31\u0eb1\u0ebb")
_CLOSING |= frozenset("ะาำๅๆฯະາຳຽໆຯ")
_JOINING = frozenset("\u0f84\u1039\u17d2\u1a60")  # the next consonant is written below: Tibetan, Burmese, Khmer, Lanna
_DASHES = frozenset("…‥—―")  # of two, neither begins a line
_SHAPED = re.compile("[\u0900-\u0e7f\u0e80-\u0fff\u1000-\u109f\u1780-\u17ff\u1a20-\u1aaf\u1b00-\u1b7f]")


def wrap(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """Yield the lines of a text, each as long as `fits` allows but of at least one character."""
    for paragraph in text.split("\n"):
        line = ""
        for piece in pieces_of(paragraph):
            if fits((line + piece).rstrip()):
                line += piece
                continue
            phrase = _phrase_end(line)
            if line.strip():
                yield line[:phrase].rstrip()
            line = line[phrase:] + piece
            while not fits(line.rstrip()) and (end := _longest(line, fits)) < len(line):
                yield line[:end]
                line = line[end:]
        if line.strip():
            yield line.rstrip()


def _phrase_end(line: str) -> int:
    """Return the end of a full line.

    In scripts with spaces between phrases, it is the end of the last phrase if that is in the second half of the line.
    """
    if line.endswith(SPACES):
        return len(line)
    space = max(map(line.rfind, SPACES)) + 1
    return space if 2 * space > len(line) and ends_with_spaced_phrase(line[:space]) else len(line)


def _longest(text: str, fits: Callable[[str], bool]) -> int:
    """Return the number of characters at the start of a text that fit, at least the first cluster's."""
    end = 0
    for after in range(1, len(text) + 1):
        if after < len(text) and not _may_part(text[after - 1], text[after]):
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
    """Yield the parts of a text between which a line may break. Parts that do not fit in a line are cut."""
    for piece in pieces_of(text):
        while not fits(piece.strip()) and (end := _longest(piece, fits)) < len(piece):
            yield piece[:end]
            piece = piece[end:]
        yield piece


def _may_break(before: str, after: str) -> bool:
    if after.isspace() or before.isspace():
        return before.isspace() and not after.isspace()
    if before in SPACES and not is_ignorable(after):
        return True
    if before in _OPENING or after in _CLOSING or not _may_part(before, after) or (after == before in _DASHES):
        return False
    return bool(_DENSE.match(before) or _DENSE.match(after))


def _may_part(before: str, after: str) -> bool:
    """Return True if two characters are not of one cluster: even a word that is longer than a line keeps these."""
    return unicodedata.category(after)[0] != "M" and not is_ignorable(after) and before not in _JOINING


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
