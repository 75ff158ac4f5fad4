"""Chapters of a clip: those of the recording, cut to its range. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from clipengine.clips.texts.subtitles import TextDigest

if TYPE_CHECKING:  # the inspector starts without Pydantic
    from clipengine.recordings.facts import ChapterFacts


class Chapter(NamedTuple):
    """A chapter in clip time."""

    start_ms: int
    end_ms: int
    title: str


def cut_chapters(
    chapters: Sequence[ChapterFacts], start: Fraction, end: Fraction, *, speed: Fraction = Fraction(1)
) -> list[Chapter]:
    """Return the chapters of `[start, end)`, shortened and shifted, of a clip with this speed.

    They follow each other from 0 to the end, as MP4 cannot hold gaps, and each has a title, which it needs there.
    """
    length = round((end - start) * 1000 / speed)
    titles: dict[int, str] = {}
    for number, chapter in enumerate(sorted(chapters, key=lambda each: each.start), 1):
        begin = max(0, round((chapter.start - start) * 1000 / speed))
        if chapter.start < end and chapter.end > start and begin < length:
            titles.setdefault(begin if titles else 0, chapter.title or f"Chapter {number}")
    starts = [*titles, length]
    return [Chapter(begin, last, titles[begin]) for begin, last in pairwise(starts)]


def joined_chapters(parts: Sequence[tuple[Sequence[Chapter], Fraction]]) -> list[Chapter]:
    """Return the chapters of all parts in the time of the clip, from those of each part and its length in seconds.

    A part without chapters becomes one if another part has some, because they follow each other.
    """
    if not any(chapters for chapters, _ in parts):
        return []
    starts: dict[int, str] = {}
    offset = Fraction(0)
    for number, (chapters, length) in enumerate(parts, 1):
        first = round(offset * 1000)
        for start_ms, _, title in chapters or [Chapter(0, 0, f"Part {number}")]:
            starts.setdefault(first + start_ms, title)
        offset += length
    edges = [*starts, round(offset * 1000)]
    return [Chapter(begin, end, starts[begin]) for begin, end in pairwise(edges) if begin < end]


def chapters_digest(chapters: Iterable[tuple[int, str]]) -> str | None:
    """Return a checksum of the starts, in ms, and the titles, or None without chapters."""
    samples = [(start_ms, 0, title.encode("utf-8", "replace")) for start_ms, title in chapters]
    return str(TextDigest(samples)) if samples else None
