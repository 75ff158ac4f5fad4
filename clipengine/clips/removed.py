"""Ranges that are removed from a part of a clip, and the timeline that is left. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import accumulate

from clipengine.clips.texts.cues import Cue, TimedWord
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.texts.word_times import without_words
from clipengine.recordings.facts import ChapterFacts

Span = tuple[Fraction, Fraction]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the union of the spans, in order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


@dataclass(frozen=True)
class Removed:
    """Ranges of a recording that a part lacks, in order and apart from each other.

    The part is one stretch of a shorter timeline, on which everything after a range is earlier by its length.
    """

    spans: tuple[Span, ...] = ()

    @classmethod
    def of_ranges(cls, ranges: Iterable[Span]) -> Removed:
        """Return the union of the ranges, in any order."""
        return cls(tuple(merged(ranges)))

    @classmethod
    def of_message(cls, text: str) -> Removed:
        times = (each.split(":") for each in text.split())
        return cls(tuple((Fraction(start), Fraction(end)) for start, end in times))

    def to_message(self) -> str:
        """Return the ranges as one string, because the number of values of a message is limited."""
        return " ".join(f"{start}:{end}" for start, end in self.spans)

    @cached_property
    def _starts(self) -> list[Fraction]:
        return [start for start, _ in self.spans]

    @cached_property
    def _before(self) -> list[Fraction]:
        """The seconds that are removed before each range, and the seconds of all ranges."""
        return [*accumulate((end - start for start, end in self.spans), initial=Fraction(0))]

    @property
    def seconds(self) -> Fraction:
        return self._before[-1]

    @property
    def ends(self) -> list[Fraction]:
        """The starts and the ends of the ranges."""
        return [time for span in self.spans for time in span]

    def number(self, time: Fraction) -> int:
        """Return how many ranges begin at or before this time."""
        return bisect_right(self._starts, time)

    def has(self, time: Fraction) -> bool:
        """Return True if the time is in a range."""
        number = self.number(time)
        return number > 0 and time < self.spans[number - 1][1]

    def place(self, time: Fraction) -> Fraction:
        """Return a time of the recording on the shorter timeline. All times of a range are at its start."""
        number = self.number(time)
        if not number:
            return time
        start, end = self.spans[number - 1]
        return time - self._before[number - 1] - min(time - start, end - start)

    def from_cues(self, cues: Iterable[Cue]) -> Iterator[Cue]:
        """Yield the cues of which something is left, with their own times.

        They lack the words whose middles are removed: a part of a frame of a removed filler may be heard.
        """
        for cue in cues:
            left = without_words(cue, self._has_word)
            if left is not None and self._ms(left.start_ms) < self._ms(left.end_ms):
                yield left

    def _has_word(self, word: TimedWord) -> bool:
        return self.has(Fraction(word.start_ms + word.end_ms, 2000))

    def from_tracks(self, tracks: Iterable[TextTrack]) -> tuple[TextTrack, ...]:
        """Return the tracks on the shorter timeline, without the words and cues of which nothing is left."""
        return tuple(self._track(track) for track in tracks) if self.spans else tuple(tracks)

    def _track(self, track: TextTrack) -> TextTrack:
        cues = tuple(
            replace(
                cue,
                start_ms=self._ms(cue.start_ms),
                end_ms=self._ms(cue.end_ms),
                timed_words=tuple(
                    TimedWord(self._ms(start), self._ms(end), text) for start, end, text in cue.timed_words
                ),
            )
            for cue in self.from_cues(track.cues)
        )
        return replace(track, cues=cues)

    def _ms(self, time: int) -> int:
        return round(1000 * self.place(Fraction(time, 1000)))

    def from_chapters(self, chapters: Iterable[ChapterFacts]) -> list[ChapterFacts]:
        """Return the chapters on the shorter timeline. Chapters of which nothing is left are dropped."""
        if not self.spans:
            return [*chapters]
        moved = (
            each.model_copy(update={"start": self.place(each.start), "end": self.place(each.end)}) for each in chapters
        )
        return [each for each in moved if each.start < each.end]


NOTHING = Removed()
