"""Probe of a recording of many files: its playlists are read here, its media in a child."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise

from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.texts.transcript_file import alpha3_of, canonical_language
from clipengine.clips.warnings import code_of
from clipengine.documents import ReadDocument, read_here
from clipengine.errors import DecoderCrashed, RecordingUnreadable
from clipengine.recordings.assembly import ListedTrack, assemble
from clipengine.recordings.facts import AudioFacts, SourceFacts
from clipengine.recordings.folder_pattern import FolderSource
from clipengine.recordings.growing_file import FileEnd, GrowingFile
from clipengine.recordings.piece_seek_index import PieceSeekIndex, seek_index_of
from clipengine.recordings.pieces import ObjectRange, PieceIndex, Run, Track, track_of
from clipengine.recordings.playlist import MediaPlaylist, VariantChoice
from clipengine.recordings.timeline.clock import Clock, clock_of_dates
from clipengine.recordings.timeline.folder_placing import (
    FolderFile,
    Mark,
    PlacedFiles,
    begin_early,
    may_overlap,
    place_files,
    place_more,
)
from clipengine.recordings.timeline.growing import Growth, begun, grown_folder
from clipengine.recordings.timeline.placing import Extent, RunScan, place_growing
from clipengine.recordings.timeline.restarts import check_restarts, split_at_restarts
from clipengine.stores.base import ObjectReader, Store, StoredObject
from clipengine.stores.folders import FolderFiles, read_folder
from clipengine.stores.pieces_reader import PiecesReader
from clipengine.stores.playlists import ReadPlaylist, read_pieces
from clipengine.timecode import now_ms
from clipengine.work.children.jobs import Job, Message, scan_job
from clipengine.work.jobs.piece_texts import read_texts

_FILES_AT_ONCE = 1000  # of a job
_PAIRS_AT_ONCE = 100
_PIECES_AT_ONCE = 500  # of a job, which ends after some seconds
_PIECES_AT_FIRST = 16  # in the job that also reads the facts: most recordings need no other
SILENCE_SECONDS = 60  # without an addition after which a recording counts as ended, or three pieces if they are longer


log = logging.getLogger(__name__)


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


@contextmanager
def valid_reports(recording_id: str) -> Iterator[None]:
    """Raise DecoderCrashed if the report of a child is invalid: the recording is placed and described by it."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        log.warning("recording %s: the report of a child cannot be stored: %s", recording_id, error)
        raise DecoderCrashed("the decoder process reported facts that cannot be stored") from error


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


def is_silent(stored: StoredObject, seconds: float = SILENCE_SECONDS) -> bool:
    """Return True if an object has not changed for so long."""
    return now_ms() - stored.modified > seconds * 1000


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
        index, scans = split_at_restarts(index, known, None if is_file else measuring.extents, measuring.samples)
        if not read.written:
            check_restarts(index)
        facts, growth = _place(index, scans, report, read.written, file_end=Fraction(0) if is_file else None)
        facts = with_sizes(facts, measuring.sizes)
        texts, clock = read_texts(store, index, read.texts, read=read_text), clock_of_dates(index)
        return ProbedPieces(index, facts, texts, reader, clock, seek_index_of(index), growth)
    except BaseException:
        reader.close()
        raise


# The header and the bytes of a piece, by which its extent is known, and the numbers of a run and of a piece in it.
_Bytes = tuple[ObjectRange | None, ObjectRange]
_Place = tuple[int, int]


@dataclass
class Measured:
    """The extents of pieces by their bytes, which a playlist may name many times, and the sizes of their pictures."""

    extents: dict[_Bytes, Extent] = field(default_factory=dict)
    sizes: list[Sequence[int]] = field(default_factory=list)


