"""Shares of clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, WithJsonSchema

from clipengine.objects.base import ApiObject, MaybeTime, Time


@dataclass(frozen=True)
class ShareObject(ApiObject):
    """A link to one clip. `views` counts the times that its page or its player was opened."""

    share_id: str
    clip_id: str = ""
    created_at: Time = ""
    expires_at: MaybeTime = None
    download: bool = True
    embed: bool = True
    views: int = 0
    last_viewed_at: MaybeTime = None
    created_by: str | None = None
    webhook_hosts: list[str] | None = None


@dataclass(frozen=True)
class ListedShareObject(ShareObject):
    """A link to one clip, in the list of the links to all clips."""

    label: str = ""
    """Label of the clip."""


@dataclass(frozen=True)
class NewShareObject(ShareObject):
    """A link to one clip, with the link itself, which a key with the scope `write` can get again."""

    url: Annotated[
        str | None, WithJsonSchema({"type": "string", "examples": ["https://clips.example.org/s/2mQx…"]})
    ] = field(default=None, repr=False)
    """Address of the page with the clip. `?t=90.5` behind it begins the clip at this second."""
    embed_url: str | None = field(default=None, repr=False)
    """Address of the player for other sites; null if that is not allowed. `?t=` begins it as that of `url`."""
    embed_code: str | None = field(default=None, repr=False)
    """HTML of a frame with the player; null if `embed_url` is."""
    video_url: Annotated[str | None, WithJsonSchema({"type": "string"})] = field(default=None, repr=False)
    """Address of the clip's file."""
    note: str | None = None
    """What the link is not good for; null if nothing is known."""


@dataclass(frozen=True)
class SharedLinkObject(NewShareObject):
    """A link to one clip. If the key of the secrets was replaced, its `url` is null, with the reason."""

    url: Annotated[str | None, Field(examples=["https://clips.example.org/s/2mQx…"])] = field(default=None, repr=False)
    """Address of the page with the clip; null if it cannot be shown again."""
    embed_url: str | None = field(default=None, repr=False)
    """Address of the player for other sites; null if that is not allowed, or if `url` is null."""
    embed_code: str | None = field(default=None, repr=False)
    """HTML of a frame with the player; null if `embed_url` is."""
    video_url: str | None = field(default=None, repr=False)
    """Address of the clip's file; null if `url` is."""
    note: str | None = None
    """What the link is not good for; null if nothing is known."""
    url_reason: str | None = None
    """Why `url` is null; null if it is not."""
