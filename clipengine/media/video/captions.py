"""Captions of one part of a clip: subtitles that are drawn into its frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import av

from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.framing import Box, Size
from clipengine.clips.texts.captions import Caption, CaptionTimes, starts_of_display
from clipengine.clips.texts.cues import Cue, TimedWord, plain_payload
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.texts.word_times import SHORTEST_WORD_MS
from clipengine.clips.warnings import subtitles_cut

if TYPE_CHECKING:  # it imports Pillow, which only the program for such clips has loaded
    from clipengine.media.video.caption_painter import CaptionPainter, Font, Painted

_MARGIN = Fraction(5, 100)  # of the picture's height, below text without a style
_STYLED_MARGIN, _STYLED_MARGIN_UPRIGHT = Fraction(10, 100), Fraction(20, 100)


class CaptionImage(NamedTuple):
    """A picture in RGBA and its place on the frames."""

    frame: av.VideoFrame
    box: Box


class Captions:
    """The cues of a track that are shown during a part, which begins at `origin` and is played with this speed.

    They are laid out for frames of the size `canvas`, as `style` says. Each frame is shown for `frame_seconds` of the
    clip at most.
    """

    def __init__(
        self,
        track: TextTrack,
        fonts: Sequence[Font],
        origin: Fraction,
        speed: Fraction,
        *,
        canvas: Size,
        sample_aspect_ratio: Fraction,
        style: CaptionStyle | None = None,
        frame_seconds: Fraction = Fraction(0),
    ) -> None:
        from clipengine.clips.texts.caption_pages import captions_of
        from clipengine.media.video.caption_painter import CaptionPainter

        self._language = track.language
        self._canvas = canvas
        self._ratio = sample_aspect_ratio
        self._style = style
        square = Size(round(canvas.width * sample_aspect_ratio), canvas.height)
        self._painter = painter = CaptionPainter(fonts, square, track.language, style)
        drawn = [cue for cue in track.cues if painter.drawable(plain_payload(cue))]
        starts = starts_of_display(drawn)
        shown = [(cue, start) for cue, start in zip(drawn, starts, strict=True) if start is not None]
        cues = [cue if style is None else _drawable(cue, painter) for cue, _ in shown]
        shortest = max(SHORTEST_WORD_MS, math.ceil(frame_seconds * speed * 1000))
        captions = captions_of(cues, style, painter.fits, lines=painter.lines, shortest_ms=shortest)
        self._times = CaptionTimes(list(_from(captions, [start for _, start in shown])), origin, speed)
        # Numbers of cues that are not drawn as a whole, and the number of cues that are not drawn at all.
        self._lost = {number for number, (cue, start) in enumerate(shown) if start > cue.start_ms}
        self._never = len(drawn) - len(shown)

    def shown(self, time: Fraction) -> tuple[Caption, ...]:
        """Return the captions that are shown at a time of the part."""
        return self._times.shown(time)

    def changes(self, start: Fraction, end: Fraction) -> list[Fraction]:
        """Return the times from `start` on and before `end` at which other captions are shown, in order."""
        return self._times.changes(start, end)

    def steps(self, time: Fraction, duration: Fraction, *, step: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
        """Yield time and duration of each frame to write for a frame that is shown at `time`."""
        return self._times.steps(time, duration, step=step)

    def image(self, captions: Sequence[Caption]) -> CaptionImage | None:
        """Return the picture of captions that are shown together. Raises FontsMissing."""
        painted = self.paint(captions)
        if painted is None:
            return None
        frame = av.VideoFrame.from_bytes(painted.data, *painted.size, format="rgba")
        return CaptionImage(frame, self.place(painted))

    def paint(self, captions: Sequence[Caption]) -> Painted | None:
        """Return the pixels of captions that are shown together, or None if they have none. Raises FontsMissing."""
        painted = self._painter.paint([each.text for each in captions], [each.spoken for each in captions])
        if painted is not None and not painted.whole:
            self._lost.update(each.cue for each in captions)
        return painted

    def place(self, painted: Painted) -> Box:
        """Return the pixels of the frames on which a painted caption is drawn."""
        canvas = self._canvas
        width = min(canvas.width, max(2, 2 * round(painted.size.width / self._ratio / 2)))
        height = min(canvas.height, painted.size.height)
        down = 2 * round((canvas.height * (1 - self._margin) - height) / 2)
        return Box((canvas.width - width) // 4 * 2, max(0, down), width, height)

    @property
    def _margin(self) -> Fraction:
        if self._style is None:
            return _MARGIN
        if self._style.height is not None:
            return Fraction(str(self._style.height))
        upright = self._canvas.height > self._canvas.width * self._ratio
        return _STYLED_MARGIN_UPRIGHT if upright else _STYLED_MARGIN

    def warnings(self) -> Iterator[str]:
        if count := len(self._lost) + self._never:
            yield subtitles_cut(self._language, count)


def _from(captions: Sequence[Caption], starts: Sequence[int]) -> Iterator[Caption]:
    """Yield the captions of cues, as far as they are shown from these times on."""
    for each in captions:
        start = max(each.start_ms, starts[each.cue])
        if start < each.end_ms:
            yield each._replace(start_ms=start)


def _drawable(cue: Cue, painter: CaptionPainter) -> Cue:
    """Return the cue with the characters that the painter draws, so that its words are found in its text."""
    words = (TimedWord(start, end, painter.drawable(text)) for start, end, text in cue.timed_words)
    speaker = None if cue.speaker is None else painter.drawable(cue.speaker)
    return replace(cue, text=painter.drawable(cue.text), speaker=speaker, timed_words=tuple(words))
