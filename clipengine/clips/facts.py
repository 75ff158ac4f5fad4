"""Facts about a recording, found once by the probe from its packets and kept beside its row.

Times here are on the recording's own timeline: 0 is the earliest presentation time over its streams, as a player
shows it. `origin` is where that lies on the container's clock, so that container time = origin + recording time.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

ExactSeconds = Annotated[
    Fraction, BeforeValidator(Fraction), PlainSerializer(lambda value: str(value), return_type=str, when_used="json")
]


class VideoFacts(BaseModel):
    """The first video stream. `frame_seconds` is the usual distance of two frames (the median over the packets)."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    index: int
    codec: str
    width: int
    height: int
    frame_seconds: ExactSeconds
    tick: ExactSeconds  # the time base of its timestamps
    sample_aspect_ratio: ExactSeconds  # of the stored picture, before rotation
    variable_rate: bool
    rotation: int  # degrees clockwise that a player turns the picture: 0, 90, 180 or 270
    frames: int | None = None  # None where it was not counted
    first_frame: ExactSeconds | None = None  # when it begins, recording time; None where an older probe did not say

    @property
    def fps(self) -> float:
        return round(float(1 / self.frame_seconds), 3) if self.frame_seconds > 0 else 0.0

    @property
    def frame_rate(self) -> str | None:
        """`30000/1001`, `25`: what `fps` rounds. None where the recording has no rate."""
        return str(1 / self.frame_seconds) if self.frame_seconds > 0 else None


class EndStamps(BaseModel):
    """Timestamps mark the end of a packet's samples, moved so that those of the shortest packets are right."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid")

    shortest: int  # samples
    late: ExactSeconds  # the largest difference between a timestamp and the first sample of its packet


class FrameStamps(BaseModel):
    """Timestamps are nominal; a packet's true time is a whole number of frames after the first packet's."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid")

    first: ExactSeconds
    frame_seconds: ExactSeconds
    lag: ExactSeconds  # timestamp minus true time, halfway between the least and the most
    late: ExactSeconds  # the same at the most


AudioStamps = EndStamps | FrameStamps


class AudioFacts(BaseModel):
    """One audio stream."""

    model_config = ConfigDict(frozen=True)

    index: int
    codec: str
    channels: int
    sample_rate: int
    language: str | None = None
    stamps: AudioStamps | None = None  # what timestamps mark where that is not a packet's first sample


class SourceFacts(BaseModel):
    """What the probe found. `duration` is by packets: the latest presentation end over the streams, minus `origin`."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    container: str
    origin: ExactSeconds
    duration: ExactSeconds
    video: VideoFacts | None = None
    audio: tuple[AudioFacts, ...] = ()
    seekable: bool = True  # False: the container's clock is not to be trusted (jumps), so a cut reads from the start
    warnings: tuple[str, ...] = ()

    def to_object(self) -> dict[str, Any]:
        """The `media` object of the API."""
        video = self.video and {
            "codec": self.video.codec,
            "width": self.video.width,
            "height": self.video.height,
            "fps": self.video.fps,
            "frame_rate": self.video.frame_rate,
            "variable_rate": self.video.variable_rate,
            "first_frame_seconds": None if self.video.first_frame is None else round(float(self.video.first_frame), 6),
            "rotation": self.video.rotation,
        }
        audio = [track.model_dump(include={"codec", "channels", "sample_rate", "language"}) for track in self.audio]
        return {"container": self.container, "video": video, "audio": audio}
