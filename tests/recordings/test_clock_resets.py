"""Clocks that begin anew without a discontinuity: the pieces with which they do are found, finished and live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

import pytest

from clipengine.errors import PlaylistInvalid, TooManyPieces
from clipengine.recordings.assembly import ListedTrack, StoredPiece, assemble
from clipengine.recordings.piece_pages import pack_added, pack_head, pack_pages, unpack, unpack_end
from clipengine.recordings.pieces import PieceIndex
from clipengine.recordings.playlist import MediaPlaylist
from clipengine.recordings.segments import ByteRange, Segment
from clipengine.recordings.timeline.clock_resets import Measure, check_clock_resets, split_at_clock_resets
from clipengine.recordings.timeline.growing import begun, continue_index, grown, known_extents
from clipengine.recordings.timeline.run_placing import Extent, RunScan, place, place_growing

F = Fraction
SECONDS, ONE, BEGINS = F(4), F(1), F(10)


@dataclass
class Recorder:
    """Segments of 4 s, stated as `stated` times as long. The clock begins anew with those of `resets`."""

    count: int
    resets: Sequence[int] = ()
    stated: Fraction = ONE
    begins: Fraction = BEGINS
    dates: dict[int, int] = field(default_factory=dict)
    measured: int = 0

    @property
    def segments(self) -> list[Segment]:
        return [
            Segment(ByteRange(f"a/{number}.ts"), None, SECONDS * self.stated, 0, False, self.dates.get(number))
            for number in range(self.count)
        ]

    @property
    def stored(self) -> dict[str, StoredPiece]:
        return {f"a/{number}.ts": StoredPiece("e", 100) for number in range(self.count)}

    def extent(self, number: int) -> Extent:
        start = self.begins + SECONDS * (number - max((each for each in self.resets if each <= number), default=0))
        return Extent(start, start + SECONDS, start, start + SECONDS, start + SECONDS - F(1, 10))

    def measure(self, index: PieceIndex) -> Measure:
        runs = [run for _, run in index.runs()]

        def extents(places: Sequence[tuple[int, int]]) -> list[Extent]:
            self.measured += len(places)
            return [self.extent(int(runs[run].pieces[piece].data.key[2:-3])) for run, piece in places]

        return extents

    def scans(self, index: PieceIndex) -> list[RunScan]:
        ends = [(run.pieces[0], run.pieces[-1]) for _, run in index.runs()]
        return [RunScan(*(self.extent(int(piece.data.key[2:-3])) for piece in pair)) for pair in ends]

    def ends(self, index: PieceIndex) -> list[dict[int, Extent]]:
        """Return the extents of the first and the last piece of each run."""
        runs = [run for _, run in index.runs()]
        scans = self.scans(index)
        return [{0: scan.first, len(run.pieces) - 1: scan.last} for run, scan in zip(runs, scans, strict=True)]


def finished(recorder: Recorder) -> PieceIndex:
    """Return the placed index of a finished playlist."""
    index = assemble([ListedTrack("muxed", MediaPlaylist(recorder.segments))], recorder.stored)
    known = recorder.ends(index)
    index, scans = split_at_clock_resets(index, known, recorder.measure(index))
    check_clock_resets(index)
    place(index, scans, [recorder.begins])
    return index


@pytest.mark.parametrize("batches", [[27], [1, 26]], ids=["finished", "live"])
def test_length_of_a_run_is_measured_however_long_it_is_stated(batches: Sequence[int]) -> None:
    """The timestamps of MPEG-TS repeat after 26.5 hours: so many segments of 3600 s were a day longer than they are."""
    recorder = Recorder(27, stated=F(900))
    index = finished(recorder) if len(batches) == 1 else live(recorder, batches)
    assert index.tracks[0].runs[-1].pieces[-1].end == 27 * 4_000_000


def test_long_run_keeps_the_length_that_its_timestamps_repeat() -> None:
    recorder = Recorder(30_000)
    index = finished(recorder)
    assert index.tracks[0].runs[-1].pieces[-1].end == 120_000_000_000
    assert recorder.measured < 20


def test_segments_within_a_long_run_need_not_be_readable() -> None:
    recorder = Recorder(8640)
    index = assemble([ListedTrack("muxed", MediaPlaylist(recorder.segments))], recorder.stored)
    sampled: list[tuple[int, int]] = []

    def unreadable(places: Sequence[tuple[int, int]]) -> list[Extent]:
        sampled.extend(places)
        return [Extent(None, None, None, None)] * len(places)

    index, scans = split_at_clock_resets(index, recorder.ends(index), recorder.measure(index), unreadable)
    assert len(sampled) == 1
    assert place(index, scans, [recorder.begins]) == 8640 * SECONDS
    assert recorder.measured == 0


def live(recorder: Recorder, batches: Sequence[int]) -> PieceIndex:
    """Return the placed index of a playlist that grows by so many segments at a time."""
    segments, stored = recorder.segments, recorder.stored
    count = batches[0]
    index = assemble([ListedTrack("muxed", MediaPlaylist(segments[:count]))], stored)
    known = recorder.ends(index)
    index, scans = split_at_clock_resets(index, known, recorder.measure(index))
    growth = begun(index, scans, place_growing(index, scans, [recorder.begins]), [("a/index.m3u8", count)])
    head, pages = pack_head(index), {page.first: page for page in pack_pages(index)}
    for added in batches[1:]:
        last = [pages[max(pages)]]
        tail = continue_index(unpack_end(head, last), [segments[count : count + added]], stored)
        measure = recorder.measure(tail)
        tail, scans = split_at_clock_resets(tail, known_extents(growth, tail, measure), measure)
        count += added
        growth = grown(growth, tail, scans, [count], [True])
        head, changed = pack_added(head, last, tail)
        pages |= {page.first: page for page in changed}
    return unpack(head, list(pages.values()))


def firsts(index: PieceIndex) -> list[int]:
    return [int(run.pieces[0].data.key[2:-3]) for _, run in index.runs()]


@pytest.mark.parametrize("seed", range(20))
def test_all_clock_resets_are_found_and_live_pieces_lie_where_finished_ones_do(seed: int) -> None:
    random = Random(seed)
    count = random.choice((3, 40, 300))
    resets = sorted(random.sample(range(1, count), random.randint(1, min(count - 1, 20))))
    recorder = Recorder(count, resets, stated=random.choice((F(1), F(103, 100), F(9, 10), F(5, 4))))
    index = finished(recorder)
    assert firsts(index) == [0, *resets]
    pieces = [piece for _, run in index.runs() for piece in run.pieces]
    assert [piece.start for piece in pieces] == [4_000_000 * number for number in range(count)]
    batches = []
    while sum(batches) < count:
        batches.append(min(random.randint(1, 30), count - sum(batches)))
    growing = live(recorder, batches)
    assert firsts(growing) == firsts(index)
    placed = [piece.start for _, run in growing.runs() for piece in run.pieces]
    assert placed == pytest.approx([piece.start for piece in pieces], abs=1_000_000)  # hints of the stated durations
    assert [(run.shift, run.clock) for _, run in growing.runs()] == [(run.shift, run.clock) for _, run in index.runs()]


@pytest.mark.parametrize("restart", [1, 2, 100, 4320, 8639])
def test_few_pieces_are_measured_to_find_a_restart(restart: int) -> None:
    recorder = Recorder(8640, [restart])
    assert firsts(finished(recorder)) == [0, restart]
    assert recorder.measured < 100


@pytest.mark.parametrize("stated", [F(1), F(103, 100), F(5, 2)])
def test_wrong_durations_are_no_clock_resets(stated: Fraction) -> None:
    recorder = Recorder(8640, stated=stated)
    assert firsts(finished(recorder)) == [0]
    assert recorder.measured < 20


def test_pause_before_a_restart_is_that_of_its_date() -> None:
    dates = {number: 1_795_867_200_000_000 + 4_000_000 * number for number in range(10)}
    dates |= {number: date + 30_000_000 for number, date in dates.items() if number >= 6}
    recorder = Recorder(10, [3, 6], dates=dates)
    for index in (finished(recorder), live(recorder, [1, 1, 1, 1, 1, 2, 3]), live(recorder, [7, 3])):
        assert [(gap.start, gap.end, gap.reason) for gap in index.gaps] == [(24_000_000, 54_000_000, "paused")]


def test_short_segments_with_other_headers_are_not_laid_over_each_other() -> None:
    segments = [Segment(ByteRange(f"a/{n}.m4s"), ByteRange(f"a/{n}.mp4"), F(2), 0, False) for n in range(3)]
    stored = {each.key: StoredPiece("e", 100) for segment in segments for each in (segment.data, segment.init) if each}
    index = assemble([ListedTrack("muxed", MediaPlaylist(segments))], stored)
    extent = Extent(F(0), F(2), F(0), F(2), F(2))
    assert place(index, [RunScan(extent, extent)] * 3, [F(0)]) == 6


def test_tracks_whose_clocks_begin_anew_at_other_times_are_refused() -> None:
    recorder = Recorder(20, [5, 9])
    other = Recorder(20, [5])
    tracks = [
        ListedTrack("video", MediaPlaylist(recorder.segments)),
        ListedTrack("audio", MediaPlaylist(other.segments)),
    ]
    index = assemble(tracks, recorder.stored)
    whole = [{number: each.extent(number) for number in range(20)} for each in (recorder, other)]
    index, _ = split_at_clock_resets(index, whole, lambda _: [])
    with pytest.raises(PlaylistInvalid, match="begin anew"):
        check_clock_resets(index)


def test_too_many_clock_resets_are_refused() -> None:
    with pytest.raises(TooManyPieces):
        finished(Recorder(2100, range(1, 2100)))


@pytest.mark.exhaustive
def test_too_many_pieces_are_not_measured() -> None:
    """Timestamps advance by little more than half of what is stated, so that no piece is the one."""
    count = 60_000
    segments = [
        Segment(ByteRange(f"a/{number}.ts"), None, F(23, 5) if number % 3 == 2 else F(4), 0, False)
        for number in range(count)
    ]
    index = assemble([ListedTrack("muxed", MediaPlaylist(segments))], Recorder(count).stored)
    asked: list[int] = []

    def extent(number: int) -> Extent:
        start = F(20_001, 10_000) * number
        return Extent(start, start + 4, None, None)

    def extents(places: Sequence[tuple[int, int]]) -> list[Extent]:
        asked.extend(number for _, number in places)
        return [extent(number) for _, number in places]

    with pytest.raises(TooManyPieces, match="go back"):
        split_at_clock_resets(index, [{0: extent(0), count - 1: extent(count - 1)}], extents)
    assert len(asked) <= 6000
