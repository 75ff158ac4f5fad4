"""Events of `GET /v1/events`."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class EventObject(TypedDict):
    """Data of a server-sent event. `clip.updated` and `recording.updated` report progress and have no id."""

    event: str
    data: dict[str, Any]
    organisation_id: NotRequired[str | None]
    timestamp: NotRequired[str | None]
    id: NotRequired[str | None]
