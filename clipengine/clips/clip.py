"""Clips as the ledger stores them, and the results of complete clips.

`clipengine.objects.clip` has the clip object of the API.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from clipengine.basis.row_format import FIRST_FORMAT
from clipengine.clips.edit import Part
from clipengine.clips.options.profiles import Rendered
from clipengine.clips.options.snap import SnappedCut
from clipengine.clips.spec import ClipSpec

ClipState = Literal["queued", "cutting", "uploading", "complete", "failed"]
Step = Literal["waiting", "queued", "reading", "encoding", "verifying", "uploading"]
ErrorObject = dict[str, Any]  # {code, message, hint, retryable}

LONG_SECONDS = 600  # longer clips are `long`: they must not delay the others


@dataclass(frozen=True)
class ClipSubtitles:
    """A WebVTT file with the subtitles of a clip in one language, beside it in the store."""

    __pydantic_config__ = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": True})

    language: str
    path: str


@dataclass(frozen=True)
class ResultPart:
    """A part of a complete clip: as requested, where it begins in the clip, and the range of it that was cut."""

    recording_id: str
    start_seconds: float
    end_seconds: float
    offset_seconds: float
    actual_start_seconds: float
    actual_end_seconds: float


@dataclass(frozen=True)
class ClipResult:
    """Properties of a complete clip's file.

    This is the only declaration: the OpenAPI document, the Python client and the ledger use it.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": True})

    actual_start_seconds: float  # on the recording's timeline
    actual_end_seconds: float
    duration_seconds: float
    frames: int
    width: int | None
    height: int | None
    video_codec: str | None
    audio_codec: str | None
    size_bytes: int
    sha256: str
    poster_path: str | None
    encode_seconds: float
    bytes_read: int
    render: Annotated[Rendered, Field(description="`smart` if packets of the recording were copied.")]
    copied_seconds: Annotated[float, Field(description="Seconds of video that were copied.")]
    encoded_seconds: Annotated[float, Field(description="Seconds of video that were encoded.")]
    warnings: Annotated[list[str], Field(description="What the clip lacks of the recording, each as `code: text`.")]
    subtitles: Annotated[
        list[ClipSubtitles], Field(description="A WebVTT file for each transcript with a cue in its range.")
    ] = field(default_factory=list)
    parts: Annotated[list[ResultPart] | None, Field(description="Null for a clip of one range.")] = None
    manifest_path: Annotated[str | None, Field(description="Key of the signed manifest.")] = None
    snapped: Annotated[list[SnappedCut], Field(description="The cuts of all parts, if `snap` was requested.")] = field(
        default_factory=list
    )
    removed_seconds: Annotated[float, Field(description="Seconds that `without` has removed.")] = 0.0

    @classmethod
    def from_object(cls, stored: dict[str, Any]) -> ClipResult:
        """Return a result that an engine of any version has stored or sent.

        Fields that a later version has added are ignored: its engines complete clips beside this one during an upgrade.
        """
        earlier = _UNSENT | {"warnings": [], "encoded_seconds": stored["duration_seconds"]}
        files = [ClipSubtitles(**_known(ClipSubtitles, each)) for each in stored.get("subtitles", ())]
        parts = [ResultPart(**_known(ResultPart, part)) for part in stored.get("parts") or ()] or None
        snapped = [SnappedCut(**_known(SnappedCut, cut)) for cut in stored.get("snapped", ())]
        return cls(**earlier | _known(cls, stored) | {"subtitles": files, "parts": parts, "snapped": snapped})

    def to_object(self) -> dict[str, Any]:
        return asdict(self)


# Members of a result that earlier versions do not have: all of it was encoded.
_UNSENT: dict[str, Any] = {
    **dict.fromkeys(("width", "height", "video_codec", "audio_codec", "poster_path")),
    "size_bytes": 0,
    "sha256": "",
    "encode_seconds": 0.0,
    "bytes_read": 0,
    "render": "encode",
    "copied_seconds": 0.0,
}


def _known(of: type[Any], stored: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the fields that a dataclass has."""
    return {name: stored[name] for name in of.__dataclass_fields__ if name in stored}


@dataclass(frozen=True)
class QueuePlace:
    """The place of a queued clip, 1 for the next one, and estimates of its start and end in ms since 1970.

    They are None if no engine cuts clips, or if no clip is complete from which the speed is known. `is_blocked` if the
    running engines leave the clip to a newer one.
    """

    position: int
    start_at: int | None
    end_at: int | None
    is_blocked: bool = False


@dataclass(frozen=True, kw_only=True)
class Clip(ClipSpec):
    """A clip: its spec, its state and its result.

    `object_key` and `subtitle_keys` are the keys of its current attempt: each attempt has other keys.
    `queued_at` is the time when it was last queued, or became due after that: a claim ends this wait.
    """

    clip_id: str
    recording_id: str
    state: ClipState
    object_key: str
    created_at: int
    completed_at: int | None = None
    progress: float = 0.0
    step: Step | None = "queued"
    attempt: int = 0
    error: ErrorObject | None = None
    result: ClipResult | None = None
    queued_at: int = 0
    subtitle_keys: list[str] | None = None
    revision: int = 0  # incremented by each change that the API shows
    needs: int = FIRST_FORMAT  # the format of rows that an engine must know to cut it
    unread: tuple[str, ...] = ()  # names of the options that this engine cannot read

    @property
    def ranges(self) -> tuple[Part, ...]:
        """The parts, or the only range of a clip without parts."""
        return self.parts or (Part(self.recording_id, self.start_seconds, self.end_seconds),)

    @property
    def contained(self) -> tuple[Part, ...]:
        """The ranges of a complete clip, which may have moved, or else the requested ranges."""
        if self.result is None:
            return self.ranges
        made = self.result.parts
        if made:
            return tuple(Part(each.recording_id, each.actual_start_seconds, each.actual_end_seconds) for each in made)
        return (Part(self.recording_id, self.result.actual_start_seconds, self.result.actual_end_seconds),)

    @property
    def requested_seconds(self) -> float:
        return sum(part.end_seconds - part.start_seconds for part in self.ranges)

    @property
    def expected_seconds(self) -> float:
        """The length of the file as requested."""
        return self.requested_seconds / float(self.output.tempo if self.output is not None else 1)

    @property
    def ended(self) -> bool:
        return self.state in ("complete", "failed")

    @property
    def long(self) -> bool:
        return self.requested_seconds > LONG_SECONDS

    @property
    def poster_key(self) -> str:
        """The key of the poster: the clip's key with the suffix `.jpg`."""
        return self.object_key.rsplit(".", 1)[0] + ".jpg"

    @property
    def manifest_key(self) -> str:
        """The key of the manifest: the clip's key with the suffix `.json`."""
        return self.object_key.rsplit(".", 1)[0] + ".json"

    def subtitle_key(self, language: str) -> str:
        """Return the key of the subtitles in a language: the clip's key with the suffix `.en.vtt`."""
        return f"{self.object_key.rsplit('.', 1)[0]}.{language}.vtt"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all objects of the clip."""
        return (self.object_key, self.poster_key, *(self.subtitle_keys or ()))

    def subtitles_object(self) -> dict[str, Any] | None:
        """Return the `subtitles` of the request, or None if it has none."""
        if not self.subtitles:
            return None
        style = self.caption_style and self.caption_style.to_object()
        return {"mode": self.subtitles, "language": self.subtitle_language, "style": style}
