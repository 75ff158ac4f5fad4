"""Tracks that grow at different times: their pieces lie where those of the finished recording do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

import pytest

from clipengine.recordings.assembly import ListedTrack, StoredPiece, assemble
from clipengine.recordings.piece_pages import pack_added, pack_head, pack_pages, unpack, unpack_end
from clipengine.recordings.pieces import PieceIndex
from clipengine.recordings.playlist import MediaPlaylist
from clipengine.recordings.segments import ByteRange, Segment
from clipengine.recordings.timeline.clock_resets import Extents, Measure, split_at_clock_resets
from clipengine.recordings.timeline.growing import begun, continue_index, grown, held_back, known_extents
from clipengine.recordings.timeline.run_placing import Extent, place, place_growing

F = Fraction
FRAME, PACKET = F(1, 25), F(1024, 48_000)
NAMES = ("video", "audio")


@dataclass
class Recorded:
    """The segments of a video and an audio track, and their extents by the keys of the segments."""

    tracks: list[list[Segment]]
    extents: dict[str, Extent]

    @property
    def stored(self) -> dict[str, StoredPiece]:
        return {key: StoredPiece("e", 100) for key in self.extents}

    def measure(self, index: PieceIndex) -> Measure:
        runs = [run for _, run in index.runs()]
        return lambda places: [self.extents[runs[run].pieces[piece].data.key] for run, piece in places]

    def ends(self, index: PieceIndex) -> list[Extents]:
        """Return the extents of the first and the last piece of each run."""
        ends = [(run, (0, len(run.pieces) - 1)) for _, run in index.runs()]
        return [{each: self.extents[run.pieces[each].data.key] for each in pair} for run, pair in ends]

    def listed(self, counts: Sequence[int]) -> list[ListedTrack]:
        return [
            ListedTrack(kind, MediaPlaylist(segments[:count]), key=f"{kind}.m3u8")  # type: ignore[arg-type]
            for kind, segments, count in zip(NAMES, self.tracks, counts, strict=True)
        ]


def recorded(random: Random, *, stated: bool, sessions: int = 4) -> Recorded:
    """Record in sessions, each with another clock, of which the playlists say something or not.

    The tracks begin and end up to half a second apart in each, and their segments have other lengths.
    """
    made = Recorded([[], []], {})
    clock = F(random.randint(0, 10**6), 90_000)
    for session in range(sessions):
        for kind, (unit, length) in enumerate(((FRAME, F(4)), (PACKET, F(3)))):
            at = clock + F(random.randint(0, 500), 1000)
            until = clock + 14 + F(random.randint(0, 500), 1000)
            while at < until:
                end = at + unit * (length // unit)
                times = [(at, end), (None, None)]
                extent = Extent(*times[kind], *times[1 - kind], end - (F(1, 10) if kind == 0 else 0), at)
                key = f"{NAMES[kind]}/{len(made.tracks[kind])}.m4s"
                made.extents[key] = extent
                discontinuity = session if stated else 0
                made.tracks[kind].append(Segment(ByteRange(key), None, round(end - at, 3), discontinuity, False))
                at = end
        clock = F(random.randint(0, 10**6), 90_000) if stated else clock
    return made


def finished(made: Recorded) -> PieceIndex:
    counts = [len(each) for each in made.tracks]
    index = assemble(made.listed(counts), made.stored)
    index, scans = split_at_clock_resets(index, made.ends(index), made.measure(index))
    place(index, scans, [None] * len(counts))
    return index


def live(made: Recorded, steps: Sequence[Sequence[int]]) -> tuple[PieceIndex, list[Fraction]]:
    """Return the index of tracks that have so many segments at each step, and the safe ends."""
    listed = made.listed(steps[0])
    index = assemble(listed, made.stored)
    index, scans = split_at_clock_resets(index, made.ends(index), made.measure(index))
    placement = place_growing(index, scans, [None] * len(listed))
    growth = begun(index, scans, placement, [(each.key, count) for each, count in zip(listed, steps[0], strict=True)])
    head, pages = pack_head(index), {(page.track, page.first): page for page in pack_pages(index)}
    safe_ends = [growth.safe_end]
    for counts in steps[1:]:
        last = [pages[max(each for each in pages if each[0] == number)] for number in range(len(listed))]
        new = [
            [(number, segments[number]) for number in range(track.next_number, count)]
            for segments, track, count in zip(made.tracks, growth.tracks, counts, strict=True)
        ]
        tail = continue_index(unpack_end(head, last), [[each for _, each in some] for some in new], made.stored)
        measure = made.measure(tail)
        tail, scans = split_at_clock_resets(tail, known_extents(growth, tail, measure), measure)
        may_grow = [count < len(segments) for count, segments in zip(counts, made.tracks, strict=True)]
        tail, scans, numbers = held_back(growth, tail, scans, new, may_grow=may_grow[0])
        growth = grown(growth, tail, scans, numbers, may_grow)
        safe_ends.append(growth.safe_end)
        head, changed = pack_added(head, last, tail)
        pages |= {(page.track, page.first): page for page in changed}
    return unpack(head, list(pages.values())), safe_ends


def steps_of(made: Recorded, random: Random, *, most: int) -> list[list[int]]:
    """Return numbers of segments with which one track is ahead of the other by a whole session, or behind it."""
    counts, steps = [1, 1], [[1, 1]]
    while counts != (whole := [len(each) for each in made.tracks]):
        counts = [min(count + random.randint(0, most), all) for count, all in zip(counts, whole, strict=True)]
        steps.append(counts)
    return steps


def places(index: PieceIndex) -> list[tuple[str, float, tuple[int, int]]]:
    return [(run.pieces[0].data.key, float(run.shift), run.clock) for _, run in index.runs()]


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_tracks_that_grow_at_different_times_lie_where_they_do_at_the_end(seed: int, stated: bool) -> None:
    random = Random(seed)
    made = recorded(random, stated=stated)
    index = finished(made)
    growing, safe_ends = live(made, steps_of(made, random, most=random.choice((1, 3, 8))))
    assert places(growing) == places(index)
    assert safe_ends == sorted(safe_ends)


@pytest.mark.parametrize("track", [0, 1])
def test_discontinuity_of_one_track_does_not_move_the_other(track: int) -> None:
    """The clock of one track begins anew after two segments, of which the other says nothing."""
    made = recorded(Random(1), stated=True, sessions=1)
    key = made.tracks[track][2].data.key
    begins = made.extents[key].first
    assert begins is not None
    made.tracks[track][2:] = [each._replace(discontinuity=1) for each in made.tracks[track][2:]]
    for each in made.tracks[track][2:]:
        times = [None if time is None else time - begins for time in made.extents[each.data.key]]
        made.extents[each.data.key] = Extent(*times)
    index = finished(made)
    one, other = index.tracks[track], index.tracks[1 - track]
    assert [len(run.pieces) for run in one.runs] == [2, len(made.tracks[track]) - 2]
    assert one.runs[1].pieces[0].start == pytest.approx(one.runs[0].pieces[-1].end, abs=1)
    assert one.runs[1].shift == one.runs[0].shift + begins
    assert [run.shift for run in other.runs] == [one.runs[0].shift]
    growing, _ = live(made, [[1, 1], [2, 3], [3, 4], [4, 5]])
    assert places(growing) == places(index)


def test_track_whose_clock_begins_first_waits_for_the_first_one() -> None:
    made = recorded(Random(2), stated=True, sessions=2)
    whole = [len(each) for each in made.tracks]
    steps = [[2, 2], [3, whole[1]], [4, whole[1]], [5, whole[1]], whole]
    growing, safe_ends = live(made, steps)
    assert places(growing) == places(finished(made))
    assert safe_ends[1] < 12.5 < safe_ends[2]


def test_track_that_has_stalled_does_not_hold_back_the_others() -> None:
    made = recorded(Random(3), stated=True, sessions=1)
    first = replace(made, tracks=[made.tracks[0], made.tracks[1][:2]])  # without more segments, as one that ended
    _, safe_ends = live(first, [[1, 1], [2, 2], [3, 2], [4, 2]])
    assert safe_ends[-1] > 15


def test_audio_that_counts_its_discontinuities_from_another_number_lies_beside_the_video() -> None:
    """Some writers state EXT-X-DISCONTINUITY-SEQUENCE for the video only."""
    made = recorded(Random(4), stated=True, sessions=1)
    video, audio = made.tracks
    made.tracks[0] = [each._replace(discontinuity=5) for each in video]
    index = finished(made)
    assert [len(track.runs) for track in index.tracks] == [1, 1]
    assert index.tracks[0].runs[0].shift == index.tracks[1].runs[0].shift
    assert abs(index.tracks[1].runs[0].pieces[0].start - index.tracks[0].runs[0].pieces[0].start) <= 500_000
    assert len(audio) == len(index.tracks[1].runs[0].pieces)
