"""Rules: their bodies, and the clips that they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from clipengine.api.http.requests.clips import ClipLook, CreateClip
from clipengine.api.http.requests.fields import Body, Filter, Moment, like
from clipengine.api.http.validation import validate_body
from clipengine.basis.settings_table import Options
from clipengine.clips.request import ClipRequest
from clipengine.rules.labels import LABEL_FIELDS
from clipengine.rules.rule import LabelTemplate, MaxClips, RuleConditions, RuleName, RuleRanges, RuleSpec

_FIELDS = ", ".join(f"`${each}`" for each in LABEL_FIELDS)


class ShareOfRule(Options):
    """The share of each clip."""

    expires_in_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        default=None, description="Days after the clip is queued. Default: `shares.expires_days`."
    )
    download: bool = Field(default=True, description="Offer the file for download beside the player.")
    embed: bool = Field(default=True, description="Allow other sites to embed the player (`shares.frame_ancestors`).")


class ClipOfRule(ClipLook):
    """The clips that a rule makes."""

    label: LabelTemplate = Field(
        default="$name $number",
        description=f"Template of the labels. Its fields are {_FIELDS}; local times are those of the clip's start.",
    )
    expires_in_days: Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Days after the end of the recording at which the clips are deleted. Default: "
        "`retention.clips_days`.",
    )

    share: ShareOfRule | None = Field(
        default=None, description="Share each clip; its webhooks and the log of the rule have the address."
    )

    @property
    def given(self) -> dict[str, Any]:
        """The options that are given, as JSON, and the label."""
        return {"label": self.label} | self.model_dump(mode="json", exclude_unset=True, exclude_none=True)


class RuleOptions(Body):
    """What rules do."""

    max_bytes, max_members, max_tokens = None, CreateClip.max_members, CreateClip.max_tokens

    when: RuleConditions = Field(default=RuleConditions(), description="The recordings that it acts on. Default: all.")
    ranges: RuleRanges = Field(description="The ranges of a recording of which it makes clips.")
    clip: ClipOfRule = Field(default=ClipOfRule(), description="The options of its clips.")
    max_clips: MaxClips = 20

    @property
    def spec(self) -> RuleSpec:
        """The rule, with the options of its clips as they were given."""
        return RuleSpec(when=self.when, ranges=self.ranges, clip=self.clip.given, max_clips=self.max_clips)


class CreateRule(RuleOptions):
    model_config = like(
        name="Meetings",
        when={"source": "livekit", "min_seconds": 60.0},
        ranges={"kind": "chapters"},
        clip={"label": "$name - $title", "tags": ["auto"]},
    )

    name: RuleName = Field(description="Unique among the rules.")
    enabled: bool = True


class UpdateRule(Body):
    """Changes of a rule. Omitted fields are not changed."""

    max_bytes, max_members, max_tokens = None, CreateClip.max_members, CreateClip.max_tokens
    model_config = like(enabled=False)

    name: RuleName | None = Field(default=None, description="Unique among the rules.")
    enabled: bool | None = Field(
        default=None, description="Enabling it clears `stopped_reason`; it acts on what happens from then on."
    )
    when: RuleConditions | None = Field(default=None, description="Replaces all conditions.")
    ranges: RuleRanges | None = Field(default=None, description="Replaces the ranges.")
    clip: ClipOfRule | None = Field(default=None, description="Replaces all options of the clips.")
    max_clips: MaxClips | None = Field(default=None, description="Of one recording; later ranges are left out.")


class BackfillRule(Body):
    model_config = like(created_after="2026-01-01T00:00:00Z")

    created_after: Moment | None = Field(
        default=None, description="Only recordings that were registered after this time. Default: all."
    )


class TryRule(Body):
    model_config = like(recording_id="rec_01j9x2")

    recording_id: Filter = Field(min_length=1, description="A complete recording.")


class TryNewRule(RuleOptions):
    model_config = like(recording_id="rec_01j9x2", ranges={"kind": "first", "seconds": 30.0})

    recording_id: Filter = Field(min_length=1, description="A complete recording.")


class RuleClipBodies:
    """The bodies of the clips of rules, see `clipengine.work.cutting.rule_clips.ClipBodies`."""

    @staticmethod
    def check(clip: Mapping[str, Any]) -> dict[str, Any]:
        """Return the `clip` of a rule as it is stored. Raises InvalidRequest."""
        return validate_body(ClipOfRule, dict(clip)).given

    @staticmethod
    def request(body: Mapping[str, Any], recording_id: str, *, request_id: str | None) -> ClipRequest:
        """Return the request of a body of `POST /v1/recordings/{recording_id}/clips`. Raises InvalidRequest."""
        return validate_body(CreateClip, dict(body)).request(recording_id, request_id=request_id, traceparent=None)
