"""Survey of a part of a smart clip: its packets decide what is copied. Plans and the cutter ask it.

Only its first copied frame is decoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.frame_count import HELD_SECONDS
from clipengine.clips.plan.frames import kept_tracks
from clipengine.clips.plan.segments import NO_VIDEO_AT_START, CannotCopy, FoundPart, Segment
from clipengine.clips.warnings import stretches_encoded
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import media_errors
from clipengine.media.input.containers.kept_source import MAX_KEPT_BYTES, KeptBytes
from clipengine.media.input.copying.copy_survey import CopySurvey
from clipengine.media.input.decoding.events import CopiedVideo
from clipengine.media.input.seeking.seekers import open_seeker
from clipengine.media.video.convert import FrameConverter
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import SeekIndex

_MAX_SECONDS = 600  # of a range whose packets are read before its clip is made


def is_surveyed(ranges: Iterable[tuple[int, Fraction, Fraction]]) -> bool:
    """Return True if all packets of these ranges may be read before their clip is made.

    Each range has the bytes and the seconds of its recording, and its own seconds. The mean bit rate is assumed.
    """
    total = seconds = Fraction(0)
    for size, duration, length in ranges:
        seconds += length
        total += size * length / duration if duration > 0 else 0
    return total <= MAX_KEPT_BYTES and seconds <= _MAX_SECONDS


@dataclass
class PartSurvey:
    """Segments of a part that smart render copies and encodes. For `stream` to `misfit` see `FoundPart`.

    `bytes` is the size of the packets to copy, None unless all packets were read.
    """

    segments: tuple[Segment, ...] = ()
    stream: str | None = None
    reason: str | None = None
    only_frame: str | None = None
    misfit: str | None = None
    bytes: int | None = None
    warnings: Sequence[str] = ()

    @property
    def found(self) -> FoundPart:
        return FoundPart(self.stream, self.reason, self.only_frame, self.misfit)

    def read(
        self,
        source: ByteSource,
        facts: SourceFacts,
        profile: Profile,
        cut: CutRange,
        *,
        threads: int,
        seek_index: SeekIndex | None,
        origin: Fraction,
        held: Fraction,
        whole: bool = True,
        full_proof: bool = False,
        kept: KeptBytes | None = None,
    ) -> None:
        """Read the part, which begins at `origin` and shows the frame before it for `held` seconds.

        Read all of its packets, or only the first ones unless `whole`. Raises CannotCopy if none can be copied, and
        RangeTooLarge if the allowance `kept` is spent before its end.
        """
        audio = [track.index for track in kept_tracks(profile, facts.audio)]
        with (
            MediaReader(source) as reader,
            media_errors(reader),
            open_seeker(reader, facts, cut, video=True, audio=audio, seek_index=seek_index) as seeker,
        ):
            copier = CopySurvey(seeker, cut, threads=threads, full_proof=full_proof, only_plans=not whole)
            copier.origin, copier.kept = origin, kept
            self.stream = _checksum(copier.begin())
            planned, self.only_frame = copier.plan(), copier.only_frame
            self.misfit = NO_VIDEO_AT_START if held > HELD_SECONDS else _misfit(copier, profile)
            if self.misfit is None and whole:
                try:
                    planned = copier.segments()
                except CannotCopy as refusal:  # of a later packet
                    self.misfit = str(refusal)
                else:
                    self.bytes, self.warnings = copier.copied_bytes, [*stretches_encoded(copier.refused)]
            if self.misfit is None:
                self.segments = (replace(planned[0], start=origin), *planned[1:])


def _misfit(copier: CopySurvey, profile: Profile) -> str | None:
    frame = copier.first_copied_frame()
    try:
        FrameConverter(profile, frame, None).check_kept(frame)
    except CannotCopy as refusal:
        return str(refusal)
    return None


def _checksum(copied: CopiedVideo) -> str:
    return hashlib.sha256(repr(copied.bitstream.parameters).encode()).hexdigest()
