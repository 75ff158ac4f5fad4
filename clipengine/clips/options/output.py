"""Output options of a clip: the changes of its picture and its audio that a request asks for. Pure.

Positions in the picture are fractions of the recording's upright picture, from its upper left corner.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_serializer,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from clipengine.basis.settings_table import NO_NUL, Options, SettingsTable, without_nul
from clipengine.errors import InvalidRequest

Fit = Literal["crop", "pad", "blur"]
Medium = Literal["video", "audio"]
MEDIA: tuple[Medium, ...] = ("video", "audio")
WATERMARK_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
# Any text, so that the error of an unknown name lists those that exist.
_AnyName = Annotated[str, Field(max_length=100, json_schema_extra=NO_NUL), AfterValidator(without_nul)]
_MAX_RANGES = 100
_MAX_BOXES = 50
_ASPECT = r"^[1-9][0-9]{0,3}:[1-9][0-9]{0,3}$"
MAX_POINTS = 1000  # of a moving focus, and of all moving boxes of a clip
_MAX_ASPECT = 10
_MAX_SIDE = 8640
_ROUNDED = 1e-9  # of sums of fractions
_SLOWEST, _FASTEST = 0.25, 10_000
_MAX_AUDIBLE_SPEED = 16  # faster clips are timelapses: silent, at a constant rate

OutputFault = tuple[str, str]  # the option and its fault
_Position = Annotated[float, Field(ge=0, le=1)]
_Length = Annotated[float, Field(gt=0, le=1)]
_Seconds = Annotated[float, Field(ge=0, le=1_000_000)]


def _in_order(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] >= span[1]:
        raise PydanticCustomError("span", "must end after it begins")
    return span


# Some linters of OpenAPI want `items` of arrays of a fixed length too.
_TWO_NUMBERS: JsonDict = {"items": {"type": "number"}}
_Span = Annotated[
    tuple[_Seconds, _Seconds], Field(strict=False, json_schema_extra=_TWO_NUMBERS), AfterValidator(_in_order)
]


class Region(Options):
    """A part of the picture."""

    x: _Position
    y: _Position
    width: _Length
    height: _Length

    @field_validator("width", "height")
    @classmethod
    def _inside(cls, length: float, info: ValidationInfo) -> float:
        start = info.data.get("x" if info.field_name == "width" else "y")
        if start is not None and start + length > 1 + _ROUNDED:
            raise PydanticCustomError("region", "must end inside the picture, at 1 at most")
        return length

    @property
    def is_whole(self) -> bool:
        return self.width > 1 - _ROUNDED and self.height > 1 - _ROUNDED


def _after_the_start(end: float | None, info: ValidationInfo) -> float | None:
    if end is not None and end <= info.data.get("from_seconds", end - 1):
        raise PydanticCustomError("span", "must be after from_seconds")
    return end


_End = Annotated[
    _Seconds | None,
    Field(description="As `from_seconds`. Default: the end of the clip."),
    AfterValidator(_after_the_start),
]


class BlurBox(Region):
    """A part of the picture that is blurred, from `from_seconds` on until `to_seconds` of the clip."""

    from_seconds: _Seconds = 0.0
    to_seconds: _End = None


class ClipTime(Options):
    """A time of the clip."""

    at_seconds: _Seconds

    @property
    def time(self) -> float:
        return self.at_seconds


class RecordingTime(Options):
    """A time of the recording."""

    recording_seconds: _Seconds

    @property
    def time(self) -> float:
        return self.recording_seconds


class BoxAt(ClipTime, Region):
    """Where a box is at a time. Between two times it moves and grows at a constant speed."""


class BoxInRecording(RecordingTime, Region):
    """Where a box is at a time of the recording. Between two times it moves and grows at a constant speed."""


class Focus(Options):
    """A point in the picture."""

    x: _Position
    y: _Position


class FocusAt(ClipTime, Focus):
    """Where the focus is at a time. Between two times it moves at a constant speed."""


class FocusInRecording(RecordingTime, Focus):
    """Where the focus is at a time of the recording. Between two times it moves at a constant speed."""


_At = TypeVar("_At", BoxAt, BoxInRecording, FocusAt, FocusInRecording)


def _in_time(path: tuple[_At, ...]) -> tuple[_At, ...]:
    if not path:
        raise PydanticCustomError("path", "must not be empty")
    if any(later.time <= each.time for each, later in pairwise(path)):
        raise PydanticCustomError("path", "must be in the order of its times, each after the one before")
    return path


_PATH = Field(strict=False, max_length=MAX_POINTS, json_schema_extra={"minItems": 1})
_FocusPath = Annotated[tuple[FocusAt, ...], _PATH, AfterValidator(_in_time)]
_FocusPathInRecording = Annotated[tuple[FocusInRecording, ...], _PATH, AfterValidator(_in_time)]
_BoxPath = Annotated[tuple[BoxAt, ...], _PATH, AfterValidator(_in_time)]
_BoxPathInRecording = Annotated[tuple[BoxInRecording, ...], _PATH, AfterValidator(_in_time)]
Path = Sequence[FocusAt | FocusInRecording | BoxAt | BoxInRecording]
FocusPath = tuple[FocusAt, ...] | tuple[FocusInRecording, ...]
BoxPath = tuple[BoxAt, ...] | tuple[BoxInRecording, ...]

_FOCUS: TypeAdapter[Any] = TypeAdapter(Focus)
_FOCUS_PATHS: tuple[TypeAdapter[Any], TypeAdapter[Any]] = TypeAdapter(_FocusPath), TypeAdapter(_FocusPathInRecording)
_BOX_PATHS: tuple[TypeAdapter[Any], TypeAdapter[Any]] = TypeAdapter(_BoxPath), TypeAdapter(_BoxPathInRecording)


# The validators of unions would put the names of types into the places of faults.
def _of_its_times(paths: tuple[TypeAdapter[Any], TypeAdapter[Any]], value: Any) -> Any:
    """Validate a path, whose first item says whether its times are in the clip or in the recording."""
    first = value[0] if isinstance(value, list | tuple) and value else None
    is_recorded = isinstance(first, RecordingTime) or (isinstance(first, dict) and "recording_seconds" in first)
    return paths[is_recorded].validate_python(value)


def _focus(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
    return _of_its_times(_FOCUS_PATHS, value) if isinstance(value, list | tuple) else _FOCUS.validate_python(value)


def _box_path(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
    return _of_its_times(_BOX_PATHS, value)


class MovingBox(Options):
    """A box that moves, and is blurred from `from_seconds` on until `to_seconds` of the clip."""

    box: Annotated[_BoxPath | _BoxPathInRecording, WrapValidator(_box_path)] = Field(
        description="Where the box is, in seconds of the clip or of the recording. Before the first time it is as "
        "there, after the last one as there."
    )
    from_seconds: _Seconds = 0.0
    to_seconds: _End = None


_BOX: TypeAdapter[Any] = TypeAdapter(BlurBox)
_MOVING_BOX: TypeAdapter[Any] = TypeAdapter(MovingBox)


def _box(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
    is_moving = isinstance(value, MovingBox) or (isinstance(value, dict) and "box" in value)
    return (_MOVING_BOX if is_moving else _BOX).validate_python(value)


AnyFocus = Annotated[Focus | _FocusPath | _FocusPathInRecording, WrapValidator(_focus)]
AnyBox = Annotated[BlurBox | MovingBox, WrapValidator(_box)]


def _ratio(text: str) -> str:
    if re.match(_ASPECT, text) is None:
        raise PydanticCustomError("aspect", "must be W:H, such as 9:16")
    if not Fraction(1, _MAX_ASPECT) <= Fraction(*map(int, text.split(":"))) <= _MAX_ASPECT:
        raise PydanticCustomError("aspect", f"must be a ratio between 1:{_MAX_ASPECT} and {_MAX_ASPECT}:1")
    return text


class ExactSize(Options):
    """A size of the picture in pixels."""

    width: int = Field(ge=16, le=_MAX_SIDE, multiple_of=2)
    height: int = Field(ge=16, le=_MAX_SIDE, multiple_of=2)
    enlarge: bool = Field(
        default=False,
        description="Enlarge a smaller picture. Without it, the clip of a smaller one is smaller, in the same shape.",
    )

    @field_validator("height")
    @classmethod
    def _is_a_usual_shape(cls, height: int, info: ValidationInfo) -> int:
        width = info.data.get("width", height)
        if not height <= width * _MAX_ASPECT <= height * _MAX_ASPECT**2:
            raise PydanticCustomError("size", f"must have a ratio between 1:{_MAX_ASPECT} and {_MAX_ASPECT}:1")
        return height

    @property
    def ratio(self) -> Fraction:
        return Fraction(self.width, self.height)


_Ratio = Annotated[str, AfterValidator(_ratio), Field(json_schema_extra={"pattern": _ASPECT})]


def _of_few_points(boxes: tuple[AnyBox, ...]) -> tuple[AnyBox, ...]:
    if sum(len(box.box) for box in boxes if isinstance(box, MovingBox)) > MAX_POINTS:
        raise PydanticCustomError("points", f"must have at most {MAX_POINTS} places of boxes together")
    return boxes


_Boxes = Annotated[tuple[AnyBox, ...], Field(strict=False, max_length=_MAX_BOXES), AfterValidator(_of_few_points)]
_Spans = Annotated[tuple[_Span, ...], Field(strict=False, max_length=_MAX_RANGES)]


@dataclass(frozen=True)
class Use:
    """Marks a field of Output as an option of requests.

    Without the medium that it `needs`, the option has no effect. `changes_picture` ignores changes of the picture's
    size and frame rate.
    """

    needs: Medium | None = None
    changes_picture: bool = False


_VIDEO, _AUDIO = Use(needs="video"), Use(needs="audio")
_PICTURE = Use(needs="video", changes_picture=True)
_ALSO_PICTURE = Use(changes_picture=True)


def _has_shape(info: ValidationInfo) -> bool:
    """Return False if the options have neither an aspect nor a size. Wrong ones are reported alone."""
    return any(name not in info.data or info.data[name] is not None for name in ("aspect", "size"))


class Output(Options):
    """Changes of the picture and the audio. Without a key, nothing is changed."""

    max_height: Annotated[int | None, _VIDEO] = Field(
        default=None, ge=16, le=_MAX_SIDE, description="Larger pictures are scaled down. Default: the profile's."
    )
    fps: Annotated[float | None, _VIDEO] = Field(
        default=None, gt=0, le=240, description="Frames per second. Default: the profile's."
    )
    crop: Annotated[Region | None, _PICTURE] = Field(
        default=None, description="Part of the picture to keep, as fractions of the recording's upright picture."
    )
    aspect: Annotated[_Ratio | None, _PICTURE] = Field(
        default=None, description="Aspect ratio of the clip, such as `9:16`, with square pixels.", examples=["9:16"]
    )
    size: Annotated[ExactSize | None, _PICTURE] = Field(
        default=None,
        description="Size of the clip, with square pixels. The picture gets its shape by `fit`, as with an `aspect`.",
    )
    fit: Fit | None = Field(
        default=None,
        description="How the picture gets its `aspect` or `size`: `crop` cuts off the sides, `pad` adds black bars, "
        "`blur` fills the bars with the blurred picture. Default: `crop`.",
    )
    focus: AnyFocus | None = Field(
        default=None,
        description="With `fit` `crop`: the point that stays nearest to the middle, or a list of where it is at times "
        "of the clip or of the recording. Default: the middle.",
    )

    fade_seconds: Annotated[float | None, _ALSO_PICTURE] = Field(
        default=None, gt=0, le=60, description="Fade picture and audio in and out, for so many seconds each."
    )
    mute: Annotated[_Spans | None, _AUDIO] = Field(
        default=None, description="Ranges without sound, `[[from, to], …]` in seconds of the clip."
    )
    loudness_lufs: Annotated[float | None, _AUDIO] = Field(
        default=None,
        ge=-50,
        le=-5,
        description="Loudness of each track (EBU R 128), reached by one gain. The true peak stays below -1 dBTP.",
    )

    blur: Annotated[_Boxes | None, _PICTURE] = Field(
        default=None,
        description="Boxes that are blurred beyond recognition, as fractions of the recording's upright picture. One "
        "with `box` moves.",
    )
    speed: Annotated[float | None, _ALSO_PICTURE] = Field(
        default=None,
        ge=_SLOWEST,
        le=_FASTEST,
        description="Playback speed of picture and audio; the pitch stays the same. Above 16 the clip is a timelapse: "
        "silent, with a constant frame rate (`fps`, by default the profile's or 30).",
    )
    to_seconds: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        description="Length of the clip. Becomes the `speed` that this takes, for the range before any snapping.",
    )

    watermark: Annotated[_AnyName | None, _PICTURE] = Field(
        default=None, description="Name of a watermark in the settings, which is drawn over the finished picture."
    )

    max_bytes: Annotated[int | None, _VIDEO] = Field(
        default=None,
        ge=10_000,
        le=1 << 40,
        description="Largest size of the file. It is encoded again with lower bit rates until it is small enough.",
    )

    @field_validator("size")
    @classmethod
    def _is_the_only_size(cls, size: ExactSize | None, info: ValidationInfo) -> ExactSize | None:
        if size is None:
            return None
        if info.data.get("max_height") is not None:
            raise PydanticCustomError("size", "must not be given together with max_height")
        aspect = info.data.get("aspect")
        if aspect is not None and Fraction(*map(int, aspect.split(":"))) != size.ratio:
            raise PydanticCustomError("size", "must have the aspect, or be given without one")
        return size

    @field_validator("fit")
    @classmethod
    def _fits_an_aspect(cls, fit: Fit | None, info: ValidationInfo) -> Fit | None:
        if fit is not None and not _has_shape(info):
            raise PydanticCustomError("fit", "needs an aspect or a size")
        return fit

    @field_validator("focus")
    @classmethod
    def _focuses_a_crop(cls, focus: AnyFocus | None, info: ValidationInfo) -> AnyFocus | None:
        if focus is not None and (not _has_shape(info) or info.data.get("fit") in ("pad", "blur")):
            raise PydanticCustomError("focus", 'needs an aspect or a size, with the fit "crop"')
        return focus

    @field_validator("to_seconds")
    @classmethod
    def _replaces_speed(cls, seconds: float | None, info: ValidationInfo) -> float | None:
        if seconds is not None and info.data.get("speed") is not None:
            raise PydanticCustomError("to_seconds", "cannot be given with a speed")
        return seconds

    @property
    def aspect_ratio(self) -> Fraction | None:
        """Width divided by height of the clip's picture, if `aspect` or `size` is set."""
        if self.size is not None:
            return self.size.ratio
        return None if self.aspect is None else Fraction(*map(int, self.aspect.split(":")))

    @property
    def reframes(self) -> bool:
        """True if another part of the picture may be shown, or in another aspect ratio."""
        return self.aspect_ratio is not None or (self.crop is not None and not self.crop.is_whole)

    @property
    def changes_frames(self) -> bool:
        """True if frames of any size are changed."""
        return bool(self.fade_seconds or self.blur or self.watermark) or self.tempo != 1

    @property
    def picture_options(self) -> tuple[str, ...]:
        """Names of the given options that may change the picture, apart from its size and its frame rate."""
        return tuple(name for name, use in _USES.items() if use.changes_picture and getattr(self, name))

    def options_that_need(self, medium: Medium) -> tuple[str, ...]:
        """Return the names of the given options that need this medium."""
        return tuple(name for name, use in _USES.items() if use.needs == medium and getattr(self, name))

    @property
    def tempo(self) -> Fraction:
        """The exact speed."""
        return Fraction(str(self.speed or 1))

    @property
    def is_timelapse(self) -> bool:
        """True if the clip is so fast that it has no audio."""
        return self.tempo > _MAX_AUDIBLE_SPEED

    def of_range(self, seconds: float, *, longest: float) -> Output:
        """Return the options with the `speed` for `to_seconds`. Raises InvalidRequest if it is not possible."""
        if self.to_seconds is None:
            return self
        if self.to_seconds > longest:
            raise_faults([("to_seconds", f"is {self.to_seconds:g}, but a clip may have at most {longest:g} s")])
        speed = seconds / self.to_seconds
        if not _SLOWEST <= speed <= _FASTEST:
            text = f"would make the speed {speed:g}, but {_SLOWEST:g} to {_FASTEST:g} are possible"
            raise_faults([("to_seconds", text)])
        return self.model_copy(update={"speed": speed, "to_seconds": None})

    @property
    def focus_path(self) -> FocusPath:
        """The points of the focus with their times, if it moves."""
        return self.focus if isinstance(self.focus, tuple) else ()

    @property
    def paths(self) -> list[Path]:
        """The movements of the focus and of the boxes."""
        moving: list[Path] = [box.box for box in self.moving_boxes]
        return [self.focus_path, *moving] if self.focus_path else moving

    @property
    def moving_boxes(self) -> list[MovingBox]:
        return [box for box in self.blur or () if isinstance(box, MovingBox)]

    @property
    def moving_seconds(self) -> float:
        """The length of the movements during a part, in seconds of the clip."""
        seconds = 0.0
        for path in self.paths:
            speed = float(self.tempo) if isinstance(path[0], RecordingTime) else 1.0
            seconds += (path[-1].time - path[0].time) / speed
        return seconds

    @property
    def muted(self) -> list[tuple[float, float]]:
        """The ranges of `mute` in order."""
        return sorted(self.mute or ())

    def check_length(self, range_seconds: float, *, longest: float) -> None:
        """Raise InvalidRequest if an option lies outside a clip of a range of this length, or makes it too long."""
        errors: list[OutputFault] = []
        length = range_seconds / float(self.tempo)
        if self.tempo != 1 and length > longest:
            errors.append(("speed", f"makes the clip {length:g} s long, but it may have at most {longest:g} s"))
        if self.fade_seconds is not None and 2 * self.fade_seconds > length + _ROUNDED:
            errors.append(("fade_seconds", f"is {self.fade_seconds:g}, more than half of the clip's {length:g} s"))
        for number, (start, _) in enumerate(self.mute or ()):
            if start >= length:
                errors.append((f"mute/{number}", f"begins at {start:g} s, after the end of the clip at {length:g} s"))
        for number, box in enumerate(self.blur or ()):
            if box.from_seconds >= length:
                text = f"is {box.from_seconds:g}, after the end of the clip at {length:g} s"
                errors.append((f"blur/{number}/from_seconds", text))
        raise_faults(errors)

    @model_serializer(mode="wrap")
    def _only_given(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}

    def to_object(self) -> dict[str, Any]:
        """Return the options that are given."""
        return self.model_dump(mode="json")


