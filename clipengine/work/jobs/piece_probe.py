"""Probe of a recording of many files: its playlists are read here, its media in a child."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import RecordingUnreadable
from clipengine.recordings.clock import Clock, clock_of_dates
from clipengine.recordings.facts import AudioFacts, SourceFacts
from clipengine.recordings.piece_seek_index import seek_index_of
from clipengine.recordings.pieces import PieceIndex, Track, track_of
from clipengine.recordings.placing import Extent, RunScan, place
from clipengine.recordings.playlist import VariantChoice
from clipengine.stores.base import ObjectReader, Store
from clipengine.stores.pieces_reader import PiecesReader
from clipengine.stores.playlists import read_pieces
from clipengine.work.children.jobs import Job, Message
from clipengine.work.jobs.piece_texts import read_texts


def probe_pieces_job(index: PieceIndex, probe: Job) -> Job:
    """Return the job that reads the first and the last piece of each run, with the limits of the `probe` of a file."""
    pieces = seek_index_of(index).ends().model_dump(mode="json")
    return replace(probe, message={"job": "probe_pieces", "pieces": pieces})


@dataclass(frozen=True)
class ProbedPieces:
    """The index of a recording of many files, its facts, its texts, the reader of its pieces, and its clock."""

    index: PieceIndex
    facts: SourceFacts
    texts: list[TextTrack]
    reader: PiecesReader
    clock: Clock | None


def read_piece_facts(
    store: Store,
    playlist: ObjectReader,
    variant: VariantChoice,
    probe: Job,
    run: Callable[[Job, ObjectReader], Message],
    *,
    base_url: str = "",
) -> ProbedPieces:
    """Return what a child finds in the pieces of a playlist, and their reader, which the caller closes.

    `run` has a child do a job. Raises RecordingError, StorageError, or ValueError if the child's report is invalid.
    """
    read = read_pieces(store, playlist, variant, base_url=base_url)
    index = read.index
    reader = PiecesReader(store, playlist.info.key, index, etag=index.etag, modified=playlist.info.modified)
    try:
        facts = place_pieces(index, run(probe_pieces_job(index, probe), reader))
        return ProbedPieces(index, facts, read_texts(store, index, read.texts), reader, clock_of_dates(index))
    except BaseException:
        reader.close()
        raise


def place_pieces(index: PieceIndex, report: Message) -> SourceFacts:
    """Place the pieces by the report of the child, and return the facts. Raises ValueError or RecordingUnreadable."""
    scans = [RunScan(*(Extent.of(values) for values in pair)) for pair in report["scans"]]
    origins = [Extent.of([each, None, None, None]).video_start for each in report["origins"]]
    if len(origins) != len(index.tracks):
        raise ValueError("the report has another number of tracks")
    duration = place(index, scans, origins)
    if duration <= 0:
        raise RecordingUnreadable("the recording has no media in it")
    facts = SourceFacts.model_validate(report["facts"] | {"duration": str(duration)})
    if (clock := clock_of_dates(index)) is not None:
        facts = facts.model_copy(update={"creation_time": datetime.fromtimestamp(clock.time_at(0) / 1000, UTC)})
    named = {number: track for number, track in enumerate(index.tracks) if track.kind == "audio"}
    return facts.model_copy(update={"audio": tuple(_named(each, named) for each in facts.audio)})


def _named(audio: AudioFacts, tracks: Mapping[int, Track]) -> AudioFacts:
    """Return the facts with the title and the language that the playlist states."""
    track = tracks.get(track_of(audio.index))
    if track is None:
        return audio
    return audio.model_copy(
        update={"title": track.title or audio.title, "language": (track.language or audio.language or "")[:40] or None}
    )
