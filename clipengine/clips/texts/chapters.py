"""Chapters of a clip: the recording's chapters, cut to the clip's range. Pure."""

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
    chapters: Sequence[ChapterFacts],
    start: Fraction,
    end: Fraction,
    *,
    speed: Fraction = Fraction(1),
    offset: Fraction = Fraction(0),
) -> list[Chapter]:
    """Return the chapters of `[start, end)`, which begins at `offset` seconds of a clip with this speed, in clip time.

    They follow each other from its start to its end, as MP4 cannot hold gaps, and each has a title, which it needs
    there. Each time is rounded once.
    """

    def clip_ms(time: Fraction) -> int:
        return round(1000 * (offset + (time - start) / speed))

    first, last = clip_ms(start), clip_ms(end)
    titles: dict[int, str] = {}
    for number, chapter in enumerate(sorted(chapters, key=lambda each: each.start), 1):
        begin = max(first, clip_ms(chapter.start))
        if chapter.start < end and chapter.end > start and begin < last:
            titles.setdefault(begin if titles else first, chapter.title or f"Chapter {number}")
    starts = [*titles, last]
    return [Chapter(begin, following, titles[begin]) for begin, following in pairwise(starts)]


def joined_chapters(
    parts: Sequence[tuple[Sequence[ChapterFacts], Fraction, Fraction]], *, speed: Fraction
) -> list[Chapter]:
    """Return the chapters of a clip with this speed.

    `parts` has the chapters of each part's recording, and the start and end of the part.
    A part without chapters becomes one if another part has some, because they follow each other.
    """
    found: list[Chapter] = []
    begun, offset = False, Fraction(0)
    for number, (chapters, start, end) in enumerate(parts, 1):
        first, offset = offset, offset + (end - start) / speed
        cut = cut_chapters(chapters, start, end, speed=speed, offset=first)
        whole = Chapter(round(1000 * first), round(1000 * offset), f"Part {number}")
        begun = begun or bool(cut)
        found += cut or ([whole] if whole.start_ms < whole.end_ms else [])
    return found if begun else []


def chapters_digest(chapters: Iterable[tuple[int, str]]) -> str | None:
    """Return a checksum of the starts, in ms, and the titles, or None without chapters."""
    samples = [(start_ms, 0, title.encode("utf-8", "replace")) for start_ms, title in chapters]
    return str(TextDigest(samples)) if samples else None
