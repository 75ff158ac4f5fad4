"""Probe of a camera's folder, and of the files that are added to it: children read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from clipengine.basis.moments import check_moment, note_left_out, utc
from clipengine.basis.timecode import now_ms
from clipengine.errors import RecordingUnreadable
from clipengine.recordings.facts import SourceFacts, creation_time_of
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.piece_seek_index import PieceSeekIndex, seek_index_of
from clipengine.recordings.pieces import PieceIndex, Run, Track
from clipengine.recordings.timeline.clock import Clock
from clipengine.recordings.timeline.folder_files import FolderFile, Mark, PlacedFiles
from clipengine.recordings.timeline.folder_placing import begin_early, may_overlap, place_files, place_more
from clipengine.recordings.timeline.growing import Growth, grown_folder
from clipengine.recordings.timeline.run_placing import Extent
from clipengine.stores.base import ObjectReader, Store
from clipengine.stores.folders import FolderFiles, read_folder
from clipengine.stores.pieces_reader import PiecesReader
from clipengine.work.children.jobs import Job, Message
from clipengine.work.jobs.measuring import scans_of, with_sizes
from clipengine.work.jobs.piece_probe import ProbedPieces
from clipengine.work.jobs.silent_producers import is_written_out

_FILES_AT_ONCE = 1000  # of a job
_PAIRS_AT_ONCE = 100


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
        files = _with_overlaps(files, listed, reader, probe, run, by_ends=by_ends)
        return _placed_files(listed, files, source, reports, reader, settle_seconds is not None)
    except BaseException:
        reader.close()
        raise


def _reports(
    listed: FolderFiles, probe: Job, run: Callable[[Job, ObjectReader], Message], reader: PiecesReader
) -> list[Message]:
    return [run(_files_job(batch, probe), reader) for batch in seek_index_of(listed.index).batches(_FILES_AT_ONCE)]


def _with_overlaps(
    files: Sequence[FolderFile],
    listed: FolderFiles,
    reader: PiecesReader,
    probe: Job,
    run: Callable[[Job, ObjectReader], Message],
    *,
    before: FolderFile | None = None,
    by_ends: bool,
) -> list[FolderFile]:
    """Return the files, and set the `overlap` of a file that begins with pictures of the file before.

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
        job = replace(probe, message={"job": "find_overlaps", "pieces": pieces.model_dump(mode="json")})
        overlaps = [Extent.of([each, None, None, None, None]).video_start for each in run(job, reader)["overlaps"]]
        for number, overlap in zip(batch, overlaps, strict=True):
            found[number - skipped] = found[number - skipped]._replace(overlap=overlap)
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
        facts = facts.model_copy(update={"creation_time": creation_time_of(utc(placed.clock.time_at(0)))})
    index = PieceIndex([Track("muxed", [each.run for each in readable])])
    return ProbedPieces(index, facts, [], reader, placed.clock, seek_index_of(listed.index).only(kept), growth)


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
            found = _with_overlaps(found, listed, reader, probe, run, before=before, by_ends=by_ends)
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


def _files_job(pieces: PieceSeekIndex, probe: Job) -> Job:
    return replace(probe, message={"job": "probe_files", "pieces": pieces.model_dump(mode="json")})


def _files(listed: FolderFiles, reports: Sequence[Message]) -> Iterator[FolderFile]:
    """Yield the files with what children report. Raises ValueError."""
    scans = [scan for report in reports for scan in scans_of(report)]
    marks = [None if each is None else Mark.of(each) for report in reports for each in report["marks"]]
    found = zip(listed.index.runs(), listed.times, scans, marks, listed.closed, strict=True)
    for (_, run), name, scan, mark, closed in found:
        yield FolderFile(run, name, scan, None if mark is None else _plausible(mark, run), closed)


def _plausible(mark: Mark, run: Run) -> Mark | None:
    """Return the mark, or None if its time cannot be one: the time of the name is used."""
    try:
        check_moment(mark.ntp // 1_000_000)
    except ValueError as error:
        key = run.pieces[0].data.key
        note_left_out(f"the folder {key.rpartition('/')[0]}", "a time of MediaMTX", f"{key}: {error}")
        return None
    return mark
