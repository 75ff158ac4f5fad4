"""Cutting: write one range of a recording to a file as a verified clip."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

from clipengine.clips.facts import SourceFacts
from clipengine.clips.plan import CutRange, kept_tracks
from clipengine.clips.profiles import Profile, Render
from clipengine.clips.seek_index import SeekIndex
from clipengine.clips.segments import CannotCopy, check_copyable
from clipengine.clips.subtitles import TextTrack
from clipengine.clips.warnings import encoded_instead
from clipengine.errors import NoMediaInRange, RecordingTruncated, RecordingUnreadable, VerificationFailed
from clipengine.media.audio.loudness import Gains, measured_gains
from clipengine.media.clip_builder import ClipBuilder, ClipContents, OnProgress
from clipengine.media.input.background_producer import produce_in_background
from clipengine.media.input.container import media_errors
from clipengine.media.input.decode import ClipDecoder
from clipengine.media.input.events import EventSizes
from clipengine.media.input.packet_copier import PacketCopier
from clipengine.media.input.seek import Seeker
from clipengine.media.input.source import ByteSource, MediaReader
from clipengine.media.output.packet_verifier import PacketVerifier, is_verifiable
from clipengine.media.output.verify import verify
from clipengine.media.output.writer import open_writer
from clipengine.media.video.deinterlace import deinterlace
from clipengine.media.video.flatten_alpha import AlphaFlattener

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
    render: Render
    copied_seconds: float  # of the clip's video
    encoded_seconds: float
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
    texts: tuple[TextTrack, ...] = (),
    on_progress: OnProgress,
) -> Cut:
    """Cut `[start, end)` (recording time; the end is clamped) into the empty file behind the descriptor `output`.

    `seek_index` reduces the bytes read before the start; the clip is the same without it. If the profile's `render` is
    "smart", whole GOPs are copied if that is possible; otherwise all of the clip is encoded, with a warning. `texts`
    (recording time) become text tracks.

    The finished file is read again and decodes to its end. With `decodes` false it is only compared with the encoders'
    packets and the copied ones, if its codecs allow that. The inspector checks that the file matches the plan. Raises
    RecordingError and its subclasses for faults of the recording, otherwise EncoderFailed, DiskFull or
    VerificationFailed.
    """
    on_progress("reading", 0.0)
    clip = _contents(facts, profile, start, end)._replace(texts=texts)
    cutter = _Cutter(source, facts, profile, clip, end, seek_index, output, threads, poster, decodes, on_progress)
    if profile.render == "encode":
        return cutter.cut(copies=False)
    try:
        check_copyable(facts, profile)
        return cutter.cut(copies=True)
    except (CannotCopy, VerificationFailed) as refusal:
        reason = refusal.message if isinstance(refusal, VerificationFailed) else str(refusal)
    os.ftruncate(output, 0)
    made = cutter.cut(copies=False)
    return replace(made, warnings=(*made.warnings, encoded_instead(reason)))


@dataclass
class _Cutter:
    """Cuts one range. If a first attempt cannot copy packets, a second one encodes all of it."""

    source: ByteSource
    facts: SourceFacts
    profile: Profile
    clip: ClipContents
    asked_end: Fraction
    seek_index: SeekIndex | None
    output: int
    threads: int
    poster: bool
    decodes: bool
    on_progress: OnProgress
    bytes_read: int = 0
    gains: Gains | None = None

    def cut(self, *, copies: bool) -> Cut:
        """Write and verify the clip; with `copies`, whole GOPs are copied. Raises CannotCopy only with `copies`."""
        began = time.monotonic()
        facts, profile, clip = self.facts, self.profile, self.clip
        audio = [track.index for track in clip.audio]
        with PacketVerifier(decodes=self.decodes) if is_verifiable(profile) else nullcontext() as verifier:
            with (
                self._reader() as reader,
                media_errors(reader),
                Seeker(reader, facts, clip.cut, video=clip.video, audio=audio, seek_index=self.seek_index) as seeker,
                open_writer(self.output, profile, threads=self.threads, verifier=verifier) as writer,
            ):
                make_decoder = PacketCopier if copies else ClipDecoder
                decoder = make_decoder(seeker, clip.cut, threads=self.threads)
                builder = ClipBuilder(writer, profile, facts, clip, self.poster, self.on_progress, self._measured())
                flattener = AlphaFlattener(facts.video.codec if facts.video else "")
                produce = decoder.events
                if not copies and profile.deinterlace != "off":
                    produce = lambda: deinterlace(decoder.events())  # noqa: E731
                with closing(produce_in_background(lambda: flattener.events(produce()), EventSizes())) as events:
                    builder.run(events, seeker.resume_times)
                _check_complete(decoder, builder, clip.cut)
                writer.finish()
            encoded = time.monotonic() - began
            on_packet = partial(self.on_progress, "verifying", 1.0)
            verify(self.output, writer.frames, verifier, on_packet, threads=self.threads, spliced=copies)
        encoded_seconds = builder.encoded_seconds if copies else builder.length
        return Cut(
            actual_start=builder.origin,
            actual_end=clip.cut.end,
            frames=writer.frames,
            width=builder.width,
            height=builder.height,
            video_codec=profile.video if writer.frames else None,
            audio_codec=profile.audio if builder.audio and builder.audio.written else None,
            size_bytes=os.lseek(self.output, 0, os.SEEK_END),
            poster=builder.poster,
            encode_seconds=round(encoded, 3),
            bytes_read=self.bytes_read,
            render="smart" if copies else "encode",
            copied_seconds=round(float(builder.length - encoded_seconds), 6),
            encoded_seconds=round(float(encoded_seconds), 6),
            warnings=(*builder.warnings(decoder, self.asked_end), *flattener.warnings()),
        )

    def _measured(self) -> Gains:
        """Return the gains of the audio tracks, which are measured once."""
        if self.gains is None:
            with self._reader() as reader, media_errors(reader):
                self.gains = measured_gains(
                    reader, self.facts, self.profile, self.clip.cut, self.clip.audio, seek_index=self.seek_index
                )
        return self.gains

    @contextmanager
    def _reader(self) -> Iterator[MediaReader]:
        """Open a reader, and count the bytes that it reads."""
        with MediaReader(self.source) as reader:
            try:
                yield reader
            finally:
                self.bytes_read += reader.bytes_read


def _contents(facts: SourceFacts, profile: Profile, start: Fraction, end: Fraction) -> ClipContents:
    """Return the range and the streams of a clip. Raises NoMediaInRange if it would be empty."""
    end = min(end, facts.duration)
    if start >= end:
        raise NoMediaInRange(f"the range starts at {float(start):g} s, the recording ends at {float(end):g} s")
    audio = kept_tracks(profile, facts.audio)
    if facts.video is None or profile.video == "none":
        if not audio:
            raise NoMediaInRange("the recording has no video or audio that the profile keeps")
        return ClipContents(CutRange(start, end, tick=facts.video.tick if facts.video else Fraction(0)), False, audio)
    return ClipContents(CutRange(start, end, facts.video.frame_seconds, facts.video.tick), True, audio)


def _check_complete(decoder: ClipDecoder | PacketCopier, builder: ClipBuilder, cut: CutRange) -> None:
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
