"""Cutting: write one range of a recording to a file as a verified clip."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Literal, NamedTuple

from clipengine.clips.facts import AudioFacts, SourceFacts
from clipengine.clips.plan import CutRange, kept_tracks
from clipengine.clips.profiles import Profile
from clipengine.clips.seek_index import SeekIndex
from clipengine.clips.warnings import loss_warnings, warning
from clipengine.errors import NoMediaInRange, RecordingTruncated, RecordingUnreadable
from clipengine.media.audio.tracks import AudioTracks
from clipengine.media.input.background_producer import produce_in_background
from clipengine.media.input.container import media_errors
from clipengine.media.input.decode import AudioFrameEvent, BeginEvent, ClipDecoder, Event, EventSizes, VideoFrameEvent
from clipengine.media.input.seek import Seeker
from clipengine.media.input.source import ByteSource, MediaReader
from clipengine.media.output.packet_verifier import PacketVerifier, is_verifiable
from clipengine.media.output.verify import verify
from clipengine.media.output.writer import ClipWriter, open_writer
from clipengine.media.video.convert import FrameConverter, jpeg
from clipengine.media.video.deinterlace import deinterlace
from clipengine.media.video.flatten_alpha import AlphaFlattener
from clipengine.media.video.frame_durations import with_durations
from clipengine.media.video.gaps import GapCounter

CutStep = Literal["reading", "encoding", "verifying"]
# Called with the step and the encoded part of the clip, 0 to 1.
OnProgress = Callable[[CutStep, float], None]
_ROUNDED = Fraction(1, 1000)  # seconds by which a rounded end may exceed the recording's
_TRUNCATION_TOLERANCE = Fraction(1, 2)  # seconds by which a recording may end before its stated duration


@dataclass(frozen=True)
class Cut:
    """Result of a cut. Times are exact seconds of the recording's timeline."""

    actual_start: Fraction
    actual_end: Fraction
    frames: int
    width: int | None
    height: int | None
    video_codec: str | None
    audio_codec: str | None
    size_bytes: int
    poster: bytes | None
    encode_seconds: float
    bytes_read: int
    warnings: tuple[str, ...]


def cut_clip(
    source: ByteSource,
    facts: SourceFacts,
    profile: Profile,
    *,
    seek_index: SeekIndex | None = None,
    start: Fraction,
    end: Fraction,
    output: int,
    threads: int,
    poster: bool,
    decodes: bool = True,
    on_progress: OnProgress,
) -> Cut:
    """Cut `[start, end)` (recording time; the end is clamped) into the empty file behind the descriptor `output`.

    `seek_index` reduces the bytes read before the start; the clip is the same without it. The finished file is read
    again and decodes to its end. With `decodes` false it is only compared with the encoders' packets, if its codecs
    allow that. The inspector checks that the file matches the plan. Raises RecordingError and its subclasses for
    faults of the recording, otherwise EncoderFailed, DiskFull or VerificationFailed.
    """
    began = time.monotonic()
    on_progress("reading", 0.0)
    clip = _plan(facts, profile, start, end)
    audio = [track.index for track in clip.audio]
    with PacketVerifier(decodes=decodes) if is_verifiable(profile) else nullcontext() as verifier:
        with (
            MediaReader(source) as reader,
            media_errors(reader),
            Seeker(reader, facts, clip.cut, video=clip.video, audio=audio, seek_index=seek_index) as seeker,
            open_writer(output, profile, threads=threads, verifier=verifier) as writer,
        ):
            decoder = ClipDecoder(seeker, clip.cut, threads=threads)
            builder = _ClipBuilder(writer, profile, facts, clip, poster, on_progress)
            flattener = AlphaFlattener(facts.video.codec if facts.video else "")
            produce = decoder.events if profile.deinterlace == "off" else lambda: deinterlace(decoder.events())
            with closing(produce_in_background(lambda: flattener.events(produce()), EventSizes())) as events:
                builder.run(events, seeker.resume_times)
            _check_complete(decoder, builder, clip.cut)
            writer.finish()
        encoded = time.monotonic() - began
        verify(output, writer.frames, verifier, lambda: on_progress("verifying", 1.0), threads=threads)
    return Cut(
        actual_start=builder.origin,
        actual_end=clip.cut.end,
        frames=writer.frames,
        width=builder.width,
        height=builder.height,
        video_codec=profile.video if writer.frames else None,
        audio_codec=profile.audio if builder.audio and builder.audio.written else None,
        size_bytes=os.lseek(output, 0, os.SEEK_END),
        poster=builder.poster,
        encode_seconds=round(encoded, 3),
        bytes_read=reader.bytes_read,
        warnings=(*builder.warnings(decoder, end), *flattener.warnings()),
    )


class _Plan(NamedTuple):
    """The range of a clip and the streams that it contains."""

    cut: CutRange
    video: bool
    audio: tuple[AudioFacts, ...]


def _plan(facts: SourceFacts, profile: Profile, start: Fraction, end: Fraction) -> _Plan:
    """Return the plan of a clip. Raises NoMediaInRange if it would be empty."""
    end = min(end, facts.duration)
    if start >= end:
        raise NoMediaInRange(f"the range starts at {float(start):g} s, the recording ends at {float(end):g} s")
    audio = kept_tracks(profile, facts.audio)
    if facts.video is None or profile.video == "none":
        if not audio:
            raise NoMediaInRange("the recording has no video or audio that the profile keeps")
        return _Plan(CutRange(start, end, tick=facts.video.tick if facts.video else Fraction(0)), False, audio)
    return _Plan(CutRange(start, end, facts.video.frame_seconds, facts.video.tick), True, audio)


