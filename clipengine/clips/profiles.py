"""Profiles: what a clip is encoded as. A profile is a named table `[profiles.NAME]` of the settings.

Combinations that no player accepts are refused when the settings are read, not when a clip is made.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Container = Literal["mp4", "webm", "mkv", "m4a", "mp3"]
VideoCodec = Literal["h264", "hevc", "vp9", "av1", "none"]
AudioCodec = Literal["aac", "opus", "mp3", "none"]

_VIDEO_IN: dict[str, set[str]] = {
    "mp4": {"h264", "hevc", "av1", "vp9"},
    "webm": {"vp9", "av1"},
    "mkv": {"h264", "hevc", "vp9", "av1"},
    "m4a": set(),
    "mp3": set(),
}
_AUDIO_IN: dict[str, set[str]] = {
    "mp4": {"aac", "opus", "mp3"},
    "webm": {"opus"},
    "mkv": {"aac", "opus", "mp3"},
    "m4a": {"aac"},
    "mp3": {"mp3"},
}
_CONTENT_TYPES = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
}


class Profile(BaseModel):
    """How clips are encoded. The defaults are the profile `default`: it plays in every browser."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    container: Container = "mp4"
    video: VideoCodec = "h264"
    crf: float | None = Field(default=23, ge=0, le=63)
    video_bitrate: int | None = Field(default=None, ge=10_000, le=500_000_000)  # bits per second; replaces crf
    preset: str = Field(default="veryfast", pattern=r"^[a-z0-9]{1,16}$")
    max_height: int | None = Field(default=None, ge=16, le=8640)
    fps: float | None = Field(default=None, gt=0, le=240)  # None keeps every frame at its own time
    pixel_format: Literal["yuv420p", "yuv420p10le"] = "yuv420p"
    hdr: Literal["tonemap", "keep"] = "tonemap"
    audio: AudioCodec = "aac"
    audio_bitrate: int = Field(default=128_000, ge=8_000, le=1_000_000)  # bits per second and track
    audio_tracks: Literal["all", "mix"] | int = "all"

    @model_validator(mode="after")
    def _playable(self) -> Profile:
        if self.video == "none" and self.audio == "none":
            raise ValueError('video and audio are both "none": nothing would be left of the clip')
        if self.video != "none" and self.video not in _VIDEO_IN[self.container]:
            allowed = ", ".join(sorted(_VIDEO_IN[self.container])) or "none"
            raise ValueError(f'container "{self.container}" cannot hold video "{self.video}"; it holds {allowed}')
        if self.audio != "none" and self.audio not in _AUDIO_IN[self.container]:
            allowed = ", ".join(sorted(_AUDIO_IN[self.container]))
            raise ValueError(f'container "{self.container}" cannot hold audio "{self.audio}"; it holds {allowed}')
        if self.video != "none" and self.crf is None and self.video_bitrate is None:
            raise ValueError("give crf or video_bitrate")
        if isinstance(self.audio_tracks, int) and self.audio_tracks < 0:
            raise ValueError('audio_tracks is "all", "mix" or the number of a track, counted from 0')
        return self

    @property
    def extension(self) -> str:
        """The file name's ending, without the dot."""
        return self.container

    @property
    def content_type(self) -> str:
        return _CONTENT_TYPES[self.container]
