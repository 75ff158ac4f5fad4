"""Places of runs on the recording's timeline, from the timestamps of their first and last pieces.

The durations that a playlist states are hints: they may be rounded, or a few percent too long. The timestamps of
packets decide. The `shift` of a run is the difference of its time on the timeline and in its container. Runs of one
clock, in all tracks, have the same shift, so that audio keeps its offset to the video:

    timeline   0                 20        25               40
    video      | clock 1         |         | clock 2        |
    audio       | clock 1          |       | clock 2       |
                                 |-- gap --|

The first clock begins at 0. The video of each further clock follows the last video frame of the clock before it, after
a gap of missing pieces, or of a pause that the dates of the pieces show. Without a gap, it continues on the grid of the
frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, Self

from clipengine.basis.timecode import bounded
from clipengine.errors import PlaylistInvalid
from clipengine.recordings.piece_columns import Pieces
from clipengine.recordings.pieces import MICROSECONDS, Piece, PieceIndex, Run, Track

WRAP_SECONDS = Fraction(2**33, 90_000)  # timestamps of MPEG-TS have 33 bits
# A difference between two dates of a playlist that counts as a pause.
_SHORTEST_PAUSE, _LONGEST_PAUSE = Fraction(1, 4), 24 * 3600
# The same in a track with its own clock: its dates are its only relation to the other tracks, so short ones count too.
_SHORTEST_PAUSE_ALONE = Fraction(1, 100)
# Nothing measures the length of a gap, only the playlist states it. A track with more seconds of gaps than this is
# refused if the playlist states for its segments more than so many times their true durations.
_LONGEST_UNCONFIRMED, _MOST_STATED = 3600, 10
_SAME_CLOCK_SECONDS = 2  # a run after a missing piece keeps the clock if it is at most so far off


class Extent(NamedTuple):
    """Start and end of the video and the audio of a piece, in container time. None for media that is absent.

    `safe_end` is the time up to which no later piece can add media: no later frame is shown before the decoding time of
    the last frame, and no later sample before the end of its audio stream. It is the least of these times. `first` is
    the time of the first packet.
    """

    video_start: Fraction | None
    video_end: Fraction | None
    audio_start: Fraction | None
    audio_end: Fraction | None
    safe_end: Fraction | None = None
    first: Fraction | None = None

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self:
        """Return the extent that a child reports. Raises ValueError."""
        if len(values) not in (5, 6):  # five in a ledger of an older version
            raise ValueError("an extent has six times")
        return cls(*(None if each is None else bounded(each) for each in values))

    @property
    def start(self) -> Fraction | None:
        """The start by which a piece is placed: of its video, or of its audio if it has no video."""
        return self.audio_start if self.video_start is None else self.video_start

    @property
    def end(self) -> Fraction | None:
        return self.audio_end if self.video_end is None else self.video_end

    @property
    def latest(self) -> Fraction | None:
        return max((each for each in (self.video_end, self.audio_end) if each is not None), default=None)

    @property
    def earliest(self) -> Fraction | None:
        return min((each for each in (self.video_start, self.audio_start) if each is not None), default=None)


class RunScan(NamedTuple):
    """The extents of the first and the last piece of a run, and the time between them if the run may be very long."""

    first: Extent
    last: Extent
    distance: Fraction | None = None


def near(time: Fraction, expected: Fraction) -> Fraction:
    """Return the time plus the multiple of the wrap of MPEG-TS that comes nearest to the expected time."""
    return time + round((expected - time) / WRAP_SECONDS) * WRAP_SECONDS


class Placement(NamedTuple):
    """The end of the placed runs, and for each track the time up to which all of its media has arrived."""

    end: Fraction
    safe_ends: list[Fraction]


@dataclass
class _Placed:
    """A run with its scan and its place on the timeline.

        pieces        | first |  …  | last   |
        first_start   ^
        last_start                  ^
        video_end                          ^        of the audio if there is no video
        end                                  ^      of all media

    `stated` is the duration of the run by the playlist. With `keeps_clock`, it continues a placed run, with its shift.
    """

    track: int
    run: Run
    scan: RunScan
    keeps_clock: bool = False
    first_start: Fraction = Fraction(0)
    last_start: Fraction = Fraction(0)
    video_end: Fraction = Fraction(0)
    end: Fraction = Fraction(0)
    safe_end: Fraction = Fraction(0)
    stated: Fraction = Fraction(0)

    def place(self, shift: Fraction, expected: Fraction) -> None:
        """Place the run with this shift, near the expected time of its first piece."""
        pieces, first, last = self.run.pieces, self.scan.first.start, self.scan.last.start
        hint = _seconds(pieces[-1].start - pieces[0].start) if self.scan.distance is None else self.scan.distance
        self.stated = _seconds(pieces[-1].end - pieces[0].start)
        self.first_start = expected if first is None else near(first + shift, expected)
        self.run.shift = shift if first is None else self.first_start - first
        expected_last = self.first_start + hint
        self.last_start = expected_last if last is None else near(last + self.run.shift, expected_last)
        after = self.last_start + _seconds(pieces[-1].duration)
        grid_end, latest = self.scan.last.end, self.scan.last.latest
        self.video_end = after if grid_end is None else near(grid_end + self.run.shift, after)
        self.end = after if latest is None else near(latest + self.run.shift, after)
        safe = self.scan.last.safe_end
        self.safe_end = self.last_start if safe is None else near(safe + self.run.shift, after)
        self._spread()

    def move(self, by: int) -> None:
        """Move the placed run by microseconds."""
        seconds = _seconds(by)
        self.run.shift += seconds
        self.first_start, self.last_start = self.first_start + seconds, self.last_start + seconds
        self.video_end, self.end, self.safe_end = self.video_end + seconds, self.end + seconds, self.safe_end + seconds
        self.run.pieces = Pieces(each._replace(start=each.start + by) for each in self.run.pieces)

    def _spread(self) -> None:
        """Spread the error of the stated durations over the run, whose last piece gets its true duration."""
        pieces, start, stated_start = self.run.pieces, _microseconds(self.first_start), self.run.pieces[0].start
        stated, true = pieces[-1].start - stated_start, _microseconds(self.last_start - self.first_start)
        true, stated = (true, stated) if stated > 0 and true > 0 else (1, 1)
        starts = (start + (each.start - stated_start) * true // stated for each in pieces)
        video_end, last = _microseconds(self.video_end), len(pieces) - 1
        self.run.pieces = Pieces(
            Piece(each.data, placed, each.duration if number < last else max(0, video_end - placed))
            for number, (each, placed) in enumerate(zip(pieces, starts, strict=True))
        )


def place(index: PieceIndex, scans: Sequence[RunScan], origins: Sequence[Fraction | None]) -> Fraction:
    """Set the shifts of all runs and the starts of all pieces, and return the duration of the recording.

    `origins` are the first presentation times of the tracks, in container time.
    """
    return place_growing(index, scans, origins).end


def place_growing(
    index: PieceIndex,
    scans: Sequence[RunScan],
    origins: Sequence[Fraction | None],
    *,
    continues: bool = False,
    file_end: Fraction | None = None,
) -> Placement:
    """Set the shifts of all runs and the starts of all pieces.

    If the index `continues` another one, the first run of each track begins with the last piece that was placed, and
    keeps its shift. `file_end` is the end of all placed media of a file that is still written: a further clock begins
    there with its first packet, of any stream, as `Timeline` joins the clocks of a file that has ended.

    Raises PlaylistInvalid if gaps would have a length that is stated by a playlist whose durations are false.
    """
    placed = _place_tracks(index, scans, origins, continues=continues, file_end=file_end)
    last = {each.track: each.safe_end for each in placed}  # in the order of each track
    return Placement(max(each.end for each in placed), [last[track] for track in range(len(index.tracks))])


def _place_tracks(
    index: PieceIndex,
    scans: Sequence[RunScan],
    origins: Sequence[Fraction | None],
    *,
    continues: bool,
    file_end: Fraction | None,
) -> list[_Placed]:
    """Place the tracks that share a clock together, and each of the others by its dates."""
    found: list[list[_Placed]] = [[] for _ in index.tracks]
    for (number, run), scan in zip(index.runs(), scans, strict=True):
        keeps = continues and run is index.tracks[number].runs[0]
        found[number].append(_Placed(number, run, scan, keeps))
    shared = [each for runs, track in zip(found, index.tracks, strict=True) if not track.own_clock for each in runs]
    alone = [runs for runs, track in zip(found, index.tracks, strict=True) if track.own_clock]
    for runs in ([shared] if shared else []) + alone:
        shortest_pause = _SHORTEST_PAUSE if runs is shared else _SHORTEST_PAUSE_ALONE
        _place_runs(runs, index.tracks, origins, shortest_pause=shortest_pause, file_end=file_end)
    if alone and not continues:
        _align(alone)
    for runs in found:
        _check_gaps(runs)
    return [each for runs in found for each in runs]


def _check_gaps(runs: Sequence[_Placed]) -> None:
    """Raise PlaylistInvalid if the runs of a track have long gaps, and nearly nothing of the durations stated for them.

    A gap is as long as its missing segments are stated to be, which nothing else confirms.
    """
    edges = [Fraction(0), *(each.video_end for each in runs)]  # a gap begins where the previous run ends
    missing = sum(
        each.first_start - edge
        for each, edge in zip(runs, edges, strict=False)
        if each.run.gap in ("missing", "encrypted")
    )
    true, stated = sum(each.video_end - each.first_start for each in runs), sum(each.stated for each in runs)
    if missing > _LONGEST_UNCONFIRMED and true * _MOST_STATED < stated:
        first = max(runs, key=lambda each: each.stated).run.pieces[0].data.key
        raise PlaylistInvalid(
            f"the playlist states {float(stated):.0f} s for segments that have {float(true):.0f} s, from {first[-80:]} "
            f"on: gaps of {float(missing):.0f} s cannot be measured by it"
        )


def _align(tracks: Sequence[Sequence[_Placed]]) -> None:
    """Move tracks that begin at 0 to their places by their first dates. One without a date stays at 0."""
    zeros = [_first_zero_date(runs) for runs in tracks]
    first = min((zero for zero in zeros if zero is not None), default=0)
    for runs, zero in zip(tracks, zeros, strict=True):
        for each in runs:
            each.move(0 if zero is None else zero - first)


def _first_zero_date(runs: Sequence[_Placed]) -> int | None:
    dates = (each.run.zero_date(each.run.first_dated) for each in runs if each.run.first_dated is not None)
    return next(dates, None)


def _place_runs(
    runs: Sequence[_Placed],
    tracks: Sequence[Track],
    origins: Sequence[Fraction | None],
    *,
    shortest_pause: Fraction,
    file_end: Fraction | None,
) -> None:
    groups, clocks = _groups(runs, tracks), _known_clocks(runs, tracks)
    before, stated_edge = None, 0  # the last run of the group before, and its stated end
    clock: int | None = None  # the date of the timeline's start by the dates of the group before
    for number in sorted(groups):
        group = groups[number]
        stated_end = max(each.run.pieces[-1].end for each in group)
        if number in clocks:  # it was placed before: keep its shift
            expected, shift = _seconds(group[0].run.pieces[0].start), clocks[number]
        elif before is not None and file_end is not None:  # in a file: the first packet follows all media
            expected = max(before.end, file_end)
            shift = expected - (group[0].scan.first.first or Fraction(0))
        elif before is not None:  # the first video frame follows the last one, after a gap or a pause
            reference = _reference(group)
            pause = _pause(clock, before, reference.run, shortest_pause)
            if pause is not None:
                _mark_pause(group)
            missing = max(Fraction(0), _seconds(reference.run.pieces[0].start - stated_edge))
            expected = before.video_end + (missing if pause is None else pause)
            shift = expected - (reference.scan.first.start or Fraction(0))
        else:  # the first clock of the recording
            expected, shift = _first_shift(tracks, group, origins)
        _place_group(group, shift, expected)
        before, stated_edge, clock = _last(group), stated_end, _clock(group)


def _groups(runs: Sequence[_Placed], tracks: Sequence[Track]) -> dict[tuple[int, int], list[_Placed]]:
    """Return the runs by the clocks of the first track, which the other tracks share.

        first track   | clock 1          | clock 2   |
        other track   | clock 1 | clock 5 | clock 2  |      the groups are 1 (with clock 5) and 2

    A clock that the first track does not have is of one track only. Its run joins the group of the run before it in
    that track, or the first group, and `_place_group` places it after that run.
    """
    first = runs[0].track
    shared = {each.run.clock for each in runs if each.track == first} | tracks[first].earlier.keys()
    groups: defaultdict[tuple[int, int], list[_Placed]] = defaultdict(list)
    last: dict[int, tuple[int, int]] = {}  # track -> the group of its previous run
    for each in runs:
        clock = each.run.clock
        last[each.track] = clock if clock in shared else last.get(each.track, runs[0].run.clock)
        groups[last[each.track]].append(each)
    return groups


def _known_clocks(runs: Sequence[_Placed], tracks: Sequence[Track]) -> dict[tuple[int, int], Fraction]:
    """Return the shifts of the clocks of the first track that were placed before."""
    first = runs[0].track
    kept = {each.run.clock: each.run.shift for each in runs if each.keeps_clock and each.track == first}
    return {**tracks[first].earlier, **kept}


def _first_shift(
    tracks: Sequence[Track], group: Sequence[_Placed], origins: Sequence[Fraction | None]
) -> tuple[Fraction, Fraction]:
    """Return the time at which the recording's media begins, and the shift of its first clock."""
    heads = [each for each in group if each.run is tracks[each.track].runs[0]]
    start = min(_seconds(each.run.pieces[0].start) for each in heads)
    known = [each.scan.first.earliest if origins[each.track] is None else origins[each.track] for each in heads]
    origin = min((time for time in known if time is not None), default=Fraction(0))
    return start, start - origin


