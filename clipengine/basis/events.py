"""Events of webhooks and of the event stream, and how messages of chat services announce them.

The page, the settings, the OpenAPI document and the ledger use these declarations; a test holds the manual to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

# The subject is before the dot.
EventType = Literal[
    "clip.ready",
    "clip.failed",
    "clip.progress",
    "clip.expired",
    "recording.recording",
    "recording.complete",
    "recording.failed",
    "transcript.ready",
    "transcript.failed",
    "transcript.stored",
    "marker.added",
    "rule.stopped",
    "endpoint.disabled",
    "storage.warning",
    "storage.limit_unmet",
]
StorageEvent = Literal["storage.warning", "storage.limit_unmet"]
ExpiryReason = Literal["expired", "limit"]  # in `clip.expired`: its time, or `retention.max_clips_bytes`
DEFAULT_EVENTS: tuple[EventType, ...] = ("clip.ready", "clip.failed")
MessageFormat = Literal["json", "slack", "discord"]  # of the requests to a webhook endpoint
Tone = Literal["good", "bad", "plain"]


class ConfiguredEndpoint(NamedTuple):
    """One webhook endpoint of the settings. Its `wants` names rules there, and has their ids in the ledger."""

    url: str
    secret: str
    events: Sequence[str]
    format: MessageFormat = "json"
    wants: Mapping[str, Sequence[str]] | None = None


class Announcement(NamedTuple):
    """The title of an event in a chat, and its tone."""

    title: str
    tone: Tone = "plain"


ANNOUNCEMENTS: dict[EventType, Announcement] = {
    "clip.ready": Announcement("Clip ready", "good"),
    "clip.failed": Announcement("Clip failed", "bad"),
    "clip.progress": Announcement("Clip in progress"),
    "clip.expired": Announcement("Clip expired"),
    "recording.recording": Announcement("Recording in progress"),
    "recording.complete": Announcement("Recording ready", "good"),
    "recording.failed": Announcement("Recording failed", "bad"),
    "transcript.ready": Announcement("Transcript ready", "good"),
    "transcript.failed": Announcement("Transcription failed", "bad"),
    "transcript.stored": Announcement("Transcript stored", "good"),
    "marker.added": Announcement("Markers added"),
    "rule.stopped": Announcement("Rule stopped", "bad"),
    "endpoint.disabled": Announcement("Webhook disabled", "bad"),
    "storage.warning": Announcement("Clips near their limit"),
    "storage.limit_unmet": Announcement("Clips above their limit", "bad"),
}
