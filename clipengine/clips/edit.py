"""Parts of a clip: ranges of recordings that are played one after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.removed import NOTHING, Removed
from clipengine.clips.texts.captions import drawn_cues
from clipengine.clips.texts.chapters import Chapter, joined_chapters
from clipengine.clips.texts.subtitles import (
    TEXT_CODECS,
    TextCodec,
    TextRange,
    TextTrack,
    cut_tracks,
    joined_languages,
    joined_tracks,
    pack,
    track_samples,
    unpack,
)
from clipengine.recordings.facts import ChapterFacts, SourceFacts
from clipengine.recordings.piece_seek_index import stored_seek_index
from clipengine.recordings.seek_index import SeekIndex

MAX_PARTS = 100
_MIN_STRETCH_SECONDS = 0.001  # the resolution of containers
MAX_RECORDINGS = 10  # of one clip: each is opened, and its facts are sent to the encoder


@dataclass(frozen=True)
class Part:
    """A range of a recording as requested, not yet clamped to the recording's end."""

    recording_id: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class PlannedPart:
    """The range `[start, end)` of a recording with these facts, clamped to its end.

    `source` is the number of the recording among the clip's recordings. `seek_index` reduces the bytes read before the
    start; the clip is the same without it. `texts` are the transcripts of the recording that the clip carries, and
    `burnt` is the transcript that is drawn into its picture, in the `caption_style`. If ranges are `removed`, both are
    on the timeline that is left.
    """

    facts: SourceFacts
    start: Fraction
    end: Fraction
    source: int = 0
    seek_index: SeekIndex | None = None
    texts: tuple[TextTrack, ...] = ()
    burnt: TextTrack | None = None
    removed: Removed = NOTHING
    caption_style: CaptionStyle | None = None

    def to_message(self) -> dict[str, Any]:
        """Return the part for the child, which gets the facts of each recording once."""
        return {
            "source": self.source,
            "start": str(self.start),
            "end": str(self.end),
            "seek_index": self.own_seek_index and self.own_seek_index.model_dump(mode="json"),
            "texts": pack(self.texts),
            "burnt": pack(() if self.burnt is None else (self.burnt,)),
            "removed": self.removed.to_message(),
            "caption_style": self.caption_style and self.caption_style.to_object(),
        }

    @classmethod
    def of_message(cls, part: dict[str, Any], facts: Sequence[SourceFacts]) -> PlannedPart:
        """Return the part of a message. `facts` has the facts of the recordings, by their numbers."""
        return cls(
            facts[part["source"]],
            Fraction(part["start"]),
            Fraction(part["end"]),
            part["source"],
            None if part["seek_index"] is None else stored_seek_index(part["seek_index"]),
            unpack(part["texts"]),
            next(iter(unpack(part["burnt"])), None),
            Removed.of_message(part["removed"]),
            None if part["caption_style"] is None else CaptionStyle.model_validate(part["caption_style"]),
        )

    def with_texts(self, tracks: tuple[TextTrack, ...]) -> PlannedPart:
        """Return the part with these tracks."""
        return replace(self, texts=tuple(self._texts(tracks)))

    def with_captions(self, tracks: tuple[TextTrack, ...], style: CaptionStyle | None) -> PlannedPart:
        """Return the part with the cues of the first track in its range drawn into its picture."""
        shown = (track.shown(self.start, self.kept_end) for track in self._texts(tracks[:1]))
        track = next((each for each in shown if each.cues), None)
        burnt = track and replace(track, cues=drawn_cues(track.cues, style))
        return replace(self, burnt=burnt, caption_style=style)

    def _texts(self, tracks: tuple[TextTrack, ...]) -> Iterator[TextTrack]:
        """Yield the tracks on the timeline that is left, with the words of the part."""
        for track in self.removed.from_tracks(tracks):
            yield track.said(self.start, self.kept_end).begun_by(self.start, self.frame_seconds)

    @property
    def caption_changes(self) -> int:
        """The largest number of texts, and of marked words, that are drawn into the picture."""
        cues = () if self.burnt is None else self.burnt.cues
        if self.caption_style is None:
            return len(cues)
        return sum(1 + len(cue.text) + 2 * len(cue.timed_words) for cue in cues)

    @property
    def own_seek_index(self) -> SeekIndex | None:
        """The entries of the seek index that are needed to decode the part."""
        return self.seek_index and self.seek_index.between(self.start, self.end)

    @property
    def kept_end(self) -> Fraction:
        """The end of the part on the timeline that is left, on which it begins at `start`."""
        return min(self.end, self.facts.duration) - self.removed.seconds

    @property
    def chapters(self) -> list[ChapterFacts]:
        """The chapters of the recording on this timeline."""
        return self.removed.from_chapters(self.facts.chapter_list)

    @property
    def inner_text(self) -> TextRange:
        """The range that the clip contains wherever the part begins, up to half a frame after its start."""
        start = self.cut_range.latest_start
        return TextRange(self.texts, start, max(start, self.kept_end))

    @property
    def range(self) -> tuple[Fraction, Fraction]:
        """The range that the clip contains if it has no video, whose frames may move the start."""
        return self.start, self.kept_end

    @property
    def cut_range(self) -> CutRange:
        """The range to cut, on the timeline that is left. Without video in the clip, it begins at `start`."""
        return CutRange(self.start, self.kept_end, self.frame_seconds)

    @property
    def frame_seconds(self) -> Fraction:
        return self.facts.video.frame_seconds if self.facts.video else Fraction(0)


