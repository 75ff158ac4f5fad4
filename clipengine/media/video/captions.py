"""Captions of one part of a clip: subtitles that are drawn into its frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import av

from clipengine.clips.options.framing import Box, Size
from clipengine.clips.texts.captions import MAX_TOGETHER, CaptionTimes
from clipengine.clips.texts.cues import Cue, plain_payload
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.warnings import subtitles_cut

if TYPE_CHECKING:  # it imports Pillow, which only the program for such clips has loaded
    from clipengine.media.video.caption_painter import CaptionPainter, Font

_MARGIN = Fraction(5, 100)  # of the picture's height, below the text


class CaptionImage(NamedTuple):
    """A picture in RGBA and its place on the frames."""

    frame: av.VideoFrame
    box: Box


class Captions:
    """The cues of a track that are shown during a part, which begins at `origin` and is played with this speed."""

    def __init__(self, track: TextTrack, fonts: Sequence[Font], origin: Fraction, speed: Fraction) -> None:
        self._track = track
        self._fonts = fonts
        self._times = CaptionTimes(track.cues, origin, speed)
        self._painter: CaptionPainter | None = None
        self._lost: set[Cue] = set()

    def shown(self, time: Fraction) -> tuple[Cue, ...]:
        """Return the cues that are shown at a time of the part."""
        return self._times.shown(time)

    def steps(self, time: Fraction, duration: Fraction, *, step: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
        """Yield time and duration of each frame to write for one that is shown at `time`."""
        return self._times.steps(time, duration, step=step)

    def image(self, cues: Sequence[Cue], canvas: Size, sample_aspect_ratio: Fraction) -> CaptionImage | None:
        """Return the picture of cues that are shown together on frames of the size `canvas`. Raises FontsMissing."""
        if self._painter is None:
            from clipengine.media.video.caption_painter import CaptionPainter

            square = Size(round(canvas.width * sample_aspect_ratio), canvas.height)
            self._painter = CaptionPainter(self._fonts, square, self._track.language)
        painted = self._painter.paint([plain_payload(cue) for cue in cues[:MAX_TOGETHER]])
        if painted is None:
            return None
        if not painted.whole or len(cues) > MAX_TOGETHER:
            self._lost.update(cues)
        frame = av.VideoFrame.from_bytes(painted.data, *painted.size, format="rgba")
        width = min(canvas.width, max(2, 2 * round(painted.size.width / sample_aspect_ratio / 2)))
        height = min(canvas.height, painted.size.height)
        down = 2 * round((canvas.height * (1 - _MARGIN) - height) / 2)
        return CaptionImage(frame, Box((canvas.width - width) // 4 * 2, max(0, down), width, height))

    def warnings(self) -> Iterator[str]:
        if self._lost:
            yield subtitles_cut(self._track.language, len(self._lost))
