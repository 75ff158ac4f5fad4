"""Growing files as pieces: what is whole in them at any length."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.errors import ObjectChanged, RecordingNotReady, RecordingTruncated
from clipengine.recordings.growing_file import GrowingFile
from clipengine.recordings.playlist import Segment
from tests.films.parts import AudioPart, VideoPart, every
from tests.support.growing import FORMATS, writer

SECONDS = 12
VIDEO = VideoPart(every(10, SECONDS), Fraction(10), gop=10, width=64, height=36)
AUDIO = AudioPart(seconds=Fraction(SECONDS))


@dataclass
class Bytes:
    data: bytes

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


class LargeFile:
    """An MPEG-TS file of any size, which is made while it is read: 18,800 bytes for each tenth of a second."""

    UNIT = 18_800

    def __init__(self) -> None:
        self.bytes_read = 0

    def read_at(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        first, last = offset // self.UNIT, (offset + length) // self.UNIT
        begin = offset - first * self.UNIT
        return b"".join(map(self._unit, range(first, last + 1)))[begin : begin + length]

    def _unit(self, number: int) -> bytes:
        clock = b"\x47\x00\x00\x30\x07\x10" + (number * 9000 << 7).to_bytes(5, "big")
        return clock.ljust(188, b"\xff") + b"\x47".ljust(188, b"\0") * 99


@dataclass
class CountedBytes(Bytes):
    """Bytes that are the beginning of a larger file, whose rest is one element after the other."""

    element: bytes
    bytes_read: int = 0

    def read_at(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        head = self.data[offset : offset + length]
        return head + (self.element * (length // len(self.element) + 1))[: length - len(head)]


def read(file: GrowingFile, data: bytes) -> GrowingFile:
    file.read(Bytes(data), len(data))
    return file


def segments(file: GrowingFile, number: int = 0) -> list[Segment]:
    return [segment for _, segment in file.take(number)]


def check_contiguous(found: list[Segment], begin: int, end: int) -> None:
    for each in found:
        assert each.data.offset == begin
        begin += each.data.length or 0
    assert begin == end


@pytest.fixture(scope="module", params=FORMATS)
def growing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """Return a file before it is closed, in each format."""
    written = writer(request.param, tmp_path_factory.mktemp("grown"), video=VIDEO, audio=AUDIO)
    written.write_until(0.9)
    return request.param, written.path.read_bytes()


def test_what_is_whole_is_found_at_any_length(growing: tuple[str, bytes]) -> None:
    kind, data = growing
    all_ends = set(range(0, len(data), 188)) if kind == "ts" else None
    whole = read(GrowingFile("f", "e"), data)
    head = segments(whole)[0].data.offset
    seen: set[int] = set()
    for size in range(head, len(data), max(1, (len(data) - head) // 150)):
        file = GrowingFile("f", "e")
        try:
            read(file, data[:size])
        except RecordingTruncated:
            continue
        assert file.next_number <= size
        assert file.grows
        seen.add(file.next_number)
        if found := segments(file):
            check_contiguous(found, head, file.next_number)
    assert len(seen) > 5
    if all_ends is not None:
        assert seen <= all_ends
    stated = sum((each.seconds for each in segments(whole)), Fraction(0))
    assert 9 < stated < 12


def test_growth_continues_where_another_engine_has_stopped(growing: tuple[str, bytes]) -> None:
    _, data = growing
    first = read(GrowingFile("f", "e"), data[: len(data) // 2])
    check_contiguous(segments(first), segments(first)[0].data.offset, first.next_number)
    other = GrowingFile("f", "e", offset=first.next_number, digest=first.end.digest)
    read(other, data)
    check_contiguous(segments(other, first.next_number), first.next_number, other.next_number)
    assert other.next_number == read(first, data).next_number
    assert other.is_same(Bytes(data), len(data))
    assert not other.take(other.next_number)


def test_file_that_was_shortened_or_written_anew_is_refused(growing: tuple[str, bytes]) -> None:
    _, data = growing
    file = read(GrowingFile("f", "e"), data)
    end = file.next_number
    for changed in (data[: end - 1], data[: end - 2000] + bytes(2000) + data, b""):
        assert not file.is_same(Bytes(changed), len(changed))
        with pytest.raises(ObjectChanged):
            read(file, changed)


def test_space_that_was_allocated_ahead_is_not_media(growing: tuple[str, bytes]) -> None:
    _, data = growing
    end = read(GrowingFile("f", "e"), data).next_number
    assert read(GrowingFile("f", "e"), data[:end] + bytes(100_000)).next_number == end


@pytest.mark.parametrize("kind", ["fmp4", "hybrid", "mkv"])
def test_closed_file_does_not_grow(kind: str, tmp_path: Path) -> None:
    written = writer(kind, tmp_path, video=VIDEO, audio=AUDIO)
    written.write_until(1)
    assert not read(GrowingFile("f", "e"), written.path.read_bytes()).grows


def test_fragments_count_when_all_tracks_have_one(tmp_path: Path) -> None:
    written = writer(
        "fmp4", tmp_path, video=VIDEO, audio=AUDIO, movflags="frag_keyframe+empty_moov+separate_moof+default_base_moof"
    )
    written.write_until(0.9)
    data = written.path.read_bytes()
    file = read(GrowingFile("f", "e"), data)
    assert segments(file)
    fragments = [at for at in range(len(data)) if data[at + 4 : at + 8] == b"moof"]
    assert file.next_number in fragments
    assert fragments.index(file.next_number) % 2 == 0  # those of video and audio alternate


def test_track_that_has_ended_does_not_stop_the_others(tmp_path: Path) -> None:
    short = AudioPart(seconds=Fraction(4))
    flags = "frag_keyframe+empty_moov+separate_moof+default_base_moof"
    written = writer("fmp4", tmp_path, video=VIDEO, audio=short, movflags=flags)
    written.write_until(0.9)
    file = read(GrowingFile("f", "e"), written.path.read_bytes())
    assert sum((each.seconds for each in segments(file)), Fraction(0)) > 9


@pytest.mark.parametrize("growing", ["mkv"], indirect=True)
def test_cluster_of_unknown_size_ends_with_the_next_one(growing: tuple[str, bytes]) -> None:
    _, data = growing
    marker = b"\x1f\x43\xb6\x75"
    places = [at for at in range(len(data) - 12) if data[at : at + 4] == marker]
    unknown = bytearray(data)
    for at in places:
        width = 9 - data[at + 4].bit_length()
        unknown[at + 4 : at + 4 + width] = ((1 << 7 * width + 1) - 1).to_bytes(width, "big")
    file = read(GrowingFile("f", "e"), bytes(unknown))
    assert file.next_number == places[-1]


def test_large_file_is_read_in_looks() -> None:
    size, source, file = 10_000 * LargeFile.UNIT, LargeFile(), GrowingFile("f", "e")
    found: list[Segment] = []
    looks = taken = 0
    while looks == 0 or file.is_behind:
        source.bytes_read = 0
        file.forget(taken)
        file.read(source, size)
        assert source.bytes_read < 70_000_000
        found += segments(file, taken)
        looks, taken = looks + 1, file.next_number
    assert looks == 3
    assert file.next_number == size
    check_contiguous(found, 0, size)
    assert sum((each.seconds for each in found), Fraction(0)) == 1000
    assert {each.seconds for each in found[:100]} == {4}


@pytest.mark.parametrize("growing", ["mkv"], indirect=True)
@pytest.mark.parametrize("element", [b"\xec\x80", b"\xec\x40\xff" + bytes(255), b"\xa3\x10\x01\x00\x00"])
def test_cluster_without_an_end_is_not_read_for_ever(growing: tuple[str, bytes], element: bytes) -> None:
    _, data = growing
    whole = read(GrowingFile("f", "e"), data)
    start = data.index(b"\x1f\x43\xb6\x75")
    head = data[:start] + b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7 + b"\xe7\x81\x00"
    source, file = CountedBytes(head, element), GrowingFile("f", "e")
    file.read(source, 1 << 40)
    assert (file.next_number, file.is_behind, file.take(0)) == (0, False, [])
    assert source.bytes_read < 70_000_000
    assert whole.next_number > len(head)


@pytest.mark.parametrize("growing", ["ts"], indirect=True)
def test_clock_that_jumps_ends_what_can_be_read(growing: tuple[str, bytes]) -> None:
    _, data = growing
    file = read(GrowingFile("f", "e"), data)
    both = read(GrowingFile("f", "e"), data[: file.next_number] * 2)
    assert (file.jumps, both.jumps) == (False, True)
    assert file.next_number - 20_000 < both.next_number <= file.next_number


def test_plain_mp4_is_refused(tmp_path: Path) -> None:
    written = writer("fmp4", tmp_path, video=VIDEO, audio=AUDIO, movflags="disable_chpl")
    written.write_until(0.5)
    with pytest.raises(RecordingNotReady):
        read(GrowingFile("f", "e"), written.path.read_bytes())
    written.write_until(1)
    assert not read(GrowingFile("f", "e"), written.path.read_bytes()).grows


@pytest.mark.parametrize("data", [b"", b"RIFF" + bytes(500), b"\x1a\x45\xdf\xa3" + bytes(500), bytes(5000)])
def test_other_files_do_not_grow(data: bytes) -> None:
    try:
        assert not read(GrowingFile("f", "e"), data).grows
    except RecordingTruncated:
        assert len(data) < 1000
