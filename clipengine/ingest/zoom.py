"""Webhooks of Zoom: `recording.completed`, whose files are fetched with the token of the event.

https://developers.zoom.us/docs/api/webhooks/. A signature is `v0=` and the HMAC-SHA256 of `v0:<timestamp>:<body>` in
hex. The same HMAC answers `endpoint.url_validation`: the question must be signed as well, and its token must not have
the form of a request, or anybody could have signatures made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from clipengine.errors import InvalidSignature
from clipengine.ingest.event import Body, Download, Ignored, Reading, Request, stated_start, validated
from clipengine.ingest.signatures import check_age, header, hex_digest, same

_VIDEO, _AUDIO = "MP4", "M4A"

_Text = Annotated[str, Field(max_length=2000)]
_Id = Annotated[str, Field(max_length=200)]
_Url = Annotated[str, Field(max_length=8192)]


class _File(Body):
    id: _Id = ""  # a timeline may have none
    file_type: _Id = ""
    status: _Id = "completed"
    recording_type: _Id = ""
    recording_start: _Id | None = None
    download_url: _Url = ""


class _Meeting(Body):
    uuid: _Id = ""
    id: int | _Id = ""
    topic: _Text = ""
    recording_files: list[_File] = Field(default=[], max_length=100)


class _Payload(Body):
    object: _Meeting


class _Event(Body):
    payload: _Payload
    download_token: _Url | None = None


class _Kind(Body):
    event: _Id


class _Challenge(Body):
    plainToken: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]  # noqa: N815 - Zoom's name


class _Validation(Body):
    payload: _Challenge


class ZoomEvents:
    max_bytes = 256 * 1024

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def check_headers(self, request: Request) -> None:
        header(request, "x-zm-signature")
        check_age(header(request, "x-zm-request-timestamp"), request.now)

    def verify(self, request: Request) -> None:
        timestamp = header(request, "x-zm-request-timestamp")
        signed = hex_digest(self._secret, f"v0:{timestamp}:".encode() + request.body)
        if not same(header(request, "x-zm-signature"), f"v0={signed}"):
            raise InvalidSignature("x-zm-signature is not that of this body")
        check_age(timestamp, request.now)

    def read(self, request: Request) -> Reading:
        kind = validated(_Kind, request.value).event
        if kind == "endpoint.url_validation":
            token = validated(_Validation, request.value).payload.plainToken
            return Reading(reply={"plainToken": token, "encryptedToken": hex_digest(self._secret, token.encode())})
        if kind != "recording.completed":
            return Reading((Ignored(kind, "other_event"),))
        event = validated(_Event, request.value)
        return Reading(tuple(_found(event.payload.object, event.download_token)))


def _found(meeting: _Meeting, token: str | None) -> Iterator[Download | Ignored]:
    """Yield the video files of a meeting, or its audio file if it has no video."""
    finished = [
        file for file in meeting.recording_files if file.status == "completed" and file.id and file.download_url
    ]
    videos = [file for file in finished if file.file_type == _VIDEO]
    chosen = videos or [file for file in finished if file.file_type == _AUDIO]
    for file in meeting.recording_files:
        if file not in chosen:
            yield Ignored(file.id or file.file_type, "failed" if file.status != "completed" else "not_media")
            continue
        about = {"source": "zoom", "zoom_meeting_id": str(meeting.id), "zoom_recording_type": file.recording_type}
        about |= stated_start("Zoom", file.recording_start)
        yield Download(
            url=file.download_url,
            source_id=f"zoom {file.id}",
            file=f"{meeting.topic or 'meeting'}.{file.file_type.lower()}",
            token=token,
            name=meeting.topic or None,
            metadata=about,
        )
