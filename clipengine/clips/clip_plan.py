"""Plan of the clip that a request would make, from the plans of its parts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipengine.basis.timecode import exact
from clipengine.clips.edit import PlannedPart, lost_texts
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.snap import SnappedCut
from clipengine.clips.plan.frame_count import held_until_frame, joined_frames
from clipengine.clips.plan.frames import kept_tracks
from clipengine.clips.plan.segments import MAX_SEGMENTS, FoundPart
from clipengine.clips.plan.size_limit import other_bytes
from clipengine.clips.texts.captions import crowded_out
from clipengine.clips.warnings import (
    asked_warnings,
    encoded_instead,
    known_warnings,
    of_part,
    part_encoded,
    picture_held,
    size_unlikely,
    subtitles_cut,
    subtitles_not_drawn,
    text_lost,
)
from clipengine.errors import VerificationFailed
from clipengine.recordings.facts import Count, ExactSeconds, Name, Pixels, Warning

_Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Exact = Annotated[ExactSeconds, Field(ge=0, le=10**9)]


class PlannedSegment(BaseModel):
    """A stretch of a part that is copied or encoded, on the recording's timeline."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["copy", "encode"]
    start_seconds: _Seconds
    end_seconds: _Seconds


class PartPlan(BaseModel):
    """The report of the child that planned a part, without the removed ranges.

    `held_seconds` is the length of the clip before the first frame of the recording. See `FoundPart` for `stream`,
    `reason`, `only_frame` and `misfit`. `warnings` has no warnings that follow from the facts.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, strict=True, extra="forbid")

    actual_start: _Exact
    actual_end: _Exact
    held_seconds: _Seconds
    frames: Count
    frames_exact: bool
    width: Pixels | None
    height: Pixels | None
    segments: list[PlannedSegment] = Field(max_length=MAX_SEGMENTS)
    stream: Name | None
    reason: Warning | None
    only_frame: Name | None
    misfit: Warning | None
    estimated_bytes: Count
    estimated_seconds: _Seconds
    bytes_to_read: Count
    warnings: list[Warning]

    @classmethod
    def of(cls, message: object) -> PartPlan:
        """Parse the child's message. Raises VerificationFailed."""
        try:
            return cls.model_validate(message)
        except ValidationError as error:
            raise VerificationFailed("the encoder's report of the plan is not valid") from error

    @property
    def copies(self) -> bool:
        """True if packets of the part are copied, unless the rest of the clip prevents it."""
        return any(each.kind == "copy" for each in self.segments)

    @property
    def found(self) -> FoundPart:
        return FoundPart(self.stream, self.reason, self.only_frame, self.misfit)


@dataclass(frozen=True)
class ClipPlan:
    """Plan of a clip.

    `refused` has the reasons for encoding single parts with smart render, `reason` the reason for encoding the whole
    clip. `warnings` come from the preparation, and `characters` are those of the fonts of its captions.
    """

    parts: Sequence[PlannedPart]
    profile: Profile
    plans: Sequence[PartPlan]
    refused: Mapping[int, str]
    reason: str | None
    snapped: Sequence[SnappedCut]
    warnings: Sequence[str]
    characters: frozenset[str]

    def values(self, *, source: int | None) -> dict[str, Any]:
        """Return the fields of the API. Start and end come from the parts of the recording with number `source`."""
        plans, output, lengths = self.plans, self.profile.output, self._lengths
        numbered = [*zip(self.parts, plans, strict=True)]
        own = [plan for part, plan in numbered if part.source == source] or plans
        size = sum(plan.estimated_bytes for plan in plans)
        return {
            "actual_start_seconds": round(float(min(plan.actual_start for plan in own)), 6),
            "actual_end_seconds": round(float(max(plan.actual_end for plan in own)), 6),
            "duration_seconds": round(float(sum(lengths)), 6),
            "frames": joined_frames([*zip(lengths, (plan.frames for plan in plans), strict=True)], self.profile),
            "frames_exact": all(plan.frames_exact for plan in plans),
            "width": plans[0].width,
            "height": plans[0].height,
            "segments": [*self._segments()],
            "estimated_bytes": size if output.max_bytes is None else min(size, output.max_bytes),
            "estimated_seconds": round(sum(plan.estimated_seconds for plan in plans), 3),
            "bytes_to_read": sum(plan.bytes_to_read for plan in plans),
            "warnings": asked_warnings(
                dict.fromkeys([*self._part_warnings(), *self.warnings, *self._whole()]), self.profile
            ),
            "snapped": [asdict(cut) for cut in self.snapped],
            "removed": [
                {"part": number, "start_seconds": round(float(start), 6), "end_seconds": round(float(end), 6)}
                for number, part in enumerate(self.parts)
                for start, end in part.removed.spans
            ],
        }

    @property
    def _made(self) -> list[tuple[Fraction, Fraction]]:
        """The actual start and end of each part, on the timeline that is left."""
        return [
            (plan.actual_start, plan.actual_end - part.removed.seconds)
            for part, plan in zip(self.parts, self.plans, strict=True)
        ]

    @property
    def _lengths(self) -> list[Fraction]:
        """The seconds of each part in the clip."""
        return [(end - start) / self.profile.output.tempo for start, end in self._made]

    def _segments(self) -> Iterator[dict[str, Any]]:
        for number, plan in enumerate(self.plans):
            reason = self.reason or self.refused.get(number)
            for each in plan.segments:
                yield {"part": number, **each.model_dump(), "reason": reason}

    def _whole(self) -> Iterator[str]:
        """Yield the warnings of the whole clip."""
        if self.reason is not None:
            yield encoded_instead(self.reason)
        limit, profile = self.profile.output.max_bytes, self.profile
        if limit is not None:
            tracks = len(kept_tracks(profile, self.parts[0].facts.audio))
            frames = sum(plan.frames for plan in self.plans)
            least = other_bytes(profile.audio_bitrate, tracks, sum(self._lengths, Fraction(0)), frames)
            if least > limit:
                yield size_unlikely(limit, least)

    def _part_warnings(self) -> Iterator[str]:
        """Yield the warnings that follow from facts and transcripts, in the form in which the clip would have them."""
        profile = self.profile
        lost = lost_texts(self.parts, self._made, profile.container, speed=profile.output.tempo)
        for number, plan in enumerate(self.plans):
            texts = [text_lost(language, profile.container) for of, language in lost if of == number]
            yield from of_part(number, [*self._warnings_of(number, plan), *texts, *plan.warnings], of=len(self.plans))

    def _warnings_of(self, number: int, plan: PartPlan) -> Iterator[str]:
        part, first = self.parts[number], self.parts[0].facts
        yield from known_warnings(self.parts, number, self.profile)
        if number in self.refused and self.reason is None:
            yield part_encoded(self.refused[number])
        if first.video and self.profile.video != "none" and plan.held_seconds:
            before = sum(self._lengths[:number], Fraction(0))
            whole = self._lengths[number]  # of a part without video
            held = held_until_frame(exact(plan.held_seconds), before, self.profile) if part.facts.video else whole
            yield picture_held(min(held, whole))
        if part.burnt is None:
            return
        if not first.video:  # a part without video shows the picture before it
            yield subtitles_not_drawn(part.burnt.language)
        elif count := crowded_out(part.burnt.cues, self.characters):
            yield subtitles_cut(part.burnt.language, count)
