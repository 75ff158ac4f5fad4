"""Webhook endpoints and their deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import WithJsonSchema
from typing_extensions import TypedDict

from clipengine.basis.events import EventType, MessageFormat
from clipengine.objects.base import ApiObject, MaybeTime, Object, Time, shown_time

Origin = Literal["api", "settings"]
Outcome = Literal["delivered", "retry", "failed"]
DeliveryStatus = Literal["pending", "sending", "delivered", "failed"]
DISABLED_BY_REQUEST = "disabled by request"  # `disabled_reason` of a webhook that was disabled through the API


class WantsObject(TypedDict, total=False):
    """Lists that limit the events of clips and recordings: each list that is given must have a value of the event.

    Events of recordings have no rule.
    """

    tags: list[str]
    """Tags of the clip, or of the recording."""
    rules: list[str]
    """Ids of rules that have made the clip."""
    series: list[str]
    """Series of the recording."""


@dataclass(frozen=True)
class WebhookObject(ApiObject):
    """A webhook endpoint."""

    webhook_id: str
    url: str
    events: list[EventType] = field(default_factory=list)
    enabled: bool = True
    origin: Origin = "api"
    created_at: Time = ""
    disabled_reason: str | None = None
    failing_since: MaybeTime = None
    format: MessageFormat = "json"
    wants: WantsObject | None = None


@dataclass(frozen=True)
class NewWebhookObject(WebhookObject):
    """A webhook endpoint. Only the response to its creation contains the secret."""

    secret: Annotated[str | None, WithJsonSchema({"type": "string"})] = field(default=None, repr=False)
    """Signs the deliveries. It is not shown again."""


class AttemptObject(TypedDict):
    """An attempt to deliver an event."""

    attempt: int
    at: Time
    """When the attempt began."""
    outcome: Outcome
    """What became of the attempt."""
    status_code: int | None
    """HTTP status of the response; null without one."""
    error: str | None
    """Why it failed; null if it was delivered."""
    duration_ms: int
    """Milliseconds until the response."""


@dataclass(frozen=True)
class DeliveryObject(ApiObject):
    """A delivery. `webhook_id` is null for the `webhook_url` of a clip.

    `subject` is the label of the clip, the name or key of the recording, or the origin of the webhook's URL. `test` is
    true for a sample. `url` is only scheme, host and port for a key without the scope `admin`.
    """

    delivery_id: str
    event_id: str
    event: EventType
    webhook_id: str | None = None
    clip_id: str | None = None
    recording_id: str | None = None
    subject: str | None = None
    test: bool = False
    url: str = ""
    status: DeliveryStatus = "pending"
    """State of the delivery."""
    attempt: int = 0
    """Number of attempts so far."""
    created_at: Time = ""
    next_at: MaybeTime = None
    last_status_code: int | None = None
    last_error: str | None = None
    attempts: list[AttemptObject] = field(default_factory=list)

    @classmethod
    def of(cls, delivery: Any, /, attempts: Iterable[Any] = (), **given: Any) -> Self:
        """Return a delivery with its whole URL, which is for admins, and its attempts, oldest first."""
        return super().of(
            delivery,
            event=delivery.event_type,
            webhook_id=delivery.endpoint_id,
            subject=_subject(delivery.body),
            test=delivery.event_type.startswith("clip.") and delivery.clip_id is None,
            attempts=[{**vars(each), "at": shown_time(each.at)} for each in attempts],
            **given,
        )


def _subject(body: bytes) -> str | None:
    """Return the name of the object that a delivery reports, from its body: the object may be deleted."""
    data = json.loads(body)["data"] if body else {}
    return (
        data.get("label") or data.get("name") or data.get("bucket_path") or data.get("recording_id") or data.get("url")
    )


@dataclass(frozen=True)
class DeliveryPayloadObject(DeliveryObject):
    """A delivery with `payload`, the body that is signed and sent."""

    payload: Annotated[Object | None, WithJsonSchema({})] = None
    """The body that is sent."""