class Measuring:
    """Measures pieces of an index: a child reads each once. `sizes` are the sizes of their pictures."""

    def __init__(
        self,
        index: PieceIndex,
        reader: ObjectReader,
        probe: Job,
        run: Callable[[Job, ObjectReader], Message],
        measured: Measured | None = None,
    ) -> None:
        self._index = index
        self._reader = reader
        self._probe = probe
        self._run = run
        self._measured = Measured() if measured is None else measured

    @property
    def sizes(self) -> list[Sequence[int]]:
        return self._measured.sizes

    @cached_property
    def _pieces(self) -> PieceSeekIndex:
        return seek_index_of(self._index)

    @cached_property
    def _runs(self) -> list[Run]:
        return [run for _, run in self._index.runs()]

    def facts(self) -> Message:
        """Return a child's report of the first piece of each track, which it reads with some of the other ends.

        Raises RecordingError, or ValueError for an invalid report.
        """
        firsts = accumulate([len(track.runs) for track in self._index.tracks[:-1]], initial=0)
        heads = [(first, 0) for first in firsts]
        more = [each for each in self._missing(self._ends()) if each not in heads]
        places = sorted(heads + more[: max(0, _PIECES_AT_FIRST - len(heads))])
        report = self._run(_probe_job(self._pieces.single(places), self._probe), self._reader)
        if self._note(places, report) != len(places):
            raise ValueError("the report has another number of pieces")
        return report

    def ends(self) -> list[dict[int, Extent]]:
        """Return the extents of the first and the last piece of each run. Raises as `extents`."""
        places = self._ends()
        found: list[dict[int, Extent]] = [{} for _ in self._runs]
        for (run, piece), extent in zip(places, self.extents(places), strict=True):
            found[run][piece] = extent
        return found

    def extents(self, places: Sequence[_Place]) -> list[Extent]:
        """Return the extents of pieces, given by the numbers of their runs and theirs.

        Raises RecordingError, or ValueError for an invalid report.
        """
        self._read(places)
        return [self._measured.extents[self._bytes(each)] for each in places]

    def samples(self, places: Sequence[_Place]) -> list[Extent]:
        """Return the extents of pieces as `extents`, without times for pieces that cannot be read."""
        self._read(places, skips_unreadable=True)
        found = [self._measured.extents[self._bytes(each)] for each in places]
        for place, extent in zip(places, found, strict=True):
            if extent.start is None:  # `extents` reads it again, and raises
                self._measured.extents.pop(self._bytes(place), None)
        return found

    def _read(self, places: Sequence[_Place], *, skips_unreadable: bool = False) -> None:
        missing = self._missing(places)
        while missing:
            batch = missing[:_PIECES_AT_ONCE]
            job = scan_job(self._pieces.single(batch), self._probe, skips_unreadable=skips_unreadable)
            report = self._run(job, self._reader)
            count = self._note(batch, report)
            if not count:
                raise ValueError("the report has no pieces")
            self._measured.sizes += report["sizes"]
            missing = missing[count:]

    def _ends(self) -> list[_Place]:
        return [
            (number, piece)
            for number, run in enumerate(self._runs)
            for piece in dict.fromkeys((0, len(run.pieces) - 1))
        ]

    def _missing(self, places: Sequence[_Place]) -> list[_Place]:
        """Return a place for each of the pieces that were not measured yet, in their order."""
        found = {self._bytes(each): each for each in reversed(places)}
        return sorted(place for key, place in found.items() if key not in self._measured.extents)

    def _bytes(self, place: _Place) -> _Bytes:
        run = self._runs[place[0]]
        return run.init, run.pieces[place[1]].data

    def _note(self, places: Sequence[_Place], report: Message) -> int:
        """Note the extents in a report, of the first pieces of `places`, and return their number."""
        scans = scans_of(report)
        if len(scans) > len(places):
            raise ValueError("the report has too many pieces")
        for place, scan in zip(places, scans, strict=False):
            self._measured.extents[self._bytes(place)] = scan.first
        return len(scans)


def _probe_job(pieces: PieceSeekIndex, probe: Job) -> Job:
    """Return the job that also reads the facts of the tracks, with the limits of the `probe` of a file."""
    return replace(probe, message={"job": "probe_pieces", "pieces": pieces.model_dump(mode="json")})


def _reader(store: Store, info: StoredObject, index: PieceIndex) -> PiecesReader:
    return PiecesReader(store, info.key, index, etag=index.etag, modified=info.modified)


