"""Uploads that resume."""

from __future__ import annotations

from dataclasses import dataclass

from clipengine.objects.base import ApiObject, MaybeTime, Time


@dataclass(frozen=True)
class UploadObject(ApiObject):
    """An upload of a recording that arrives in several requests."""

    upload_id: str
    """Id of the upload."""
    offset: int
    """Bytes that are stored. The next request continues there."""
    size_bytes: int
    """Size of the recording."""
    created_at: Time
    expires_at: Time
    """When it is deleted, if no bytes arrive until then."""
    completed_at: MaybeTime = None
    """When the recording was registered."""
    recording_id: str | None = None
    """Id of the recording, when the upload is complete."""
