"""Encoders and muxer of a clip, writing to an inherited descriptor.

The muxer gets file objects and no path. MP4's second pass, which moves the index to the front, reads the same
descriptor.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Any

import av
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from clipengine.clips.options.profiles import Profile
from clipengine.clips.texts.chapters import Chapter
from clipengine.clips.texts.subtitles import Sample, TextCodec, TextTrack
from clipengine.media.audio.encoder_format import AAC_OPTIONS, encoder_format, encoder_rate
from clipengine.media.input.decoding.events import CopiedVideo, SeamEvent, VideoPacketEvent
from clipengine.media.input.timing.timeline import Clock, as_fraction
from clipengine.media.output.animation import Animation
from clipengine.media.output.background_encoder import BackgroundEncoder
from clipengine.media.output.gif import GifAnimation
from clipengine.media.output.packet_verifier import PacketVerifier
from clipengine.media.output.segmented_video import Layout, SegmentedVideo, segment_layout
from clipengine.media.output.spliced_video import SplicedPacket, SplicedVideo
from clipengine.media.output.video_encoder import (
    VIDEO_ENCODERS,
    VIDEO_TIME_BASE,
    open_beside,
    set_up_encoder,
)
from clipengine.media.output.webp import WebpAnimation
from clipengine.media.output.writable_file import WritableFile, WriterErrors
from clipengine.media.video.frame_format import Colors, FrameFormat
from clipengine.recordings.facts import TagName, TrackNames

_CLOCK = Clock(VIDEO_TIME_BASE)
_MILLISECOND = Fraction(1, 1000)
_MICROSECONDS = 1_000_000
_INTERLEAVED_SECONDS = 10  # that the muxer waits for packets of another stream, by default
# Audio is encoded in bursts: the encoders of audio and video then evict each other's data from the caches less often.
_BURST_SAMPLES = 16 * 1024
_WAITING_BURSTS = 4  # of a track
_MUXERS = {
    "mp4": "mp4", "webm": "webm", "mkv": "matroska", "m4a": "ipod", "mp3": "mp3", "gif": "gif", "webp": "webp",
}  # fmt: skip
_MOV_FAMILY = ("mp4", "m4a")
_HEVC_TAG = "hvc1"  # Apple's players require it
_AUDIO_ENCODERS = {"aac": "aac", "opus": "libopus", "mp3": "libmp3lame"}


# MP4 stores the style of its texts; its encoder takes it from a header of SubStation Alpha.
_TEXT_STYLE = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def set_audio_format(context: Any, profile: Profile, *, rate: int, channels: int) -> tuple[str, str]:
    """Set up an audio encoder of the profile, and return the sample format and the channel layout that it needs."""
    format, layout = encoder_format(profile.audio, channels)
    context.layout, context.format = layout, format
    context.bit_rate = profile.audio_bitrate
    context.time_base = Fraction(1, rate)
    if profile.audio == "aac":
        context.options = dict(AAC_OPTIONS)
    return format, layout


@dataclass
class _AudioTrack:
    """An audio track and the frames of its next burst."""

    encoder: BackgroundEncoder
    burst: list[av.AudioFrame] = field(default_factory=list)
    samples: int = 0

    def encode(self, frame: av.AudioFrame) -> Iterable[Packet[Any]]:
        """Add a frame, and return the packets that are ready."""
        self.burst.append(frame)
        self.samples += frame.samples
        if self.samples < _BURST_SAMPLES:
            return ()
        self._put()
        return self.encoder.ready()

    def finish(self) -> Iterable[Packet[Any]]:
        """Return all other packets."""
        self._put()
        self.encoder.end()
        return self.encoder.remaining()

    def _put(self) -> None:
        self.encoder.put(*self.burst)
        self.burst, self.samples = [], 0


class ClipWriter:
    """Encodes and muxes one clip. Create it with `open_writer`, add the streams, write frames, then call `finish`."""

    def __init__(
        self,
        container: Any,
        file: WritableFile,
        profile: Profile,
        threads: int,
        length: Fraction,
        verifier: PacketVerifier | None,
    ) -> None:
        self._container = container
        self._verifier = verifier
        self._file = file
        self._errors = WriterErrors(file)
        self._profile = profile
        self._threads = threads
        self._length = length
        self._video: VideoStream | SegmentedVideo | None = None
        self._spliced: SplicedVideo | None = None  # instead of `_video` if packets are copied
        self._animation: Animation | None = None  # instead of `_video` in a GIF or a WebP
        self._audio: list[_AudioTrack] = []
        self._texts: list[Any] = []
        self._unit = VIDEO_TIME_BASE.denominator // 1000 if profile.container in ("webm", "mkv") else 1
        self._last_pts: int | None = None
        self._durations: dict[int, int] = {}  # pts -> duration, of frames inside the encoder
        self.frames = 0
        self.seconds = Fraction(0)  # encoded so far

    def set_creation_time(self, time: datetime) -> None:
        """Set the clip's creation time, in UTC. Call before the first frame is written."""
        self._container.metadata["creation_time"] = time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def set_tags(self, tags: Mapping[TagName, str]) -> None:
        """Set the descriptions of the clip. Call before the first frame is written."""
        self._container.metadata.update(tags)

    @property
    def takes_late_chapters(self) -> bool:
        """False if the chapters are in the head of the file."""
        return self._profile.container != "mp3"

    def set_chapters(self, chapters: Sequence[Chapter]) -> None:
        """Set the clip's chapters. Call before the first frame is written for MP3, or else before `finish`."""
        entries = [
            {"id": number, "start": start, "end": end, "time_base": _MILLISECOND, "metadata": {"title": title}}
            for number, (start, end, title) in enumerate(chapters, 1)
        ]
        if entries:
            self._container.set_chapters(entries)

    def add_video(self, format: FrameFormat, rate: Fraction, *, names: TrackNames = TrackNames()) -> None:
        """Add the video stream.

        `rate` is the nominal frame rate for rate control and players; it does not change the frames' times.
        """
        profile = self._profile
        if profile.is_animation:
            make = GifAnimation if profile.container == "gif" else WebpAnimation
            self._animation = self._animation or make(self._container, self._file, profile, format)
            return
        stream = self._container.add_stream(VIDEO_ENCODERS[profile.video], rate=rate.limit_denominator(100_000))
        context = stream.codec_context
        layout = self._layout(format, rate)
        set_up_encoder(context, profile, format, threads=self._threads if layout is None else 1)
        if profile.video == "hevc" and profile.container in _MOV_FAMILY:
            context.codec_tag = _HEVC_TAG
        colors = format.colors
        if profile.container == "mp4" and colors.range and colors == Colors(range=colors.range):
            # x264 does not write the colour range if no other colour tag is set; the container can.
            self._container.container_options["movflags"] += "+write_colr"
        self._name(stream, names)
        self._video = stream
        if layout is not None:
            # Audio waits in the muxer until the packets of its time are encoded.
            waits = _INTERLEAVED_SECONDS + layout.ahead / rate
            self._container.container_options["max_interleave_delta"] = str(round(waits * _MICROSECONDS))
            threads = self._threads // layout.encoders
            open_encoder = partial(open_beside, context, profile, format, threads=threads)
            with self._errors:
                self._video = SegmentedVideo(stream, open_encoder, layout, unit=self._unit)

    def _layout(self, format: FrameFormat, rate: Fraction) -> Layout | None:
        """Return the segments to encode side by side. With a bit rate, one encoder must see all frames."""
        if self._profile.video != "h264" or self._profile.video_bitrate is not None:
            return None
        return segment_layout(self._threads, int(self._length * rate), format)

    def add_spliced_video(
        self,
        copied: CopiedVideo,
        rate: Fraction,
        *,
        sample_aspect_ratio: Fraction,
        names: TrackNames = TrackNames(),
    ) -> None:
        """Add a video stream of copied packets and of frames that are encoded to fit them."""
        stream = self._container.add_stream_from_template(copied.stream)
        stream.time_base = stream.codec_context.time_base = VIDEO_TIME_BASE
        stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        stream.codec_context.framerate = rate.limit_denominator(100_000)  # Matroska has no other durations without it
        if self._profile.video == "hevc" and self._profile.container in _MOV_FAMILY:
            stream.codec_context.codec_tag = _HEVC_TAG
        self._name(stream, names)
        self._spliced = SplicedVideo(
            stream,
            copied,
            preset=self._profile.preset,
            rate=rate,
            threads=self._threads,
            unit=self._unit,
        )

    @property
    def last_keyframe(self) -> int | None:
        return None if self._spliced is None else self._spliced.last_keyframe

    def expect_keyframe(self, keyframe_id: int) -> None:
        """Encode frames to be followed by a copied keyframe with this id."""
        assert self._spliced is not None
        self._spliced.expect_keyframe(keyframe_id)

    def end_part(self, end: Fraction) -> None:
        """End the video of a part of the clip at `end` (clip time)."""
        if self._spliced is not None:
            with self._errors:
                self._mux_spliced(self._spliced.end_part(end))

    def add_audio(self, *, rate: int, channels: int, names: TrackNames) -> tuple[str, str]:
        """Add an audio track and return the sample format and channel layout that its encoder needs."""
        codec = self._profile.audio
        chosen = encoder_rate(codec, rate)
        stream = self._container.add_stream(_AUDIO_ENCODERS[codec], rate=chosen)
        self._name(stream, names)
        format = set_audio_format(stream.codec_context, self._profile, rate=chosen, channels=channels)
        with self._errors:
            stream.codec_context.open()
        # In a thread, because it takes half of the time of a clip whose packets are copied.
        encoder = BackgroundEncoder(lambda: stream, threading.Semaphore(_WAITING_BURSTS))
        self._audio.append(_AudioTrack(encoder))
        return format

    def _name(self, stream: Any, names: TrackNames) -> None:
        if names.language:
            stream.metadata["language"] = names.language
        if names.roles:
            stream.disposition = Disposition(names.roles)
        if names.title:
            stream.metadata["handler_name" if self._profile.container in _MOV_FAMILY else "title"] = names.title

    def add_texts(self, codec: TextCodec, tracks: Iterable[TextTrack]) -> None:
        """Add a text track for each of the tracks. Call it after all other streams were added."""
        for track in tracks:
            stream = self._container.add_stream(codec)
            stream.codec_context.subtitle_header = _TEXT_STYLE
            stream.codec_context.time_base = stream.time_base = _MILLISECOND
            stream.metadata["language"] = track.alpha3
            self._texts.append(stream)

    def write_texts(self, tracks: Iterable[Sequence[Sample]]) -> None:
        """Write samples of each text track.

        The muxer interleaves them with the packets of video and audio.
        """
        with self._errors:
            for stream, samples in zip(self._texts, tracks, strict=True):
                for start, end, data in samples:
                    packet = Packet(data)
                    packet.stream, packet.time_base = stream, _MILLISECOND
                    packet.pts = packet.dts = start
                    packet.duration = end - start
                    packet.is_keyframe = True
                    self._container.mux_one(packet)

    def write_frame(self, frame: av.VideoFrame, time: Fraction, duration: Fraction) -> None:
        """Encode a frame that is shown at `time` (clip time) for `duration` seconds."""
        self.frames += 1
        self.seconds = max(self.seconds, time)
        if self._animation is not None:
            with self._errors:
                self._mux(self._animation.encode(frame, time, duration))
            return
        # pts must increase, in the container's time base too.
        earliest = 0 if self._last_pts is None else self._last_pts + self._unit
        frame.pts = self._last_pts = max(_CLOCK.stamp(time), earliest)
        frame.time_base = VIDEO_TIME_BASE
        frame.duration = max(self._unit, _CLOCK.stamp(time + duration) - frame.pts)
        frame.pict_type = 0
        self._durations[frame.pts] = frame.duration
        with self._errors:
            if self._spliced is not None:
                self._mux_spliced(self._spliced.encode(frame))
            elif self._video is not None:
                for packet in self._video.encode(frame):
                    self._mux_video(packet)

    def write_packet(self, event: VideoPacketEvent) -> None:
        """Copy a packet of the recording."""
        assert self._spliced is not None
        with self._errors:
            self._mux_spliced(self._spliced.copy(event))
        self.frames += 1
        self.seconds = max(self.seconds, event.time)

    def expect_picture(self, event: SeamEvent) -> None:
        """Expect the picture that a copied packet must show."""
        assert self._spliced is not None
        if self._verifier is not None:
            self._verifier.expect(self._spliced.stream, self._spliced.ticks(event.time), event.picture)

    def write_audio(self, track: int, frame: av.AudioFrame) -> None:
        """Encode a frame of an audio track, which the caller must not change any more."""
        if self._video is None and self._spliced is None and track == 0:
            self.seconds = (frame.pts or 0) * as_fraction(frame.time_base or 1)
        with self._errors:
            self._mux(self._audio[track].encode(frame))

    def end_sampling(self) -> None:
        """End the first of two passes over the clip. All frames are to be written again."""
        if self._animation is not None:
            self._animation.end_sampling()
        self.frames, self.seconds = 0, Fraction(0)

    def finish(self, on_packet: Callable[[], None] = lambda: None) -> None:
        """Flush the encoders, write the index, sync the file to disk and free the encoders.

        `on_packet` is called for each packet of video, as encoders may still have many frames.
        """
        with self._errors:
            if self._animation is not None:
                self._mux(self._animation.flush())
                self.frames = self._animation.frames
            if self._video is not None:
                for packet in self._flushed(self._video):
                    self._mux_video(packet)
                    on_packet()
            for audio in self._audio:
                self._mux(audio.finish())
            self._container.close()
            if self._animation is not None:
                self._animation.end_file()
            os.fsync(self._file._descriptor)
        # Encoders hold dozens of frames: free them before verification.
        self._video = self._spliced = self._animation = None
        self._audio = []

    def close(self) -> None:
        """Stop the encoders of a clip that was not finished."""
        for audio in self._audio:
            audio.encoder.stop()
        if isinstance(self._video, SegmentedVideo):
            self._video.close()

    def _flushed(self, video: VideoStream | SegmentedVideo) -> Iterable[Packet[Any]]:
        """Return the last packets of the video."""
        if isinstance(video, SegmentedVideo):
            return video.finish()
        packets = video.encode(None)
        if len(packets) == self.frames:
            _set_decoding_times(packets)
        return packets

    def _mux_video(self, packet: Packet[Any]) -> None:
        """Restore the duration, which SVT-AV1 drops, and mux. Otherwise the last frame gets the usual duration."""
        packet.duration = self._durations.pop(packet.pts or 0, packet.duration or 0)
        self._mux((packet,))

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            if self._verifier is not None:
                self._verifier.add(packet)
            self._container.mux_one(packet)

    def _mux_spliced(self, packets: Iterable[SplicedPacket]) -> None:
        for packet, checksum, original in packets:
            if self._verifier is not None:
                self._verifier.add_spliced(packet, checksum=checksum, original=original)
            self._container.mux_one(packet)


