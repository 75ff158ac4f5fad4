"""Webhook endpoints, and the stream of events."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from clipengine.api.http.requests.fields import UNIQUE, Address, Body, Filter, Line, Query, Tag, distinct, like
from clipengine.basis.events import DEFAULT_EVENTS, EventType, MessageFormat
from clipengine.basis.settings_table import NO_NUL
from clipengine.clips.metadata import MAX_TAGS
from clipengine.errors import InvalidRequest
from clipengine.webhooks.sign import check_secret


def _secret(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise PydanticCustomError("secret", "must consist of visible ASCII characters")
    try:
        return check_secret(text)
    except InvalidRequest as error:
        raise PydanticCustomError("secret", "{reason}", {"reason": error.message}) from None


Secret = Annotated[
    str, Field(min_length=16, max_length=200, json_schema_extra={"pattern": "^[!-~]+$"}), AfterValidator(_secret)
]
Events = Annotated[list[EventType], Field(min_length=1, json_schema_extra=UNIQUE), AfterValidator(distinct)]


_Rule = Annotated[str, Field(min_length=1, max_length=40, json_schema_extra=NO_NUL)]
_MAX_WANTED = 100


class Wants(BaseModel):
    """Lists that limit the events of clips and recordings: each list that is given must have a value of the event."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS, json_schema_extra=UNIQUE), AfterValidator(distinct)] = Field(
        default=[], description="Tags of the clip, or of the recording. One of them is enough."
    )
    rules: Annotated[list[_Rule], Field(max_length=_MAX_WANTED, json_schema_extra=UNIQUE), AfterValidator(distinct)] = (
        Field(default=[], description="Ids of rules that have made the clip. Events of recordings have none.")
    )
    series: Annotated[list[Line], Field(max_length=MAX_TAGS, json_schema_extra=UNIQUE), AfterValidator(distinct)] = (
        Field(default=[], description="Series of the recording.")
    )

    def given(self) -> dict[str, list[str]]:
        """Return the lists that have a value."""
        return {name: values for name, values in self.model_dump().items() if values}


class CreateWebhook(Body):
    always_hashed = ("url", "events", "secret", "enabled")
    model_config = like(url="https://example.org/hooks", events=list(DEFAULT_EVENTS))

    url: Address
    events: Events = Field(default=[*DEFAULT_EVENTS])
    secret: Secret | None = Field(default=None, description="Generated if omitted.")
    enabled: bool = True
    format: MessageFormat = Field(
        default="json", description="`slack` and `discord`: the message of an incoming webhook of that service."
    )
    wants: Wants | None = Field(default=None, description="Which events of clips and recordings it gets; null: all.")


class UpdateWebhook(Body):
    """Changes of a webhook endpoint. Omitted fields are not changed."""

    model_config = like(enabled=False)

    url: Address | None = None
    events: Events | None = None
    format: MessageFormat | None = None
    wants: Wants | None = Field(
        default=None, description="Which later events of clips and recordings it gets; null: all of them."
    )
    secret: Secret | None = Field(
        default=None,
        description="X-Relay-Signature uses the new secret at once; webhook-signature has both signatures for a day.",
    )
    enabled: bool | None = Field(
        default=None,
        description="With false, pending deliveries wait until this is true again; events that happen meanwhile are "
        "never sent.",
    )


class StreamEvents(Query):
    clip_id: Filter | None = Field(default=None, description="Only events of this clip.")
    recording_id: Filter | None = Field(
        default=None, description="Only events of this recording and its clips. Not together with `clip_id`."
    )
