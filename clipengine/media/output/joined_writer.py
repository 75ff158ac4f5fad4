"""Writer of a clip with several parts: each part is written as a clip, and is moved behind the parts before it.

The first part decides the format of the video. Each boundary between parts is the exact sum of the lengths before it,
rounded once to the video's time base.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction

import av

from clipengine.clips.chapters import Chapter, joined_chapters
from clipengine.clips.facts import TagName, TrackNames
from clipengine.clips.subtitles import Sample, TextCodec, TextTrack
from clipengine.errors import NoMediaInRange
from clipengine.media.audio.joined import JoinedAudio
from clipengine.media.output.writer import ClipWriter
from clipengine.media.video.frame_durations import Seams
from clipengine.media.video.frame_format import FrameFormat


class JoinedWriter(JoinedAudio):
    """Offers the methods of ClipWriter to the builder of each part, in the time of that part."""

    def __init__(self, writer: ClipWriter, parts: int, languages: Sequence[TextTrack] = ()) -> None:
        super().__init__(writer, parts)
        self.languages = languages  # of the text tracks
        self._writer = writer
        self.format: FrameFormat | None = None  # of the video
        self.last_shown: tuple[av.VideoFrame, Fraction] | None = None  # as decoded, and its sample aspect ratio
        self._shown_until: Fraction | None = None  # the end of the last frame, in seconds of the clip
        self._chapters: list[tuple[Sequence[Chapter], Fraction]] = []  # of each part, and its length

    @property
    def seams(self) -> Seams:
        """Where the next part meets its neighbours. Ask before it begins."""
        lead = None if self._shown_until is None else max(Fraction(0), self._shown_until - self._end)
        return Seams(lead, self._number + 2 == self._parts)

    @property
    def seconds(self) -> Fraction:
        """Encoded seconds of the current part."""
        return self._writer.seconds - self.start

    def set_chapters(self, chapters: Sequence[Chapter]) -> None:
        """Set the chapters of the current part, in its own time. An MP3 gets none: its head may be written already."""
        self._chapters.append((chapters, self._end - self.start))
        if self.is_last and self._writer.takes_late_chapters:
            self._writer.set_chapters(joined_chapters(self._chapters))

    def set_tags(self, tags: Mapping[TagName, str]) -> None:
        """Set the descriptions of the clip, which are those of the first part."""
        if self.is_first:
            self._writer.set_tags(tags)

    def set_creation_time(self, time: datetime) -> None:
        if self.is_first:
            self._writer.set_creation_time(time)

    def add_video(self, format: FrameFormat, rate: Fraction, *, names: TrackNames = TrackNames()) -> None:
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
        self._writer.write_frame(frame, self.start + time, duration)
        self._shown_until = self.start + time + duration
