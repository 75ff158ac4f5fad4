"""Reports of the children that make and read the file of a clip, which are validated but not trusted."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from clipengine.clips.edit import MAX_PARTS
from clipengine.clips.options.profiles import Rendered
from clipengine.clips.texts.subtitles import MAX_TEXT_TRACKS
from clipengine.errors import VerificationFailed
from clipengine.recordings.facts import Count, ExactSeconds, Name, Warning

_MAX_WARNINGS = 1000
_MAX_TRACKS = 66 + MAX_TEXT_TRACKS
_MAX_BYTES = 1 << 48  # no recording has as many
_SIDE = 65_535  # pixels, of the largest frame that a codec can have
_TIME_SECONDS = 1e9

_Seconds = Annotated[float, Field(ge=-_TIME_SECONDS, le=_TIME_SECONDS, allow_inf_nan=False)]
_Pixels = Annotated[int, Field(ge=1, le=_SIDE)]


class MadePart(BaseModel):
    """The range of a part that the clip contains, on the recording's timeline without the removed ranges."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, strict=True)

    actual_start: ExactSeconds
    actual_end: ExactSeconds

    @property
    def seconds(self) -> Fraction:
        return self.actual_end - self.actual_start


class CutReport(BaseModel):
    """The maker child's report of its clip."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, strict=True)

    parts: Annotated[tuple[MadePart, ...], Strict(False), Field(min_length=1, max_length=MAX_PARTS)]
    frames: Count
    width: _Pixels | None
    height: _Pixels | None
    video_codec: Name | None
    audio_codec: Name | None
    size_bytes: Count
    encode_seconds: _Seconds
    bytes_read: int = Field(ge=-_MAX_BYTES, le=_MAX_BYTES)
    render: Rendered
    copied_seconds: _Seconds
    encoded_seconds: _Seconds
    warnings: Annotated[tuple[Warning, ...], Strict(False), Field(max_length=_MAX_WARNINGS)]
    ffmpeg: Annotated[str, Field(max_length=200)] = ""  # version

    @classmethod
    def of(cls, message: object) -> CutReport:
        """Parse the child's message. Raises VerificationFailed."""
        try:
            return cls.model_validate(message)
        except ValidationError as error:
            raise VerificationFailed("the encoder's report of the clip is not valid") from error

    @property
    def seconds(self) -> Fraction:
        return sum((part.seconds for part in self.parts), Fraction(0))

    @property
    def actual_start(self) -> Fraction:
        """The start of the first part."""
        return self.parts[0].actual_start

    @property
    def actual_end(self) -> Fraction:
        """The end of the last part."""
        return self.parts[-1].actual_end

    @property
    def result_fields(self) -> dict[str, Any]:
        """The fields that the result of the clip has too."""
        return self.model_dump(exclude={"parts", "bytes_read", "warnings", "ffmpeg"})

    @property
    def ranges(self) -> list[tuple[Fraction, Fraction]]:
        """The actual start and end of each part."""
        return [(part.actual_start, part.actual_end) for part in self.parts]


class TrackReport(BaseModel):
    """One track of the file. `width` and `height` are the size of upright frames.

    Steps are the differences between packet times in presentation order.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    kind: Name
    codec: Name
    width: _Pixels | None
    height: _Pixels | None
    sample_rate: Annotated[int, Field(ge=1, le=1_000_000)] | None
    packets: Count
    bytes: Count
    first_seconds: _Seconds | None
    last_seconds: _Seconds | None
    shortest_step_seconds: _Seconds | None
    longest_step_seconds: _Seconds | None
    begins_with_keyframe: bool
    text_sha256: Name | None = None  # of the cues of a text track


class FileReport(BaseModel):
    """The report of the inspector child (`media.worker.inspector`) about the file."""

    model_config = ConfigDict(frozen=True, strict=True)

    container: Name
    seconds: _Seconds
    tracks: list[TrackReport] = Field(max_length=_MAX_TRACKS)
    chapters_sha256: Name | None = None

    @classmethod
    def of(cls, message: object) -> FileReport:
        """Parse the child's message. Raises VerificationFailed."""
        try:
            return cls.model_validate(message)
        except ValidationError as error:
            raise VerificationFailed("the inspector's report of the clip is not valid") from error
