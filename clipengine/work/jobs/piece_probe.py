"""Probe of a recording of many files: its playlists are read here, its media in a child."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction

from clipengine.basis.documents import ReadDocument, read_here
from clipengine.basis.moments import utc
from clipengine.clips.texts.language_tags import alpha3_of, canonical_language
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.warnings import code_of
from clipengine.errors import RecordingUnreadable
from clipengine.recordings.assembly import ListedTrack, assemble
from clipengine.recordings.facts import AudioFacts, SourceFacts, creation_time_of
from clipengine.recordings.growing_file import FileEnd, GrowingFile
from clipengine.recordings.piece_seek_index import PieceSeekIndex, seek_index_of
from clipengine.recordings.pieces import PieceIndex, Track, track_of
from clipengine.recordings.playlist import MediaPlaylist, VariantChoice
from clipengine.recordings.timeline.clock import Clock, clock_of_dates
from clipengine.recordings.timeline.clock_resets import check_clock_resets, split_at_clock_resets
from clipengine.recordings.timeline.growing import Growth, begun
from clipengine.recordings.timeline.run_placing import Extent, RunScan, place_growing
from clipengine.stores.base import ObjectReader, Store, StoredObject
from clipengine.stores.pieces_reader import PiecesReader
from clipengine.stores.playlists import ReadPlaylist, read_pieces
from clipengine.work.children.jobs import Job, Message
from clipengine.work.jobs.measuring import Measured, Measuring, with_sizes
from clipengine.work.jobs.piece_texts import read_texts
from clipengine.work.jobs.silent_producers import is_silent


@dataclass(frozen=True)
class ProbedPieces:
    """The index of a recording of many files, its facts, its texts, the reader of its pieces, and its clock.

    `seek_index` is for this reader, which also has the files that cannot be read. A recording that is still written
    has its `growth`.
    """

    index: PieceIndex
    facts: SourceFacts
    texts: list[TextTrack]
    reader: PiecesReader
    clock: Clock | None
    seek_index: PieceSeekIndex
    growth: Growth | None = None


def read_piece_facts(
    store: Store,
    playlist: ObjectReader,
    variant: VariantChoice,
    probe: Job,
    run: Callable[[Job, ObjectReader], Message],
    *,
    base_url: str = "",
    live: bool = False,
    measured: Measured | None = None,
    read: ReadDocument = read_here,
) -> ProbedPieces:
    """Return what a child finds in the pieces of a playlist, and their reader, which the caller closes.

    A `live` recording may still be written. `measured` has pieces that need not be read again, and gets the others.
    `read` parses the playlists and the texts.

    `run` has a child do a job. Raises RecordingError, StorageError, or ValueError if the child's report is invalid.
    """
    found = read_pieces(store, playlist, variant, base_url=base_url, live=live, read=read)
    return _probed(store, playlist.info, found, probe, run, measured=measured, read_text=read)


def read_file_facts(
    store: Store, key: str, probe: Job, run: Callable[[Job, ObjectReader], Message]
) -> ProbedPieces | None:
    """Return what a child finds in a file that is still written, and its reader, which the caller closes.

    Return None for a file that is closed, has not changed for a while, or cannot be read while it grows.
    Raises as `GrowingFile.read`, and as `read_piece_facts`.
    """
    stored = store.growing(key)
    if stored is None or is_silent(stored):
        return None
    file = GrowingFile(key, FileEnd(stored.etag, ""))
    read_growing(store, file)
    if not file.grows:
        return None
    playlist = MediaPlaylist(file.first_pieces())
    index = assemble([ListedTrack("muxed", playlist, key=key)], file.stored())
    read = ReadPlaylist(index, [], [(key, file.next_number)])
    found = _probed(store, stored, read, probe, run, is_file=True)
    assert found.growth is not None
    # The header of a file that is still written may state a planned duration.
    kept = tuple(text for text in found.facts.warnings if code_of(text) != "recording_cut_off")
    facts = found.facts.model_copy(update={"warnings": kept})
    return replace(found, facts=facts, growth=replace(found.growth, file_end=file.end))


def read_growing(store: Store, file: GrowingFile) -> int:
    """Find the units that were added to a file, and return when it was stored, in ms since 1970.

    Raises ObjectChanged if it was closed or replaced, and as `GrowingFile.read`.
    """
    with closing(store.open(file.key, etag=file.end.etag)) as reader:
        file.read(reader, reader.info.size)
        return reader.info.modified


def _probed(
    store: Store,
    info: StoredObject,
    read: ReadPlaylist,
    probe: Job,
    run: Callable[[Job, ObjectReader], Message],
    *,
    is_file: bool = False,
    measured: Measured | None = None,
    read_text: ReadDocument = read_here,
) -> ProbedPieces:
    index = read.index
    reader = _reader(store, info, index)
    try:
        measuring = Measuring(index, reader, probe, run, measured)
        report = measuring.facts()
        known = measuring.ends()
        index, scans = split_at_clock_resets(index, known, None if is_file else measuring.extents, measuring.samples)
        if not read.written:
            check_clock_resets(index)
        facts, growth = _place(index, scans, report, read.written, file_end=Fraction(0) if is_file else None)
        facts = with_sizes(facts, measuring.sizes)
        texts, clock = read_texts(store, index, read.texts, read=read_text), clock_of_dates(index)
        return ProbedPieces(index, facts, texts, reader, clock, seek_index_of(index), growth)
    except BaseException:
        reader.close()
        raise


def _reader(store: Store, info: StoredObject, index: PieceIndex) -> PiecesReader:
    return PiecesReader(store, info.key, index, etag=index.etag, modified=info.modified)


def _place(
    index: PieceIndex,
    scans: Sequence[RunScan],
    report: Message,
    written: Sequence[tuple[str, int]],
    *,
    file_end: Fraction | None,
) -> tuple[SourceFacts, Growth | None]:
    origins = [Extent.of([each, None, None, None, None]).video_start for each in report["origins"]]
    if len(origins) != len(index.tracks):
        raise ValueError("the report has another number of tracks")
    growth = None
    placement = place_growing(index, scans, origins, file_end=file_end)
    duration = placement.end
    if written:
        growth = begun(index, scans, placement, written)
        duration = growth.safe_end
    if duration <= 0:
        raise RecordingUnreadable("the recording has no media in it")
    facts = SourceFacts.model_validate(report["facts"] | {"duration": str(duration)})
    if (clock := clock_of_dates(index)) is not None:
        facts = facts.model_copy(update={"creation_time": creation_time_of(utc(clock.time_at(0)))})
    named = {number: track for number, track in enumerate(index.tracks) if track.kind == "audio"}
    facts = facts.model_copy(update={"audio": tuple(_named(each, named) for each in facts.audio)})
    return _at_their_places(facts, index, origins), growth


def _at_their_places(facts: SourceFacts, index: PieceIndex, origins: Sequence[Fraction | None]) -> SourceFacts:
    """Return the facts with the times at which streams begin, which a child states from the start of each track."""
    begins = [
        Fraction(0) if origin is None else origin + track.runs[0].shift
        for origin, track in zip(origins, index.tracks, strict=True)
    ]
    video = facts.video
    if video is not None and video.first_frame is not None:
        first_frame = max(Fraction(0), video.first_frame + begins[track_of(video.index)])
        video = video.model_copy(update={"first_frame": first_frame})
    audio = tuple(
        each
        if each.start is None
        else each.model_copy(update={"start": max(Fraction(0), each.start + begins[track_of(each.index)])})
        for each in facts.audio
    )
    return facts.model_copy(update={"video": video, "audio": audio})


def _named(audio: AudioFacts, tracks: Mapping[int, Track]) -> AudioFacts:
    """Return the facts with the title and the language that the playlist states, this as containers store it."""
    track = tracks.get(track_of(audio.index))
    if track is None:
        return audio
    stated = "und" if track.language is None else alpha3_of(canonical_language(track.language))
    language = audio.language if stated == "und" else stated
    return audio.model_copy(update={"title": track.title or audio.title, "language": language})
