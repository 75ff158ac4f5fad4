"""Events of webhooks and of the event stream, and how messages of chat services announce them.

The page, the settings, the OpenAPI document and the ledger use these declarations; a test holds the manual to them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

# All but the last concern a clip, a recording or its transcript.
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
    "endpoint.disabled",
]
DEFAULT_EVENTS: tuple[EventType, ...] = ("clip.ready", "clip.failed")
MessageFormat = Literal["json", "slack", "discord"]  # of the requests to a webhook endpoint
Tone = Literal["good", "bad", "plain"]


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
    "endpoint.disabled": Announcement("Webhook disabled", "bad"),
}
