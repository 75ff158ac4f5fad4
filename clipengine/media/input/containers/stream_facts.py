"""Facts about the streams that a clip does not contain, and the recording's metadata."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from fractions import Fraction
from typing import cast, get_args

from av.container import InputContainer
from av.stream import Disposition, Stream

from clipengine.clips.texts.cues import clean_line
from clipengine.media.input.containers.container import codec_name
from clipengine.media.input.containers.stream_descriptions import describe
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.recordings.facts import (
    MAX_CHAPTER_TITLE,
    MAX_CHAPTERS,
    MAX_LANGUAGE,
    MAX_NAME,
    MAX_OTHER_STREAMS,
    MAX_TAG_TEXT,
    ChapterFacts,
    StreamFacts,
    StreamKind,
    TagName,
    creation_time_of,
)

MAX_CHAPTER_SECONDS = 366 * 24 * 3600
# Names that writers give to every track of MP4.
_HANDLERS = re.compile(r"handle|^core media|^iso media|^mainconcept|^gpac|^\W*$", re.IGNORECASE)
_LANGUAGE_SUFFIX = re.compile(r"-[a-z]{3}$")  # of MP4, where a tag may be there with and without
_QUICKTIME = "com.apple.quicktime."
# Tags of the file and its writer, not of the recording.
_TAG_OF_FILE = re.compile(
    r"^(major_brand|minor_version|compatible_brands|encod|creation_?(time|date)|modification_date|duration|vendor_id"
    r"|id3v2_priv\.com\.apple\.streaming\."
    r"|software|version|firmware|player|isft|service_|media_type|company_|product_|generation_|com\.android\.|uid$"
    r"|material_package|toolkit_|wmfsdk|isvbr|deviceconformance|audiodelay|canseek|lasttime|lastkey|metadatac|has[a-z]+s?$)"
    r"|_(uid|umid|ul)$|datarate$|filesize$"
)
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
_ROLES = (
    Disposition.dub
    | Disposition.original
    | Disposition.comment
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.descriptions
)
# Formats in which streams may appear at any time.
_LISTS_NO_STREAMS = ("mpegts", "mpeg", "flv")


def other_streams(container: InputContainer, held: Collection[int]) -> tuple[tuple[StreamFacts, ...], int]:
    """Return the streams whose indices are not in `held`, up to the limit, and their total number."""
    others = [each for each in container.streams if each.index not in held and not _has_chapters(container, each)]
    late = late_streams(container)
    named = (*map(_facts, others[:MAX_OTHER_STREAMS]), *late)[:MAX_OTHER_STREAMS]
    return named, len(others) + len(late)


def late_streams(container: InputContainer) -> list[StreamFacts]:
    """Return the streams that appeared while the container was read, if its header does not list streams."""
    if container.format.name not in _LISTS_NO_STREAMS:
        return []
    known, kinds = len(container.streams), get_args(StreamKind)
    return [
        StreamFacts(index=index, kind=cast(StreamKind, kind if kind in kinds else "unknown"), codec=codec, late=True)
        for index, kind, codec in describe(container)
        if index >= known
    ]


def _has_chapters(container: InputContainer, stream: Stream) -> bool:
    """Return True for the track of MP4 that has the titles of the chapters, which are carried over."""
    is_text = stream.type == "data" and getattr(stream, "name", None) == "bin_data"
    return is_text and container.format.name.startswith("mov") and bool(container.chapters())


def creation_time(container: InputContainer) -> datetime | None:
    """Return the creation time that the container states, or None if it is missing or implausible."""
    return creation_time_of(container.metadata.get("creation_time"))


def tags(container: InputContainer) -> dict[TagName, str]:
    """Return the descriptions that a clip carries and that are not empty."""
    stated = {name.lower(): text for name, text in container.metadata.items()}  # Matroska has capital letters
    found = {name: clean_line(_valid(stated.get(name, "")))[:MAX_TAG_TEXT] for name in get_args(TagName)}
    return {name: text for name, text in found.items() if text}


def dropped_tags(container: InputContainer, video: Stream | None) -> list[str]:
    """Return the names of the tags that no clip carries, such as the place, except tags about the file."""
    stated = (_LANGUAGE_SUFFIX.sub("", _valid(name).lower()) for name in container.metadata)
    # QuickTime repeats other tags, such as `com.apple.quicktime.location.ISO6709`.
    names = {
        (name.removeprefix(_QUICKTIME).partition(".")[0] if name.startswith(_QUICKTIME) else name)[:MAX_NAME]
        for name in stated
    }
    if video is not None and "timecode" in map(str.lower, video.metadata):
        names.add("timecode")
    return sorted(name for name in names - {*get_args(TagName)} if not _TAG_OF_FILE.search(name))


def title(stream: Stream) -> str | None:
    """Return the name of a track, or None if it has none or only the default name of its writer."""
    stated = stream.metadata.get("title") or stream.metadata.get("handler_name", "")
    text = clean_line(_valid(stated))[:MAX_NAME]
    return None if not text or _HANDLERS.search(text) else text


def roles(stream: Stream) -> int:
    """Return the roles of a track that a clip carries, such as commentary or a mix for hard of hearing listeners.

    The clip's container decides which track is the default, because the clip may have fewer tracks.
    """
    return int(stream.disposition & _ROLES)


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def chapters(container: InputContainer, origin: Fraction) -> tuple[ChapterFacts, ...]:
    """Return the chapters on the recording's timeline, up to the limit, without empty chapters."""
    found = []
    for chapter in container.chapters()[:MAX_CHAPTERS]:
        tick = as_fraction(chapter["time_base"] or 0)
        start, end = (max(Fraction(0), chapter[edge] * tick - origin) for edge in ("start", "end"))
        if start < end < MAX_CHAPTER_SECONDS:
            title = clean_line(chapter["metadata"].get("title", "").encode("utf-8", "replace").decode())
            title = title.encode()[:MAX_CHAPTER_TITLE].decode(errors="ignore")
            found.append(ChapterFacts(start=start, end=end, title=title))
    return tuple(found)


def language(tag: str | None) -> str | None:
    """Return the tag as valid Unicode, at most as long as a tag can be.

    PyAV 19 returns bytes that are not UTF-8 as lone surrogates, which JSON cannot hold.
    """
    return None if tag in (None, "und") else tag.encode("utf-8", "replace").decode()[:MAX_LANGUAGE]


def _kind(stream: Stream) -> StreamKind:
    return cast(StreamKind, stream.type) if stream.type in get_args(StreamKind) else "unknown"


def _facts(stream: Stream) -> StreamFacts:
    cover = stream.type == "video" and stream.disposition & _COVERS
    # Data streams have no decoder; `name` is their format, or the file name of an attachment.
    name = codec_name(stream) if stream.codec_context is not None else getattr(stream, "name", None)
    name = name or ("timecode" if "timecode" in stream.metadata else "unknown")
    codec = _valid(name)[:MAX_NAME]
    return StreamFacts(
        index=stream.index, kind="picture" if cover else _kind(stream), codec=codec, language=language(stream.language)
    )
