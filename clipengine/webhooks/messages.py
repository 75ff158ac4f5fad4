"""Messages of chat services, made from the JSON body of an event.

Labels, names and errors are text of callers and of recordings: they are escaped, so that they cannot mention people,
pretend to be a link, or change the format. Their length is limited below the limits of the services.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from clipengine.basis.events import ANNOUNCEMENTS, Announcement, MessageFormat, Tone
from clipengine.clips.texts.cues import without_overrides
from clipengine.errors import Internal

_SHOWN_LABELS = 5  # of markers
_MAX_CHARACTERS = 500  # of one text; Slack accepts 3000 in a block, Discord 2000 in a message
_COLOURS: dict[Tone, int] = {"good": 0x1B6E3C, "bad": 0xB3261E, "plain": 0x55626B}  # of the page
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+.!|~@:-])")


@dataclass(frozen=True)
class _Message:
    """The content of a message."""

    title: str
    tone: Tone
    subject: str
    detail: str
    link: str | None


def with_links(body: bytes, share_url: str | None, download_url: str | None) -> bytes:
    """Return the body with the links in its data. They are null if the share was revoked or has expired."""
    event = json.loads(body)
    event["data"] |= {"share_url": share_url, "download_url": download_url}
    return _compact(event)


def rendered(body: bytes, format: MessageFormat) -> bytes:
    """Return the body of the request for an endpoint with this format.

    Raises Internal for a format of a newer release: the delivery is retried, maybe by an engine that knows it.
    """
    if format == "json" or not body:
        return body
    render = _SERVICES.get(format)
    if render is None:
        raise Internal(f"this release does not know the webhook's message format {format}")
    return _compact(render(_message(json.loads(body))))


def _message(event: dict[str, Any]) -> _Message:
    name, data = event["event"], event["data"]
    title, tone = ANNOUNCEMENTS.get(name, Announcement(name))
    if name == "endpoint.disabled":
        # Not the whole URL, because the URL of a chat service contains its secret.
        subject, detail = urlsplit(data["url"]).hostname or "", data["disabled_reason"] or ""
    elif name.startswith("storage."):
        used, limit = data["clips"]["bytes"], data["max_clips_bytes"]
        subject, detail = f"{used / limit:.0%} of retention.max_clips_bytes", f"{used:,} of {limit:,} bytes"
    else:
        subject, detail = _subject(name, data), _detail(data)
    subject, detail = (without_overrides(each)[:_MAX_CHARACTERS] for each in (subject, detail))
    return _Message(title, tone, subject, detail, data.get("share_url"))


def _subject(name: str, data: dict[str, Any]) -> str:
    """Return the name of what the event is about, or an empty text: an id says nothing in a chat."""
    if name.startswith("transcript."):
        return data.get("language") or ""
    if "markers" in data:
        labels = dict.fromkeys(each["label"] for each in data["markers"] if each["label"])
        return ", ".join(list(labels)[:_SHOWN_LABELS])
    return data.get("label") or data.get("name") or data.get("bucket_path") or ""


def _detail(data: dict[str, Any]) -> str:
    if error := data.get("error"):
        return f"{error['message']} {error['hint']}"
    for name in ("markers", "cues"):
        if name in data:
            count = len(data[name]) if name == "markers" else data[name]
            return f"{count} {name if count != 1 else name[:-1]}"
    seconds = (data.get("result") or data).get("duration_seconds")
    return "" if seconds is None else f"{seconds:.1f} seconds"


def _slack(message: _Message) -> dict[str, Any]:
    """Return a message that has text from outside in `plain_text` only: `mrkdwn` has no escape for `*`, `_` and `~`."""
    title = message.title if message.link is None else f"<{message.link}|{message.title}>"
    blocks = [_slack_section({"type": "mrkdwn", "text": f"*{title}*", "verbatim": True})]
    texts = [_slack_text(each) for each in (message.subject, message.detail) if each]
    if texts:
        blocks.append(_slack_section({"type": "plain_text", "text": "\n".join(texts), "emoji": False}))
    # Notifications show `text`. Services that ignore blocks, such as Mattermost, show it alone, find mentions in it,
    # and have no link but this one.
    text = ": ".join((message.title, *(_inert(each) for each in texts[:1] if each)))
    if message.link is not None:
        text += f" {message.link}"
    return {"text": text, "mrkdwn": False, "blocks": blocks, "unfurl_links": True}


def _inert(text: str) -> str:
    """Return the text with invisible characters by which Markdown finds no mention and no named link in it."""
    return text.replace("@", "@\u200b").replace("](", "]\u200b(")


def _slack_section(text: dict[str, Any]) -> dict[str, Any]:
    return {"type": "section", "text": text}


def _slack_text(text: str) -> str:
    """Escape as Slack requires in all text: without `<`, a text has no link and mentions no user."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _discord(message: _Message) -> dict[str, Any]:
    embed: dict[str, Any] = {
        "title": _discord_text(message.subject)[:256],
        "description": _discord_text(message.detail),
        "color": _COLOURS[message.tone],
    }
    content = f"**{message.title}**"
    if message.link is not None:
        embed["url"] = message.link
        content += f" {message.link}"  # Discord shows the player of a link in the text
    embeds = [embed] if message.subject or message.detail else []  # Discord refuses one without text
    return {"content": content, "embeds": embeds, "allowed_mentions": {"parse": []}}


def _discord_text(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


_SERVICES: dict[str, Callable[[_Message], dict[str, Any]]] = {"slack": _slack, "discord": _discord}


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
