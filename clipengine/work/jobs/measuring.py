"""Measurement of pieces by child processes, and the checks of what they report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

from clipengine.errors import DecoderCrashed
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.piece_seek_index import PieceSeekIndex, seek_index_of
from clipengine.recordings.pieces import ObjectRange, PieceIndex, Run
from clipengine.recordings.timeline.run_placing import Extent, RunScan
from clipengine.stores.base import ObjectReader
from clipengine.work.children.jobs import Job, Message, scan_job

_PIECES_AT_ONCE = 500  # of a job, which ends after some seconds
_PIECES_AT_FIRST = 16  # in the job that also reads the facts: most recordings need no other

log = logging.getLogger(__name__)

# The header and the bytes of a piece, by which its extent is known, and the numbers of a run and of a piece in it.
_Bytes = tuple[ObjectRange | None, ObjectRange]
_Place = tuple[int, int]


@contextmanager
def valid_reports(recording_id: str) -> Iterator[None]:
    """Raise DecoderCrashed if the report of a child is invalid: the recording is placed and described by it."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        log.warning("recording %s: the report of a child cannot be stored: %s", recording_id, error)
        raise DecoderCrashed("the decoder process reported facts that cannot be stored") from error


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


def scans_of(report: Message) -> list[RunScan]:
    """Return the scans of runs that a child reports. Raises ValueError."""
    return [RunScan(Extent.of(first), Extent.of(last)) for first, last in report["scans"]]


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