def read_folder_facts(
    store: Store,
    source: FolderSource,
    probe: Job,
    run: Callable[[Job, ObjectReader], Message],
    *,
    settle_seconds: float | None = None,
) -> ProbedPieces:
    """Return what children find in the files of a folder, and their reader, which the caller closes.

    Files that cannot be read are left out. With `settle_seconds` the folder may still be written, see `read_folder`.
    Raises RequestError for a pattern, and as `read_piece_facts`.
    """
    listed = read_folder(store, source, settle_seconds=settle_seconds)
    reader = PiecesReader(store, source.folder, listed.index, etag=listed.index.etag, modified=listed.modified)
    try:
        reports = _reports(listed, probe, run, reader)
        files = list(_files(listed, reports))
        by_ends = begin_early([each for each in files if each.scan.first.start is not None], listed.resolution)
        files = _with_seams(files, listed, reader, probe, run, by_ends=by_ends)
        return _placed_files(listed, files, source, reports, reader, settle_seconds is not None)
    except BaseException:
        reader.close()
        raise


def _reports(
    listed: FolderFiles, probe: Job, run: Callable[[Job, ObjectReader], Message], reader: PiecesReader
) -> list[Message]:
    return [run(_files_job(batch, probe), reader) for batch in seek_index_of(listed.index).batches(_FILES_AT_ONCE)]


def _with_seams(
    files: Sequence[FolderFile],
    listed: FolderFiles,
    reader: PiecesReader,
    probe: Job,
    run: Callable[[Job, ObjectReader], Message],
    *,
    before: FolderFile | None = None,
    by_ends: bool,
) -> list[FolderFile]:
    """Return the files, and set the `seam` of a file that begins with pictures of the file before.

    `before` is the file before them, and the first file of the reader. Raises ValueError.
    """
    found, known = list(files), [*([] if before is None else [before]), *files]
    runs = PieceIndex([Track("muxed", [each.run for each in known])])
    places = [
        number
        for number, pair in enumerate(pairwise(known), 1)
        if all(each.scan.first.start is not None for each in pair)
        and may_overlap(*pair, listed.resolution, by_ends=by_ends)
    ]
    skipped = len(known) - len(files)
    for first in range(0, len(places), _PAIRS_AT_ONCE):
        batch = places[first : first + _PAIRS_AT_ONCE]
        pieces = seek_index_of(runs).single([(number - back, 0) for number in batch for back in (1, 0)])
        job = replace(probe, message={"job": "find_seams", "pieces": pieces.model_dump(mode="json")})
        seams = [Extent.of([each, None, None, None, None]).video_start for each in run(job, reader)["seams"]]
        for number, seam in zip(batch, seams, strict=True):
            found[number - skipped] = found[number - skipped]._replace(seam=seam)
    return found


def _placed_files(
    listed: FolderFiles,
    files: Sequence[FolderFile],
    source: FolderSource,
    reports: Sequence[Message],
    reader: PiecesReader,
    is_live: bool,
) -> ProbedPieces:
    """Return the recording of the files that can be read. Raises RecordingUnreadable or ValueError."""
    kept = [number for number, each in enumerate(files) if each.scan.first.start is not None]
    head = next((report for report in reports if report["facts"] is not None), None)
    if head is None or not kept:
        raise RecordingUnreadable("none of the files can be read")
    readable = [files[number] for number in kept]
    origin = Extent.of([head["origins"][0], None, None, None, None]).video_start
    placed = place_files(readable, origin=origin, resolution=listed.resolution, dated=listed.dated)
    first = grown_folder(None, readable, placed.end, replace(placed.last, order=listed.last))
    is_written = is_live and not is_written_out(source, first, (now_ms() - listed.modified) / 1000)
    growth = first if is_written else None
    duration = placed.end if growth is None else growth.safe_end
    facts = with_sizes(SourceFacts.model_validate(head["facts"] | {"duration": str(duration)}), _sizes(reports))
    if placed.clock is not None:
        facts = facts.model_copy(update={"creation_time": datetime.fromtimestamp(placed.clock.time_at(0) / 1000, UTC)})
    index = PieceIndex([Track("muxed", [each.run for each in readable])])
    return ProbedPieces(index, facts, [], reader, placed.clock, seek_index_of(listed.index).only(kept), growth)


