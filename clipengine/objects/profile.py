"""Profiles of the settings."""

from __future__ import annotations

from dataclasses import dataclass

from clipengine.clips.options.profiles import Render
from clipengine.objects.base import ApiObject


@dataclass(frozen=True)
class ProfileObject(ApiObject):
    """A profile of the settings, selected by `profile` of a clip."""

    name: str
    container: str = ""
    video: str = ""
    audio: str = ""
    max_height: int | None = None
    fps: float | None = None
    render: Render = "encode"
