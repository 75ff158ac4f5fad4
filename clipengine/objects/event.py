"""Events of `GET /v1/events`."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from clipengine.objects.base import described


@described
class EventObject(TypedDict):
    """Data of a server-sent event.

    `clip.updated`, `recording.updated` and `transcript.updated` report progress and have no id.
    """

    event: str
    data: dict[str, Any]
    """The object that the event is about."""
    organisation_id: NotRequired[str | None]
    timestamp: NotRequired[str | None]
    id: NotRequired[str | None]
    """Id to resume from; null for progress."""
