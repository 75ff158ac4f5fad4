"""From playlists to an index: runs, gaps, places on the timeline, pages of the ledger and the part that a job gets."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest

from clipengine.errors import PlaylistInvalid, TooManyPieces
from clipengine.recordings.assembly import ListedTrack, StoredPiece, assemble
from clipengine.recordings.piece_pages import PAGE_PIECES, pack_head, pack_pages, unpack
from clipengine.recordings.piece_seek_index import PieceSeekIndex, seek_index_of, stored_seek_index
from clipengine.recordings.pieces import MAX_INIT_BYTES, MAX_RUNS, Counts, Gap, PieceIndex
from clipengine.recordings.playlist import MediaPlaylist, parse_playlist, segment_keys
from clipengine.recordings.seek_index import MAX_POINTS
from clipengine.recordings.timeline.clock import clock_of_dates
from clipengine.recordings.timeline.run_placing import Extent, RunScan, place

F = Fraction
WRAP = F(2**33, 90_000)


def listed(*lines: str) -> MediaPlaylist:
    found = parse_playlist("\n".join(["#EXTM3U", *lines]).encode(), key="a/index.m3u8", folder="a/")
    assert isinstance(found, MediaPlaylist)
    return found


def segments(count: int, *, seconds: float = 4, first: int = 0) -> list[str]:
    return [f"#EXTINF:{seconds},\n{number}.ts" for number in range(first, first + count)]


def index_of(*lines: str, lacking: tuple[str, ...] = (), size: int = 1000) -> PieceIndex:
    playlist = listed(*lines)
    stored = {key: StoredPiece(f"e{key}", size) for key in segment_keys(playlist) if key not in lacking}
    return assemble([ListedTrack("muxed", playlist)], stored)


def extent(start: float | Fraction, end: float | Fraction) -> Extent:
    return Extent(F(start), F(end), F(start), F(end))


def scan(first: float | Fraction, last: float | Fraction, seconds: int = 4) -> RunScan:
    return RunScan(extent(first, F(first) + seconds), extent(last, F(last) + seconds))


def starts(index: PieceIndex) -> list[float]:
    return [piece.start / 1e6 for _, run in index.runs() for piece in run.pieces]


def test_discontinuity_header_and_missing_piece_end_a_run() -> None:
    lines = [
        *segments(2),
        *("#EXT-X-DISCONTINUITY", *segments(1, first=2)),
        *("#EXT-X-GAP", *segments(1, first=3)),
        *segments(3, first=4),
        *('#EXT-X-MAP:URI="i.mp4"', *segments(1, first=7)),
    ]
    found = index_of(*lines, lacking=("a/5.ts",))
    runs = [run for _, run in found.runs()]
    assert [len(run.pieces) for run in runs] == [2, 1, 1, 1, 1]
    assert [run.after_gap for run in runs] == [False, False, True, True, False]
    assert [run.discontinuity for run in runs] == [0, 1, 1, 1, 1]
    assert found.counts == Counts(6, 5, 1, 7000)
    assert starts(found) == [0, 4, 8, 16, 24, 28]


def test_range_beyond_its_object_is_a_gap() -> None:
    found = index_of(*segments(1), "#EXTINF:4,", "#EXT-X-BYTERANGE:800@300", "b.ts", *segments(1, first=2))
    assert starts(found) == [0, 8]


_RANGE = ("#EXTINF:4,", "#EXT-X-BYTERANGE:800@300", "b.ts")
_HEADER = '#EXT-X-MAP:URI="i.mp4"'


@pytest.mark.parametrize(
    ("lines", "lacking", "size", "message"),
    [
        (segments(1), ("a/0.ts",), 1000, "none of the objects that the playlist names is in the store"),
        (
            _RANGE,
            (),
            1000,
            "a segment of the playlist is incomplete: a/b.ts has 1000 bytes, and its byte range is 300 to 1099",
        ),
        (segments(1), (), 0, "a segment of the playlist is empty: a/0.ts"),
        ([_HEADER, *segments(1)], ("a/i.mp4",), 1000, "the header (EXT-X-MAP) is not in the store: a/i.mp4"),
        (
            [f'{_HEADER},BYTERANGE="2000@0"', *segments(1)],
            (),
            1000,
            "the header (EXT-X-MAP) is incomplete: a/i.mp4 has 1000 bytes, and its byte range is 0 to 1999",
        ),
    ],
)
def test_playlist_without_any_usable_object_is_refused(
    lines: Sequence[str], lacking: tuple[str, ...], size: int, message: str
) -> None:
    with pytest.raises(PlaylistInvalid) as caught:
        index_of(*lines, lacking=lacking, size=size)
    assert caught.value.message == message


def test_index_beyond_its_limits_is_refused() -> None:
    broken = [line for number in range(MAX_RUNS + 1) for line in ("#EXT-X-DISCONTINUITY", *segments(1, first=number))]
    with pytest.raises(TooManyPieces):
        index_of(*broken)
    with pytest.raises(PlaylistInvalid):
        index_of('#EXT-X-MAP:URI="i.mp4"', *segments(1), size=MAX_INIT_BYTES + 1)


def test_stated_durations_are_corrected_between_the_first_and_the_last_piece() -> None:
    found = index_of(*segments(5, seconds=5))
    duration = place(found, [scan(10, 26)], [F(10)])
    assert starts(found) == [0, 4, 8, 12, 16]
    assert duration == 20
    assert next(found.runs())[1].shift == -10


def test_gaps_by_durations_that_are_false_are_refused() -> None:
    gaps = [line for number in range(1, 9_999) for line in ("#EXT-X-GAP", *segments(1, first=number, seconds=3600))]
    found = index_of(*segments(1, seconds=3600), *gaps, *segments(1, first=9_999, seconds=3600))
    scans = [RunScan(extent(first, first + 4), extent(first, first + 4)) for first in (10, 14)]
    with pytest.raises(
        PlaylistInvalid, match=r"states 7200 s for segments that have 8 s, from a/0\.ts on: gaps of 3598"
    ):
        place(found, scans, [F(10)])


def test_long_gap_by_true_durations_is_kept() -> None:
    gaps = [line for number in range(1, 3_001) for line in ("#EXT-X-GAP", *segments(1, first=number))]
    found = index_of(*segments(1), *gaps, *segments(1, first=3_001))
    assert place(found, [RunScan(extent(at, at + 4), extent(at, at + 4)) for at in (10, 12_014)], [F(10)]) == 12_008


def test_run_after_a_discontinuity_continues_on_the_frames() -> None:
    found = index_of(*segments(2), "#EXT-X-DISCONTINUITY", *segments(2, first=2))
    duration = place(found, [scan(10, 14), RunScan(extent(4900, 4904), extent(4904, F("4907.9")))], [F(10)])
    assert [run.shift for _, run in found.runs()] == [-10, 8 - 4900]
    assert duration == F("15.9")


def test_run_after_a_missing_piece_keeps_the_clock() -> None:
    found = index_of(*segments(4), lacking=("a/1.ts",))
    place(found, [scan(10, 10), scan(18, 22)], [F(10)])
    assert [run.shift for _, run in found.runs()] == [-10, -10]
    assert starts(found) == [0, 8, 12]


def test_writer_that_restarts_its_clock_after_a_missing_piece_is_placed_by_the_playlist() -> None:
    found = index_of(*segments(4), lacking=("a/1.ts",))
    place(found, [scan(100, 100), scan(0, 4)], [F(100)])
    assert starts(found) == [0, 8, 12]


def test_missing_pieces_are_gaps_of_the_recording() -> None:
    found = index_of(*segments(6), lacking=("a/0.ts", "a/2.ts", "a/3.ts"))
    place(found, [scan(14, 14), scan("25.96", 30)], [F(14)])
    assert found.gaps == [Gap(0, 4_000_000, "missing"), Gap(8_000_000, 15_960_000, "missing")]


def test_encrypted_pieces_are_a_gap() -> None:
    lines = [*segments(2), "#EXT-X-DISCONTINUITY", '#EXT-X-KEY:METHOD=AES-128,URI="k"', *segments(2, first=2)]
    found = index_of(*lines, "#EXT-X-DISCONTINUITY", "#EXT-X-KEY:METHOD=NONE", *segments(1, first=4))
    place(found, [scan(0, 4), scan(100, 100)], [F(0)])
    assert found.gaps == [Gap(8_000_000, 16_000_000, "encrypted")]


def dated(second: float, *lines: str) -> list[str]:
    return [f"#EXT-X-PROGRAM-DATE-TIME:2026-11-28T12:00:{second:06.3f}Z", *lines]


@pytest.mark.parametrize(
    ("second", "starts_at"),
    [(28.5, 28.5), (8.2, 8), (2, 8)],  # a pause; the same within the rounding; a clock that went back
)
def test_date_decides_whether_a_discontinuity_is_a_gap(second: float, starts_at: float) -> None:
    lines = [*dated(0, *segments(2)), "#EXT-X-DISCONTINUITY", *dated(second, *segments(2, first=2))]
    found = index_of(*lines)
    place(found, [scan(10, 14), scan(0, 4)], [F(10)])
    assert starts(found) == [0, 4, starts_at, starts_at + 4]
    assert [(gap.start, gap.end, gap.reason) for gap in found.gaps] == (
        [(8_000_000, 28_500_000, "paused")] if starts_at > 8 else []
    )
    clock = clock_of_dates(found)
    assert clock is not None
    assert clock.time_at(0) == 1_795_867_200_000


def test_date_of_another_day_is_no_gap() -> None:
    lines = [*dated(0, *segments(1)), "#EXT-X-DISCONTINUITY", "#EXT-X-PROGRAM-DATE-TIME:2026-11-29T12:00:05Z"]
    found = index_of(*lines, *segments(1, first=1))
    place(found, [scan(0, 0), scan(0, 0)], [F(0)])
    assert found.gaps == []


def test_date_counts_from_the_true_end_of_the_piece_before() -> None:
    lines = [*dated(0, *segments(2, seconds=5)), "#EXT-X-DISCONTINUITY", *dated(8, *segments(1, first=2))]
    found = index_of(*lines)
    place(found, [scan(0, 4), scan(0, 0)], [F(0)])
    assert found.gaps == []


def test_date_of_an_early_piece_counts_by_the_true_durations() -> None:
    lines = [*dated(0, *segments(10, seconds=4.2)), "#EXT-X-DISCONTINUITY", *segments(1, first=10)]
    found = index_of(*lines, *dated(54, *segments(1, first=11)))
    place(found, [scan(0, 36), scan(0, 4)], [F(0)])
    assert found.gaps == [Gap(40_000_000, 50_000_000, "paused")]


def test_wrap_of_the_timestamps_inside_a_run_is_undone() -> None:
    found = index_of(*segments(30))
    duration = place(found, [scan(WRAP - 72, F(116 - 72))], [WRAP - 72])
    assert duration == 120
    assert starts(found)[-1] == 116


def test_tracks_of_one_discontinuity_share_its_clock() -> None:
    lines = [*segments(2), "#EXT-X-DISCONTINUITY", *segments(3, first=2)]
    audio = [*segments(1, seconds=8), "#EXT-X-DISCONTINUITY", *segments(2, first=2, seconds=6)]
    tracks = [ListedTrack("video", listed(*lines)), ListedTrack("audio", listed(*audio))]
    stored = {key: StoredPiece("e", 1000) for each in tracks for key in segment_keys(each.playlist)}
    found = assemble(tracks, stored)
    scans = [
        RunScan(Extent(F(140), F(144), None, None), Extent(F(144), F(148), None, None)),
        RunScan(Extent(F(0), F(4), None, None), Extent(F(8), F(12), None, None)),
        RunScan(Extent(None, None, F(139), F(147)), Extent(None, None, F(139), F(147))),
        RunScan(Extent(None, None, F(-1), F(5)), Extent(None, None, F(5), F(11))),
    ]
    place(found, scans, [F(140), F(139)])
    assert [run.shift for _, run in found.runs()] == [-139, 9, -139, 9]


@pytest.mark.parametrize(
    "values", [[], ["1", None, None], ["1", "nan", None, None], ["1e9", None, None, None], [[], 1, 1, 1]]
)
def test_extent_of_a_hostile_child_is_refused(values: list[object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Extent.of(values)


def test_pages_return_the_index_and_take_few_bytes_a_piece() -> None:
    found = index_of(*segments(3 * PAGE_PIECES), "#EXT-X-DISCONTINUITY", *segments(5, first=2000))
    pages = list(pack_pages(found))
    assert len(pages) == 4
    assert unpack(pack_head(found), pages) == found
    assert sum(len(page.data) for page in pages) < 40 * found.counts.count


def test_etag_changes_with_every_piece() -> None:
    etags = {index_of(*segments(count), size=size).etag for count in (2, 3) for size in (1000, 1001)}
    assert len(etags) == 4
    assert all(len(etag) < 64 for etag in etags)


def seek_index(count: int) -> PieceSeekIndex:
    found = index_of('#EXT-X-MAP:URI="i.mp4"', *segments(count))
    place(found, [scan(0, 4 * (count - 1))], [F(0)])
    return seek_index_of(found)


def test_job_gets_the_pieces_around_its_range() -> None:
    part = seek_index(1000).between(F(2000), F(2030))
    pieces = [piece for run in part.runs(0) for piece in run.pieces]
    assert 80 < len(pieces) < 100
    assert pieces[0].start < 2000 < 2030 < pieces[-1].start
    assert pieces[1].offset == pieces[0].offset + pieces[0].length
    assert part.at_head == (False,)
    assert stored_seek_index(part.model_dump(mode="json")) == part


def test_part_from_the_start_is_marked() -> None:
    assert seek_index(10).between(F(0), F(4)).at_head == (True,)


def test_range_with_too_many_pieces_is_refused() -> None:
    with pytest.raises(TooManyPieces):
        seek_index(MAX_POINTS + 100).between(F(0), F(10**6))


def test_index_of_a_hostile_message_is_refused() -> None:
    fields = seek_index(3).model_dump(mode="json")
    for change in (
        {"starts": [0]},
        {"run_tracks": [5]},
        {"run_counts": [4]},
        {"run_shifts": ["1e9"]},
        {"offsets": [-1, 0, 0]},
    ):
        with pytest.raises(ValueError, match=r"."):
            stored_seek_index(fields | change)
