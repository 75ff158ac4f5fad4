"""Typed Python client for the HTTP API. It needs httpx and no other part of the engine.

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
    JobFailed,
    NotClipengine,
    ServerUnreachable,
    SignatureInvalid,
    WaitTimeout,
)
from clipengine.client.events import Event
from clipengine.client.models import ClipError, ClipPlan, Delivery, Frames, Page, Profile, Share, Waveform, Webhook
from clipengine.client.recordings import AsyncRecording, Recording
from clipengine.clips.clip import ClipResult

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncClip",
    "AsyncRecording",
    "Client",
    "ClientError",
    "Clip",
    "ClipError",
    "ClipPlan",
    "ClipResult",
    "Delivery",
    "Event",
    "Frames",
    "JobFailed",
    "NotClipengine",
    "Page",
    "Profile",
    "Recording",
    "ServerUnreachable",
    "Share",
    "SignatureInvalid",
    "WaitTimeout",
    "Waveform",
    "Webhook",
]
