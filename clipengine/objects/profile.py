"""Profiles and watermarks of the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.watermarks import Position
from clipengine.objects.base import ApiObject, Object, described_as


@dataclass(frozen=True)
class ProfileObject(ApiObject):
    """A profile of the settings, selected by `profile` of a clip."""

    name: str
    container: str = ""
    video: str = ""
    """Codec of the video, or `none`."""
    audio: str = ""
    """Codec of the audio, or `none`."""
    max_height: int | None = None
    """Maximum height in lines; null for that of the recording."""
    fps: float | None = None
    """Frames a second; null for those of the recording."""
    render: Render = "encode"
    output: Annotated[Object, described_as(Output)] = field(default_factory=dict)
    """Output options of clips whose requests have none."""


@dataclass(frozen=True)
class WatermarkObject(ApiObject):
    """A watermark of the settings, selected by `output.watermark` of a clip."""

    name: str
    position: Position = "bottom-right"
    """Where clips show it."""
