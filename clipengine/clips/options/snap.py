"""Snapping of cuts: the option of a request, and the report about each cut. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pydantic import ConfigDict, Field

from clipengine.basis.settings_table import Options
from clipengine.basis.timecode import exact

SnapTarget = Literal["keyframe", "silence", "scene", "sentence"]
Edge = Literal["start", "end"]
MAX_WITHIN_SECONDS = 30


class Snap(Options):
    """A request to move the cuts of a clip."""

    to: SnapTarget = Field(
        description="`keyframe`: a keyframe of the video. `silence`: 0.1 s before a sound that follows a silence, or "
        "0.1 s after a silence has begun. `scene`: a change of scene. `sentence`: where a sentence of the transcript "
        "starts or ends."
    )
    within_seconds: float = Field(
        default=2.0, gt=0, le=MAX_WITHIN_SECONDS, description="The largest distance that a cut may move."
    )

    @property
    def within(self) -> Fraction:
        return exact(self.within_seconds)


@dataclass(frozen=True)
class SnappedCut:
    """A requested cut and its new time, null if the cut stayed. `part` counts from 0."""

    __pydantic_config__ = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": True})

    part: int
    cut: Edge
    asked_seconds: float
    snapped_seconds: float | None
