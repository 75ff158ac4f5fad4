"""A rule: the recordings it acts on, the ranges it cuts of them, and the clips that it makes. Pure.

The API and the settings read rules with these types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from clipengine.basis.settings_table import NO_NUL, Options, without_nul
from clipengine.clips.suggested import MAX_SUGGESTIONS, check_keyword
from clipengine.clips.texts.language_tags import MAX_LANGUAGE_CHARACTERS, validated_language
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.file_name_pattern import is_time_zone
from clipengine.recordings.recording import Recording
from clipengine.rules.labels import MAX_TEMPLATE_CHARACTERS, check_template

MAX_RULES = 100
MAX_CLIPS = 200  # that a rule makes of one recording
MAX_OPTION_BYTES = 1 << 20  # of the JSON of all these clips: each has a copy of the rule's options
MAX_WORDS = 50
MAX_AROUND_SECONDS = 600
DISABLED_IN_SETTINGS = "disabled in the settings"  # `stopped_reason` of a rule with `enabled = false`
_MAX_SECONDS = 604_800
_MAX_NAME = 100

Trigger = Literal["recording.complete", "transcript.ready", "marker.added"]
Medium = Literal["video", "audio"]
RangeKind = Literal["all", "first", "last", "chapters", "hours", "markers", "suggestions", "words"]
# The parameters of each kind of range, and the ones it requires.
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "all": (),
    "first": ("seconds",),
    "last": ("seconds",),
    "chapters": ("title_words",),
    "hours": ("timezone", "from_hour", "to_hour"),
    "markers": ("before", "after", "labels"),
    "suggestions": ("limit",),
    "words": ("words", "before", "after"),
}
_REQUIRED = {"first": "seconds", "last": "seconds", "words": "words"}
OF_TRANSCRIPTS = frozenset({"suggestions", "words"})  # kinds of ranges that need a transcript


def _zone(name: str) -> str:
    if not is_time_zone(name):
        raise PydanticCustomError("timezone", "is not a time zone, such as Europe/Berlin")
    return name


def _template(text: str) -> str:
    try:
        return check_template(text)
    except ValueError as error:
        raise PydanticCustomError("template", "{reason}", {"reason": str(error)}) from None


def _word(word: str) -> str:
    try:
        return check_keyword(word)
    except ValueError as error:
        raise PydanticCustomError("word", "{reason}", {"reason": str(error)}) from None


def _one_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise PydanticCustomError("name", "must be printable, without spaces at its ends")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=NO_NUL), AfterValidator(without_nul)]
_Prefix = Annotated[str, Field(min_length=1, max_length=1000, json_schema_extra=NO_NUL), AfterValidator(without_nul)]
_Word = Annotated[_Text, AfterValidator(_word)]
_Language = Annotated[str, Field(max_length=MAX_LANGUAGE_CHARACTERS), AfterValidator(validated_language)]
_Around = Annotated[float, Field(ge=0, le=MAX_AROUND_SECONDS)]
RuleName = Annotated[str, Field(min_length=1, max_length=_MAX_NAME), AfterValidator(_one_line)]
LabelTemplate = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TEMPLATE_CHARACTERS, json_schema_extra=NO_NUL),
    AfterValidator(without_nul),
    AfterValidator(_template),
]
MaxClips = Annotated[int, Field(ge=1, le=MAX_CLIPS, description="Of one recording; later ranges are left out.")]


class RuleConditions(Options):
    """The recordings that a rule acts on. A recording meets all conditions."""

    event: Trigger = Field(
        default="recording.complete",
        description="What must happen to the recording. `transcript.ready`: it is complete and has a transcript. "
        "`marker.added`: a program has added a marker, also while it is still written.",
    )
    series: _Text | None = Field(default=None, description="Only recordings of this series.")
    tag: _Text | None = Field(default=None, description="Only recordings with this tag.")
    prefix: _Prefix | None = Field(
        default=None, description="Only recordings whose `bucket_path` begins with this text."
    )
    source: _Text | None = Field(
        default=None, description="Only recordings with this `source` in their metadata, such as `livekit`."
    )
    min_seconds: float | None = Field(
        default=None, ge=0, le=_MAX_SECONDS, description="Only recordings that are at least this long."
    )
    language: _Language | None = Field(
        default=None, description="Of `transcript.ready`: the language of the transcript. Default: the first one."
    )
    has: Medium | None = Field(default=None, description="Only recordings with video, or with audio.")

    @model_validator(mode="after")
    def _has_a_transcript(self) -> RuleConditions:
        if self.language is not None and self.event != "transcript.ready":
            raise PydanticCustomError("exclusive", "language is only for the event transcript.ready")
        return self

    def matches(self, recording: Recording) -> bool:
        """Return True if a recording meets all conditions, without its transcripts.

        One that is not probed yet may get markers, and is judged again afterwards.
        """
        facts = recording.facts
        return (
            self.series in (None, recording.series)
            and (self.tag is None or self.tag in recording.tags)
            and recording.bucket_path.startswith(self.prefix or "")
            and self.source in (None, recording.metadata.get("source"))
            and (self.event == "marker.added" if facts is None else self._suit(facts))
        )

    def _suit(self, facts: SourceFacts) -> bool:
        media = {"video": facts.video is not None, "audio": bool(facts.audio), None: True}
        return facts.duration >= (self.min_seconds or 0) and media[self.has]


class RuleRanges(Options):
    """The ranges of a recording of which a rule makes clips."""

    kind: RangeKind = Field(
        description="`all`: the whole recording. `first` and `last`: so many `seconds`. `chapters`: each chapter. "
        "`hours`: each hour of the day, by the clock of the recording. `suggestions`: the best moments of its "
        "transcript, up to `limit`. `words`: each sentence with one of the `words`. `markers`: around each marker."
    )
    seconds: float | None = Field(default=None, gt=0, le=_MAX_SECONDS, description="Of `first` and `last`.")
    title_words: Annotated[list[_Text], Field(min_length=1, max_length=MAX_WORDS)] | None = Field(
        default=None, description="Only chapters whose title contains one of these texts, in any case."
    )
    timezone: Annotated[str, Field(max_length=60), AfterValidator(_zone)] | None = Field(
        default=None, description="Of `hours`. Default: that of a camera's files, or UTC."
    )
    from_hour: int | None = Field(default=None, ge=0, le=23, description="Of `hours`: the first hour. Default: 0.")
    to_hour: int | None = Field(default=None, ge=1, le=24, description="Of `hours`: the end, exclusive. Default: 24.")

    limit: int | None = Field(default=None, ge=1, le=MAX_SUGGESTIONS, description="Of `suggestions`. Default: 5.")
    words: Annotated[list[_Word], Field(min_length=1, max_length=MAX_WORDS)] | None = Field(
        default=None, description="Of `words`: whole words or phrases, in any case; `name*` also finds `names`."
    )
    labels: Annotated[list[_Text], Field(min_length=1, max_length=MAX_WORDS)] | None = Field(
        default=None, description="Only markers whose label contains one of these texts, in any case."
    )
    before: _Around | None = Field(
        default=None, description="Of `markers` and `words`: seconds before the marker or sentence. Default: 0."
    )
    after: _Around | None = Field(
        default=None, description="Of `markers` and `words`: seconds after the marker or sentence. Default: 0."
    )

    @model_validator(mode="after")
    def _has_its_parameters(self) -> RuleRanges:
        allowed = _PARAMETERS[self.kind]
        for name in sorted({each for names in _PARAMETERS.values() for each in names}):
            if getattr(self, name) is not None and name not in allowed:
                raise PydanticCustomError("exclusive", "{name} is not for ranges of this kind", {"name": name})
        required = _REQUIRED.get(self.kind)
        if required is not None and getattr(self, required) is None:
            raise PydanticCustomError("missing", "{name} is required for ranges of this kind", {"name": required})
        if (self.from_hour or 0) >= (24 if self.to_hour is None else self.to_hour):
            raise PydanticCustomError("order", "to_hour must be greater than from_hour")
        return self


def contains_one(text: str, wanted: Sequence[str] | None) -> bool:
    """Return True if the text contains one of the wanted texts, in any case, or if all texts are wanted."""
    folded = text.casefold()
    return not wanted or any(each.casefold() in folded for each in wanted)


class RuleSpec(Options):
    """What a rule does. `clip` has the options of a request for a clip, which the API declares.

    Besides, it has `expires_in_days`; its label is a template.
    """

    when: RuleConditions = RuleConditions()
    ranges: RuleRanges
    clip: dict[str, Any] = Field(default_factory=dict)
    max_clips: MaxClips = 20

    @property
    def misfit(self) -> tuple[str, str] | None:
        """Why the event does not suit the ranges, and what to do instead; None if it does."""
        kind, event = self.ranges.kind, self.when.event
        if kind in OF_TRANSCRIPTS and event != "transcript.ready":
            return f"Ranges of the kind {kind} need a transcript", "Set when.event to transcript.ready."
        if event == "marker.added" and kind != "markers":
            return "A rule with the event marker.added needs ranges of the kind markers", "Set ranges.kind to markers."
        return None

    def to_stored(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


class ConfiguredRule(RuleSpec):
    """A rule of the settings, which its name identifies."""

    name: RuleName
    enabled: bool = True


@dataclass(frozen=True)
class Rule:
    """A stored rule and its counts. Times are in ms since 1970, UTC.

    It acts on events after `since_seq`. `stopped_reason` says why the engine has disabled it. A clip that fails counts
    in `failed`, besides in `made`.
    """

    rule_id: str
    name: str
    origin: Literal["api", "settings"]
    enabled: bool
    stored: dict[str, Any]  # its spec, which a newer engine may have written
    revision: int
    since_seq: int
    created_at: int
    updated_at: int
    made: int = 0
    skipped: int = 0
    failed: int = 0
    failures_in_row: int = 0
    stopped_reason: str | None = None
    last_error: dict[str, Any] | None = None
    last_at: int | None = None
    created_by: str | None = None  # None for the settings
    backfill: dict[str, Any] | None = None  # its state, its progress, and the place of the last recording

    @property
    def spec(self) -> RuleSpec:
        return RuleSpec.model_validate(self.stored)


assert set(_PARAMETERS) == set(get_args(RangeKind))
