"""Subtitles of a clip: the cues of its range, and the samples of its text tracks. Pure.

The parent sends the cues to the maker child, which writes the tracks. The inspector child reports a digest of each
track, which the parent compares with its own (`clips.file_comparison`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from clipengine.clips.texts.cues import Cue, TimedWord, cut_cues, format_cues, plain_payload, vtt_payload
from clipengine.clips.texts.word_times import said_between

SubtitleMode = Literal["keep", "burn", "none"]
TextCodec = Literal["mov_text", "subrip", "webvtt"]
# Text codecs that FFmpeg's muxers accept. Other containers have no text tracks.
TEXT_CODECS: dict[str, TextCodec] = {"mp4": "mov_text", "m4a": "mov_text", "mkv": "subrip", "webm": "webvtt"}

MAX_TEXT_TRACKS = 16  # of one clip
MAX_TEXT_BYTES = 2 << 20  # of the cues of one clip
_MAX_TOGETHER = 6  # cues in one sample of MP4: the length of its text has 16 bits
_MAX_TRACK_BYTES = 8 << 20
LONGEST_FRAME = Fraction(1, 10)  # s; a longer one is repeated when captions change

Sample = tuple[int, int, bytes]  # start and end in ms, and the packet


@dataclass(frozen=True)
class TextTrack:
    """The cues of a transcript, in order of time: on the recording's timeline until `cut`.

    `alpha3` is the code of ISO 639-2 that containers store. The `number` tells tracks of one language apart.
    """

    language: str
    alpha3: str
    cues: tuple[Cue, ...]
    number: int = 0

    @property
    def key(self) -> tuple[str, int]:
        return self.language, self.number

    def cut(
        self, start: Fraction, end: Fraction, *, speed: Fraction = Fraction(1), offset: Fraction = Fraction(0)
    ) -> TextTrack:
        """Return the cues of `[start, end)` in the time of a clip with this speed, in which it begins at `offset`."""
        return replace(self, cues=tuple(cut_cues(self.cues, start, end, speed=speed, offset=offset)))

    def shown(self, start: Fraction, end: Fraction) -> TextTrack:
        """Return the cues of `[start, end)`, with their own times."""
        first, last = start * 1000, end * 1000
        return replace(self, cues=tuple(cue for cue in self.cues if cue.end_ms > first and cue.start_ms < last))

    def said(self, start: Fraction, end: Fraction) -> TextTrack:
        """Return the track for a part `[start, end)`: cues at its ends have only its words.

        Cues whose words have no times stay whole.
        """
        return replace(self, cues=tuple(cut for cue in self.cues if (cut := said_between(cue, start, end))))

    def begun_by(self, start: Fraction, frame: Fraction) -> TextTrack:
        """Return the track for a part that begins at `start`: cues that begin within a frame after it begin with it.

        The first frame may be shown half a frame earlier. A cue that ends before such a one would be seen for a frame
        at most, and is left out.
        """
        frame = min(frame, LONGEST_FRAME)
        first, last = math.floor((start - frame / 2) * 1000), (start + frame) * 1000
        begun = [cue.start_ms for cue in self.cues if first < cue.start_ms <= last]
        if not frame or not begun:
            return self
        cues = (
            _begun_at(max(0, first), cue) if first < cue.start_ms <= last else cue
            for cue in self.cues
            if cue.start_ms > first or not first < cue.end_ms <= max(begun)
        )
        return replace(self, cues=tuple(cues))

    def near(self, start: Fraction, end: Fraction) -> TextTrack:
        """Return the cues within a second of `[start, end)`."""
        return self.shown(start - 1, end + 1)

    def samples(self, codec: TextCodec) -> list[Sample] | None:
        """Return the packets of the track, or None if too many cues overlap.

        In MP4 samples follow each other: cues that overlap are shown together.
        """
        if codec == "mov_text":
            return _separate(self.cues)
        payload = vtt_payload if codec == "webvtt" else plain_payload
        return [(cue.start_ms, cue.end_ms, payload(cue).encode()) for cue in self.cues]

    def vtt(self) -> bytes:
        return format_cues(self.cues, "vtt")


def numbered(tracks: Iterable[TextTrack]) -> tuple[TextTrack, ...]:
    """Return the tracks of a recording, each with its number among the tracks of its language."""
    found: list[TextTrack] = []
    for track in tracks:
        found.append(replace(track, number=sum(track.language == each.language for each in found)))
    return tuple(found)


def cut_tracks(
    tracks: Iterable[TextTrack], start: Fraction, end: Fraction, *, speed: Fraction = Fraction(1)
) -> list[TextTrack]:
    """Return the tracks that have a cue in `[start, end)`, in the time of a clip with this speed."""
    return [cut for track in tracks if (cut := track.cut(start, end, speed=speed)).cues]


class TextRange(NamedTuple):
    """The transcripts of a part's recording, and the range of the part, on the recording's timeline."""

    tracks: Sequence[TextTrack]
    start: Fraction
    end: Fraction


def joined_languages(ranges: Iterable[TextRange]) -> list[TextTrack]:
    """Return a track without cues for each one that has a cue in one of the ranges, at most MAX_TEXT_TRACKS."""
    found: dict[tuple[str, int], TextTrack] = {}
    for tracks, start, end in ranges:
        for track in cut_tracks(tracks, start, end):
            found.setdefault(track.key, replace(track, cues=()))
    return list(found.values())[:MAX_TEXT_TRACKS]


def part_tracks(
    languages: Iterable[TextTrack], part: TextRange, offset: Fraction, *, speed: Fraction
) -> list[TextTrack]:
    """Return the cues of a part that begins at `offset` of the clip, in clip time, for each of the languages."""
    own = {track.key: track.cut(part.start, part.end, speed=speed, offset=offset) for track in part.tracks}
    return [own.get(each.key, each) for each in languages]


def joined_tracks(
    languages: Sequence[TextTrack], parts: Sequence[TextRange], *, speed: Fraction
) -> list[list[TextTrack]]:
    """Return the cues of every part, in clip time, for each of the languages."""
    found, offset = [], Fraction(0)
    for part in parts:
        found.append(part_tracks(languages, part, offset, speed=speed))
        offset += (part.end - part.start) / speed
    return found


def track_samples(
    tracks: Iterable[TextTrack], container: str
) -> tuple[list[tuple[TextTrack, list[Sample]]], list[TextTrack]]:
    """Return the tracks of a clip in this container, each with its samples, and the tracks that are lost."""
    written: list[tuple[TextTrack, list[Sample]]] = []
    lost = []
    codec = TEXT_CODECS.get(container)
    for track in tracks:
        samples = None if codec is None else track.samples(codec)
        if samples is None:
            lost.append(track)
        else:
            written.append((track, samples))
    return written, lost


def pack(tracks: Sequence[TextTrack]) -> str:
    """Return the tracks as one string of a message, whose number of values is limited."""
    values = [[track.language, track.alpha3, [_packed(cue) for cue in track.cues]] for track in tracks]
    return base64.b64encode(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()).decode()


def _packed(cue: Cue) -> list[Any]:
    return [cue.start_ms, cue.end_ms, cue.text, cue.speaker, *([cue.timed_words] if cue.timed_words else [])]


def unpack(packed: str) -> tuple[TextTrack, ...]:
    """Return the tracks of `pack`."""
    values: list[Any] = json.loads(base64.b64decode(packed))
    return numbered(TextTrack(language, alpha3, tuple(map(_unpacked, cues))) for language, alpha3, cues in values)


def _unpacked(values: list[Any]) -> Cue:
    start_ms, end_ms, text, speaker, *words = values
    return Cue(start_ms, end_ms, text, speaker, tuple(TimedWord(*word) for each in words for word in each))


class TextDigest:
    """Checksum of the texts and times of a track."""

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._hash = hashlib.sha256()
        for sample in samples:
            self.add(sample)

    def add(self, sample: Sample) -> None:
        """Add a sample. Empty ones, which fill the gaps in MP4, do not count."""
        start, end, data = sample
        if data not in (b"", _mov_text("")):
            self._hash.update(b"%d %d %d " % (start, end, len(data)) + data)

    def __str__(self) -> str:
        return self._hash.hexdigest()


def _mov_text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _begun_at(start_ms: int, cue: Cue) -> Cue:
    """Return the cue with this start. If its first word begins with it, that word does so too."""
    words = cue.timed_words
    if words and words[0].start_ms == cue.start_ms:
        words = (words[0]._replace(start_ms=start_ms), *words[1:])
    return replace(cue, start_ms=start_ms, timed_words=words)


def _separate(cues: Sequence[Cue]) -> list[Sample] | None:
    """Return one sample for each time in which the same cues are shown, or None beyond the limits."""
    moments = sorted({moment for cue in cues for moment in (cue.start_ms, cue.end_ms)})
    found: list[Sample] = []
    shown: list[Cue] = []
    following = size = 0
    for first, last in pairwise(moments):
        shown = [cue for cue in shown if cue.end_ms > first]
        while following < len(cues) and cues[following].start_ms <= first:
            shown.append(cues[following])
            following += 1
        if shown:
            found.append((first, last, _mov_text("\n".join(plain_payload(cue) for cue in shown[:_MAX_TOGETHER]))))
            size += len(found[-1][2])
        if len(shown) > _MAX_TOGETHER or size > _MAX_TRACK_BYTES:
            return None
    return found
