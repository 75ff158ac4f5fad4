"""View of a clip's writer for its parts: each part, usually one, is written in its own time.

The first part decides the format of the video. Each boundary between parts is the exact sum of the lengths before it,
rounded once to the video's time base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

import av

from clipengine.clips.edit import PlannedPart, chapters_of_parts, text_languages
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.segments import OTHER_PARAMETERS, CannotCopy
from clipengine.clips.texts.subtitles import TEXT_CODECS, TextRange, TextTrack, cut_tracks, part_tracks, track_samples
from clipengine.errors import NoMediaInRange
from clipengine.media.audio.encoder_format import is_limited
from clipengine.media.audio.part_audio import PartAudio
from clipengine.media.input.decoding.events import CopiedVideo, SeamEvent, VideoPacketEvent
from clipengine.media.output.writer import ClipWriter
from clipengine.media.video.frame_durations import Seams
from clipengine.media.video.frame_format import FrameFormat
from clipengine.recordings.facts import TagName, TrackNames


class PartWriter(PartAudio):
    """Offers the methods of ClipWriter to the builder of each part, in the time of that part."""

    def __init__(self, writer: ClipWriter, parts: Sequence[PlannedPart], profile: Profile) -> None:
        super().__init__(writer, len(parts), limited=is_limited(profile))
        self._writer = writer
        self._planned = parts
        self._speed = profile.output.tempo
        self._container = profile.container
        self._text_codec = TEXT_CODECS.get(profile.container)
        self._languages: list[TextTrack] = []  # of the text tracks
        self._copied: CopiedVideo | None = None  # of the next part, until its video is added
        self._parameters: tuple[object, ...] | None = None  # of the first part in a clip with copied packets
        self.format: FrameFormat | None = None  # of the video
        self.last_shown: tuple[av.VideoFrame, Fraction] | None = None  # as decoded, and its sample aspect ratio
        self._shown_until: Fraction | None = None  # the end of the last frame, in seconds of the clip
        self._ranges: list[tuple[Fraction, Fraction]] = []  # actual start and end of each part so far

    @property
    def seams(self) -> Seams:
        """The seams of the next part with its neighbours. Read it before the part begins."""
        lead = None if self._shown_until is None else max(Fraction(0), self._shown_until - self._end)
        return Seams(lead, self._number + 2 == self._parts)

    @property
    def seconds(self) -> Fraction:
        """Encoded seconds of the current part."""
        return self._writer.seconds - self.start

    def set_range(self, start: Fraction, end: Fraction) -> None:
        """Set the range of the current part, on which the chapters of the clip depend.

        An MP3 has its chapters in the head. It has no video, so the ranges of its later parts are known.
        """
        self._ranges.append((start, end))
        if self.is_last if self._writer.takes_late_chapters else self.is_first:
            ranges = [*self._ranges, *(part.range for part in self._planned[len(self._ranges) :])]
            self._writer.set_chapters(chapters_of_parts(self._planned, ranges, speed=self._speed))

    def set_tags(self, tags: Mapping[TagName, str]) -> None:
        """Set the tags of the clip, unless a part before has set them: the first part decides."""
        if self.is_first:
            self._writer.set_tags(tags)

    def set_creation_time(self, time: datetime) -> None:
        if self.is_first:
            self._writer.set_creation_time(time)

    def splice(self, copied: CopiedVideo) -> None:
        """Write packets of this stream, and frames that are encoded to fit them, in the next part.

        Raises CannotCopy if its parameters differ from the first part's.
        """
        parameters = copied.bitstream.parameters
        if self._number >= 0 and self._parameters != parameters:
            raise CannotCopy(OTHER_PARAMETERS)
        self._copied, self._parameters = copied, parameters

    @property
    def last_keyframe(self) -> int | None:
        """The id of the latest packet if it is a keyframe in a clip with copied packets."""
        return self._writer.last_keyframe

    @property
    def is_spliced(self) -> bool:
        """True if packets are copied: all frames are encoded to fit them."""
        return self._parameters is not None

    def add_video(
        self, format: FrameFormat, rate: Fraction, *, sample_aspect_ratio: Fraction, names: TrackNames = TrackNames()
    ) -> None:
        """Add the video of the current part. The sample aspect ratio applies to the stored frames."""
        copied, self._copied = self._copied, None
        if self.is_first:
            self.format = format
            if copied is None:
                self._writer.add_video(format, rate, names=names)
            else:
                self._writer.add_spliced_video(copied, rate, sample_aspect_ratio=sample_aspect_ratio, names=names)
        elif self.format is None:
            raise NoMediaInRange("the first part has no video in its range, a later part has: begin with that one")
        elif copied is not None:
            self._writer.expect_keyframe(copied.keyframe_id)

    def end_part(self) -> None:
        super().end_part()
        self._writer.end_part(self._end)

    def write_texts(self, texts: Sequence[TextTrack], start: Fraction, end: Fraction) -> list[TextTrack]:
        """Write the cues of the part, which is `[start, end)` of its recording. Return the tracks that it cannot have.

        The first part adds the text tracks of the clip. Call it after all other streams were added.
        """
        codec = self._text_codec
        if self.is_first:
            self._languages = text_languages(self._planned, (start, end), codec, speed=self._speed)
        if codec is None:
            return self._languages if self.is_first else []
        if self.is_first:
            self._writer.add_texts(codec, self._languages)
        tracks = part_tracks(self._languages, TextRange(texts, start, end), self.start, speed=self._speed)
        self._writer.write_texts([track.samples(codec) or [] for track in tracks])
        return track_samples(cut_tracks(texts, start, end, speed=self._speed), self._container)[1]

    def write_frame(self, frame: av.VideoFrame, time: Fraction, duration: Fraction) -> None:
        self._writer.write_frame(frame, self.start + time, duration)
        self._shown_until = self.start + time + duration

    def write_packet(self, event: VideoPacketEvent) -> None:
        """Copy a packet of the recording, whose time is counted from the start of the part."""
        self._writer.write_packet(replace(event, time=self.start + event.time))

    def expect_keyframe(self, keyframe_id: int) -> None:
        """Encode frames to be followed by a copied keyframe with this id."""
        self._writer.expect_keyframe(keyframe_id)

    def expect_picture(self, event: SeamEvent) -> None:
        """Expect the picture of a copied packet, whose time is counted from the start of the part."""
        self._writer.expect_picture(event._replace(time=self.start + event.time))
