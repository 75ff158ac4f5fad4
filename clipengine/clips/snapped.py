"""Parts of a clip with snapped cuts, and the validation of a child's report about them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipengine.clips.edit import MAX_PARTS, PlannedPart
from clipengine.clips.options.output import Output
from clipengine.clips.options.snap import Edge, Snap, SnappedCut
from clipengine.clips.request import check_range
from clipengine.clips.snap_moments import Found
from clipengine.clips.warnings import of_part, warning
from clipengine.errors import InvalidRequest, InvalidTimeRange, VerificationFailed
from clipengine.recordings.facts import Count, ExactSeconds, SourceFacts

_Side = tuple[Edge, Fraction, Fraction | None]  # the cut as requested, and the time to which it moves
_HINT_OTHER = "Snap to something that the recording has, or leave snap out."
_HINT = "Give a longer range, a smaller within_seconds, or no snap."


class SnapReport(BaseModel):
    """The report of the child that looked for the moments. `cuts` has two times for each part, in order."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, strict=True, extra="forbid")

    cuts: Annotated[
        list[Annotated[list[ExactSeconds | None], Field(min_length=2, max_length=2)]], Field(max_length=MAX_PARTS)
    ]
    bytes_read: Count

    @classmethod
    def of(cls, message: object) -> SnapReport:
        """Parse the child's message. Raises VerificationFailed."""
        try:
            return cls.model_validate(message)
        except ValidationError as error:
            raise VerificationFailed("the encoder's report of the snapped cuts is not valid") from error

    @property
    def found(self) -> list[Found]:
        return [Found(*each) for each in self.cuts]


@dataclass(frozen=True)
class Snapped:
    """The parts of a clip after its cuts were moved."""

    parts: tuple[PlannedPart, ...]
    cuts: tuple[SnappedCut, ...] = ()
    warnings: tuple[str, ...] = ()
    bytes_read: int = 0

    def check(self, *, shortest: float, longest: float, output: Output | None) -> None:
        """Raise InvalidTimeRange or InvalidRequest if moved cuts leave no clip, or one beyond the limits."""
        if not self.cuts:
            return
        for number, part in enumerate(self.parts):
            duration = float(part.facts.duration)
            try:
                check_range(float(part.start), float(part.end), duration=duration, shortest=0, longest=math.inf)
            except InvalidTimeRange as error:
                name = f"part {number + 1}" if len(self.parts) > 1 else "the clip"
                raise InvalidTimeRange(
                    f"after its cuts were snapped, {name} is empty: {error.message}", hint=_HINT
                ) from None
        total = float(sum((min(part.end, part.facts.duration) - part.start for part in self.parts), Fraction(0)))
        if not shortest <= total <= longest:
            said = (
                f"after its cuts were snapped, the clip is {total:g} s long; {shortest:g} to {longest:g} s are allowed"
            )
            raise InvalidTimeRange(said, hint=_HINT)
        if output is not None:
            output.check_length(total, longest=longest)


def check_possible(snap: Snap, facts: SourceFacts, *, has_transcript: bool) -> None:
    """Raise InvalidRequest if a recording with these facts cannot have such moments."""
    if snap.to == "sentence" and not has_transcript:
        hint = "Add a transcript to the recording first, or snap to `silence`."
        raise InvalidRequest("snapping to sentences needs a transcript, and the recording has none", hint=hint)
    if snap.to == "silence" and not facts.audio:
        raise InvalidRequest("snapping to silence needs audio, and the recording has none", hint=_HINT_OTHER)
    if snap.to in ("keyframe", "scene") and facts.video is None:
        raise InvalidRequest(f"snapping to a {snap.to} needs video, and the recording has none", hint=_HINT_OTHER)


def move_cuts(snap: Snap, parts: Sequence[PlannedPart], found: Sequence[Found]) -> Snapped:
    """Move the cuts of the parts to the moments in `found`; a cut without a moment stays, with a warning.

    Raises VerificationFailed if a moment is farther away than the request allows.
    """
    if len(found) != len(parts):
        raise VerificationFailed("the encoder's report of the snapped cuts has another number of parts")
    moved: list[PlannedPart] = []
    cuts: list[SnappedCut] = []
    warnings: list[str] = []
    for number, (part, moments) in enumerate(zip(parts, found, strict=True)):
        texts = []
        sides: tuple[_Side, ...] = (("start", part.start, moments.start), ("end", part.end, moments.end))
        for edge, asked, moment in sides:
            if moment is None:
                text = f"the {edge} stays at {float(asked):g} s: there is no {snap.to} within {snap.within_seconds:g} s"
                texts.append(warning("not_snapped", text))
            elif abs(moment - min(asked, part.facts.duration)) > snap.within or not 0 <= moment <= part.facts.duration:
                raise VerificationFailed(f"a cut was snapped from {float(asked):g} s to {float(moment):g} s")
            snapped = None if moment is None else round(float(moment), 6)
            cuts.append(SnappedCut(number, edge, round(float(asked), 6), snapped))
        start = part.start if moments.start is None else moments.start
        moved.append(replace(part, start=start, end=part.end if moments.end is None else moments.end))
        warnings += of_part(number, texts, of=len(parts))
    return Snapped(tuple(moved), tuple(cuts), tuple(warnings))