def is_written_out(source: FolderSource, growth: Growth, silent_for: float) -> bool:
    """Return True if no more files are expected: the day is over, and none was added for a while."""
    is_over = source.day_ends is None or now_ms() >= source.day_ends
    return is_over and silent_for > longest_silence(growth)


def longest_silence(growth: Growth) -> float:
    """Return the seconds without an addition after which a recording that is still written counts as ended."""
    return max(float(SILENCE_SECONDS), float(3 * growth.longest))


@dataclass(frozen=True)
class AddedFiles:
    """Files that were added to a folder's recording and can be read: the index of them, and the sizes of pictures."""

    index: PieceIndex
    growth: Growth
    clock: Clock | None
    sizes: Sequence[Sequence[int]]


def read_added_files(
    store: Store,
    listed: FolderFiles,
    growth: Growth,
    clock: Clock | None,
    probe: Job,
    run: Callable[[Job, ObjectReader], Message],
    last: Run,
) -> AddedFiles:
    """Have children read the files that were added to a recording, and return what they find.

    `last` is the run of the last file in the recording. Raises as `read_folder_facts`.
    """
    end = growth.folder_end
    assert end is not None
    reports: list[Message] = []
    found: list[FolderFile] = []
    if listed.times:
        reader = PiecesReader(store, "", listed.index, etag=listed.index.etag)
        try:
            reports = _reports(listed, probe, run, reader)
        finally:
            reader.close()
        found = list(_files(listed, reports))
        known = PieceIndex([Track("muxed", [last, *listed.index.tracks[0].runs])])
        reader = PiecesReader(store, "", known, etag=known.etag)
        before = end.files[-1]._replace(run=last)
        by_ends = end.by_ends or begin_early([*end.files, *found], listed.resolution)
        try:
            found = _with_seams(found, listed, reader, probe, run, before=before, by_ends=by_ends)
        finally:
            reader.close()
    files = [each for each in found if each.scan.first.start is not None]
    placed = PlacedFiles(growth.end, clock, end)
    if files:
        placed = place_more(end, clock, files, resolution=listed.resolution, dated=listed.dated)
    grown = grown_folder(growth, files, placed.end, replace(placed.last, order=listed.last))
    return AddedFiles(PieceIndex([Track("muxed", [each.run for each in files])]), grown, placed.clock, _sizes(reports))


def _sizes(reports: Sequence[Message]) -> list[Sequence[int]]:
    """Return the sizes of the pictures that children report with the facts of files."""
    videos = [report["facts"]["video"] for report in reports if report["facts"] is not None]
    return [video["largest"] or (video["width"], video["height"]) for video in videos if video is not None]


def with_sizes(facts: SourceFacts, sizes: Sequence[Sequence[int]]) -> SourceFacts:
    """Return the facts with the largest picture of the recording. Raises ValueError."""
    video = facts.video
    found = {(int(width), int(height)) for width, height in sizes}
    if video is None or not found - {(video.width, video.height)}:
        return facts
    known = video.largest or (video.width, video.height)
    largest = max([known, *found], key=lambda size: size[0] * size[1])
    video = type(video).model_validate(video.model_dump() | {"largest": largest})
    return facts.model_copy(update={"video": video})


def _files_job(pieces: PieceSeekIndex, probe: Job) -> Job:
    return replace(probe, message={"job": "probe_files", "pieces": pieces.model_dump(mode="json")})


def _files(listed: FolderFiles, reports: Sequence[Message]) -> Iterator[FolderFile]:
    """Yield the files with what children report. Raises ValueError."""
    scans = [scan for report in reports for scan in scans_of(report)]
    marks = [None if each is None else Mark.of(each) for report in reports for each in report["marks"]]
    found = zip(listed.index.runs(), listed.times, scans, marks, listed.closed, strict=True)
    for (_, run), name, scan, mark, closed in found:
        yield FolderFile(run, name, scan, mark, closed)


def scans_of(report: Message) -> list[RunScan]:
    """Return the scans of runs that a child reports. Raises ValueError."""
    return [RunScan(Extent.of(first), Extent.of(last)) for first, last in report["scans"]]


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
        facts = facts.model_copy(update={"creation_time": datetime.fromtimestamp(clock.time_at(0) / 1000, UTC)})
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
