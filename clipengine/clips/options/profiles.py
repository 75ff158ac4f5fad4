"""Encoding profiles. A profile is a table `[profiles.NAME]` of the settings.

Combinations that no player supports are rejected when the settings are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, model_validator

from clipengine.basis.settings_table import SettingsTable
from clipengine.clips.options.output import MEDIA, Output, OutputFault, raise_faults

Container = Literal["mp4", "webm", "mkv", "m4a", "mp3", "gif", "webp"]  # also the extension of the file
VideoCodec = Literal["h264", "hevc", "vp8", "vp9", "av1", "gif", "webp", "none"]
AudioCodec = Literal["aac", "opus", "mp3", "none"]
# Encode all frames, or copy whole GOPs and encode only the frames at the cuts.
Rendered = Literal["encode", "smart"]  # how a clip was made
Render = Literal[Rendered, "auto"]

# Silent animations, with the resolution of their frame durations. Their codecs have the same names.
ANIMATION_TICKS = {"gif": Fraction(1, 100), "webp": Fraction(1, 1000)}
MAX_ANIMATION_SECONDS, MAX_ANIMATION_HEIGHT = 30, 1080
MAX_ANIMATION_FPS = 50  # browsers show frames of less than 20 ms for 100 ms
_TIMELAPSE_FPS = 30.0
_ANIMATION_DEFAULTS = {"audio": "none", "fps": 12.0, "max_height": 360}

_VIDEO_IN: dict[str, set[str]] = {
    "mp4": {"h264", "hevc", "av1", "vp9"},
    "webm": {"vp8", "vp9", "av1"},
    "mkv": {"h264", "hevc", "vp8", "vp9", "av1"},
    "m4a": set(),
    "mp3": set(),
    "gif": {"gif"},
    "webp": {"webp"},
}
_AUDIO_IN: dict[str, set[str]] = {
    "mp4": {"aac", "opus", "mp3"},
    "webm": {"opus"},
    "mkv": {"aac", "opus", "mp3"},
    "m4a": {"aac"},
    "mp3": {"mp3"},
    "gif": set(),
    "webp": set(),
}
_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip
# Ranges of the encoders. GIF has no quality; the quality of WebP is derived from its value.
_CRF = {
    "h264": (0, 51), "hevc": (0, 51), "vp8": (4, 63), "vp9": (0, 63), "av1": (1, 63), "gif": (0, 63), "webp": (0, 63),
}  # fmt: skip
_EIGHT_BITS = ("vp8", "vp9", "gif", "webp")
_MAX_AUDIO_BITRATE = {"aac": 1_000_000, "opus": 510_000, "mp3": 320_000}
_CONTENT_TYPES = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}


class Profile(SettingsTable):
    """Encoding settings of clips. The default values are the profile `default`, which plays in every browser."""

    container: Container = "mp4"
    video: VideoCodec = "h264"
    crf: float | None = Field(default=23, ge=0, le=63)
    video_bitrate: int | None = Field(default=None, ge=10_000, le=500_000_000)  # bits per second; replaces crf
    preset: str = Field(default="veryfast", pattern=r"^[a-z0-9]{1,16}$")
    max_height: int | None = Field(default=None, ge=16, le=8640)
    fps: float | None = Field(default=None, gt=0, le=240)  # None keeps every frame at its own time
    pixel_format: Literal["yuv420p", "yuv420p10le"] = "yuv420p"
    hdr: Literal["tonemap", "keep"] = "tonemap"
    deinterlace: Literal["auto", "off"] = "auto"
    audio: AudioCodec = "aac"
    audio_bitrate: int = Field(default=128_000, ge=8_000, le=1_000_000)  # bits per second and track
    audio_tracks: Literal["all", "mix"] | int = "all"
    render: Render = "encode"
    output: Output = Output()

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, values: Any) -> Any:
        """Add the defaults of animations, which differ from the defaults of other clips."""
        if isinstance(values, dict) and values.get("container") in tuple(ANIMATION_TICKS):
            return _ANIMATION_DEFAULTS | {"video": values["container"]} | values
        return values

    @model_validator(mode="after")
    def _playable(self) -> Profile:
        if self.video == "none" and self.audio == "none":
            raise ValueError('video and audio are both "none": the clip would be empty')
        if self.video != "none":
            self._check_video(self.video)
        if self.audio != "none":
            self._check_audio(self.audio)
        for name, fault in self._output_faults(self.output):
            raise ValueError(f"output: {name} {fault}")
        return self

    def check_output(self, output: Output) -> None:
        """Raise InvalidRequest with each option that clips of this profile cannot have."""
        raise_faults(list(self._output_faults(output)))

    def _output_faults(self, output: Output) -> Iterator[OutputFault]:
        for medium in MEDIA:
            if getattr(self, medium) == "none":
                for name in output.options_that_need(medium):
                    yield name, f"would have no effect, as the profile makes clips without {medium}"
        if output.is_timelapse and self.video == "none":
            yield "speed", "is above 16, where clips have no audio, and the profile makes clips without video"
        elif output.is_timelapse and self.audio != "none":
            for name in output.options_that_need("audio"):
                yield name, "would have no effect, as clips have no audio at a speed above 16"
        if self.is_animation:
            yield from self._animation_faults(output)

    def _animation_faults(self, output: Output) -> Iterator[OutputFault]:
        if output.max_bytes is not None:
            hint = "use a smaller max_height or fps, or a shorter range"
            yield "max_bytes", f"is not possible in {self.container}: {hint}"
        height = output.size.height if output.size else output.max_height or self.max_height
        limits = (
            ("size/height" if output.size else "max_height", height, MAX_ANIMATION_HEIGHT),
            ("fps", output.fps or self.fps, MAX_ANIMATION_FPS),
        )
        for name, value, most in limits:
            if value is not None and value > most:
                yield name, f"is {value:g}, but {self.container} allows at most {most}"

    def _check_video(self, codec: str) -> None:
        if codec not in _VIDEO_IN[self.container]:
            allowed = ", ".join(sorted(_VIDEO_IN[self.container])) or '"none"'
            raise ValueError(f'container "{self.container}" cannot hold video "{codec}"; it holds {allowed}')
        if self.crf is None and self.video_bitrate is None:
            raise ValueError("crf or video_bitrate must be set")
        least, most = _CRF[codec]
        if self.video_bitrate is None and self.crf is not None and not least <= self.crf <= most:
            raise ValueError(f'crf of video "{codec}" must be between {least} and {most}, not {self.crf:g}')
        if codec in _EIGHT_BITS and (self.pixel_format != "yuv420p" or self.hdr == "keep"):
            raise ValueError(f'video "{codec}" is encoded with 8 bits: use pixel_format "yuv420p" and hdr "tonemap"')
        if self.is_animation and self.video_bitrate is not None:
            raise ValueError(f'container "{self.container}" has no bit rate: remove video_bitrate')
        if self.preset not in _PRESETS:
            raise ValueError(f'preset "{self.preset}" must be one of {", ".join(_PRESETS)}')

    def _check_audio(self, codec: str) -> None:
        if codec not in _AUDIO_IN[self.container]:
            allowed = ", ".join(sorted(_AUDIO_IN[self.container])) or '"none"'
            raise ValueError(f'container "{self.container}" cannot hold audio "{codec}"; it holds {allowed}')
        if self.audio_bitrate > _MAX_AUDIO_BITRATE[codec]:
            raise ValueError(f'audio_bitrate of audio "{codec}" must be at most {_MAX_AUDIO_BITRATE[codec]}')
        if isinstance(self.audio_tracks, int) and self.audio_tracks < 0:
            raise ValueError('audio_tracks must be "all", "mix" or the number of a track, counted from 0')

    def rendered(self, render: Render | None, output: Output | None = None) -> Profile:
        """Return the profile with the `render` and the `output` of a request, if it has them.

        `max_height`, `size` and `fps` of the output options replace the profile's values. A timelapse has no audio.
        """
        chosen = self.output if output is None else output
        changes: dict[str, object] = {"output": chosen} if render is None else {"output": chosen, "render": render}
        if chosen.max_height is not None or chosen.size is not None:
            changes["max_height"] = chosen.max_height
        if chosen.fps is not None:
            changes["fps"] = chosen.fps
        if chosen.is_timelapse:
            changes |= {"fps": chosen.fps or self.fps or _TIMELAPSE_FPS, "audio": "none"}
        return self.model_copy(update=changes)

    def longest_clip(self, limit: float) -> float:
        """Return how many seconds a clip may have, if `limit` applies to clips of any profile."""
        return min(limit, MAX_ANIMATION_SECONDS) if self.is_animation else limit

    @property
    def is_animation(self) -> bool:
        return self.container in ANIMATION_TICKS

    @property
    def content_type(self) -> str:
        return _CONTENT_TYPES[self.container]
