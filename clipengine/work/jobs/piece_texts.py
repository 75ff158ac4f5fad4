"""Texts of recordings that become transcripts, also the text renditions of a playlist."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING

from clipengine.basis.documents import ReadDocument, read_here
from clipengine.clips.texts.language_tags import alpha3_of, canonical_language
from clipengine.clips.texts.segmented import TextSegment, join_segments
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.texts.text_documents import SEGMENTED_TEXT
from clipengine.clips.texts.transcript_file import MAX_TRANSCRIPT_BYTES
from clipengine.errors import InvalidBucketPath, InvalidRequest, InvalidTranscript, ObjectMissing, RecordingNotFound
from clipengine.recordings.assembly import ListedText
from clipengine.recordings.pieces import MICROSECONDS, PieceIndex, Run
from clipengine.recordings.segments import ByteRange, Segment
from clipengine.stores.base import Store

if TYPE_CHECKING:  # the command `cut` reads texts too, and starts sooner without the ledger
    from clipengine.ledger.texts.transcripts import Transcripts

log = logging.getLogger(__name__)

_MAX_SEGMENT_BYTES = 256 << 10


def store_texts(transcripts: Transcripts, recording_id: str, tracks: Sequence[TextTrack]) -> None:
    """Store the texts of a recording as transcripts. One that cannot be stored is logged and left out."""
    for track in tracks:
        try:
            transcripts.put(recording_id, track.language, track.cues, source="embedded")
        except (InvalidRequest, RecordingNotFound) as error:
            log.warning("recording %s: its text in %s is not used: %s", recording_id, track.language, error.message)


def read_texts(
    store: Store, index: PieceIndex, listed: Sequence[ListedText], *, read: ReadDocument = read_here
) -> list[TextTrack]:
    """Return the texts of a recording whose pieces are placed, one for each language. `read` parses their segments.

    One that cannot be read is logged and left out. Raises the other errors of the store.
    """
    found: dict[str, TextTrack] = {}
    for each in listed:
        language = canonical_language(each.language or "und")
        try:
            cues = read(SEGMENTED_TEXT, join_segments(_segments(store, index, each.playlist.segments)))
        except InvalidTranscript as error:
            log.warning("the text %s of a playlist is not used: %s", each.title or language, error.message)
        else:
            found.setdefault(language, TextTrack(language, alpha3_of(language), tuple(cues)))
    return list(found.values())


def _segments(store: Store, index: PieceIndex, segments: Sequence[Segment]) -> Iterator[TextSegment]:
    """Yield the segments with their places.

    Those before and after a discontinuity belong to the runs of the same number.
    """
    clocks = _clocks(index)
    at, size, discontinuity = Fraction(0), 0, None
    for segment in segments:
        run = clocks.get(segment.discontinuity)
        if run is not None and segment.discontinuity != discontinuity:
            at, discontinuity = Fraction(run.pieces[0].start, MICROSECONDS), segment.discontinuity
        if run is not None and not segment.gap and segment.init is None:
            body = _read(store, segment.data)
            size += len(body)
            if size > MAX_TRANSCRIPT_BYTES:
                raise InvalidTranscript(f"the text has more than {MAX_TRANSCRIPT_BYTES} bytes")
            yield TextSegment(body, run.shift, at)
        at += segment.seconds


def _clocks(index: PieceIndex) -> dict[int, Run]:
    """Return the first run of each discontinuity, of the first track that has one."""
    clocks: dict[int, Run] = {}
    for _, run in index.runs():
        clocks.setdefault(run.discontinuity, run)
    return clocks


def _read(store: Store, data: ByteRange) -> bytes:
    """Return a segment, or nothing if it is missing."""
    try:
        with closing(store.open(data.key)) as reader:
            return reader.read_at(data.offset, min(_MAX_SEGMENT_BYTES, data.length or _MAX_SEGMENT_BYTES))
    except (ObjectMissing, InvalidBucketPath):
        return b""
