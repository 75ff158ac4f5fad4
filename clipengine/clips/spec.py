"""Options of a clip as requested, which no later state of the clip changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, NamedTuple

from clipengine.basis.row_format import FIRST_FORMAT
from clipengine.clips.edit import Part
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output, RecordingTime
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.without import NOTHING, Without
from clipengine.clips.texts.subtitles import SubtitleMode

OnTimeout = Literal["fail", "clamp"]  # outcome of a clip whose range is not recorded in time


@dataclass(frozen=True)
class ClipSpec:
    """The options of a clip. Times are in ms since 1970, UTC.

    A clip of one range has no `parts`; otherwise `start_seconds` and `end_seconds` are the bounds of the parts of its
    recording. `start_time` and `end_time` are the range by the recording's clock. A `render` or `output` of None is the
    profile's. `subtitles` of None, if the request has none, is "keep", without a `subtitle_language` for all. At
    `expires_at` the clip is deleted; None for the retention time of the settings. `request_id` and `traceparent`
    identify the request that creates it, and `created_by` is who has sent it, or the rule.
    """

    label: str
    start_seconds: float
    end_seconds: float
    profile: str = "default"
    metadata: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    priority: int = 0
    webhook_url: str | None = None
    poster: bool = True
    render: Render | None = None
    output: Output | None = None
    subtitles: SubtitleMode | None = None
    subtitle_language: str | None = None
    caption_style: CaptionStyle | None = None  # of subtitles that are burnt in
    expires_at: int | None = None
    request_id: str | None = None
    traceparent: str | None = None
    created_by: str | None = None
    parts: tuple[Part, ...] = ()
    start_time: int | None = None
    end_time: int | None = None
    warnings: tuple[str, ...] = ()  # known when it was created
    snap: Snap | None = None
    without: Without = NOTHING
    wait_until: int | None = None  # deadline for a range that is not recorded yet; kept after the wait
    on_timeout: OnTimeout | None = None  # at that deadline
    variant_of: str | None = None  # the clip that it is made of, with other options

    @property
    def own_format(self) -> int:
        """The first format of rows whose engines know all options that this spec uses."""
        return max((since.format for since in SINCE.values() if since.is_used(self)), default=FIRST_FORMAT)

    def to_stored(self) -> dict[str, Any]:
        """Return all fields as JSON values; a structured option that is not given is None."""
        values = {name: getattr(self, name) for name in SPEC_FIELDS}
        return values | {name: form.dump(values[name]) for name, form in _FORMS.items()}


class Since(NamedTuple):
    """The first format of rows whose engines know an option, and the test whether a spec uses it."""

    format: int
    is_used: Callable[[ClipSpec], bool]


def _in_recording(path: str) -> Callable[[ClipSpec], bool]:
    """Return the test for a `focus` or a `blur` that moves by the times of the recording."""

    def is_used(spec: ClipSpec) -> bool:
        output = spec.output or Output()
        paths = [output.focus_path] if path == "focus" else [box.box for box in output.moving_boxes]
        return any(isinstance(each[0], RecordingTime) for each in paths if each)

    return is_used


# The options added since 0.2.0, by their names in a request. Older engines would ignore them or cannot read them.
SINCE: dict[str, Since] = {
    "keep_ranges": Since(2, lambda spec: bool(spec.without.keep)),
    "output.blur[].box[].recording_seconds": Since(2, _in_recording("blur")),
    "output.focus[].recording_seconds": Since(2, _in_recording("focus")),
    "subtitles.style": Since(2, lambda spec: spec.caption_style is not None),
}
SPEC_FIELDS = tuple(each.name for each in fields(ClipSpec))


class _Form(NamedTuple):
    """Conversion of a structured option to its stored form and back."""

    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


def _optional(dump: Callable[[Any], Any], load: Callable[[Any], Any]) -> _Form:
    return _Form(lambda value: value and dump(value), lambda stored: None if stored is None else load(stored))


_FORMS = {
    "output": _optional(Output.to_object, Output.model_validate),
    "snap": _optional(Snap.model_dump, Snap.model_validate),
    "caption_style": _optional(CaptionStyle.to_object, CaptionStyle.model_validate),
    "without": _Form(Without.to_object, Without.from_object),
    "parts": _Form(
        lambda parts: [asdict(part) for part in parts] or None,
        lambda stored: tuple(Part(**part) for part in stored or ()),
    ),
    "warnings": _Form(lambda texts: [*texts] or None, lambda stored: tuple(stored or ())),
}


# Structured options, which an older engine may be unable to read.
STRUCTURED = ("output", "snap", "caption_style", "without")


def spec_values(stored: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields in `stored`, and the names of fields in a form that only a newer engine reads.

    Any version may have written them. Fields that are missing or cannot be read keep their defaults.
    """
    values = {name: stored[name] for name in SPEC_FIELDS if name in stored}
    unread = []
    for name, form in _FORMS.items():
        if name in values:
            try:
                values[name] = form.load(values[name])
            except (ValueError, TypeError, KeyError, AttributeError):
                del values[name]
                unread.append(name)
    return values, tuple(unread)