def _reference(group: Sequence[_Placed]) -> _Placed:
    """Return the first run with video, or the first one."""
    return next((each for each in group if each.scan.first.video_start is not None), group[0])


def _place_group(group: Sequence[_Placed], shift: Fraction, expected: Fraction) -> None:
    """Place the runs of one clock, in the order of each track."""
    before: dict[int, tuple[_Placed, int]] = {}  # track -> its previous run, and the stated end of that run
    for each in group:
        stated_start, stated_end = each.run.pieces[0].start, each.run.pieces[-1].end
        own_shift, known = shift, before.get(each.track)
        if each.keeps_clock:
            own_shift, expected_here = each.run.shift, _seconds(stated_start)
        elif known is not None:
            previous, previous_stated_end = known
            gap = max(Fraction(0), _seconds(stated_start - previous_stated_end))
            expected_here = previous.video_end + gap
            first = each.scan.first.start
            found = expected_here if first is None else near(first + shift, expected_here)
            middle_of_last_piece = (previous.last_start + previous.video_end) / 2
            is_far = abs(found - expected_here) > _SAME_CLOCK_SECONDS + gap / 10
            if found < middle_of_last_piece or is_far:  # a new clock, although the playlist states none
                own_shift = expected_here - (first or Fraction(0))
        else:
            expected_here = expected
        each.place(own_shift, expected_here)
        before[each.track] = each, stated_end


