"""Mutated playlists: each is read, assembled and placed, finished and still written, or refused with a code."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from random import Random

from clipengine.errors import ClipEngineError
from clipengine.recordings.assembly import ListedTrack, StoredPiece, assemble
from clipengine.recordings.piece_pages import pack_added, pack_head, pack_pages, unpack_end
from clipengine.recordings.piece_seek_index import seek_index_of
from clipengine.recordings.playlist import (
    GrowingPlaylist,
    MasterPlaylist,
    MediaPlaylist,
    VariantChoice,
    parse_playlist,
    segment_keys,
)
from clipengine.recordings.timeline.clock_resets import split_at_clock_resets
from clipengine.recordings.timeline.growing import Growth, begun, continue_index, grown, known_extents
from clipengine.recordings.timeline.run_placing import Extent, RunScan, place, place_growing
from scripts.fuzzing.texts import mutated
from tests.support.memory import peak_mebibytes

SLOW_SECONDS = 5.0
SEEDS = (
    '#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI="init.mp4",BYTERANGE="800@0"\n'
    "#EXT-X-PROGRAM-DATE-TIME:2026-11-28T12:00:00.000Z\n#EXTINF:4.000,\n#EXT-X-BYTERANGE:1000@800\nall.m4s\n"
    "#EXTINF:4.0,title\n#EXT-X-BYTERANGE:900\nall.m4s\n#EXT-X-GAP\n#EXTINF:4,\ngone.m4s\n#EXT-X-ENDLIST\n",
    "#EXTM3U\n#EXTINF:3.96,\nsub/a%20b.ts\n#EXTINF:4,\n../a/1.ts?x=1\n#EXT-X-DISCONTINUITY\n"
    "#EXT-X-PROGRAM-DATE-TIME:2026-11-28T12:01:00+0100\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\n2.ts\n#EXT-X-ENDLIST\n",
    '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",URI="en.m3u8"\n'
    '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="English",LANGUAGE="en",URI="text.m3u8"\n'
    '#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,AUDIO="a",SUBTITLES="s",NAME="low"\nlow.m3u8\n'
    "#EXT-X-STREAM-INF:BANDWIDTH=2,RESOLUTION=1280x720\nhigh.m3u8\n",
)
_TEXTS = (
    *("nan", "-1", "1e9", "9" * 40, "\x00", "%00", "%2e%2e/", "..", "//host/", "https://h/", "\\", '"', ",", "@", "="),
    *("\r", "\u2028", "\ud7ff", "0", "3600", "3601", "#EXTM3U", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP", "#EXT-X-KEY:"),
    *("METHOD=AES-128", "#EXT-X-DEFINE:", "#EXT-X-I-FRAMES-ONLY", "#EXT-X-STREAM-INF:", "9999-12-31T23:59:59.9-23:59"),
)


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Yield mutated playlists; the same seed gives the same ones."""
    for number in range(count):
        yield mutated(Random(f"{seed} {number}"), SEEDS, _TEXTS, repeated=(1, 2, 2000))


def outcome(data: bytes, random: Random) -> str:
    """Return `read`, or the code with which the playlist is refused."""
    try:
        found = parse_playlist(data, key="a/index.m3u8", folder="a/")
        if isinstance(found, MasterPlaylist):
            found.audio_of(found.variant(VariantChoice()))
            return "read"
        stored = {key: StoredPiece("e", 10_000) for key in segment_keys(found) if random.random() < 0.95}
        index = assemble([ListedTrack("muxed", found)], stored)
        known = [{0: _extent(random), len(run.pieces) - 1: _extent(random)} for _, run in index.runs()]
        index, scans = split_at_clock_resets(index, known, lambda places: [_extent(random) for _ in places])
        place(index, scans, [Fraction(random.randrange(100))])
        seek_index_of(index).single([(number, 0) for number, _ in enumerate(index.runs())])
        assert all(gap.start < gap.end for gap in index.gaps), "a gap ends before it begins"
        _grow(data, stored, random)
    except ClipEngineError as error:
        return error.code
    return "read"


def _grow(data: bytes, stored: Mapping[str, StoredPiece], random: Random) -> None:
    """Read a playlist as one that is still written, at first a part of it, and add its segments to an index."""
    playlist = GrowingPlaylist("a/index.m3u8", "a/")
    playlist.read(data[: random.randrange(len(data) + 1)])
    segments = [segment for _, segment in playlist.take(0)]
    index = assemble([ListedTrack("muxed", MediaPlaylist(segments))], stored)
    scans = [RunScan(_extent(random), _extent(random)) for _ in index.runs()]
    count = playlist.next_number
    growth = begun(index, scans, place_growing(index, scans, [None]), [("a/index.m3u8", count)])
    head, pages = pack_head(index), list(pack_pages(index))[-1:]
    playlist.read(data)
    tail = continue_index(unpack_end(head, pages), [[segment for _, segment in playlist.take(count)]], stored)
    known = known_extents(growth, tail, lambda places: [_extent(random) for _ in places])
    tail, scans = split_at_clock_resets(tail, known, lambda places: [_extent(random) for _ in places])
    growth = grown(growth, tail, scans, [playlist.next_number], [True])
    assert Growth.from_object(growth.to_object()) == growth, "the growth is stored as another one"
    head, changed = pack_added(head, pages, tail)
    unpack_end(head, changed[-1:] or pages)


def _extent(random: Random) -> Extent:
    """Return the extent of a piece, as damaged as a child may report it."""
    start = Fraction(random.choice((0, 4, 95443, random.randrange(-(10**6), 10**6))))
    end = start + random.choice((4, 4, 0, -5, 100))
    edges = random.choice(((start, end, start, end), (None, None, start, end), (None, None, None, None)))
    video_start, video_end, audio_start, audio_end = edges
    return Extent(video_start, video_end, audio_start, audio_end, start, start)


def fuzz(count: int, seed: int) -> int:
    """Print the outcomes of the mutants, and return 1 if one is slow. An exception without a code ends the program."""
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for number, data in enumerate(mutants(count, seed)):
        began = time.monotonic()
        outcomes[outcome(data, Random(number))] += 1
        slowest = max(slowest, time.monotonic() - began)
    memory = peak_mebibytes()
    print(f"{count} playlists, the slowest in {slowest:.2f} s, {memory:.0f} MiB: {dict(outcomes.most_common())}")
    return int(slowest > SLOW_SECONDS)
