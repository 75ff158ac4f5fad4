"""Segments of a recording's proxy (`clips.plan.proxy`): decoded, converted and encoded like a clip."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction

import av

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.frames import kept_tracks
from clipengine.clips.plan.proxy import ProxySegment, frame_slack, proxy_profile, proxy_segment, proxy_size
from clipengine.media.audio.encoder_format import is_limited
from clipengine.media.audio.tracks import AudioTracks
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import media_errors
from clipengine.media.input.decoding.background_producer import produce_in_background
from clipengine.media.input.decoding.decode import ClipDecoder
from clipengine.media.input.decoding.events import (
    AudioFrameEvent,
    BeginEvent,
    EventSizes,
    NextKeyframeEvent,
    SeamEvent,
    VideoPacketEvent,
)
from clipengine.media.input.read_request import ReadRequest
from clipengine.media.input.seeking.seekers import open_seeker
from clipengine.media.output.fragment_writer import AAC_SAMPLES, FragmentWriter, aac_rate
from clipengine.media.video.convert import FrameConverter
from clipengine.media.video.deinterlace import deinterlace
from clipengine.media.video.flatten_alpha import AlphaFlattener
from clipengine.media.video.frame_durations import with_durations
from clipengine.media.video.frame_format import BT709, LIMITED, Colors, FrameFormat
from clipengine.recordings.facts import AudioFacts, SourceFacts, VideoFacts
from clipengine.recordings.seek_index import SeekIndex

_SMPTE170M = 6  # of ITU-T H.273; the colours of SD video, which players assume if it has no tags
_HD_LINES = 720
_WARM_PACKETS = 8  # encoded before and after the audio of a segment, so that the encoder decides as if for the whole
_BLACK = (16, 128, 128)


def read_segment(request: ReadRequest) -> bytes:
    """Return a `segment` of the proxy with this many `lines`, or its header, which is named "init"."""
    number, lines = request.values["segment"], request.values["lines"]
    if number == "init":
        return make_init(request.facts, lines=lines)
    return make_segment(
        request.source,
        request.facts,
        number=number,
        lines=lines,
        threads=request.threads,
        seek_index=request.seek_index,
    )


def make_init(facts: SourceFacts, *, lines: int) -> bytes:
    """Return the initialization segment. Nothing is decoded: it depends on the facts only."""
    segment, profile = ProxySegment(Fraction(0), Fraction(1), is_first=True, is_last=True), proxy_profile(facts, lines)
    audio = _Audio(facts, profile, segment)
    writer = FragmentWriter(profile, 1)
    if facts.video is not None:
        _Video(writer, facts.video, profile, segment, lines).finish()
    audio.tracks(writer).finish(())
    return writer.finish()[0]


def make_segment(
    source: ByteSource,
    facts: SourceFacts,
    *,
    number: int,
    lines: int,
    threads: int,
    seek_index: SeekIndex | None = None,
) -> bytes:
    """Return a segment. Raises RecordingError."""
    segment, profile = proxy_segment(facts.duration, number), proxy_profile(facts, lines)
    audio = _Audio(facts, profile, segment)
    writer = FragmentWriter(profile, threads)
    video = None if facts.video is None else _Video(writer, facts.video, profile, segment, lines)
    tracks = audio.tracks(writer)
    cut = _range(facts, segment, audio)
    with (
        MediaReader(source) as reader,
        media_errors(reader),
        open_seeker(reader, facts, cut, video=video is not None, audio=audio.indexes, seek_index=seek_index) as seeker,
    ):
        decoder = ClipDecoder(seeker, cut, threads=threads)
        flattener = AlphaFlattener(facts.video.codec if facts.video else "")
        frames = lambda: flattener.events(deinterlace(decoder.events()))  # noqa: E731
        origin = cut.start
        with closing(produce_in_background(frames, EventSizes())) as events:
            for event in with_durations(events, None, cut):
                if isinstance(event, BeginEvent):
                    origin = event.origin
                elif isinstance(event, AudioFrameEvent):
                    tracks.write_audio(event)
                elif not isinstance(event, VideoPacketEvent | SeamEvent | NextKeyframeEvent) and video is not None:
                    frame, shown = event
                    video.add(frame.frame, origin + frame.time, origin + frame.time + shown)
    if video is not None:
        video.finish()
    tracks.finish(())
    return writer.finish()[1]


def _range(facts: SourceFacts, segment: ProxySegment, audio: _Audio) -> CutRange:
    """Return the range to decode, with the neighbours of the first and last frames and the audio around."""
    frame_seconds, tick, margin = Fraction(0), Fraction(0), audio.margin
    if facts.video is not None:
        frame_seconds, tick = facts.video.frame_seconds, facts.video.tick
        margin = max(margin, 3 * frame_slack(facts.video))
    return CutRange(
        max(Fraction(0), segment.start - margin), min(facts.duration, segment.end + margin), frame_seconds, tick
    )


class _Audio:
    """The audio track of a segment, which is divided at multiples of an AAC packet."""

    def __init__(self, facts: SourceFacts, profile: Profile, segment: ProxySegment) -> None:
        self._profile = profile
        self._kept = tuple(_at_aac_rate(track) for track in kept_tracks(profile, facts.audio))
        self._rate = self._kept[0].sample_rate if self._kept else 1
        first, last = self._packet(segment.start), self._packet(segment.end)
        self._samples = range(first * AAC_SAMPLES, (last + segment.is_last) * AAC_SAMPLES)
        warm = _WARM_PACKETS * AAC_SAMPLES
        self._written = range(
            max(0, self._samples.start - warm),
            round(segment.end * self._rate) if segment.is_last else self._samples.stop + warm,
        )
        self.margin = Fraction(warm + 2 * AAC_SAMPLES, self._rate) if self._kept else Fraction(0)

    @property
    def indexes(self) -> list[int]:
        return [track.index for track in self._kept]

    def tracks(self, writer: FragmentWriter) -> AudioTracks:
        writer.set_audio_range(self._written.start, self._samples)
        start, end = (Fraction(sample, self._rate) for sample in (self._written.start, self._written.stop))
        return AudioTracks(writer, self._kept, mix=False, origin=start, end=end, limited=is_limited(self._profile))

    def _packet(self, time: Fraction) -> int:
        return int(time * self._rate) // AAC_SAMPLES


def _at_aac_rate(track: AudioFacts) -> AudioFacts:
    return track.model_copy(update={"sample_rate": aac_rate(track.sample_rate)})


class _Video:
    """Selects and writes the frames of a segment."""

    def __init__(
        self, writer: FragmentWriter, video: VideoFacts, profile: Profile, segment: ProxySegment, lines: int
    ) -> None:
        self._writer = writer
        self._video = video
        self._profile = profile
        self._segment = segment
        self._slack = slack = frame_slack(video)
        self._first = segment.start if segment.is_first else segment.start - slack / 2
        self._end = segment.end if segment.is_last else segment.end - slack / 2
        self._format = _format(video, lines)
        self._converter: FrameConverter | None = None
        self._held: av.VideoFrame | None = None  # is on screen until the first frame of the segment
        self._written_to: Fraction | None = None
        rate = video.rate or Fraction(25)
        writer.add_video(self._format, min(max(rate, Fraction(1)), Fraction(240)))

    def add(self, frame: av.VideoFrame, start: Fraction, end: Fraction) -> None:
        """Add a frame of the recording, in order, that is shown from `start` to `end` (recording time)."""
        if start < self._first:
            self._held = frame
        elif start < self._end:
            if self._written_to is None and start > self._segment.start + self._slack:
                self._hold(start)
            self._write(self._convert(frame), start, end)
        elif self._written_to is None:
            self._hold(start)

    def finish(self) -> None:
        """Hold the last frame up to the end of the segment, if there is none of it."""
        if self._written_to is None:
            self._hold(self._segment.end)

    def _hold(self, until: Fraction) -> None:
        frame = _black(self._format) if self._held is None else self._convert(self._held)
        self._write(frame, self._segment.start, until)

    def _write(self, frame: av.VideoFrame, start: Fraction, end: Fraction) -> None:
        """Write a frame; if the next segment begins with a held one, it ends there."""
        segment = self._segment
        latest = segment.end if segment.is_last or end > segment.end + self._slack else end
        self._written_to = min(end, latest)
        self._writer.write_frame(frame, start, self._written_to)

    def _convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        if self._converter is None:
            ratio = self._video.sample_aspect_ratio
            self._converter = FrameConverter(self._profile, frame, ratio, target=self._format)
        return self._converter.convert(frame)


def _format(video: VideoFacts, lines: int) -> FrameFormat:
    """Return the format of all frames of the proxy, with the colours that players assume for the recording's size."""
    width, height = proxy_size(video, lines)
    code = BT709 if min(video.width, video.height) >= _HD_LINES else _SMPTE170M
    return FrameFormat(width, height, "yuv420p", Fraction(1), Colors(code, LIMITED, code, code))


def _black(format: FrameFormat) -> av.VideoFrame:
    frame = av.VideoFrame(format.width, format.height, format.pixel_format)
    for plane, value in zip(frame.planes, _BLACK, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame
