"""The Python client: everything that the HTTP API does, typed. It needs httpx and nothing else of the engine.

    from clipengine.client import Client

    with Client("http://127.0.0.1:8377", api_key) as client:
        recording = client.recordings.wait(client.recordings.upload("meeting.mp4").recording_id)
        clip = client.clips.create(recording.recording_id, "key-moment", 5.0, 12.5)
        clip = client.clips.wait(clip.clip_id)
        client.clips.download(clip.clip_id, "key-moment.mp4")

Every method raises `ApiError` where the server refuses and `ServerUnreachable` where it does not answer.
What a webhook receiver needs is `clipengine.client.webhooks.verify(body, headers, secret)`.
"""

from clipengine.client.client import Client
from clipengine.client.errors import ApiError, ClientError, ServerUnreachable, SignatureInvalid, WaitTimeout
from clipengine.client.models import Clip, ClipError, ClipResult, Delivery, Page, Recording, Webhook

__all__ = [
    "ApiError",
    "Client",
    "ClientError",
    "Clip",
    "ClipError",
    "ClipResult",
    "Delivery",
    "Page",
    "Recording",
    "ServerUnreachable",
    "SignatureInvalid",
    "WaitTimeout",
    "Webhook",
]