def _check_complete(decoder: ClipDecoder, builder: _ClipBuilder, cut: CutRange) -> None:
    """Raise if the decoder ended before the range because the recording is truncated or damaged."""
    damage, audio = decoder.damage, builder.audio
    if not builder.has_video and not (audio and audio.has_audio):
        if damage.packets:
            raise RecordingUnreadable("nothing of the range can be decoded: the recording is damaged or encrypted")
        raise NoMediaInRange("the recording has no video or audio in the range")
    damage.check()
    audio_end = audio.end if audio else Fraction(0)
    video_end = (decoder.last_time or Fraction(0)) + cut.frame_seconds if builder.has_video else Fraction(0)
    reached = max(builder.origin + audio_end, video_end)
    if damage.packets and reached < cut.end - _TRUNCATION_TOLERANCE:
        raise RecordingTruncated(f"the recording can be decoded up to {float(reached):.3f} s only")


class _ClipBuilder:
    """Converts and writes the decoder's events, and collects the values of the result."""

    def __init__(
        self,
        writer: ClipWriter,
        profile: Profile,
        facts: SourceFacts,
        clip: _Plan,
        poster: bool,
        on_progress: OnProgress,
    ) -> None:
        self._writer = writer
        self._profile = profile
        self._facts = facts
        self._clip = clip
        self._cut = cut = clip.cut
        self._want_poster = poster
        self._on_progress = on_progress
        self._converter: FrameConverter | None = None
        self.origin = cut.start
        self.has_video = False
        self.poster: bytes | None = None
        self.audio: AudioTracks | None = None
        constant_rate = profile.fps is None and facts.video is not None and not facts.video.variable_rate
        self._gaps = GapCounter(cut.frame_seconds if constant_rate else Fraction(0))

    @property
    def length(self) -> Fraction:
        return self._cut.end - self.origin

    @property
    def width(self) -> int | None:
        return self._converter.format.width if self._converter else None

    @property
    def height(self) -> int | None:
        return self._converter.format.height if self._converter else None

    def run(self, events: Iterator[Event], resume_times: Mapping[int, Fraction]) -> None:
        """Write all events. After the last one, `resume_times` says when each stream continues after the clip."""
        for event in with_durations(events, self._profile.fps, self._cut):
            if isinstance(event, BeginEvent):
                self._begin(event)
            elif isinstance(event, AudioFrameEvent):
                self._write_audio(event)
            else:
                frame, duration = event
                self._write_frame(frame, duration)
        if self._facts.video is not None and self._facts.video.index in resume_times:
            self._gaps.finish(resume_times[self._facts.video.index] - self.origin, self.length)
        if self.audio is not None:
            self.audio.finish(resume_times)

    def _begin(self, begin: BeginEvent) -> None:
        self.origin = begin.origin
        if self._facts.creation_time is not None:
            self._writer.set_creation_time(self._facts.creation_time + timedelta(seconds=float(self.origin)))
        if begin.frame is not None and self._facts.video is not None:
            ratio = self._facts.video.sample_aspect_ratio
            self._converter = FrameConverter(self._profile, begin.frame, ratio)
            self._writer.add_video(self._converter.format, self._rate(), language=self._facts.video.language)
            self.has_video = True
        mix = self._profile.audio_tracks == "mix"
        self.audio = AudioTracks(self._writer, self._clip.audio, mix=mix, origin=self.origin, end=self._cut.end)

    def _rate(self) -> Fraction:
        if self._profile.fps is not None:
            return Fraction(str(self._profile.fps))
        distance = self._cut.frame_seconds
        return min(max(1 / distance, Fraction(1)), Fraction(240)) if distance > 0 else Fraction(25)

    def _write_frame(self, event: VideoFrameEvent, duration: Fraction) -> None:
        assert self._converter is not None
        frame = self._converter.convert(event.frame)
        if self._want_poster and self.poster is None:
            self.poster = jpeg(frame)
        self._gaps.add(event.time)
        self._writer.write_frame(frame, event.time, duration)
        self._on_progress("encoding", min(1.0, float(self._writer.seconds / self.length)))

    def _write_audio(self, event: AudioFrameEvent) -> None:
        assert self.audio is not None
        self.audio.write_audio(event)
        if not self.has_video:
            self._on_progress("encoding", min(1.0, float(self._writer.seconds / self.length)))

    def warnings(self, decoder: ClipDecoder, asked_end: Fraction) -> Iterator[str]:
        yield from self._facts.warnings
        yield from loss_warnings(self._facts, self._profile)
        if asked_end > self._cut.end + _ROUNDED:
            text = f"the end was clamped from {float(asked_end):.3f} s to the recording's, {float(self._cut.end):.3f} s"
            yield warning("end_clamped", text)
        if self._clip.video and not self.has_video:
            yield warning("picture_missing", "the recording has no video in the range: the clip has audio only")
        if self._converter is not None and self._converter.keeps_hdr:
            yield warning("hdr_kept", "the video is HDR and was kept as HDR, in 10 bits with its colour tags")
        chosen, tracks = self._profile.audio_tracks, len(self._facts.audio)
        if isinstance(chosen, int) and chosen >= tracks:
            text = f"the profile keeps audio track {chosen}, the recording has {tracks}: no audio is kept"
            yield warning("audio_track_missing", text)
        yield from decoder.damage.warnings()
        yield from self._gaps.warnings()
        if self.audio is not None:
            yield from self.audio.warnings()