_USES = {name: use for name, field in Output.model_fields.items() for use in field.metadata if isinstance(use, Use)}
OUTPUT_OPTIONS = tuple(_USES)


def _known(option: str) -> str:
    if option not in _USES:
        raise PydanticCustomError("option", f"must be one of {', '.join(OUTPUT_OPTIONS)}")
    return option


_WIDER = 2  # the largest width of `size`, in relation to the largest height


class OutputLimits(SettingsTable):
    """The table `[limits.output]` of the settings: the output options that requests may use."""

    allowed: tuple[Annotated[str, AfterValidator(_known)], ...] = OUTPUT_OPTIONS
    max_height: Annotated[int, Field(ge=16, le=8640)] = 4320
    max_fps: Annotated[float, Field(gt=0, le=240)] = 120

    def check(self, output: Output) -> None:
        """Raise InvalidRequest with each option that is not allowed."""
        errors = []
        for name in OUTPUT_OPTIONS:
            if getattr(output, name) is not None and name not in self.allowed:
                errors.append((name, "is not allowed by the operator of this engine (limits.output.allowed)"))
        size = output.size
        for name, value, most in (
            ("max_height", output.max_height, self.max_height),
            ("size/width", None if size is None else size.width, _WIDER * self.max_height),
            ("size/height", None if size is None else size.height, self.max_height),
            ("fps", output.fps, self.max_fps),
        ):
            if value is not None and value > most:
                errors.append((name, f"is {value:g}, but the operator of this engine allows at most {most:g}"))
        raise_faults(errors)


def raise_faults(errors: Sequence[OutputFault]) -> None:
    """Raise InvalidRequest if there are errors."""
    if errors:
        faults = [{"detail": detail, "pointer": f"/output/{name}"} for name, detail in errors]
        raise InvalidRequest("; ".join(f"output/{name} {detail}" for name, detail in errors), errors=faults)
