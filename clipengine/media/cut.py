"""Cutting: write ranges of recordings to a file as a verified clip."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

from clipengine.clips.cut_range import CutRange
from clipengine.clips.edit import PlannedPart
from clipengine.clips.file_reports import CutReport, MadePart
from clipengine.clips.options.picture_size import PictureSize
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.frame_count import held_seconds
from clipengine.clips.plan.frames import kept_tracks, lacking_media
from clipengine.clips.plan.segments import (
    REPEATED_KEYFRAME,
    TOO_MANY_BYTES,
    CannotCopy,
    CopyChoice,
    FoundPart,
    check_copyable,
    check_part_copyable,
    refused_parts,
)
from clipengine.clips.plan.size_limit import BitrateSearch, other_bytes
from clipengine.clips.warnings import (
    asked_warnings,
    encoded_instead,
    known_warnings,
    of_part,
    part_encoded,
    stretches_encoded,
)
from clipengine.errors import (
    EncoderFailed,
    NoMediaInRange,
    RecordingTruncated,
    RecordingUnreadable,
    SizeUnreachable,
    VerificationFailed,
)
from clipengine.media.audio.loudness import Gains, LoudnessMeter
from clipengine.media.clip_builder import ClipBuilder, ClipContents, Drawing, OnProgress, PictureSizeChanges
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import media_errors
from clipengine.media.input.containers.kept_source import KeptBytes, KeptSource
from clipengine.media.input.copying.copy_survey import RangeTooLarge
from clipengine.media.input.copying.packet_copier import PacketCopier
from clipengine.media.input.decoding.background_producer import BUFFER_BYTES, produce_in_background
from clipengine.media.input.decoding.decode import ClipDecoder
from clipengine.media.input.decoding.events import EventSizes
from clipengine.media.input.decoding.shown_frames import can_seek
from clipengine.media.input.decoding.shown_sizes import picture_size
from clipengine.media.input.decoding.timelapse import TimelapseDecoder
from clipengine.media.input.seeking.seekers import AnySeeker, open_seeker
from clipengine.media.output.packet_verifier import PacketVerifier, is_verifiable
from clipengine.media.output.part_writer import PartWriter
from clipengine.media.output.segmented_video import encoders_side_by_side
from clipengine.media.output.verify import verify
from clipengine.media.output.writer import ClipWriter, open_writer
from clipengine.media.part_survey import PartSurvey, is_surveyed
from clipengine.media.video.deinterlace import deinterlace
from clipengine.media.video.flatten_alpha import AlphaFlattener
from clipengine.recordings.facts import SourceFacts

_SEAM_BYTES = BUFFER_BYTES // 2  # decoded frames that wait for the encoder: few are encoded if packets are copied
_UNVERIFIED = "copied frames and those at the cuts did not decode together"
_TRUNCATION_TOLERANCE = Fraction(1, 2)  # seconds by which a recording may end before its stated duration


def cut_clip(
    sources: Sequence[ByteSource],
    parts: Sequence[PlannedPart],
    profile: Profile,
    *,
    output: int,
    threads: int,
    poster: bool,
    full_proof: bool = False,
    kept_free: int = 0,
    drawing: Drawing = Drawing(),
    on_progress: OnProgress,
) -> tuple[CutReport, bytes | None]:
    """Cut the parts of the sources, one after the other, into the empty file behind the descriptor `output`.

    Return the report and the poster. At least `kept_free` bytes stay free on the disk of the file.

    Unless the profile's `render` is "encode", whole GOPs of each part are copied if that is possible; otherwise all of
    the part or of the clip is encoded, for "smart" with a warning.

    The finished file is read again: it has exactly the encoders' packets, which were decoded, and the copied ones, or
    it decodes to its end. Where copied and encoded packets meet it shows the same pictures as the recording and the
    encoders' packets; with `full_proof` all of a clip with copied packets is compared with the recording. The inspector
    checks that the file matches the plan. Raises
    RecordingError and its subclasses for faults of a recording, otherwise EncoderFailed, DiskFull or
    VerificationFailed.
    """
    on_progress("reading", 0.0)
    kept, planned = KeptBytes(), _planned(parts, profile)
    read = [KeptSource(source, kept) for source in sources]
    cutter = _Cutter(kept, read, planned, profile, output, threads, poster, full_proof, kept_free, drawing, on_progress)
    cutter.decide()
    made, limit = cutter.cut(), profile.output.max_bytes
    if limit is not None and made.size_bytes > limit:
        made = _within(limit, cutter, made)
    warnings = asked_warnings(made.warnings, profile)
    return made.model_copy(update={"warnings": tuple(warnings)}), cutter.made_poster


def _within(limit: int, cutter: _Cutter, made: CutReport) -> CutReport:
    """Encode the clip with lower bit rates until it has at most `limit` bytes. Raises SizeUnreachable."""
    profile, seconds = cutter.profile, Fraction(made.copied_seconds + made.encoded_seconds)
    tracks = 1 if profile.audio_tracks == "mix" else len(cutter.parts[0][1].audio)
    other = other_bytes(profile.audio_bitrate, tracks, seconds, made.frames)
    search, least = BitrateSearch(limit, seconds, other), made.size_bytes
    if cutter.copies:
        cutter.encode_all(TOO_MANY_BYTES)
    encode_seconds = made.encode_seconds
    while made.frames and search.bitrate is not None:
        cutter.profile = profile.model_copy(update={"video_bitrate": search.bitrate})
        made = cutter.cut()
        encode_seconds += made.encode_seconds
        search.add(made.size_bytes)
        least = min(least, made.size_bytes)
    if not search.reached:
        raise SizeUnreachable(
            f"the clip could not be made smaller than {limit} bytes: the smallest attempt has {least}, "
            f"of which about {min(other, least)} are audio and container"
        )
    return made.model_copy(update={"encode_seconds": round(encode_seconds, 3)})


@dataclass
class _Cutter:
    """Cuts a clip. Whether packets are copied is decided from them, before anything is written.

    `copies` is False if all of the clip is encoded. The bytes that the decision needs are kept, so that the clip does
    not read them again. If they are too many, nothing is decided and packets are checked while they are copied.
    """

    kept: KeptBytes
    sources: Sequence[KeptSource]
    parts: list[tuple[PlannedPart, ClipContents]]
    profile: Profile
    output: int
    threads: int
    poster: bool
    full_proof: bool
    kept_free: int
    drawing: Drawing
    on_progress: OnProgress
    gains: Gains | None = None
    made_poster: bytes | None = None
    choice: CopyChoice = field(init=False)  # of the parts of a smart clip
    encoder_threads: int = field(init=False)
    copies: bool = field(init=False)
    instead: str | None = None  # the reason why nothing is copied although the profile asks for it

    def __post_init__(self) -> None:
        self.encoder_threads = self.threads
        self.copies = self.profile.render != "encode"

    def decide(self) -> None:
        """Decide from packets if all of the clip must be encoded. Call it before `cut`."""
        try:
            if self.copies:
                self._check_packets()
        except CannotCopy as refusal:
            self.encode_all(str(refusal))
        finally:
            self.kept.close()

    def encode_all(self, reason: str) -> None:
        """Encode all of the clip from now on, for this reason."""
        self.copies, self.instead = False, reason

    def cut(self) -> CutReport:
        """Write and verify the clip. Only here is it written again, if decoding or a proof has refuted what was read.

        Every further attempt differs from the one before: a part's picture size is known now, nothing is copied, or
        AV1 is encoded with one thread.
        """
        while True:
            os.ftruncate(self.output, 0)
            try:
                return self._cut()
            except PictureSizeChanges:
                pass
            except CannotCopy as refusal:
                assert self.copies
                self.encode_all(str(refusal))
            except (EncoderFailed, VerificationFailed) as failure:
                if self.copies and isinstance(failure, VerificationFailed):
                    self.encode_all(_UNVERIFIED)
                # With several threads, SVT-AV1 4.1 can return frames with the times of others, as on a busy machine at
                # real-time priority.
                elif self.profile.video == "av1" and self.encoder_threads > 1:
                    self.encoder_threads = 1
                else:
                    raise

    def _check_packets(self) -> None:
        """Raise CannotCopy if all of the clip must be encoded, as the packets of its parts show."""
        planned, found = [part for part, _ in self.parts], list[FoundPart]()
        check_copyable(planned, self.profile)
        sizes = [
            (self.sources[part.source].size, part.facts.duration, cut.end - cut.start) for part, (cut, *_) in self.parts
        ]
        if not is_surveyed(sizes):
            return
        with suppress(RangeTooLarge):
            for number in range(len(planned)):
                found.append(self._survey(number).found)
                refused_parts(planned, found)

    def _survey(self, number: int) -> PartSurvey:
        """Return what the packets of a part say about copying it."""
        part, clip = self.parts[number]
        survey, cut = PartSurvey(), clip.cut
        try:
            check_part_copyable(part, self.profile)
            begins = part.facts.video.first_frame if part.facts.video is not None else None
            origin = begins if begins is not None and cut.start < begins <= cut.latest_start else cut.start
            survey.read(
                self.sources[part.source],
                part.facts,
                self.profile,
                cut,
                threads=self.threads,
                seek_index=part.seek_index,
                origin=origin,
                held=held_seconds(part.facts, self.profile, origin, cut.end, is_first=number == 0),
                full_proof=self.full_proof,
                kept=self.kept,
            )
        except CannotCopy as refusal:
            survey.reason = str(refusal)
        return survey

    def _cut(self) -> CutReport:
        """Write and verify the clip once. Raises PictureSizeChanges once per part, and then knows its size."""
        began, copies = time.monotonic(), self.copies
        self.choice = CopyChoice([part for part, _ in self.parts])
        profile = self.profile
        with self._verifier() as verifier:
            with open_writer(
                self.output,
                profile,
                threads=self.encoder_threads,
                length=self._length(),
                verifier=verifier,
                kept_free=self.kept_free,
            ) as writer:
                if profile.container == "gif":  # its palette depends on all of the clip
                    self._write_parts(writer, copies=False, sampled=True)
                    writer.end_sampling()
                builders, warnings = self._write_parts(writer, copies=copies)
                writer.finish(partial(self.on_progress, "encoding", 1.0))
            warnings += self._measured().warnings
            warnings += [] if self.instead is None else [encoded_instead(self.instead)]
            encoded = time.monotonic() - began
            on_packet = partial(self.on_progress, "verifying", 1.0)
            threads, full = self.threads, self.full_proof
            verify(self.output, writer.frames, verifier, on_packet, threads=threads, spliced=copies, full=full)
        first = builders[0]
        length = sum((each.length for each in builders), Fraction(0))
        encoded_seconds = sum((each.encoded_seconds for each in builders), Fraction(0)) if copies else length
        self.made_poster = first.poster
        return CutReport(
            parts=tuple(
                MadePart(actual_start=each.origin, actual_end=part.kept_end)
                for each, (part, _) in zip(builders, self.parts, strict=True)
            ),
            frames=writer.frames,
            width=first.width,
            height=first.height,
            video_codec=profile.video if writer.frames else None,
            audio_codec=profile.audio if first.audio and first.audio.written else None,
            size_bytes=os.lseek(self.output, 0, os.SEEK_END),
            encode_seconds=round(encoded, 3),
            bytes_read=sum(source.bytes_read for source in self.sources),
            render="smart" if copies else "encode",
            copied_seconds=round(float(length - encoded_seconds), 6),
            encoded_seconds=round(float(encoded_seconds), 6),
            warnings=tuple(warnings),
        )

    def _verifier(self) -> AbstractContextManager[PacketVerifier | None]:
        if not is_verifiable(self.profile):
            return nullcontext()
        return PacketVerifier(threads=encoders_side_by_side(self.threads))

    def _length(self) -> Fraction:
        """Return the length of the clip in seconds; the frames at its cuts may change it a little."""
        seconds = sum((part.kept_end - part.start for part, _ in self.parts), Fraction(0))
        return seconds / self.profile.output.tempo

    def _view(self, writer: ClipWriter) -> PartWriter:
        return PartWriter(writer, [part for part, _ in self.parts], self.profile)

    def _measured(self) -> Gains:
        """Return the gains of the audio tracks, which are measured once."""
        target = self.profile.output.loudness_lufs
        if self.gains is None and target is not None and any(clip.audio for _, clip in self.parts):
            meter = LoudnessMeter(self.profile, len(self.parts))
            for part, clip in self.parts:
                with MediaReader(self.sources[part.source]) as reader, media_errors(reader):
                    meter.add_part(reader, part, clip.cut, clip.audio)
            self.gains = meter.finish(target)
        return self.gains or Gains((), ())

    def _write_parts(
        self, writer: ClipWriter, *, copies: bool, sampled: bool = False
    ) -> tuple[list[ClipBuilder], list[str]]:
        """Write all parts, and return their builders and their warnings."""
        view = self._view(writer)
        builders: list[ClipBuilder] = []
        warnings: list[str] = []
        for number in range(len(self.parts)):
            progress = self._progress_of(number) if not sampled else lambda step, done: self.on_progress("reading", 0.0)
            builder, found = self._write(number, view, progress, copies=copies)
            builders.append(builder)
            warnings += of_part(number, found, of=len(self.parts))
        return builders, warnings

    def _write(
        self, number: int, writer: PartWriter, on_progress: OnProgress, *, copies: bool
    ) -> tuple[ClipBuilder, list[str]]:
        """Write one part, and return its builder and its warnings."""
        part, clip = self.parts[number]
        facts, profile = part.facts, self.profile
        if clip.picture is None and facts.video is not None and facts.video.largest is not None and not copies:
            clip = self._choose_size(number, None)
        with ExitStack() as stack:
            found = self._copier(number, writer, stack) if copies else None
            decoder, resume_times = self._decoder(number, writer, stack) if found is None else found
            poster = self.poster and number == 0
            builder = ClipBuilder(writer, profile, facts, clip, poster, on_progress, self._measured(), self.drawing)
            flattener = AlphaFlattener(facts.video.codec if facts.video else "")
            produce = decoder.events
            if found is None and profile.deinterlace != "off":
                apart = isinstance(decoder, TimelapseDecoder)
                produce = lambda: deinterlace(decoder.events(), apart=apart)  # noqa: E731
            produced = produce_in_background(
                lambda: flattener.events(produce()), EventSizes(), max_bytes=_SEAM_BYTES if found else BUFFER_BYTES
            )
            try:
                with closing(produced) as events:
                    builder.run(events, resume_times)
            except PictureSizeChanges as change:
                self._choose_size(number, change.seen)
                raise
            except CannotCopy as refusal:
                raise self.choice.refusal(number, str(refusal)) from None
            _check_complete(decoder, builder, clip.cut)
        known = [*known_warnings([part for part, _ in self.parts], number, profile)]
        if number in self.choice.refused:
            known.append(part_encoded(self.choice.refused[number]))
        if found is not None:
            known += stretches_encoded(found[0].refused)
        return builder, [*known, *builder.warnings(decoder), *flattener.warnings()]

    def _decoder(
        self, number: int, writer: PartWriter, stack: ExitStack
    ) -> tuple[ClipDecoder | TimelapseDecoder, Mapping[int, Fraction]]:
        """Return the decoder of a part, and when each stream continues after it, which is known at its end."""
        part, clip = self.parts[number]
        output, fps, threads = self.profile.output, self.profile.fps, self.threads
        if not (output.is_timelapse and clip.video and fps is not None and can_seek(part.facts)):
            seeker = self._seeker(number, stack)
            return ClipDecoder(seeker, clip.cut, threads=threads), seeker.resume_times
        reader = stack.enter_context(MediaReader(self.sources[part.source]))
        stack.enter_context(media_errors(reader))
        step, lead = output.tempo / Fraction(str(fps)), output.tempo * (writer.seams.lead or 0)
        index, facts = part.seek_index, part.facts
        return TimelapseDecoder(reader, facts, clip.cut, step=step, lead=lead, threads=threads, seek_index=index), {}

    def _copier(
        self, number: int, writer: PartWriter, stack: ExitStack
    ) -> tuple[PacketCopier, Mapping[int, Fraction]] | None:
        """Return the copier of a part of a smart clip and the same, or None if all of the part is encoded.

        Raises CannotCopy if all of the clip is to be encoded.
        """
        part, clip = self.parts[number]
        try:
            check_part_copyable(part, self.profile)
            seeker = self._seeker(number, stack)
            copier = PacketCopier(seeker, clip.cut, threads=self.threads, full_proof=self.full_proof)
            writer.splice(copier.begin())
            self.choice.begin()
            copier.plan()
            if copier.begins_like(writer.last_keyframe):
                raise CannotCopy(REPEATED_KEYFRAME)
            return copier, seeker.resume_times
        except CannotCopy as refusal:
            self.choice.refuse(number, str(refusal))
            return None

    def _seeker(self, number: int, stack: ExitStack) -> AnySeeker:
        """Open the recording of a part at its start."""
        part, clip = self.parts[number]
        reader = stack.enter_context(MediaReader(self.sources[part.source]))
        stack.enter_context(media_errors(reader))
        audio = [track.index for track in clip.audio]
        seeker = open_seeker(reader, part.facts, clip.cut, video=clip.video, audio=audio, seek_index=part.seek_index)
        stack.enter_context(seeker)
        return seeker

    def _choose_size(self, number: int, seen: PictureSize | None) -> ClipContents:
        """Choose the picture size of a part.

        It is read from headers. If these do not explain the sizes that were `seen` in frames, `seen` is chosen.
        """
        part, clip = self.parts[number]
        if clip.video:
            with MediaReader(self.sources[part.source]) as reader:
                size = picture_size(reader, part.facts, clip.cut, part.seek_index)
            if size is None or (seen is not None and not size.explains(seen)):
                size = seen
            clip = clip._replace(picture=size)
            self.parts[number] = part, clip
        return clip

    def _progress_of(self, number: int) -> OnProgress:
        """Return the function that reports the progress of a part, weighted by its length."""
        lengths = [float(clip.cut.end - clip.cut.start) for _, clip in self.parts]
        total, before = sum(lengths), sum(lengths[:number])
        return lambda step, done: self.on_progress(step, (before + done * lengths[number]) / total)


def _planned(parts: Sequence[PlannedPart], profile: Profile) -> list[tuple[PlannedPart, ClipContents]]:
    """Return the parts with their contents. Without video in the first part, the others contain none."""
    planned = [
        (
            part,
            _contents(part.facts, profile, part.start, part.end)._replace(
                texts=part.texts, burnt=part.burnt, caption_style=part.caption_style, removed=part.removed
            ),
        )
        for part in parts
    ]
    if planned[0][1].video:
        return planned
    return [(part, clip._replace(video=False)) for part, clip in planned]


def _contents(facts: SourceFacts, profile: Profile, start: Fraction, end: Fraction) -> ClipContents:
    """Return the range and the streams of a clip. Raises NoMediaInRange if it would be empty."""
    end = min(end, facts.duration)
    if start >= end:
        raise NoMediaInRange(f"the range starts at {float(start):g} s, the recording ends at {float(end):g} s")
    audio = kept_tracks(profile, facts.audio)
    if (lacking := lacking_media(profile, facts)) is not None:
        raise NoMediaInRange(f"nothing of it is kept: {lacking}", hint="Use a profile that keeps what it has.")
    if facts.video is None or profile.video == "none":
        return ClipContents(CutRange(start, end, tick=facts.video.tick if facts.video else Fraction(0)), False, audio)
    return ClipContents(CutRange(start, end, facts.video.frame_seconds, facts.video.tick), True, audio)


def _check_complete(
    decoder: ClipDecoder | TimelapseDecoder | PacketCopier, builder: ClipBuilder, cut: CutRange
) -> None:
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
