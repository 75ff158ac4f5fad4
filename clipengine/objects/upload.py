"""Uploads that resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

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
    part_bytes: int | None = None
    """Size of the parts that may be sent to the store directly; null if all bytes go through the server."""


@dataclass(frozen=True)
class UploadPart(ApiObject):
    """A part of an upload that is sent to the store directly."""

    number: int
    """Its number, from 1. It begins at `(number - 1) * part_bytes`."""
    size_bytes: int
    """Its size, which the body must have."""
    url: str | None = None
    """Where to send it with `PUT`, without an API key; null if the store has it."""


def _parts(data: Any) -> list[UploadPart]:
    return [UploadPart.from_object(each) for each in data]


@dataclass(frozen=True)
class UploadParts(ApiObject):
    """Parts of an upload that is sent to the store directly."""

    part_bytes: int
    """Size of each part, except for the last."""
    offset: int
    """Bytes before the first part that is missing."""
    links_expire_at: Time
    """When the links expire. A transfer that has begun by then is not interrupted."""
    data: list[UploadPart]
    """The parts that were asked for, in this order."""

    parsers: ClassVar = {"data": _parts}
