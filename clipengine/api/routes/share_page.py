"""HTML and oEmbed of a share. The pages need no script; their colours follow the system's theme.

They show the label, the length and the file of the clip, and nothing else about it or its recording.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from clipengine.api.http.templates import rendered
from clipengine.api.http.visitor_texts import ENGLISH, VisitorTexts
from clipengine.basis.moments import utc
from clipengine.clips.clip import Clip
from clipengine.ledger.clips.shares import Share
from clipengine.recordings.media_types import media_type
from clipengine.settings.settings import Settings

_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?\Z", re.ASCII)
_AUDIO_SIZE = (480, 120)
_SITE = "clipengine"
_SHORT_SECONDS = 9.95  # a length below it has tenths
_CLIP = "Clip, {length}"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
TEXTS = (_CLIP, *_MONTHS)  # besides the texts of the templates


@dataclass(frozen=True)
class Address:
    """The URLs of a share."""

    base: str
    token: str

    @staticmethod
    def base_of(request: Request, settings: Settings) -> str:
        """Return `server.public_url`, or the address to which the request was sent."""
        if settings.server.public_url:
            return settings.server.public_url.rstrip("/")
        host = request.headers.get("host", "")
        if not _HOST.match(host):
            host = "{}:{}".format(*request.scope["server"])
        return f"{request.scope['scheme']}://{host}"

    @classmethod
    def of(cls, request: Request, settings: Settings, token: str) -> Address:
        return cls(cls.base_of(request, settings), token)

    @property
    def page(self) -> str:
        return f"{self.base}/s/{self.token}"

    @property
    def embed(self) -> str:
        return f"{self.base}/embed/{self.token}"

    @property
    def video(self) -> str:
        return f"{self.page}/video"

    @property
    def poster(self) -> str:
        return f"{self.page}/poster"


def start_of(text: str | None, clip: Clip) -> float:
    """Return where a link begins the clip, by its parameter `t`; 0 if it is missing, wrong, or after the end."""
    seconds = float(text) if text and _SECONDS.match(text) else 0.0
    return seconds if clip.result is not None and seconds < clip.result.duration_seconds else 0.0


def share_page(share: Share, clip: Clip, address: Address, start: float = 0.0, *, texts: VisitorTexts = ENGLISH) -> str:
    expiry = None if share.expires_at is None else utc(share.expires_at)
    return rendered(
        "share_page",
        share=share,
        address=address,
        length=_length(clip),
        expiry=expiry,
        month=expiry and _MONTHS[expiry.month - 1],
        t=texts,
        properties=_properties(clip, address, texts),
        names=_names(share, clip, address, texts),
        **_player(clip, f"{address.token}/", start),
    )


def player_page(clip: Clip, address: Address, start: float = 0.0, *, texts: VisitorTexts = ENGLISH) -> str:
    """Return the page for frames of other sites: the player alone."""
    return rendered("share_embed", t=texts, **_player(clip, f"../s/{address.token}/", start))


def missing_page(texts: VisitorTexts = ENGLISH) -> str:
    """Return the page of every link that does not work, for whatever reason."""
    return rendered("share_missing", t=texts)


def oembed(clip: Clip, address: Address, max_width: int | None, max_height: int | None) -> dict[str, Any]:
    """Return the oEmbed response (https://oembed.com), scaled down to the maximum size of the request."""
    width, height = _size(clip)
    scale = min(1.0, (max_width or width) / width, (max_height or height) / height)
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    thumbnail = (
        {"thumbnail_url": address.poster, "thumbnail_width": _size(clip)[0], "thumbnail_height": _size(clip)[1]}
        if _has_poster(clip)
        else {}
    )
    return {
        "version": "1.0",
        "type": "video" if _kind(clip) == "video" else "rich",
        "title": clip.label,
        "provider_name": _SITE,
        "provider_url": address.base,
        "html": _frame(clip, address, width, height),
        "width": width,
        "height": height,
        **thumbnail,
    }


def embed_code(clip: Clip, address: Address) -> str:
    """Return the HTML of a frame with the player, in the size of the clip."""
    return _frame(clip, address, *_size(clip))


def _frame(clip: Clip, address: Address, width: int, height: int) -> str:
    return rendered("share_frame", clip=clip, address=address, width=width, height=height).rstrip()


def _player(clip: Clip, folder: str, start: float) -> dict[str, Any]:
    """Return the values of the player. `folder` is the relative URL that `video` and `poster` are appended to."""
    place = f"#t={start:g}" if start else ""  # a media fragment, which players understand
    shown = {"has_poster": _has_poster(clip) and not start, "folder": folder, "place": place}
    return {"clip": clip, "kind": _kind(clip), "size": _size(clip), **shown}


def _properties(clip: Clip, address: Address, texts: VisitorTexts) -> dict[str, str]:
    """Return the tags of Open Graph, from which chat services build a preview."""
    kind = _kind(clip)
    width, height = map(str, _size(clip))
    properties = {
        "og:type": {"image": "website", "video": "video.other", "audio": "music.song"}[kind],
        "og:site_name": _SITE,
        "og:title": clip.label,
        "og:description": texts(_CLIP, length=_length(clip)),
        "og:url": address.page,
        f"og:{kind}": address.video,
        f"og:{kind}:type": media_type(clip.object_key),
    }
    if address.base.startswith("https:"):
        properties[f"og:{kind}:secure_url"] = address.video
    if kind != "audio":
        properties |= {f"og:{kind}:width": width, f"og:{kind}:height": height}
    if kind == "image":
        properties["og:image:alt"] = clip.label
    elif _has_poster(clip):
        properties |= {"og:image": address.poster, "og:image:type": "image/jpeg", "og:image:alt": clip.label}
        properties |= {"og:image:width": width, "og:image:height": height}
    return properties


def _names(share: Share, clip: Clip, address: Address, texts: VisitorTexts) -> dict[str, str]:
    """Return the tags of Twitter cards, and the description."""
    width, height = map(str, _size(clip))
    names = {"twitter:card": "player" if share.embed else "summary_large_image", "twitter:title": clip.label}
    names["description"] = texts(_CLIP, length=_length(clip))
    if share.embed:
        names |= {"twitter:player": address.embed}
        names |= {"twitter:player:width": width, "twitter:player:height": height}
    if _has_poster(clip):
        names["twitter:image"] = address.poster
    return names


def _kind(clip: Clip) -> str:
    """Return what browsers show the clip as: an animation is an `image`."""
    if clip.result is None or clip.result.width is None:
        return "audio"
    return "image" if media_type(clip.object_key).startswith("image/") else "video"


def _has_poster(clip: Clip) -> bool:
    return clip.result is not None and clip.result.poster_path is not None


def _size(clip: Clip) -> tuple[int, int]:
    result = clip.result
    return (result.width, result.height) if result and result.width and result.height else _AUDIO_SIZE


def _length(clip: Clip) -> str:
    """Return the length as the page shows it: with tenths below ten seconds, `0:05.7`, `12:30` or `1:02:03`."""
    seconds = clip.result.duration_seconds if clip.result else clip.end_seconds - clip.start_seconds
    if seconds < _SHORT_SECONDS:
        return f"0:{math.floor(seconds * 10 + 0.5) / 10:04.1f}"
    minutes, rest = divmod(math.floor(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
