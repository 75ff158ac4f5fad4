"""Facts about the streams that a clip does not contain, and the recording's metadata."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from fractions import Fraction
from typing import cast, get_args

from av.container import InputContainer
from av.stream import Disposition, Stream
from pydantic import TypeAdapter

from clipengine.clips.cues import clean_line
from clipengine.clips.facts import (
    MAX_CHAPTER_TITLE,
    MAX_CHAPTERS,
    MAX_LANGUAGE,
    MAX_NAME,
    MAX_OTHER_STREAMS,
    ChapterFacts,
    CreationTime,
    StreamFacts,
    StreamKind,
)
from clipengine.media.input.container import codec_name
from clipengine.media.input.timeline import as_fraction

MAX_CHAPTER_SECONDS = 366 * 24 * 3600
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
_CREATION_TIME: TypeAdapter[datetime] = TypeAdapter(CreationTime)


def other_streams(container: InputContainer, held: Collection[int]) -> tuple[tuple[StreamFacts, ...], int]:
    """Return the streams whose indices are not in `held`, up to the limit, and their total number."""
    others = [stream for stream in container.streams if stream.index not in held]
    return tuple(_facts(stream) for stream in others[:MAX_OTHER_STREAMS]), len(others)


def creation_time(container: InputContainer) -> datetime | None:
    """Return the creation time that the container states, or None if it is missing or implausible."""
    try:
        return _CREATION_TIME.validate_strings(container.metadata.get("creation_time", "")[:MAX_NAME]).astimezone(UTC)
    except ValueError:
        return None


def chapters(container: InputContainer, origin: Fraction) -> tuple[ChapterFacts, ...]:
    """Return the chapters on the recording's timeline, up to the limit, without those that are empty."""
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
    codec = (name or "unknown").encode("utf-8", "replace").decode()[:MAX_NAME]
    return StreamFacts(
        index=stream.index, kind="picture" if cover else _kind(stream), codec=codec, language=language(stream.language)
    )
