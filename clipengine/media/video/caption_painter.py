"""Painting of captions with Pillow: text with a dark outline, or on a dark box.

Only the program `media.worker.burner` imports this module before its sandbox is locked: Pillow takes time to import,
and loads FriBidi, which lays out text from right to left.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from itertools import chain, groupby, islice, repeat
from operator import itemgetter
from typing import Any, NamedTuple

import PIL.ImageFile  # Pillow imports these lazily, which the sandbox would prevent
import PIL.PngImagePlugin  # noqa: F401
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFont, features

from clipengine.clips.options.caption_style import MAX_LINES, CaptionStyle
from clipengine.clips.options.framing import Size
from clipengine.clips.texts.bidi import in_visual_order, levels_of
from clipengine.clips.texts.captions import MAX_FONT_BYTES, drawable, is_ignorable
from clipengine.clips.texts.line_breaks import is_right_to_left, needs_shaping, wrap
from clipengine.errors import FontsMissing

# Parts of the picture: the size of the text, the longest line and the highest caption.
_SIZE_OF_HEIGHT, _SIZE_OF_WIDTH, _LEAST_SIZE = 0.05, 0.06, 8
_MAX_WIDTH, _MAX_HEIGHT = 0.9, 0.45
_OUTLINE = 0.08  # of the size
_BOX_PADDING, _BOX_RADIUS = (0.4, 0.15), 0.25  # of the size
_BOX_ALPHA = 178
_PNG_LEVEL = 4  # of the compression
_WHITE, _SPOKEN = "#ffffff", "#ffc53d"
_TOKEN = re.compile(r"(?:\A\s*+)?\S++\s*+")  # only the first one has spaces before it
_SHAPES = bool(features.check("raqm"))
_GLANCED = 128  # characters of a long text that are measured first: most do not fit by far
_MAX_KEPT = 10_000  # widths of texts


class Font(NamedTuple):
    """A font file, the number of the font in it, and the characters of the captions that it is used for."""

    data: bytes
    number: int
    characters: frozenset[str]


def read_fonts(fonts: Sequence[Mapping[str, Any]], descriptors: Sequence[int]) -> tuple[Font, ...]:
    """Return the fonts of a message, whose files are behind the descriptors. These are closed."""
    read = []
    for font, descriptor in zip(fonts, descriptors, strict=True):
        with open(descriptor, "rb") as file:
            read.append(Font(file.read(MAX_FONT_BYTES), font["index"], frozenset(font["characters"])))
    return tuple(read)


class Painted(NamedTuple):
    """A picture in RGBA. `whole` is False if a part of the text had no room."""

    data: bytes
    size: Size
    whole: bool

    def png(self) -> bytes:
        written = BytesIO()
        Image.frombytes("RGBA", self.size, self.data).save(written, "PNG", compress_level=_PNG_LEVEL)
        return written.getvalue()


class _Face(NamedTuple):
    font: ImageFont.FreeTypeFont
    characters: frozenset[str]


class _Run(NamedTuple):
    """A text of one font and, in a line of several runs, of one direction: see `bidi` for its `level`."""

    font: ImageFont.FreeTypeFont
    text: str
    options: dict[str, Any]  # of Pillow, for the layout
    spoken: bool = False
    level: int = 0
    width: float = 0.0


_Line = list[_Run]  # from left to right


class CaptionPainter:
    """Paints captions for pictures of one size, with square pixels. The `language` of the texts is a BCP 47 tag.

    Without a `style`, they have as many lines as there is room for.
    """

    def __init__(self, fonts: Sequence[Font], canvas: Size, language: str, style: CaptionStyle | None = None) -> None:
        size = min(_SIZE_OF_HEIGHT * canvas.height, _SIZE_OF_WIDTH * canvas.width)
        if style is not None and style.size is not None:
            size = style.size * min(canvas)
        size = max(_LEAST_SIZE, round(size))
        engine = ImageFont.Layout.RAQM if _SHAPES else ImageFont.Layout.BASIC
        self._faces = [
            _Face(ImageFont.truetype(BytesIO(font.data), size, font.number, layout_engine=engine), font.characters)
            for font in fonts
        ]
        self._widths: dict[tuple[int, str, bool], float] = {}
        self._known = frozenset[str]().union(*(font.characters for font in fonts))
        self._language = language.partition("-")[0]
        self._size = size
        self._name = "outline" if style is None else style.name
        colour = ImageColor.getrgb(style.colour)[:3] if style is not None and style.colour is not None else None
        marks = self._name == "word"
        self._colour = ImageColor.getrgb(_WHITE)[:3] if marks or colour is None else colour
        self._spoken_colour = colour or ImageColor.getrgb(_SPOKEN)[:3]
        self._stroke = max(1, round(_OUTLINE * size))
        self._margins = (self._stroke, self._stroke)
        if self._name == "box":
            self._margins = (round(_BOX_PADDING[0] * size), round(_BOX_PADDING[1] * size))
        self._widest = _MAX_WIDTH * canvas.width - 2 * self._margins[0]
        self._highest = _MAX_HEIGHT * canvas.height
        self._most_lines = None if style is None else MAX_LINES

    @property
    def lines(self) -> int:
        """The largest number of lines of a styled caption."""
        height = max((sum(face.font.getmetrics()) for face in self._faces), default=1)
        return max(1, min(MAX_LINES, int(self._highest // height)))

    def drawable(self, text: str) -> str:
        """Return the text without the symbols that the fonts lack, or an empty one if no glyph is left."""
        return drawable(text, self._known, shapes=_SHAPES)

    def fits(self, line: str) -> bool:
        """Return True if a drawable text has room in one line."""
        return self._fits(line, right_to_left=is_right_to_left(line))

    def paint(self, texts: Sequence[str], spoken: Sequence[tuple[int, int] | None] = ()) -> Painted | None:
        """Return the picture of the texts, from top to bottom, or None if they have no character with a glyph.

        `spoken` has, for each text, the range of characters to mark; the text must be drawable. Raises FontsMissing if
        a text needs FriBidi and this machine lacks it.
        """
        lines: list[_Line] = []
        for line in chain.from_iterable(map(self._lines, texts, spoken or repeat(None))):
            full = self._most_lines is not None and len(lines) >= self._most_lines
            if full or (lines and _height([*lines, line]) > self._highest):
                return self._painted(lines, whole=False)
            lines.append(line)
        return self._painted(lines, whole=True) if lines else None

    def _painted(self, lines: list[_Line], *, whole: bool) -> Painted:
        (across, down), step = self._margins, _height(lines) // len(lines)
        widths = [sum(run.width for run in line) for line in lines]
        size = Size(_even(max(widths) + 2 * across), _even(len(lines) * step + 2 * down))
        outline, fill, spoken = Image.new("L", size), Image.new("L", size), Image.new("L", size)
        baseline = down + max(run.font.getmetrics()[0] for line in lines for run in line)
        for line, width in zip(lines, widths, strict=True):
            left = (size.width - width) / 2
            for run in line:
                for image, thickness in ((outline, self._stroke), (spoken if run.spoken else fill, 0)):
                    ImageDraw.Draw(image).text(
                        (left, baseline), run.text, 255, run.font, "ls", stroke_width=thickness, **run.options
                    )
                left += run.width
            baseline += step
        picture = self._on_box(fill, size) if self._name == "box" else self._outlined(fill, spoken, outline)
        return Painted(picture.tobytes(), size, whole)

    def _outlined(self, fill: Image.Image, spoken: Image.Image, outline: Image.Image) -> Image.Image:
        colours = zip(self._colour, self._spoken_colour, strict=True)
        levels = [ImageChops.add(_tinted(fill, one), _tinted(spoken, other)) for one, other in colours]
        return Image.merge("RGBA", (*levels, outline))

    def _on_box(self, fill: Image.Image, size: Size) -> Image.Image:
        box = Image.new("L", size)
        edge, radius = (0, 0, size.width - 1, size.height - 1), round(_BOX_RADIUS * self._size)
        ImageDraw.Draw(box).rounded_rectangle(edge, radius, fill=_BOX_ALPHA)
        black, text = Image.new("RGBA", size), Image.new("RGBA", size, self._colour)
        black.putalpha(box)
        text.putalpha(fill)
        return Image.alpha_composite(black, text)

    def _options(self, *, right_to_left: bool) -> dict[str, Any]:
        """Return the options of Pillow for the layout of a text in this direction."""
        if not _SHAPES:
            return {}
        return {"direction": "rtl" if right_to_left else "ltr", "language": self._language}

    def _lines(self, text: str, spoken: tuple[int, int] | None = None) -> Iterator[_Line]:
        if needs_shaping(text) and not _SHAPES:
            raise FontsMissing(
                "the subtitles are in a script that needs FriBidi, which this machine lacks",
                hint="Install FriBidi, such as Debian's package libfribidi0, restart the engine and retry the clip.",
            )
        at, drawn = 0, self.drawable(text)
        for paragraph in drawn.split("\n"):
            backwards = is_right_to_left(paragraph)
            for line in wrap(paragraph, partial(self._fits, right_to_left=backwards)):
                at = drawn.index(line, at)
                marked = None if spoken is None else (spoken[0] - at, spoken[1] - at)
                yield in_visual_order(self._runs(line, marked, right_to_left=backwards))
                at += len(line)

    def _fits(self, line: str, *, right_to_left: bool) -> bool:
        """Return True if a text has room in a line. Of a much longer text, only the start is measured."""
        glanced = _GLANCED
        while glanced < len(line):
            if self._width(line[:glanced], right_to_left=right_to_left) > 2 * self._widest:
                return False
            glanced *= 2
        return self._width(line, right_to_left=right_to_left) <= self._widest

    def _width(self, line: str, *, right_to_left: bool) -> float:
        return sum(run.width for run in self._runs(line, right_to_left=right_to_left))

    def _run(self, face: _Face, text: str, *, right_to_left: bool, spoken: bool, level: int = 0) -> _Run:
        """Return a run with its width. The words of a text are measured many times."""
        options, key = self._options(right_to_left=right_to_left), (id(face), text, right_to_left)
        width = self._widths.get(key)
        if width is None:
            width = float(face.font.getlength(text, **options))
            if len(self._widths) < _MAX_KEPT:
                self._widths[key] = width
        return _Run(face.font, text, options, spoken, level, width)

    def _runs(self, text: str, spoken: tuple[int, int] | None = None, *, right_to_left: bool) -> _Line:
        """Return the text as runs of one font each: as one run if a font has all its characters.

        If words are marked, each is a run, so that their places do not depend on which one is.
        """
        parts: Iterable[tuple[str, bool]] = [(text, False)]
        if self._name == "word":
            parts = chain.from_iterable(_marked_parts(token, spoken) for token in _TOKEN.finditer(text))
        found = [(face, run, marked) for part, marked in parts for face, run in self._font_runs(part)]
        if len(found) == 1:
            ((face, _, marked),) = found
            return [self._run(face, text, right_to_left=right_to_left, spoken=marked)]
        levels = iter(levels_of(text, right_to_left=right_to_left))
        return [
            self._run(face, "".join(characters), right_to_left=level % 2 == 1, spoken=marked, level=level)
            for face, run, marked in found
            for level, characters in _by_level(run, levels)
        ]

    def _font_runs(self, text: str) -> list[tuple[_Face, str]]:
        """Return the parts of a text with their fonts: one if a font has all its characters."""
        if not text:
            return []  # also without fonts
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
        return runs


def _by_level(text: str, levels: Iterator[int]) -> Iterator[tuple[int, Iterator[str]]]:
    """Yield the levels of the text, which are the next ones, each with the characters that have it."""
    for level, group in groupby(zip(text, islice(levels, len(text)), strict=True), itemgetter(1)):
        yield level, (character for character, _ in group)


def _marked_parts(token: re.Match[str], spoken: tuple[int, int] | None) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a word with its spaces, and whether each is marked: punctuation is with its word."""
    text, (start, end) = token[0], (0, 0)
    if spoken is not None:
        start, end = (min(max(each - token.start(), 0), len(text)) for each in spoken)
    if end > start:
        start = start if any(each.isalnum() for each in text[:start]) else 0
        end = end if any(each.isalnum() for each in text[end:]) else len(text)
    for part, marked in ((text[:start], False), (text[start:end], True), (text[end:], False)):
        if part:
            yield part, marked


def _tinted(mask: Image.Image, level: int) -> Image.Image:
    return mask if level == 255 else mask.point([each * level // 255 for each in range(256)])


def _height(lines: Sequence[_Line]) -> int:
    """Return the height of lines. Each line has the height of the highest font."""
    return len(lines) * max(sum(run.font.getmetrics()) for line in lines for run in line)


def _even(length: float) -> int:
    return max(2, 2 * math.ceil(length / 2))
