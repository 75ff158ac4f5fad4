"""Growth of recordings that are still written: their playlists, and the pieces that are appended to the index."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest

from clipengine.errors import PlaylistInvalid, PlaylistOutside, TooManyPieces
from clipengine.recordings.assembly import ListedTrack, StoredPiece, assemble
from clipengine.recordings.piece_pages import pack_added, pack_head, pack_pages, unpack, unpack_end
from clipengine.recordings.pieces import PieceIndex, continued_etag
from clipengine.recordings.playlist import (
    MAX_PLAYLIST_BYTES,
    MAX_SEGMENTS,
    GrowingPlaylist,
    MediaPlaylist,
    parse_playlist,
)
from clipengine.recordings.segments import Segment
from clipengine.recordings.timeline.clock_resets import split_at_clock_resets
from clipengine.recordings.timeline.growing import Growth, begun, continue_index, grown, known_extents, unread
from clipengine.recordings.timeline.run_placing import Extent, RunScan, place_growing

F = Fraction


def text(first: int, count: int, *, sequence: int = 0, seconds: float = 4) -> bytes:
    lines = [f"#EXTINF:{seconds},\n{number}.ts" for number in range(first, first + count)]
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:4", f"#EXT-X-MEDIA-SEQUENCE:{sequence}", *lines, ""]).encode()


def growing() -> GrowingPlaylist:
    return GrowingPlaylist("a/index.m3u8", "a/")


def keys(found: list[tuple[int, Segment]]) -> list[tuple[int, str]]:
    return [(number, segment.data.key) for number, segment in found]


def extent(start: float, end: float, safe: float) -> Extent:
    until = F(safe).limit_denominator(1000)
    return Extent(F(start), F(end), F(start), F(end), until)


def test_only_the_tail_of_a_known_playlist_is_parsed() -> None:
    playlist = growing()
    playlist.read(text(0, 3))
    assert keys(playlist.take(1)) == [(1, "a/1.ts"), (2, "a/2.ts")]
    grown_text = text(0, 5)
    playlist.read(grown_text)
    assert (playlist.next_number, playlist.target_seconds, playlist.ended) == (5, 4, False)
    assert playlist.taken_seconds == 8
    assert keys(playlist.take(3)) == [(3, "a/3.ts"), (4, "a/4.ts")]
    playlist.read(grown_text + b"#EXTINF:2.5,\n5.ts\n")
    playlist.take(4)
    assert playlist.taken_seconds == F("6.5")
    playlist.read(grown_text + b"#EXT-X-ENDLIST")
    assert playlist.ended


def test_incomplete_line_is_read_when_it_is_complete() -> None:
    playlist = growing()
    whole = text(0, 2)
    playlist.read(whole[:-3])
    assert playlist.next_number == 1
    playlist.read(whole)
    assert keys(playlist.take(0)) == [(0, "a/0.ts"), (1, "a/1.ts")]


def test_sliding_playlist_is_parsed_anew() -> None:
    playlist = growing()
    playlist.read(text(0, 3))
    playlist.read(text(7, 2, sequence=7))
    assert playlist.next_number == 9
    found = playlist.take(3)
    assert keys(found[-2:]) == [(7, "a/7.ts"), (8, "a/8.ts")]
    assert playlist.taken_seconds == 4 * len(found)
    assert [(number, segment.gap) for number, segment in found[:-2]] == [(3, True), (4, True), (5, True), (6, True)]


def test_numbers_stay_after_a_playlist_became_shorter() -> None:
    playlist = growing()
    playlist.read(text(0, 3))
    playlist.read(text(0, 2))
    assert (playlist.take(3), playlist.next_number) == ([], 2)
    playlist.read(text(0, 4))
    assert keys(playlist.take(3)) == [(3, "a/3.ts")]


def test_state_of_the_parser_continues_over_refreshes() -> None:
    head, playlist = text(0, 1), growing()
    head += b'#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="i.mp4"\n#EXTINF:4,\n#EXT-X-BYTERANGE:10@5\nb.ts\n'
    playlist.read(head)
    playlist.read(head + b"#EXTINF:4,\n#EXT-X-BYTERANGE:20\nb.ts\n")
    (_, last) = playlist.take(2)[0]
    assert (last.discontinuity, last.init and last.init.key, last.data) == (1, "a/i.mp4", ("a/b.ts", 15, 20))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"#EXTM3U\n" + b"#" * MAX_PLAYLIST_BYTES, PlaylistInvalid),
        (b"no playlist\n", PlaylistInvalid),
        (text(0, 1) + b"\xff\n", PlaylistInvalid),
        (text(0, 1) + b"#EXTINF:4,\n../../x.ts\n", PlaylistOutside),
        (b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:99999999999999999999\n", PlaylistInvalid),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:-1\n", PlaylistInvalid),
        (b"#EXTM3U\n" + b"#EXTINF:1,\na\n" * (MAX_SEGMENTS + 1), TooManyPieces),
    ],
    ids=["size", "mark", "utf-8", "outside", "sequence", "target", "segments"],
)
def test_invalid_playlist_is_refused_and_forgotten(data: bytes, error: type[Exception]) -> None:
    playlist = growing()
    playlist.read(text(0, 1))
    with pytest.raises(error):
        playlist.read(data)
    playlist.read(text(0, 2))
    assert playlist.next_number == 2


def listed(*lines: str) -> MediaPlaylist:
    found = parse_playlist("\n".join(["#EXTM3U", *lines]).encode(), key="a/index.m3u8", folder="a/")
    assert isinstance(found, MediaPlaylist)
    return found


def segments(count: int, *, first: int = 0) -> list[str]:
    return [f"#EXTINF:4,\n{number}.ts" for number in range(first, first + count)]


STORED = {f"a/{number}.ts": StoredPiece(f"e{number}", 100) for number in range(1000)}


def begin(count: int, *, clock: float = 10) -> tuple[PieceIndex, Growth]:
    """Return the index of the first segments, of 4 s each, and its growth."""
    index = assemble([ListedTrack("muxed", listed(*segments(count)))], STORED)
    last = clock + 4 * (count - 1)
    scans = [RunScan(extent(clock, clock + 4, clock + 3.9), extent(last, last + 4, last + 3.9))]
    placement = place_growing(index, scans, [F(clock)])
    return index, begun(index, scans, placement, [("a/index.m3u8", count)])


def grow(
    growth: Growth, tail: PieceIndex, scans: list[RunScan], next_numbers: list[int], written: list[bool]
) -> Growth:
    """Return the growth by a continued index without clock resets, by the scans of what is unread."""

    def measure(places: Sequence[tuple[int, int]]) -> list[Extent]:
        runs = [len(run.pieces) for _, run in unread(tail).runs()]
        return [each for scan, count in zip(scans, runs, strict=True) for each in scan[: min(count, 2)]]

    found, scans = split_at_clock_resets(tail, known_extents(growth, tail, measure), measure)
    assert found == tail
    return grown(growth, tail, scans, next_numbers, written)


def test_safe_end_is_that_of_the_last_piece() -> None:
    _, growth = begin(3)
    assert (growth.safe_end, growth.end, growth.longest) == (F("11.9"), 12, 4)
    assert Growth.from_object(growth.to_object()) == growth


@pytest.mark.parametrize("count", [1, 255, 256, 257])
def test_pieces_are_appended_to_the_pages(count: int) -> None:
    index, growth = begin(count)
    head, pages = pack_head(index), list(pack_pages(index))
    end = unpack_end(head, pages[-1:])
    added = listed(*segments(count), "#EXT-X-GAP", *segments(1, first=count), *segments(3, first=count + 1)).segments
    tail = continue_index(end, [added[count:]], STORED)
    assert [len(run.pieces) for _, run in unread(tail).runs()] == [3]
    clock = 10 + 4 * (count + 1)
    scans = [RunScan(extent(clock, clock + 4, clock + 3.9), extent(clock + 8, clock + 12, clock + 11.9))]
    after = grow(growth, tail, scans, [count + 4], [True])
    seconds = 4 * (count + 4)
    assert (after.safe_end, after.end, after.tracks[0].next_number) == (seconds - F(1, 10), seconds, count + 4)
    assert [(gap.start // 10**6, gap.end // 10**6, gap.reason) for gap in tail.gaps] == [
        (4 * count, 4 * count + 4, "missing")
    ]

    new_head, changed = pack_added(head, pages[-1:], tail)
    merged = {(page.track, page.first): page for page in [*pages, *changed]}
    found = unpack(new_head, [merged[place] for place in sorted(merged)])
    whole = assemble([ListedTrack("muxed", MediaPlaylist(added))], STORED)
    first = index.tracks[0].runs[0]
    place_growing(
        whole,
        [RunScan(extent(10, 14, 13.9), growth.tracks[0].last), *scans],
        [F(10)],
    )
    assert [run.pieces for _, run in found.runs()] == [run.pieces for _, run in whole.runs()]
    assert [run.shift for _, run in found.runs()] == [first.shift] * 2
    assert len({page.first for page in changed}) == len(changed) <= 2
    assert continued_etag(index.etag, unread(tail).ranges()) != index.etag


def test_stated_durations_are_corrected_by_the_last_piece() -> None:
    index, growth = begin(2)
    end = unpack_end(pack_head(index), list(pack_pages(index)))
    tail = continue_index(end, [listed(*segments(4)).segments[2:]], STORED)
    grow(growth, tail, [RunScan(extent(17, 20, 19.9), extent(20, 23, 22.9))], [4], [True])
    assert [piece.start / 10**6 for _, run in tail.runs() for piece in run.pieces] == [4, 7, 10]


def test_discontinuity_continues_on_the_frames_in_both_tracks_at_different_times() -> None:
    video = listed(*segments(2))
    audio = listed(*segments(2, first=100))
    index = assemble([ListedTrack("video", video), ListedTrack("audio", audio)], STORED)
    pictures, sounds = Extent(F(4), F(8), None, None, F(8)), Extent(None, None, F(4), F(8), F(8))
    scans = [
        RunScan(Extent(F(0), F(4), None, None, F(4)), pictures),
        RunScan(Extent(None, None, F(0), F(4), F(4)), sounds),
    ]
    growth = begun(index, scans, place_growing(index, scans, [F(0), F(0)]), [("v", 2), ("a", 2)])
    head, pages = pack_head(index), list(pack_pages(index))
    more = listed(*segments(2), "#EXT-X-DISCONTINUITY", *segments(1, first=2)).segments[2:]
    tail = continue_index(unpack_end(head, pages), [more, []], STORED)
    scan = Extent(F(900), F(904), None, None, F(904))
    growth = grow(growth, tail, [RunScan(scan, scan)], [3, 2], [True, True])
    assert [str(run.shift) for _, run in tail.runs()] == ["0", "-892", "0"]
    assert (growth.safe_end, growth.end) == (8, 12)

    head, pages = pack_added(head, pages, tail)[0], pages
    changed = {(page.track, page.first): page for page in [*pages, *pack_added(pack_head(index), pages, tail)[1]]}
    end = unpack_end(head, list(changed.values()))
    late = listed(*segments(2, first=100), "#EXT-X-DISCONTINUITY", *segments(1, first=102)).segments[2:]
    tail = continue_index(end, [[], late], STORED)
    scan = Extent(None, None, F("900.02"), F("903.9"), F("903.9"))
    growth = grow(growth, tail, [RunScan(scan, scan)], [3, 3], [True, True])
    assert [str(run.shift) for _, run in tail.runs()] == ["-892", "0", "-892"]
    assert growth.safe_end == F("11.9")


def test_track_that_has_ended_does_not_hold_the_safe_end() -> None:
    index, growth = begin(1)
    tail = continue_index(unpack_end(pack_head(index), list(pack_pages(index))), [[]], {})
    assert grow(growth, tail, [], [1], [False]).safe_end == growth.end == 4
