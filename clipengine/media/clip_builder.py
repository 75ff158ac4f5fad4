"""Building of a clip from the events of its decoder: frames are converted, then everything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import av

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.effects import Effects, PartClock, effect_steps, effects_of
from clipengine.clips.options.framing import Size
from clipengine.clips.options.picture_size import Picture, PictureSize
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.frame_count import HELD_SECONDS
from clipengine.clips.plan.segments import NO_VIDEO_AT_START, CannotCopy
from clipengine.clips.removed import NOTHING, Removed
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.warnings import picture_held, picture_resized, subtitles_not_drawn, text_lost, warning
from clipengine.media.audio.encoder_format import is_limited
from clipengine.media.audio.loudness import Gains
from clipengine.media.audio.tracks import AudioTracks
from clipengine.media.input.copying.packet_copier import PacketCopier
from clipengine.media.input.decoding.decode import ClipDecoder
from clipengine.media.input.decoding.events import (
    AudioFrameEvent,
    BeginEvent,
    Event,
    NextKeyframeEvent,
    SeamEvent,
    VideoFrameEvent,
    VideoPacketEvent,
)
from clipengine.media.input.decoding.timelapse import TimelapseDecoder
from clipengine.media.output.part_writer import PartWriter
from clipengine.media.video.captions import Captions
from clipengine.media.video.convert import FrameConverter, jpeg
from clipengine.media.video.frame_durations import with_durations
from clipengine.media.video.frame_format import FrameFormat
from clipengine.media.video.gaps import GapCounter
from clipengine.media.video.overlay import WatermarkImage
from clipengine.media.video.removed_frames import without_removed
from clipengine.recordings.facts import AudioFacts, SourceFacts, VideoFacts

if TYPE_CHECKING:  # it imports Pillow
    from clipengine.media.video.caption_painter import Font

CutStep = Literal["reading", "encoding", "verifying"]
# Called with the step and the encoded part of the clip, 0 to 1.
OnProgress = Callable[[CutStep, float], None]


class PictureSizeChanges(Exception):
    """The range shows pictures of several sizes or shapes: choose the size of the clip first.

    `seen` has the size of the first picture and another one.
    """

    def __init__(self, seen: PictureSize) -> None:
        super().__init__(seen)
        self.seen = seen


class ClipContents(NamedTuple):
    """The range of a clip and the streams that it contains.

    The `picture` is the size that was chosen for the clip, or None if all pictures are taken to have one size. The
    times of the texts are on the timeline without the ranges that are `removed`.
    """

    cut: CutRange
    video: bool
    audio: tuple[AudioFacts, ...]
    texts: tuple[TextTrack, ...] = ()
    burnt: TextTrack | None = None
    caption_style: CaptionStyle | None = None
    picture: PictureSize | None = None
    removed: Removed = NOTHING

    @property
    def kept(self) -> CutRange:
        """The range on the timeline that is left of it."""
        return replace(self.cut, end=self.cut.end - self.removed.seconds)


class Drawing(NamedTuple):
    """Watermark that is drawn over the frames of a clip, and the fonts of its captions."""

    watermark: WatermarkImage | None = None
    fonts: tuple[Font, ...] = ()


class ClipBuilder:
    """Converts and writes the decoder's events of a clip or a part, and collects the values of the result."""

    def __init__(
        self,
        writer: PartWriter,
        profile: Profile,
        facts: SourceFacts,
        clip: ClipContents,
        poster: bool,
        on_progress: OnProgress,
        gains: Gains,
        drawing: Drawing,
    ) -> None:
        self._writer = writer
        self._profile = profile
        self._facts = facts
        self._clip = clip
        self._cut = cut = clip.cut
        self._kept = clip.kept
        self._want_poster = poster
        self._on_progress = on_progress
        self._gains = gains
        self._drawing = drawing
        self._captions: Captions | None = None
        self._speed = profile.output.tempo
        self._effects = Effects()
        self._poster_from = Fraction(0)
        self._converter: FrameConverter | None = None
        self._set_origin(cut.start)
        self.has_video = False
        self._begun = False  # a frame or a packet was written
        self.encoded_seconds = Fraction(0)  # of the frames that were encoded
        self.poster: bytes | None = None
        self.audio: AudioTracks | None = None
        self._lost_texts: list[TextTrack] = []
        self._seams = writer.seams
        self._held = Fraction(0)  # seconds at the start of the part without a frame of its recording
        constant_rate = profile.fps is None and facts.video is not None and not facts.video.variable_rate
        self._frame_seconds = cut.frame_seconds / self._speed
        self._gaps = GapCounter(self._frame_seconds if constant_rate else Fraction(0))

    def _set_origin(self, origin: Fraction) -> None:
        self.origin = origin
        self.length = (self._kept.end - origin) / self._speed  # of the clip, in seconds

    @property
    def width(self) -> int | None:
        return self._converter.format.width if self._converter else None

    @property
    def height(self) -> int | None:
        return self._converter.format.height if self._converter else None

    def run(self, events: Iterator[Event], resume_times: Mapping[int, Fraction]) -> None:
        """Write all events. After the last one, `resume_times` says when each stream continues after the clip."""
        kept = events if not self._clip.removed.spans else without_removed(events, self._clip.removed, self._cut)
        for event in with_durations(kept, self._profile.fps, self._kept, speed=self._speed, seams=self._seams):
            if isinstance(event, BeginEvent):
                self._begin(event)
            elif isinstance(event, AudioFrameEvent):
                self._write_audio(event)
            elif isinstance(event, VideoPacketEvent):
                self._write_packet(event)
            elif isinstance(event, SeamEvent):
                self._writer.expect_picture(event)
            elif isinstance(event, NextKeyframeEvent):
                self._writer.expect_keyframe(event.keyframe_id)
            else:
                frame, duration = event
                self._write_frame(frame, duration)
        self._gaps.settle()
        if self._facts.video is not None and self._facts.video.index in resume_times:
            resumes = self._clip.removed.place(resume_times[self._facts.video.index])
            following = (resumes - self.origin) / self._speed
            self._gaps.finish(following, self.length)
        if self.audio is not None:
            self.audio.finish(resume_times)
        self._writer.end_part()

    def _begin(self, begin: BeginEvent) -> None:
        self._set_origin(begin.origin)
        writer = self._writer
        writer.begin_part(self.length)
        self._effects = effects_of(
            self._profile.output,
            self.length,
            start=writer.start,
            first=writer.is_first,
            last=writer.is_last,
            clock=PartClock(lambda time: self._clip.removed.place(time) - self.origin, self._clip.removed.ends),
        )
        self._poster_from = min(self._effects.fade_in, self.length / 2)  # frames before it are darker
        if self._facts.creation_time is not None:
            self._writer.set_creation_time(self._facts.creation_time + timedelta(seconds=float(self.origin)))
        self._writer.set_tags(self._facts.tags)
        self._writer.set_range(self.origin, self._kept.end)
        if begin.frame is not None and self._facts.video is not None:
            picture = self._clip.picture
            video = self._facts.video if picture is None else picture.applied_to(self._facts.video)
            self._converter = self._make_converter(begin.frame, video.sample_aspect_ratio, picture)
            self._add_video(begin.frame, self._converter, self._facts.video)
            self.has_video = True
        else:
            self._hold(self.length)
        self.audio = AudioTracks(
            self._writer,
            self._clip.audio,
            self._effects,
            mix=self._profile.audio_tracks == "mix",
            origin=self.origin,
            end=self._cut.end,
            gains=self._gains.decibels,
            removed=self._clip.removed,
            limited=is_limited(self._profile),
        )
        self._lost_texts = self._writer.write_texts(self._clip.texts, self.origin, self._kept.end)

    def _make_converter(
        self, frame: av.VideoFrame, sample_aspect_ratio: Fraction, size: PictureSize | None = None
    ) -> FrameConverter:
        return FrameConverter(
            self._profile,
            frame,
            sample_aspect_ratio,
            size=None if size is None else size[:2],
            target=self._writer.format,
            effects=self._effects,
            watermark=self._drawing.watermark,
            captions=None if self._clip.burnt is None else partial(self._captions_in, self._clip.burnt),
        )

    def _captions_in(self, burnt: TextTrack, format: FrameFormat) -> Captions:
        """Return the captions of the part, all of whose frames have this format."""
        if self._captions is None:
            self._captions = Captions(
                burnt,
                self._drawing.fonts,
                self.origin,
                self._speed,
                canvas=Size(format.width, format.height),
                sample_aspect_ratio=format.sample_aspect_ratio,
                style=self._clip.caption_style,
                frame_seconds=self._step,
            )
        return self._captions

    def _add_video(self, frame: av.VideoFrame, converter: FrameConverter, facts: VideoFacts) -> None:
        if self._writer.is_spliced:
            converter.check_kept(frame)
            self._make_poster(converter.convert(frame) if self._want_poster else frame)
        ratio = facts.sample_aspect_ratio
        self._writer.add_video(converter.format, self._rate(), sample_aspect_ratio=ratio, names=facts.names)

    def _rate(self) -> Fraction:
        if self._profile.fps is not None:
            return Fraction(str(self._profile.fps))
        distance = self._frame_seconds
        return min(max(1 / distance, Fraction(1)), Fraction(240)) if distance > 0 else Fraction(25)

    @property
    def _step(self) -> Fraction:
        """The usual distance of two frames of the clip."""
        return self._frame_seconds if self._profile.fps is None else 1 / self._rate()

    def _write_frame(self, event: VideoFrameEvent, duration: Fraction) -> None:
        assert self._converter is not None
        spliced = self._writer.is_spliced
        if self._clip.picture is None and not spliced and not self._converter.fits(event.frame):
            other = Picture(event.frame.width, event.frame.height, self._converter.ratio_of(event.frame))
            raise PictureSizeChanges(PictureSize(*self._converter.stored, (other,)))
        self._begin_video(event.time)
        self._gaps.add(event.time)
        self.encoded_seconds += duration
        for time, shown in self._steps(event.time, duration, self._step):
            # A stream with copied packets keeps the recording's display matrix: its frames are not rotated.
            if spliced:
                self._converter.check_kept(event.frame)
            frame = event.frame if spliced else self._converter.convert(event.frame, time, shown)
            if time >= self._poster_from:
                self._make_poster(frame)
            self._writer.write_frame(frame, time, shown)
        self._writer.last_shown = event.frame, self._converter.ratio_of(event.frame)
        self._report()

    @property
    def _begins(self) -> Fraction:
        """The time of the first frame to write, 0 except at a constant rate."""
        return Fraction(0) if self._profile.fps is None else self._seams.lead or Fraction(0)

    def _hold(self, until: Fraction) -> None:
        """Show the last frame of the parts before this one until its own video begins."""
        if self._writer.is_spliced and not self._writer.is_first:
            raise CannotCopy(NO_VIDEO_AT_START)  # the frame before it may not have been decoded
        if self._writer.last_shown is None or self._writer.is_first:
            return
        self._held = until
        frame, ratio = self._writer.last_shown
        converter = self._make_converter(frame, ratio)  # draws the watermark and the captions of this part
        start, step = self._begins, until if self._profile.fps is None else 1 / self._rate()
        while start < until:
            shown = min(step, until - start) if self._profile.fps is None or self._seams.is_last else step
            for time, duration in self._steps(start, shown, self._frame_seconds):
                self._writer.write_frame(converter.convert(frame, time, duration), time, duration)
            start += shown

    def _steps(self, time: Fraction, duration: Fraction, step: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
        """Yield time and duration of each frame to write for a frame, which may be held while it changes."""
        fades = self._profile.fps is None  # at a set rate no frame is repeated for a fade
        for start, shown in effect_steps(time, duration, self._effects, step=self._frame_seconds, fades=fades):
            if self._captions is None:
                yield start, shown
            else:
                yield from self._captions.steps(start, shown, step=step)

    def _begin_video(self, time: Fraction) -> None:
        """Hold the frame before the part if its first own one is shown at `time`, later than the part begins."""
        if not self._begun and time > self._begins + HELD_SECONDS:
            self._hold(time)
        self._begun = True

    def _write_packet(self, event: VideoPacketEvent) -> None:
        self._begin_video(event.time)
        self._gaps.add_unordered(event.time)
        self._writer.write_packet(event)
        self._report()

    def _make_poster(self, frame: av.VideoFrame) -> None:
        if self._want_poster and self.poster is None:
            self.poster = jpeg(frame)

    def _report(self) -> None:
        self._on_progress("encoding", min(1.0, float(self._writer.seconds) / float(self.length)))

    def _write_audio(self, event: AudioFrameEvent) -> None:
        assert self.audio is not None
        self.audio.write_audio(event)
        if not self.has_video:
            self._report()

    def warnings(self, decoder: ClipDecoder | TimelapseDecoder | PacketCopier) -> Iterator[str]:
        """Yield the warnings that making the clip has added to the `known_warnings`."""
        yield from self._picture_warnings()
        yield from (text_lost(track.language, self._profile.container) for track in self._lost_texts)
        if self._captions is not None:
            yield from self._captions.warnings()
        elif self._clip.burnt is not None:
            yield subtitles_not_drawn(self._clip.burnt.language)
        yield from decoder.damage.warnings()
        yield from self._gaps.warnings()
        if self.audio is not None:
            yield from self.audio.warnings()

    def _picture_warnings(self) -> Iterator[str]:
        if self._clip.picture is not None and self._clip.picture.others:
            yield picture_resized(self._clip.picture)
        if self._held:
            yield picture_held(self._held)
        elif self._clip.video and not self.has_video:
            yield warning("picture_missing", "the recording has no video in the range: the clip has audio only")
        if self._converter is not None and self._converter.keeps_hdr:
            yield warning("hdr_kept", "the video is HDR and was kept as HDR, in 10 bits with its colour tags")
