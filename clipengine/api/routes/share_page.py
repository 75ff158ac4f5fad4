"""HTML and oEmbed of a share. The pages need no script; their colours follow the system's theme.

They show the label, the length and the file of the clip, and nothing else about it or its recording.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

from starlette.requests import Request

from clipengine.clips.clip import Clip
from clipengine.ledger.shares import Share
from clipengine.recordings.media_types import media_type
from clipengine.settings import Settings

_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
_AUDIO_SIZE = (480, 120)
_SITE = "clipengine"


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


def share_page(share: Share, clip: Clip, address: Address) -> str:
    label, token = escape(clip.label), address.token
    facts = [f"<span>{_length(clip)}</span>"]
    if share.expires_at is not None:
        facts.append(f"<span>Available until {_moment(share.expires_at)}</span>")
    download = f'<a class="button" href="{token}/download" download>Download</a>' if share.download else ""
    body = f"""<main>
{_player(clip, f"{token}/")}
<div class="about">
<div><h1 dir="auto">{label}</h1>
<p class="facts">{" ".join(facts)}</p></div>
{download}
</div>
</main>"""
    return _document(label, _tags(share, clip, address), body)


def player_page(clip: Clip, address: Address) -> str:
    """Return the page for frames of other sites: the player alone."""
    body = f'<main class="embedded">{_player(clip, f"../s/{address.token}/")}</main>'
    return _document(escape(clip.label), "", body)


def missing_page() -> str:
    """Return the page of every link that does not work, for whatever reason."""
    body = """<main class="missing">
<h1>This link does not work</h1>
<p>It may have expired or been revoked. Ask the person who sent it for a new one.</p>
</main>"""
    return _document("Link not found", "", body)


def oembed(clip: Clip, address: Address, max_width: int | None, max_height: int | None) -> dict[str, Any]:
    """Return the oEmbed response (https://oembed.com), scaled down to the maximum size of the request."""
    width, height = _size(clip)
    scale = min(1.0, (max_width or width) / width, (max_height or height) / height)
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    html = (
        f'<iframe src="{escape(address.embed)}" width="{width}" height="{height}" title="{escape(clip.label)}" '
        'frameborder="0" allow="fullscreen; picture-in-picture" allowfullscreen></iframe>'
    )
    thumbnail = (
        {"thumbnail_url": address.poster, "thumbnail_width": _size(clip)[0], "thumbnail_height": _size(clip)[1]}
        if _has_poster(clip)
        else {}
    )
    return {
        "version": "1.0",
        "type": "video" if _is_video(clip) and not _is_image(clip) else "rich",
        "title": clip.label,
        "provider_name": _SITE,
        "provider_url": address.base,
        "html": html,
        "width": width,
        "height": height,
        **thumbnail,
    }


def _player(clip: Clip, folder: str) -> str:
    """Return the player. `folder` is the relative URL that `video` and `poster` are appended to."""
    label, source = escape(clip.label), f"{folder}video"
    if not _is_video(clip):
        return f'<audio src="{source}" controls preload="metadata" aria-label="{label}"></audio>'
    width, height = _size(clip)
    if _is_image(clip):
        return f'<img src="{source}" width="{width}" height="{height}" alt="{label}">'
    poster = f' poster="{folder}poster"' if _has_poster(clip) else ""
    return (
        f'<video src="{source}"{poster} width="{width}" height="{height}" controls playsinline preload="metadata" '
        f'aria-label="{label}"></video>'
    )


def _tags(share: Share, clip: Clip, address: Address) -> str:
    """Return the tags from which chat services build a preview: Open Graph, Twitter cards and oEmbed discovery."""
    kind = "image" if _is_image(clip) else "video" if _is_video(clip) else "audio"
    width, height = _size(clip)
    properties = {
        "og:type": {"image": "website", "video": "video.other", "audio": "music.song"}[kind],
        "og:site_name": _SITE,
        "og:title": clip.label,
        "og:description": f"Clip, {_length(clip)}",
        "og:url": address.page,
        f"og:{kind}": address.video,
        f"og:{kind}:type": media_type(clip.object_key),
    }
    if address.base.startswith("https:"):
        properties[f"og:{kind}:secure_url"] = address.video
    if kind != "audio":
        properties |= {f"og:{kind}:width": str(width), f"og:{kind}:height": str(height)}
    if kind == "image":
        properties["og:image:alt"] = clip.label
    elif _has_poster(clip):
        properties |= {"og:image": address.poster, "og:image:type": "image/jpeg", "og:image:alt": clip.label}
        properties |= {"og:image:width": str(width), "og:image:height": str(height)}
    names = {"twitter:card": "player" if share.embed else "summary_large_image", "twitter:title": clip.label}
    names["description"] = properties["og:description"]
    if share.embed:
        names |= {"twitter:player": address.embed}
        names |= {"twitter:player:width": str(width), "twitter:player:height": str(height)}
    if _has_poster(clip):
        names["twitter:image"] = address.poster
    tags = [f'<meta property="{name}" content="{escape(text)}">' for name, text in properties.items()]
    tags += [f'<meta name="{name}" content="{escape(text)}">' for name, text in names.items()]
    if share.embed:
        discovery = escape(f"{address.base}/oembed?url={address.page}")
        tags.append(f'<link rel="alternate" type="application/json+oembed" href="{discovery}" title="oEmbed">')
    return "\n".join(tags)


def _document(title: str, head: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en" prefix="og: https://ogp.me/ns#">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex, nofollow">
<title>{title}</title>
{head}
<link rel="icon" href="../assets/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="../assets/share.css">
</head>
<body>
{body}
</body>
</html>
"""


def _is_video(clip: Clip) -> bool:
    return clip.result is not None and clip.result.width is not None


def _is_image(clip: Clip) -> bool:
    """Return True if the clip is an animation, which browsers show as an image."""
    return media_type(clip.object_key).startswith("image/")


def _has_poster(clip: Clip) -> bool:
    return clip.result is not None and clip.result.poster_path is not None


def _size(clip: Clip) -> tuple[int, int]:
    result = clip.result
    return (result.width, result.height) if result and result.width and result.height else _AUDIO_SIZE


def _length(clip: Clip) -> str:
    """Return the length in whole seconds, as players show it: `0:07`, `12:30` or `1:02:03`."""
    seconds = clip.result.duration_seconds if clip.result else clip.end_seconds - clip.start_seconds
    minutes, rest = divmod(max(1, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _moment(ms: int) -> str:
    at = datetime.fromtimestamp(ms / 1000, UTC)
    shown = f"{at.day} {at:%B} {at.year}, {at:%H:%M} UTC"
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{shown}</time>'