def bounds(parts: Sequence[Part], recording_id: str) -> tuple[float, float]:
    """Return the smallest start and the largest end of the parts of a recording, or of all if it has none."""
    own = [part for part in parts if part.recording_id == recording_id] or parts
    return min(part.start_seconds for part in own), max(part.end_seconds for part in own)


Gaps = Mapping[str, Sequence[Mapping[str, Any]]]  # of recordings, in order


def first_gap(parts: Sequence[Part], gaps: Gaps) -> str | None:
    """Return the times of the first gap in a part as words for a message, or None if no part has a gap."""
    for number, part in enumerate(parts, 1):
        for gap in gaps.get(part.recording_id, ()):
            if _is_in(gap, part):
                place = f"from {gap['start_seconds']:.3f} to {gap['end_seconds']:.3f} s"
                return f"{place}, in part {number}" if len(parts) > 1 else place
    return None


def without_gaps(parts: Sequence[Part], gaps: Gaps) -> list[Part]:
    """Return the stretches of the parts that are in no gap of their recordings."""
    return [stretch for part in parts for stretch in _stretches(part, gaps.get(part.recording_id, ()))]


def _stretches(part: Part, gaps: Sequence[Mapping[str, Any]]) -> list[Part]:
    inner = [gap for gap in gaps if _is_in(gap, part)]
    if not inner:
        return [part]
    starts = [part.start_seconds, *(gap["end_seconds"] for gap in inner)]
    ends = [*(gap["start_seconds"] for gap in inner), part.end_seconds]
    pairs = [(start, end) for start, end in zip(starts, ends, strict=True) if end - start >= _MIN_STRETCH_SECONDS]
    return [replace(part, start_seconds=start, end_seconds=end) for start, end in pairs]


def _is_in(gap: Mapping[str, Any], part: Part) -> bool:
    return bool(gap["start_seconds"] < part.end_seconds and part.start_seconds < gap["end_seconds"])


def total_seconds(parts: Sequence[Part], durations: Mapping[str, float]) -> float:
    """Return the length of the clip, with each part clamped to the duration of its recording."""
    return sum(min(part.end_seconds, durations[part.recording_id]) - part.start_seconds for part in parts)


def text_languages(
    parts: Sequence[PlannedPart], first: tuple[Fraction, Fraction], codec: TextCodec | None, *, speed: Fraction
) -> list[TextTrack]:
    """Return a track without cues for each text track of a clip: the languages of its parts that it can hold.

    The `first` part has this range. The later ones begin up to half a frame after their starts, which are not known
    while the first one is written.
    """
    ranges = [TextRange(parts[0].texts, *first), *(part.inner_text for part in parts[1:])]
    return [each for each in joined_languages(ranges) if codec is None or _holds(each.key, ranges, codec, speed=speed)]


def _holds(key: tuple[str, int], ranges: Sequence[TextRange], codec: TextCodec, *, speed: Fraction) -> bool:
    """Return True if a part has cues of this track that can be stored."""
    cut = (track for tracks, start, end in ranges for track in cut_tracks(tracks, start, end, speed=speed))
    return any(track.key == key and track.samples(codec) is not None for track in cut)


def tracks_of_parts(
    parts: Sequence[PlannedPart], made: Sequence[tuple[Fraction, Fraction]], codec: TextCodec | None, *, speed: Fraction
) -> list[list[TextTrack]]:
    """Return the transcripts of a clip in clip time: for each language, the track of every part.

    `made` has the actual start and end of each part. With a `codec`, languages that it cannot hold are left out.
    """
    ranges = [TextRange(part.texts, start, end) for part, (start, end) in zip(parts, made, strict=True)]
    languages = text_languages(parts, made[0], codec, speed=speed)
    return [list(tracks) for tracks in zip(*joined_tracks(languages, ranges, speed=speed), strict=True)]


def lost_texts(
    parts: Sequence[PlannedPart], made: Sequence[tuple[Fraction, Fraction]], container: str, *, speed: Fraction
) -> list[tuple[int, str]]:
    """Return the languages whose cues a clip in this container cannot hold, each with the number of the part.

    `made` has the actual start and end of each part.
    """
    if container not in TEXT_CODECS:
        return [(0, track.language) for track in text_languages(parts, made[0], None, speed=speed)]
    return [
        (number, track.language)
        for number, (part, (start, end)) in enumerate(zip(parts, made, strict=True))
        for track in track_samples(cut_tracks(part.texts, start, end, speed=speed), container)[1]
    ]


def chapters_of_parts(
    parts: Sequence[PlannedPart], made: Sequence[tuple[Fraction, Fraction]], *, speed: Fraction
) -> list[Chapter]:
    """Return the chapters of a clip in clip time. `made` has the actual start and end of each part."""
    return joined_chapters([(part.chapters, *times) for part, times in zip(parts, made, strict=True)], speed=speed)


def clip_tracks(
    parts: Sequence[PlannedPart], made: Sequence[tuple[Fraction, Fraction]], *, speed: Fraction
) -> list[TextTrack]:
    """Return the transcripts of a clip in clip time, each as one track."""
    return [
        replace(tracks[0], cues=tuple(cue for track in tracks for cue in track.cues))
        for tracks in tracks_of_parts(parts, made, None, speed=speed)
    ]
