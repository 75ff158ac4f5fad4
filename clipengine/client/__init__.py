"""Typed Python client for the HTTP API. Of the engine's dependencies it needs httpx and pydantic only.

    from clipengine.client import Client

    with Client("http://127.0.0.1:8377", api_key) as client:
        recording = client.recordings.upload("meeting.mp4").wait()
        clip = client.clips.create(recording.recording_id, "key-moment", 5.0, 12.5).wait()
        clip.raise_for_error().download("key-moment.mp4")

`AsyncClient` has the same methods as coroutines. Every method raises `ApiError` for an error response and
`ServerUnreachable` if there is no response. Webhook receivers use `clipengine.client.webhooks.verify`.
"""

from clipengine.client.client import AsyncClient, Client
from clipengine.client.clips import AsyncClip, Clip
from clipengine.client.errors import (
    ApiError,
    ClientError,
    FileChanged,
    JobFailed,
    NotClipengine,
    ServerUnreachable,
    SignatureInvalid,
    WaitTimeout,
)
from clipengine.client.events import Event
from clipengine.client.models import (
    ApiKey,
    AuditEntry,
    Batch,
    Captions,
    ClipError,
    ClipPlan,
    Cue,
    Delivery,
    Frames,
    Framing,
    ListedPieces,
    ListedShare,
    Me,
    NextMoment,
    Page,
    Profile,
    Proxy,
    Rule,
    SearchHit,
    Segments,
    Selection,
    Session,
    Share,
    SharedLink,
    Suggestions,
    Transcript,
    Transcription,
    TriedRule,
    User,
    Watermark,
    Waveform,
    Webhook,
)
from clipengine.client.recordings import AsyncRecording, Recording
from clipengine.clips.clip import ClipResult

__all__ = [
    "ApiError",
    "ApiKey",
    "AsyncClient",
    "AsyncClip",
    "AsyncRecording",
    "AuditEntry",
    "Batch",
    "Captions",
    "Client",
    "ClientError",
    "Clip",
    "ClipError",
    "ClipPlan",
    "ClipResult",
    "Cue",
    "Delivery",
    "Event",
    "FileChanged",
    "Frames",
    "Framing",
    "JobFailed",
    "ListedPieces",
    "ListedShare",
    "Me",
    "NextMoment",
    "NotClipengine",
    "Page",
    "Profile",
    "Proxy",
    "Recording",
    "Rule",
    "SearchHit",
    "Segments",
    "Selection",
    "ServerUnreachable",
    "Session",
    "Share",
    "SharedLink",
    "SignatureInvalid",
    "Suggestions",
    "Transcript",
    "Transcription",
    "TriedRule",
    "User",
    "WaitTimeout",
    "Watermark",
    "Waveform",
    "Webhook",
]