def _set_decoding_times(packets: Sequence[Packet[VideoStream]]) -> None:
    """Set the decoding times of all packets of a clip.

    x265 leaves them undefined if it gets fewer frames than it delays.
    """
    times = sorted(packet.pts or 0 for packet in packets)
    delay = max((time - (packet.pts or 0) for time, packet in zip(times, packets, strict=True)), default=0)
    for time, packet in zip(times, packets, strict=True):
        packet.dts = time - delay


@contextmanager
def open_writer(
    descriptor: int,
    profile: Profile,
    *,
    threads: int,
    length: Fraction = Fraction(0),
    verifier: PacketVerifier | None = None,
    kept_free: int = 0,
) -> Iterator[ClipWriter]:
    """Open a writer to the empty, seekable, readable file behind the descriptor.

    `length` is about the clip's length in seconds: with many threads, a long one is encoded in segments side by side.
    Every packet is added to `verifier` before it is muxed. At least `kept_free` bytes stay free on the disk.
    """
    file = WritableFile(descriptor, kept_free=kept_free)
    options = {"flush_packets": "0"}  # write full buffers instead of one call per packet
    if profile.container in ("webm", "mkv"):
        # Without random numbers for its parts, the same clip has the same bytes.
        options |= {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
    if profile.container in _MOV_FAMILY:
        # Edit lists use the movie time scale; at the default of 1000 the last frame could start after the end.
        options |= {"movflags": "+faststart", "movie_timescale": str(VIDEO_TIME_BASE.denominator)}
    with WriterErrors(file):
        container = av.open(
            file,
            "w",
            format=_MUXERS[profile.container],
            container_options=options,
            io_open=lambda url, flags, options: WritableFile(descriptor, writable=False),
            buffer_size=1024 * 1024,
        )
        writer = ClipWriter(container, file, profile, threads, length, verifier)
        try:
            yield writer
        finally:
            writer.close()
            container.close()
