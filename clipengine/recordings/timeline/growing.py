"""Growth of the index of a recording that is still written: new pieces follow placed ones. Pure.

A refresh does not read the whole index. It takes the end of the index, which is the last run of each track with its
last piece only, and adds the new pieces. The result is a continued index, called `tail`:

    index     | a b c | d e |
    end                   | e |
    tail                  | e f g | h i |     f and g continue the run of e, h and i are another run
    unread                  | f g | h i |     the runs without the piece that was there before

The steps, see `clipengine.work.jobs.refreshes`: `check_gaps` and `continue_index` make the tail, `known_extents`
measures the ends of its runs, `split_at_clock_resets` divides them, `held_back` removes runs that cannot be placed yet,
and `grown` places the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Any

from clipengine.errors import PlaylistInvalid
from clipengine.recordings.assembly import StoredPiece, continued, is_stored
from clipengine.recordings.growing_file import FileEnd
from clipengine.recordings.pieces import MICROSECONDS, PieceIndex, Run, Track
from clipengine.recordings.segments import Segment
from clipengine.recordings.timeline.clock_resets import Measure
from clipengine.recordings.timeline.folder_files import FolderEnd, FolderFile
from clipengine.recordings.timeline.run_placing import Extent, Placement, RunScan, place_growing

GROWTH_FORMAT = 2  # format of rows: 0.2.0 reads extents of five times only
# Pieces for which the first track continues on its old clock, although another track has begun a new one: after more
# pieces, the new clock is the other track's only.
_AHEAD = 2


@dataclass(frozen=True)
class GrowingTrack:
    """A track whose playlist, or file, is `key`. `last` is the extent of its last piece.

    `next_number` is where new pieces begin: a media sequence number of the playlist, or an offset in bytes in the file.
    """

    key: str
    next_number: int
    last: Extent


@dataclass(frozen=True)
class Growth:
    """State from which an index grows. No later piece adds media before `safe_end`; all media ends at `end`.

    `longest` is the duration of the longest piece in seconds. A folder of files has no `tracks`, because it has no
    playlists, but a `folder_end`. A file that is still written is the only track, and has a `file_end`.
    """

    tracks: tuple[GrowingTrack, ...]
    safe_end: Fraction
    end: Fraction
    longest: Fraction
    folder_end: FolderEnd | None = None
    file_end: FileEnd | None = None

    def to_object(self) -> dict[str, Any]:
        times = (self.safe_end, self.end, self.longest)
        stored = {
            "tracks": [[each.key, each.next_number, _texts(each.last)] for each in self.tracks],
            "times": [str(time) for time in times],
        }
        ends = {"folder_end": self.folder_end and self.folder_end.to_object(), "file_end": self.file_end}
        return stored | {name: end for name, end in ends.items() if end is not None}

    @classmethod
    def from_object(cls, stored: dict[str, Any]) -> Growth:
        tracks = tuple(GrowingTrack(key, number, Extent.of(last)) for key, number, last in stored["tracks"])
        end, file = stored.get("folder_end"), stored.get("file_end")
        safe_end, ended, longest = (Fraction(time) for time in stored["times"])
        folder_end = None if end is None else FolderEnd.from_object(end)
        return cls(tracks, safe_end, ended, longest, folder_end, None if file is None else FileEnd(*file))


def _texts(extent: Extent) -> list[str | None]:
    return [None if time is None else str(time) for time in extent]


def begun(
    index: PieceIndex, scans: Sequence[RunScan], placement: Placement, written: Sequence[tuple[str, int]]
) -> Growth:
    """Return the growth of an index that was placed for the first time.

    `written` has the key of each track's playlist, and the number of the segment that follows.
    """
    lasts = {track: scan.last for (track, _), scan in zip(index.runs(), scans, strict=True)}
    tracks = tuple(GrowingTrack(*each, lasts[number]) for number, each in enumerate(written))
    return Growth(tracks, min(placement.safe_ends), placement.end, _longest(index))


def _longest(index: PieceIndex) -> Fraction:
    return max(Fraction(piece.duration, MICROSECONDS) for _, run in index.runs() for piece in run.pieces)


def grown_folder(growth: Growth | None, files: Sequence[FolderFile], end: Fraction, folder_end: FolderEnd) -> Growth:
    """Return the growth of a folder's recording after files were placed. The last file ends at `end`.

    If `growth` is None, they are its first files.
    """
    safe_end, longest = end, Fraction(max(each.length for each in files), MICROSECONDS) if files else Fraction(0)
    if files and files[-1].safe_end is not None:
        safe_end = min(end, files[-1].safe_end)
    if growth is None:
        return Growth((), safe_end, end, longest, folder_end)
    ends = (max(growth.safe_end, safe_end), max(growth.end, end))
    return Growth((), *ends, max(growth.longest, longest), folder_end)


def continue_index(
    end: PieceIndex, added: Sequence[Sequence[Segment]], stored: Mapping[str, StoredPiece]
) -> PieceIndex:
    """Return the runs that the segments of each track add to an index.

    `end` has the last run of each track with its last piece only. The first run of the result begins with this piece.
    Raises PlaylistInvalid.
    """
    return PieceIndex([continued(track, segments, stored) for track, segments in zip(end.tracks, added, strict=True)])


def check_gaps(listed: Sequence[tuple[int, Segment]], stored: Mapping[str, StoredPiece], most: float) -> None:
    """Raise PlaylistInvalid if a track's new segments follow missing ones of more than `most` seconds.

    Only the playlist states the length of a gap: one segment with a wrong duration could make a gap of years.
    """
    missing = Fraction(0)
    for number, segment in listed:
        if segment.gap or segment.encrypted or not is_stored(segment.data, stored):
            missing += segment.seconds
        elif missing > most:
            raise PlaylistInvalid(
                f"the segment {number} ({segment.data.key[-80:]}) follows a gap of {float(missing):.0f} s, and nothing "
                f"older than {most:.0f} s can be missing"
            )


def unread(tail: PieceIndex) -> PieceIndex:
    """Return the runs of a continued index without the pieces that were there before, and without empty tracks."""
    tracks = []
    for track in tail.tracks:
        first, *others = track.runs
        runs = [replace(first, pieces=first.pieces[1:]), *others]
        if kept := [run for run in runs if run.pieces]:
            tracks.append(replace(track, runs=kept))
    return PieceIndex(tracks)


def known_extents(growth: Growth, tail: PieceIndex, measure: Measure) -> list[dict[int, Extent]]:
    """Measure the first and the last new piece of each run of a continued index.

    Return the known extents of each run, by the numbers of the pieces. In the first run of a track, piece 0 is the last
    piece that was there before, whose extent is known from `growth`.
    """
    found: list[dict[int, Extent]] = []
    new: list[tuple[int, int]] = []
    for each, track in zip(growth.tracks, tail.tracks, strict=True):
        for run in track.runs:
            is_first = run is track.runs[0]
            ends = dict.fromkeys((int(is_first), len(run.pieces) - 1))
            new += [(len(found), piece) for piece in ends if not (is_first and piece == 0) and piece < len(run.pieces)]
            found.append({0: each.last} if is_first else {})
    for (number, piece), extent in zip(new, measure(new) if new else (), strict=True):
        found[number][piece] = extent
    return found


def held_back(
    growth: Growth,
    tail: PieceIndex,
    scans: Sequence[RunScan],
    listed: Sequence[Sequence[tuple[int, Segment]]],
    *,
    may_grow: bool,
) -> tuple[PieceIndex, list[RunScan], list[int]]:
    """Return a continued index without runs that cannot be placed yet, its scans, and the next number of each track.

    The first track decides where a clock begins. Its playlist may be written after the playlist of another track, which
    then has a clock that the first track does not have yet. The run with this clock is held back:

        first track     | clock 1      |                  the next refresh adds clock 2 here
        other track     | clock 1      | clock 2  |       held back

    It is not held back if the first track cannot grow (`may_grow` is False), or if the first track continues on its old
    clock for `_AHEAD` pieces after the start of the run: then only the other track has the new clock. `listed` are the
    new segments of each track. The next number of a track is the number of its first segment that was held back, or of
    the segment after its last one.
    """
    first = tail.tracks[0]
    first_clock, first_end = first.runs[-1].clock, first.runs[-1].pieces[-1].end
    held_after = first_end - int(growth.longest * _AHEAD * MICROSECONDS)
    tracks: list[Track] = []
    kept: list[RunScan] = []
    numbers: list[int] = []
    left = iter(scans)
    for track, known, segments in zip(tail.tracks, growth.tracks, listed, strict=True):
        has_later_clock = [run.clock > first_clock and run.pieces[0].start > held_after for run in track.runs[1:]]
        waits = may_grow and not first.own_clock and any(has_later_clock)
        count = 1 + has_later_clock.index(True) if waits else len(track.runs)
        kept += list(islice(left, len(track.runs)))[:count]
        tracks.append(replace(track, runs=track.runs[:count]))
        after = segments[-1][0] + 1 if segments else known.next_number
        numbers.append(_number_after(track.runs[count - 1], segments, known.next_number) if waits else after)
    return PieceIndex(tracks), kept, numbers


def _number_after(run: Run, listed: Sequence[tuple[int, Segment]], otherwise: int) -> int:
    """Return the number of the segment after the last piece of a run, or `otherwise` if that is not new."""
    last = run.pieces[-1].data
    numbers = (number for number, each in reversed(listed) if each.data[:2] == (last.key, last.offset))
    return next((number + 1 for number in numbers), otherwise)


def grown(
    growth: Growth,
    tail: PieceIndex,
    scans: Sequence[RunScan],
    next_numbers: Sequence[int],
    written: Sequence[bool],
) -> Growth:
    """Place the pieces of a continued index by the scans of its runs, and return its growth.

    `written` is True for each track whose playlist may get more pieces: only these limit the safe end.
    """
    lasts = {track: scan.last for (track, _), scan in zip(tail.runs(), scans, strict=True)}
    file_end = None if growth.file_end is None else growth.end
    placement = place_growing(tail, scans, [None] * len(tail.tracks), continues=True, file_end=file_end)
    end = max(growth.end, placement.end)
    safe = [time for time, more in zip(placement.safe_ends, written, strict=True) if more]
    keys = (each.key for each in growth.tracks)
    return Growth(
        tuple(map(GrowingTrack, keys, next_numbers, (lasts[number] for number in range(len(tail.tracks))))),
        max(growth.safe_end, min(safe, default=end)),
        end,
        max(growth.longest, _longest(tail)),
    )
