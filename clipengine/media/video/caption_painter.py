"""Painting of captions with Pillow: white text with a dark outline.

Only the program `media.worker.burner` imports this module before its sandbox is locked: Pillow takes time to import,
and loads FriBidi, which lays out text from right to left.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from functools import partial
from io import BytesIO
from itertools import chain, groupby
from typing import Any, NamedTuple

import PIL.ImageFile  # noqa: F401 - Pillow imports it lazily, which the sandbox would prevent
from PIL import Image, ImageDraw, ImageFont, features

from clipengine.clips.options.framing import Size
from clipengine.clips.texts.caption_layout import is_right_to_left, needs_shaping, wrap
from clipengine.clips.texts.captions import is_ignorable
from clipengine.errors import FontsMissing

# Parts of the picture: the size of the text, the longest line and the highest caption.
_SIZE_OF_HEIGHT, _SIZE_OF_WIDTH, _LEAST_SIZE = 0.05, 0.06, 8
_MAX_WIDTH, _MAX_HEIGHT = 0.9, 0.45
_OUTLINE = 0.08  # of the size
_SHAPES = features.check("raqm")


class Font(NamedTuple):
    """A font file, the number of the font in it, and the characters of the captions that it is used for."""

    data: bytes
    number: int
    characters: frozenset[str]


class Painted(NamedTuple):
    """A picture in RGBA. `whole` is False if a part of the text had no room."""

    data: bytes
    size: Size
    whole: bool


class _Face(NamedTuple):
    font: ImageFont.FreeTypeFont
    characters: frozenset[str]


class _Run(NamedTuple):
    """A text of one font, in a paragraph of one direction."""

    font: ImageFont.FreeTypeFont
    text: str
    options: dict[str, Any]  # of Pillow, for the layout

    @property
    def width(self) -> float:
        return float(self.font.getlength(self.text, **self.options))


_Line = list[_Run]  # from left to right


class CaptionPainter:
    """Paints captions for pictures of one size, with square pixels. The `language` of the texts is a BCP 47 tag."""

    def __init__(self, fonts: Sequence[Font], canvas: Size, language: str) -> None:
        size = max(_LEAST_SIZE, round(min(_SIZE_OF_HEIGHT * canvas.height, _SIZE_OF_WIDTH * canvas.width)))
        engine = ImageFont.Layout.RAQM if _SHAPES else ImageFont.Layout.BASIC
        self._faces = [
            _Face(ImageFont.truetype(BytesIO(font.data), size, font.number, layout_engine=engine), font.characters)
            for font in fonts
        ]
        self._known = frozenset[str]().union(*(font.characters for font in fonts))
        self._language = language.partition("-")[0]
        self._stroke = max(1, round(_OUTLINE * size))
        self._widest = _MAX_WIDTH * canvas.width - 2 * self._stroke
        self._highest = _MAX_HEIGHT * canvas.height

    def paint(self, texts: Sequence[str]) -> Painted | None:
        """Return the picture of the texts, from top to bottom, or None if they have no character with a glyph.

        Raises FontsMissing if a text needs FriBidi and this machine lacks it.
        """
        lines: list[_Line] = []
        for line in chain.from_iterable(map(self._lines, texts)):
            if lines and _height([*lines, line]) > self._highest:
                return self._painted(lines, whole=False)
            lines.append(line)
        return self._painted(lines, whole=True) if lines else None

    def _painted(self, lines: list[_Line], *, whole: bool) -> Painted:
        stroke, step = self._stroke, _height(lines) // len(lines)
        widths = [sum(run.width for run in line) for line in lines]
        size = Size(_even(max(widths) + 2 * stroke), _even(len(lines) * step + 2 * stroke))
        outline, fill = Image.new("L", size), Image.new("L", size)
        baseline = stroke + max(run.font.getmetrics()[0] for line in lines for run in line)
        for line, width in zip(lines, widths, strict=True):
            left = (size.width - width) / 2
            for run in line:
                for image, thickness in ((outline, stroke), (fill, 0)):
                    ImageDraw.Draw(image).text(
                        (left, baseline), run.text, 255, run.font, "ls", stroke_width=thickness, **run.options
                    )
                left += run.width
            baseline += step
        return Painted(Image.merge("RGBA", (fill, fill, fill, outline)).tobytes(), size, whole)

    def _lines(self, text: str) -> Iterator[_Line]:
        if needs_shaping(text) and not _SHAPES:
            raise FontsMissing(
                "the subtitles are in a script that needs FriBidi, which this machine lacks",
                hint="Install FriBidi, such as Debian's package libfribidi0, restart the engine and retry the clip.",
            )
        for paragraph in unicodedata.normalize("NFC", text).split("\n"):
            drawn = "".join(each for each in paragraph if each in self._known or (_SHAPES and is_ignorable(each)))
            backwards = is_right_to_left(drawn)
            options = {"direction": "rtl" if backwards else "ltr", "language": self._language} if _SHAPES else {}
            for line in wrap(drawn, partial(self._fits, options=options)):
                yield _in_visual_order(self._runs(line, options), backwards=backwards)

    def _fits(self, line: str, options: dict[str, Any]) -> bool:
        return sum(run.width for run in self._runs(line, options)) <= self._widest

    def _runs(self, text: str, options: dict[str, Any]) -> _Line:
        """Return the text as runs of one font each: as one run if a font has all its characters."""
        visible = {each for each in text if not is_ignorable(each)}
        face = next((face for face in self._faces if visible <= face.characters), self._faces[0])
        runs: list[tuple[_Face, str]] = []
        for character in text:
            if character in visible and character not in face.characters:
                face = next(each for each in self._faces if character in each.characters)
            if runs and runs[-1][0] is face:
                runs[-1] = face, runs[-1][1] + character
            else:
                runs.append((face, character))
        return [_Run(face.font, part, options) for face, part in runs]


def _in_visual_order(runs: _Line, *, backwards: bool) -> _Line:
    """Return the runs of a line from left to right. Those against its direction keep their order."""
    ordered: _Line = []
    for against, group in groupby(runs, lambda run: is_right_to_left(run.text) is not backwards):
        sequence = list(group)
        # Those against the direction are reversed here, or once more below.
        ordered += reversed(sequence) if against else sequence
    return ordered[::-1] if backwards else ordered


def _height(lines: Sequence[_Line]) -> int:
    """Return the height of lines, which all have that of the highest font."""
    return len(lines) * max(sum(run.font.getmetrics()) for line in lines for run in line)


def _even(length: float) -> int:
    return max(2, 2 * math.ceil(length / 2))
