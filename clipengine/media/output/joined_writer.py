"""Writer of a clip with several parts: each part is written as a clip, and is moved behind the parts before it.

The first part decides the format of the video. Each boundary between parts is the exact sum of the lengths before it,
rounded once to the video's time base.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction

import av

from clipengine.clips.chapters import Chapter, joined_chapters
from clipengine.clips.facts import TagName, TrackNames
from clipengine.clips.subtitles import Sample, TextCodec, TextTrack
from clipengine.clips.warnings import warning
from clipengine.errors import NoMediaInRange
from clipengine.media.audio.joined import JoinedAudio
from clipengine.media.output.writer import ClipWriter
from clipengine.media.video.frame_format import FrameFormat

_NOTED_SECONDS = Fraction(1, 1000)


class JoinedWriter(JoinedAudio):
    """Offers the methods of ClipWriter to the builder of each part, in the time of that part."""

    def __init__(self, writer: ClipWriter, parts: int, languages: Sequence[TextTrack] = ()) -> None:
        super().__init__(writer, parts)
        self.languages = languages  # of the text tracks
        self._writer = writer
        self.format: FrameFormat | None = None  # of the video
        self._has_video = False
        self._first_frame: Fraction | None = None  # time in the current part
        self._chapters: list[tuple[Sequence[Chapter], Fraction]] = []  # of each part, and its length

    @property
    def seconds(self) -> Fraction:
        """Encoded seconds of the current part."""
        return self._writer.seconds - self.start

    def begin_part(self, length: Fraction) -> None:
        super().begin_part(length)
        self._has_video, self._first_frame = False, None

    def end_part(self) -> Iterator[str]:
        """End the audio tracks of the part, and yield the part's warnings."""
        if self.format is not None and not self._has_video:
            yield warning("picture_missing", "it has no video: the frame before it is held")
        elif not self.is_first and self._first_frame is not None and self._first_frame > _NOTED_SECONDS:
            late = f"its video begins after {float(self._first_frame):.3f} s: the frame before it is held"
            yield warning("picture_missing", late)
        yield from super().end_part()

    def set_chapters(self, chapters: Sequence[Chapter]) -> None:
        """Set the chapters of the current part, in its own time."""
        self._chapters.append((chapters, self._end - self.start))
        if self.is_last:
            self._writer.set_chapters(joined_chapters(self._chapters))

    def set_tags(self, tags: Mapping[TagName, str]) -> None:
        """Set the descriptions of the clip, which are those of the first part."""
        if self.is_first:
            self._writer.set_tags(tags)

    def set_creation_time(self, time: datetime) -> None:
        if self.is_first:
            self._writer.set_creation_time(time)

    def add_video(self, format: FrameFormat, rate: Fraction, *, names: TrackNames = TrackNames()) -> None:
        self._has_video = True
        if self.is_first:
            self.format = format
            self._writer.add_video(format, rate, names=names)
        elif self.format is None:
            raise NoMediaInRange("the first part has no video in its range, a later part has: begin with that one")

    def add_texts(self, codec: TextCodec) -> None:
        """Add the text tracks of the clip. Call it in the first part, after all other streams were added."""
        self._writer.add_texts(codec, self.languages)

    def write_texts(self, tracks: Iterable[Sequence[Sample]]) -> None:
        """Write the samples of the part, in clip time, for each of the languages."""
        self._writer.write_texts(tracks)

    def write_frame(self, frame: av.VideoFrame, time: Fraction, duration: Fraction) -> None:
        if self._first_frame is None:
            self._first_frame = time
        self._writer.write_frame(frame, self.start + time, duration)