def _last(group: Sequence[_Placed]) -> _Placed:
    """Return the run with video that ends last, or any run if none has video."""
    with_video = [each for each in group if each.scan.last.video_end is not None]
    return max(with_video or group, key=lambda each: each.video_end)


def _clock(group: Sequence[_Placed]) -> int | None:
    """Return the date of the timeline's start by the last date of a group, or None."""
    dates = [each.run.zero_date(each.run.last_dated) for each in group if each.run.last_dated is not None]
    return dates[-1] if dates else None


def _pause(clock: int | None, before: _Placed, after: Run, shortest: Fraction) -> Fraction | None:
    """Return the length of the pause before a run by the dates of pieces, or None.

    Clocks that were set back, or forward by a day or more, are ignored.
    """
    if clock is None or after.first_dated is None:
        return None
    date = after.zero_date(after.first_dated) + after.pieces[0].start
    pause = _seconds(date - clock) - before.video_end
    return pause if shortest <= pause < _LONGEST_PAUSE else None


def _mark_pause(group: Sequence[_Placed]) -> None:
    """Mark the first run of each track as preceded by a pause, unless it has another gap."""
    for first in {each.track: each.run for each in reversed(group)}.values():
        first.gap = first.gap or "paused"


def _seconds(microseconds: int) -> Fraction:
    return Fraction(microseconds, MICROSECONDS)


def _microseconds(seconds: Fraction) -> int:
    return int(seconds * MICROSECONDS // 1)
