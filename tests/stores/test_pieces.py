"""The reader of a recording of many files, and the playlists that name them, in every store."""

from __future__ import annotations

import hashlib
import io
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clipengine.errors import ClipEngineError, ObjectChanged, PieceMissing, TooManyPieces
from clipengine.recordings.packed_playlist import segments_allowance
from clipengine.recordings.pieces import ObjectRange, Piece, PieceIndex, Run, Track
from clipengine.recordings.playlist import MAX_ALL_SEGMENTS
from clipengine.stores.base import ObjectReader, Skipped, Store, StoredObject
from clipengine.stores.folder import FolderStore
from clipengine.stores.pieces_reader import PiecesReader
from clipengine.stores.playlists import names_pieces, read_pieces, stored_pieces


class ManyObjects(FolderStore):
    """Store that lists segments of two tracks, which it does not have."""

    def list(self, prefix: str = "", *, after: str = "", skipped: Skipped | None = None) -> Iterator[StoredObject]:
        for name in ("a", "v"):
            for number in range(10_000):
                yield StoredObject(f"{prefix}{name}_{number:06}.ts", 1_000_000 + number, f"{number:032x}", 0)


def put(store: Store, key: str, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    store.put(key, io.BytesIO(data), size=len(data), content_type="video/mp2t", sha256=digest)


def index_of(store: Store, *ranges: tuple[str, int, int]) -> PieceIndex:
    pieces = [Piece(ObjectRange(key, store.head(key).etag, at, length), 0, 0) for key, at, length in ranges]
    return PieceIndex([Track("muxed", [Run(0, None, None, pieces)])])


def playlist(count: int, *, ended: bool = True) -> bytes:
    lines = [f"#EXTINF:4,\n{number:05}.ts" for number in range(count)]
    return "\n".join(["#EXTM3U", *lines, "#EXT-X-ENDLIST" if ended else ""]).encode()


def test_pieces_are_read_as_one_object(store: Store) -> None:
    put(store, "a/0.ts", b"0123456789")
    put(store, "a/1.ts", b"abcdefghij")
    index = index_of(store, ("a/0.ts", 2, 4), ("a/1.ts", 0, 10), ("a/0.ts", 0, 1))
    with closing(PiecesReader(store, "a/index.m3u8", index, etag=index.etag)) as reader:
        assert (reader.info.size, reader.fileno()) == (15, None)
        assert reader.read_at(0, 100) == b"2345abcdefghij0"
        assert reader.read_at(3, 3) == b"5ab"
        assert reader.read_at(15, 5) == b""


def test_replaced_piece_fails_only_reads_of_it(store: Store) -> None:
    put(store, "a/0.ts", b"0123")
    put(store, "a/1.ts", b"abcd")
    index = index_of(store, ("a/0.ts", 0, 4), ("a/1.ts", 0, 4))
    put(store, "a/1.ts", b"other")
    with closing(PiecesReader(store, "a/index.m3u8", index, etag=index.etag)) as reader:
        assert reader.read_at(0, 4) == b"0123"
        with pytest.raises(ObjectChanged):
            reader.read_at(2, 4)


def test_removed_piece_is_named(store: Store) -> None:
    put(store, "a/0.ts", b"0123")
    index = index_of(store, ("a/0.ts", 0, 4))
    store.delete("a/0.ts")
    with (
        closing(PiecesReader(store, "a/index.m3u8", index, etag=index.etag)) as reader,
        pytest.raises(PieceMissing, match=r"a/0\.ts"),
    ):
        reader.read_at(0, 4)


def test_few_files_are_open_at_a_time(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for number in range(50):
        put(store, f"a/{number}.ts", b"0123")
    index = index_of(store, *((f"a/{number}.ts", 0, 4) for number in range(50)))
    before = len(os.listdir("/proc/self/fd"))
    with closing(PiecesReader(store, "a/index.m3u8", index, etag=index.etag)) as reader:
        assert reader.read_at(0, 200) == b"0123" * 50
        assert len(os.listdir("/proc/self/fd")) == before + 8
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("count", [3, 60])
def test_index_of_a_playlist_pins_every_file(store: Store, count: int) -> None:
    for number in range(count):
        put(store, f"a/b/{number:05}.ts", b"x" * (number + 1))
    put(store, "a/b/index.m3u8", playlist(count + 1))
    with closing(store.open("a/b/index.m3u8")) as reader:
        assert names_pieces(reader)
        index = read_pieces(store, reader).index
    assert [each.key for each in index.ranges()] == [f"a/b/{number:05}.ts" for number in range(count)]
    assert [each.length for each in index.ranges()] == list(range(1, count + 1))
    assert {each.etag for each in index.ranges()} == {store.head(each.key).etag for each in index.ranges()}


@pytest.mark.typical(1)
def test_files_among_many_others_are_looked_up(store: Store) -> None:
    for number in range(30):
        put(store, f"a/z{number}.ts", b"x")
    for number in range(400):
        put(store, f"a/{number}.other", b"x")
    wanted = [f"a/z{number}.ts" for number in range(31)]
    assert sorted(stored_pieces(store, wanted)) == sorted(wanted[:30])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmissing.m3u8\n", "playlist_invalid"),
        (b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nindex.m3u8\n", "playlist_invalid"),
        (playlist(1, ended=False), "recording_not_ready"),
        (playlist(1), "playlist_invalid"),
    ],
)
def test_playlist_that_cannot_be_used_has_a_code(store: Store, text: bytes, code: str) -> None:
    put(store, "a/index.m3u8", text)
    with closing(store.open("a/index.m3u8")) as reader, pytest.raises(ClipEngineError) as caught:
        read_pieces(store, reader)
    assert caught.value.code == code


def test_master_reads_each_playlist_once_and_counts_its_segments_for_each_track(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 103 of the faults."""
    store = FolderStore(tmp_path)
    line = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="a.m3u8"\n'
    variant = '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nv.m3u8\n'
    put(store, "0.ts", b"0123")
    put(store, "v.m3u8", b"#EXTM3U\n#EXTINF:4,\n0.ts\n#EXT-X-ENDLIST\n")
    put(store, "a.m3u8", b"#EXTM3U\n" + b"#EXTINF:4,\n0.ts\n" * 30 + b"#EXT-X-ENDLIST\n")
    put(store, "index.m3u8", f"#EXTM3U\n{line * 3}{variant}".encode())
    opened: list[str] = []
    stored_open = store.open

    def counted(key: str, *, etag: str | None = None) -> ObjectReader:
        opened.append(key)
        return stored_open(key, etag=etag)

    monkeypatch.setattr(store, "open", counted)
    with closing(stored_open("index.m3u8")) as reader:
        assert len(read_pieces(store, reader).index.tracks) == 4
        assert sorted(opened) == ["a.m3u8", "v.m3u8"]
        monkeypatch.setattr("clipengine.stores.playlists.segments_allowance", lambda: segments_allowance(90))
        with pytest.raises(TooManyPieces, match="the recording has more than 90 segments"):
            read_pieces(store, reader)


@pytest.mark.exhaustive
def test_registration_needs_little_memory_for_each_segment(tmp_path: Path) -> None:
    """Row 103 of the faults: 64 MiB at the limit of all tracks, also if each segment has an object. It took 131."""
    store, count = ManyObjects(tmp_path), 20_000
    for name in ("v", "a"):
        lines = (f"#EXTINF:4.{number % 7},\n{name}_{number:06}.ts" for number in range(count // 2))
        put(store, f"{name}.m3u8", "\n".join(["#EXTM3U", *lines, "#EXT-X-ENDLIST"]).encode())
    put(
        store,
        "index.m3u8",
        b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="a.m3u8"\n'
        b'#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nv.m3u8\n',
    )
    with closing(store.open("index.m3u8")) as reader:
        tracemalloc.start()
        try:
            index = read_pieces(store, reader).index
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert [len(run.pieces) for _, run in index.runs()] == [count // 2, count // 2]
    assert peak / count * MAX_ALL_SEGMENTS < 64 << 20


def test_tracks_may_share_a_playlist_and_lose_none_of_its_segments(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    line = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="v.m3u8"\n'
    put(store, "0.ts", b"0123")
    put(store, "v.m3u8", b"#EXTM3U\n" + b"#EXTINF:4,\n0.ts\n" * 3 + b"#EXT-X-ENDLIST\n")
    put(store, "index.m3u8", f'#EXTM3U\n{line * 2}#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nv.m3u8\n'.encode())
    with closing(store.open("index.m3u8")) as reader:
        assert [len(run.pieces) for _, run in read_pieces(store, reader).index.runs()] == [3, 3, 3]


def test_text_of_too_many_segments_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FolderStore(tmp_path)
    lines = "".join(
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="t",NAME="{name}",URI="{name}.m3u8"\n' for name in ("en", "de")
    )
    put(store, "0.ts", b"0123")
    put(store, "v.m3u8", b"#EXTM3U\n#EXTINF:4,\n0.ts\n#EXT-X-ENDLIST\n")
    put(store, "en.m3u8", b"#EXTM3U\n#EXTINF:4,\n0.vtt\n#EXT-X-ENDLIST\n")
    put(store, "de.m3u8", b"#EXTM3U\n" + b"#EXTINF:4,\n0.vtt\n" * 20_000 + b"#EXT-X-ENDLIST\n")
    put(store, "index.m3u8", f'#EXTM3U\n{lines}#EXT-X-STREAM-INF:BANDWIDTH=1,SUBTITLES="t"\nv.m3u8\n'.encode())
    with closing(store.open("index.m3u8")) as reader:
        assert [each.title for each in read_pieces(store, reader).texts] == ["en"]
    assert "the text de of a playlist is not used: the set of texts has more than 20000 segments" in caplog.text


def test_audio_that_is_ahead_of_the_video_by_a_discontinuity_is_left_out(store: Store) -> None:
    master = (
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="a.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nv.m3u8\n'
    )
    put(store, "a/index.m3u8", f"#EXTM3U\n{master}".encode())
    for name in ("v0.ts", "v1.ts", "a0.ts", "a1.ts"):
        put(store, f"a/{name}", b"0123")
    media = "#EXTM3U\n#EXTINF:4,\n{0}0.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\n{0}1.ts\n"
    put(store, "a/a.m3u8", media.format("a").encode())
    for text, count in ((media.format("v").partition("#EXT-X-DIS")[0], 1), (media.format("v"), 2)):
        put(store, "a/v.m3u8", text.encode())
        with closing(store.open("a/index.m3u8")) as reader:
            read = read_pieces(store, reader, live=True)
        assert read.written == [("a/v.m3u8", count), ("a/a.m3u8", count)]


def test_ranges_of_a_growing_object_are_pinned_as_such_up_to_its_end(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    ranges = "".join(f"#EXTINF:4,\n#EXT-X-BYTERANGE:4@{4 * number}\nall.ts\n" for number in range(3))
    put(store, "index.m3u8", f"#EXTM3U\n{ranges}".encode())
    (tmp_path / "all.ts").write_bytes(b"0123456789")
    with closing(store.open("index.m3u8")) as reader:
        read = read_pieces(store, reader, live=True)
    assert [(each.offset, each.length) for each in read.index.ranges()] == [(0, 4), (4, 4)]
    with (tmp_path / "all.ts").open("ab") as file:
        file.write(b"ab")
    with closing(PiecesReader(store, "index.m3u8", read.index, etag=read.index.etag)) as pieces:
        assert pieces.read_at(0, 8) == b"01234567"
    (tmp_path / "all.ts").write_bytes(b"9876543210ab")
    with (
        closing(PiecesReader(store, "index.m3u8", read.index, etag=read.index.etag)) as pieces,
        pytest.raises(ObjectChanged),
    ):
        pieces.read_at(0, 8)
