"""The cut: one recording, one range, one clip in a file, verified. This is where all parts of `media` meet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Literal

from clipengine.clips.facts import SourceFacts
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
from clipengine.media.video.frame_durations import with_durations

CutStep = Literal["reading", "encoding", "verifying"]
# Called with the step and the part of the clip's time that is encoded, 0 to 1.
OnProgress = Callable[[CutStep, float], None]
# Damage is passed over and said, as players do, but not where it leaves less than a tenth of the range's pictures.
_LOST_FOR_EACH_DECODED = 9
_ROUNDED = Fraction(1, 1000)  # seconds by which an end may be the recording's own, as it was told, rounded up
_TRUNCATION_TOLERANCE = Fraction(1, 2)  # seconds that a recording may end before its facts say
_GAP_FRAMES = Fraction(3, 2)  # where frames of a steady rate lie farther apart, there was one between them


@dataclass(frozen=True)
class Cut:
    """What was made. Times in exact seconds of the recording's timeline."""

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

    With the probe's `landmarks` less is read on the way to the start; the clip is the same.

    When this returns, the file has been opened again and is known to decode to its end; with `decodes` false it is
    only known to hold what the encoders gave out, if its codecs can be compared. Whether that is the clip that was
    planned, the inspector finds out. Raises RecordingError and its kinds for what the recording is to blame for,
    EncoderFailed, DiskFull or VerificationFailed for the rest.
    """
    began = time.monotonic()
    asked_end, end = end, min(end, facts.duration)
    if start >= end:
        raise NoMediaInRange(f"the range starts at {float(start):g} s, the recording ends at {float(end):g} s")
    want_video = facts.video is not None and profile.video != "none"
    kept = kept_tracks(profile, facts.audio)
    if not want_video and not kept:
        raise NoMediaInRange("the recording has neither picture nor sound that the profile keeps")
    frame_seconds = facts.video.frame_seconds if want_video and facts.video else Fraction(0)
    cut = CutRange(start, end, frame_seconds=frame_seconds, tick=facts.video.tick if facts.video else Fraction(0))
    on_progress("reading", 0.0)
    with PacketVerifier(decodes=decodes) if is_verifiable(profile) else nullcontext() as verifier:
        with (
            MediaReader(source) as reader,
            media_errors(reader),
            Seeker(
                reader, facts, cut, video=want_video, audio=[track.index for track in kept], seek_index=seek_index
            ) as seeker,
            open_writer(output, profile, threads=threads, verifier=verifier) as writer,
        ):
            decoder = ClipDecoder(seeker, cut, threads=threads)
            builder = _ClipBuilder(writer, profile, facts, cut, poster, on_progress)
            produce = decoder.events if profile.deinterlace == "off" else lambda: deinterlace(decoder.events())
            with closing(produce_in_background(produce, EventSizes())) as events:
                builder.run(events, seeker.resume_times)
            _refuse_short(decoder, builder, cut, facts)
            writer.finish()
        encoded = time.monotonic() - began
        verify(output, writer.frames, verifier, lambda: on_progress("verifying", 1.0), threads=threads)
    return Cut(
        actual_start=builder.origin,
        actual_end=end,
        frames=writer.frames,
        width=builder.width,
        height=builder.height,
        video_codec=profile.video if writer.frames else None,
        audio_codec=profile.audio if builder.sound and builder.sound.written else None,
        size_bytes=os.lseek(output, 0, os.SEEK_END),
        poster=builder.poster,
        encode_seconds=round(encoded, 3),
        bytes_read=reader.bytes_read,
        warnings=tuple(builder.warnings(decoder, asked_end)),
    )


def _refuse_short(decoder: ClipDecoder, builder: _ClipBuilder, cut: CutRange, facts: SourceFacts) -> None:
    """The decoder came to an end before the range did: the recording is cut off or damaged, never a shorter clip."""
    sound = builder.sound
    if not builder.has_video and not (sound and sound.heard):
        if decoder.damaged_packets:
            raise RecordingUnreadable("nothing of the range can be decoded: the recording is damaged or encrypted")
        raise NoMediaInRange("the recording has neither picture nor sound in the range")
    lost, decoded = decoder.damaged_frames, decoder.decoded_frames
    if lost > _LOST_FOR_EACH_DECODED * decoded:  # no still, and no sound alone, that passes for a clip
        raise RecordingUnreadable(f"{lost} pictures of the range are damaged or encrypted, {decoded} can be decoded")
    if decoder.concealed_frames * 2 > decoded:
        raise RecordingUnreadable(f"{decoder.concealed_frames} of the range's {decoded} frames decode with errors")
    heard = sound.end if sound else Fraction(0)
    seen = (decoder.last_time or Fraction(0)) + cut.frame_seconds if builder.has_video else Fraction(0)
    reached = max(builder.origin + heard, seen)
    if reached < cut.end - _TRUNCATION_TOLERANCE and decoder.damaged_packets:
        raise RecordingTruncated(f"the recording can be decoded up to {float(reached):.3f} s only")


class _ClipBuilder:
    """One clip in the making: takes the decoder's events, keeps what the result will say."""

    def __init__(
        self,
        writer: ClipWriter,
        profile: Profile,
        facts: SourceFacts,
        cut: CutRange,
        poster: bool,
        on_progress: OnProgress,
    ) -> None:
        self._writer = writer
        self._profile = profile
        self._facts = facts
        self._cut = cut
        self._want_poster = poster
        self._on_progress = on_progress
        self._converter: FrameConverter | None = None
        self.origin = cut.start
        self.has_video = False
        self.poster: bytes | None = None
        self.sound: AudioTracks | None = None
        self._last_picture_time: Fraction | None = None
        self._gaps = Fraction(0)  # seconds without the pictures that a steady rate would have had

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
        """Make the clip of the events. `following`, once they have ended: when the streams go on after its end."""
        for event in with_durations(events, self._profile.fps, self._cut):
            if isinstance(event, BeginEvent):
                self._begin(event)
            elif isinstance(event, AudioFrameEvent):
                self._write_audio(event)
            else:
                picture, duration = event
                self._write_frame(picture, duration)
        self._note_last_gap(resume_times)
        if self.sound is not None:
            self.sound.finish(resume_times)

    def _begin(self, begin: BeginEvent) -> None:
        self.origin = begin.origin
        if self._facts.creation_time is not None:
            self._writer.set_creation_time(self._facts.creation_time + timedelta(seconds=float(self.origin)))
        if begin.picture is not None and self._facts.video is not None:
            ratio = self._facts.video.sample_aspect_ratio
            self._converter = FrameConverter(self._profile, begin.picture, ratio)
            self._writer.add_video(self._converter.format, self._rate(), language=self._facts.video.language)
            self.has_video = True
        kept = kept_tracks(self._profile, self._facts.audio)
        mix = self._profile.audio_tracks == "mix"
        self.sound = AudioTracks(self._writer, kept, mix=mix, origin=self.origin, end=self._cut.end)

    def _rate(self) -> Fraction:
        if self._profile.fps is not None:
            return Fraction(str(self._profile.fps))
        distance = self._cut.frame_seconds
        return min(max(1 / distance, Fraction(1)), Fraction(240)) if distance > 0 else Fraction(25)

    def _write_frame(self, picture: VideoFrameEvent, duration: Fraction) -> None:
        assert self._converter is not None
        frame = self._converter.convert(picture.frame)
        if self._want_poster and self.poster is None:
            self.poster = jpeg(frame)
        self._note_gap(picture.time)
        self._writer.write_frame(frame, picture.time, duration)
        self._on_progress("encoding", min(1.0, float(self._writer.seconds / self.length)))

    def _note_gap(self, time: Fraction) -> None:
        """Demuxers pass over damage without a word: where the rate is steady a gap tells of it, or of a still slide."""
        last, self._last_picture_time = self._last_picture_time, time
        if last is not None:
            self._add_gap(last, time, time)

    def _note_last_gap(self, resume_times: Mapping[int, Fraction]) -> None:
        """The range may end in the gap; where no picture follows it, the picture has ended."""
        video, last = self._facts.video, self._last_picture_time
        if video is not None and last is not None and video.index in resume_times:
            following_time = resume_times[video.index] - self.origin
            self._add_gap(last, following_time, min(following_time, self.length))

    def _add_gap(self, last: Fraction, resume_times: Fraction, until: Fraction) -> None:
        """Between pictures at `last` and `following`, of which the clip shows what lies before `until`."""
        video = self._facts.video
        if video is None or video.variable_rate or self._profile.fps is not None:
            return
        if resume_times - last > _GAP_FRAMES * video.frame_seconds > 0:
            self._gaps += max(Fraction(0), until - last - video.frame_seconds)

    def _write_audio(self, sound: AudioFrameEvent) -> None:
        assert self.sound is not None
        self.sound.write_audio(sound)
        if not self.has_video:
            self._on_progress("encoding", min(1.0, float(self._writer.seconds / self.length)))

    def warnings(self, decoder: ClipDecoder, asked_end: Fraction) -> Iterator[str]:
        yield from self._facts.warnings
        yield from loss_warnings(self._facts, self._profile)
        if asked_end > self._cut.end + _ROUNDED:
            text = f"the end was clamped from {float(asked_end):.3f} s to the recording's, {float(self._cut.end):.3f} s"
            yield warning("end_clamped", text)
        if self._facts.video is not None and self._profile.video != "none" and not self.has_video:
            yield warning("picture_missing", "the recording shows no picture in the range: the clip is its sound alone")
        if self._converter is not None and self._converter.keeps_hdr:
            yield warning("hdr_kept", "the picture is HDR and was kept so: 10 bits, with its colour tags")
        chosen, tracks = self._profile.audio_tracks, len(self._facts.audio)
        if isinstance(chosen, int) and chosen >= tracks:
            text = f"the profile keeps audio track {chosen}, the recording has {tracks}: no sound is kept"
            yield warning("audio_track_missing", text)
        if decoder.damaged_packets:
            yield warning("packets_damaged", f"{decoder.damaged_packets} damaged packets were passed over")
        if decoder.concealed_frames:
            text = f"{decoder.concealed_frames} frames decode with errors, which the decoder concealed"
            yield warning("errors_concealed", text)
        if self._gaps >= _ROUNDED:
            text = f"gaps of {float(self._gaps):.3f} s between pictures: the one before each stands meanwhile"
            yield warning("video_gap", text)
        if self.sound is not None:
            yield from self.sound.warnings()
