"""Shares of clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import WithJsonSchema

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


@dataclass(frozen=True)
class NewShareObject(ShareObject):
    """A link to one clip. Only the response to its creation contains the link itself."""

    url: Annotated[
        str | None, WithJsonSchema({"type": "string", "examples": ["https://clips.example.org/s/2mQx…"]})
    ] = field(default=None, repr=False)
    """Address of the page with the clip. It is not shown again."""
    embed_url: str | None = field(default=None, repr=False)
    """Address of the player for other sites; null if that is not allowed."""
    video_url: Annotated[str | None, WithJsonSchema({"type": "string"})] = field(default=None, repr=False)
    """Address of the clip's file."""
