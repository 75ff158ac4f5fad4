"""Growing files as pieces: what is whole in them at any length."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from clipengine.errors import ObjectChanged, RecordingNotReady, RecordingTruncated
from clipengine.recordings import growing_file
from clipengine.recordings.growing_file import FileEnd, GrowingFile
from clipengine.recordings.pieces import MAX_RUNS
from clipengine.recordings.segments import Segment
from clipengine.recordings.timeline import ts_clock
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
    """An MPEG-TS file of any size, which is made while it is read: 18,800 bytes for each tenth of a second.

    Its clock begins anew with the unit `jump`.
    """

    UNIT = 18_800

    def __init__(self, jump: int = 1 << 40) -> None:
        self.bytes_read = 0
        self._jump = jump

    def read_at(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        first, last = offset // self.UNIT, (offset + length) // self.UNIT
        begin = offset - first * self.UNIT
        return b"".join(map(self._unit, range(first, last + 1)))[begin : begin + length]

    def _unit(self, number: int) -> bytes:
        clock = b"\x47\x01\x00\x30\x07\x10" + (number % self._jump * 9000 << 7).to_bytes(5, "big")
        return clock.ljust(188, b"\xff") + b"\x47\x01\x00\x10".ljust(188, b"\0") * 99


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


@pytest.mark.typical(1)
def test_what_is_whole_is_found_at_any_length(growing: tuple[str, bytes]) -> None:
    kind, data = growing
    all_ends = set(range(0, len(data), 188)) if kind == "ts" else None
    whole = read(GrowingFile("f", FileEnd("e", "")), data)
    head = segments(whole)[0].data.offset
    seen: set[int] = set()
    for size in range(head, len(data), max(1, (len(data) - head) // 150)):
        file = GrowingFile("f", FileEnd("e", ""))
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
    first = read(GrowingFile("f", FileEnd("e", "")), data[: len(data) // 2])
    check_contiguous(segments(first), segments(first)[0].data.offset, first.next_number)
    other = GrowingFile("f", first.end, offset=first.next_number)
    read(other, data)
    check_contiguous(segments(other, first.next_number), first.next_number, other.next_number)
    assert other.next_number == read(first, data).next_number
    assert other.is_same(Bytes(data), len(data))
    assert not other.take(other.next_number)


def test_file_that_was_shortened_or_written_anew_is_refused(growing: tuple[str, bytes]) -> None:
    _, data = growing
    file = read(GrowingFile("f", FileEnd("e", "")), data)
    end = file.next_number
    for changed in (data[: end - 1], data[: end - 2000] + bytes(2000) + data, b""):
        assert not file.is_same(Bytes(changed), len(changed))
        with pytest.raises(ObjectChanged):
            read(file, changed)


def test_space_that_was_allocated_ahead_is_not_media(growing: tuple[str, bytes]) -> None:
    _, data = growing
    end = read(GrowingFile("f", FileEnd("e", "")), data).next_number
    assert read(GrowingFile("f", FileEnd("e", "")), data[:end] + bytes(100_000)).next_number == end


@pytest.mark.parametrize("kind", ["fmp4", "hybrid", "mkv"])
def test_closed_file_does_not_grow(kind: str, tmp_path: Path) -> None:
    written = writer(kind, tmp_path, video=VIDEO, audio=AUDIO)
    written.write_until(1)
    assert not read(GrowingFile("f", FileEnd("e", "")), written.path.read_bytes()).grows


def test_fragments_count_when_all_tracks_have_one(tmp_path: Path) -> None:
    written = writer(
        "fmp4", tmp_path, video=VIDEO, audio=AUDIO, movflags="frag_keyframe+empty_moov+separate_moof+default_base_moof"
    )
    written.write_until(0.9)
    data = written.path.read_bytes()
    file = read(GrowingFile("f", FileEnd("e", "")), data)
    assert segments(file)
    fragments = [at for at in range(len(data)) if data[at + 4 : at + 8] == b"moof"]
    assert file.next_number in fragments
    assert fragments.index(file.next_number) % 2 == 0  # those of video and audio alternate


def test_track_that_has_ended_does_not_stop_the_others(tmp_path: Path) -> None:
    short = AudioPart(seconds=Fraction(4))
    flags = "frag_keyframe+empty_moov+separate_moof+default_base_moof"
    written = writer("fmp4", tmp_path, video=VIDEO, audio=short, movflags=flags)
    written.write_until(0.9)
    file = read(GrowingFile("f", FileEnd("e", "")), written.path.read_bytes())
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
    file = read(GrowingFile("f", FileEnd("e", "")), bytes(unknown))
    assert file.next_number == places[-1]


def test_large_file_is_read_in_looks() -> None:
    size, source, file = 10_000 * LargeFile.UNIT + 188, LargeFile(), GrowingFile("f", FileEnd("e", ""))
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
    assert {each.seconds for each in found[:80]} == {4}


@pytest.mark.parametrize("growing", ["mkv"], indirect=True)
@pytest.mark.parametrize("element", [b"\xec\x80", b"\xec\x40\xff" + bytes(255), b"\xa3\x10\x01\x00\x00"])
def test_cluster_without_an_end_is_not_read_for_ever(growing: tuple[str, bytes], element: bytes) -> None:
    _, data = growing
    whole = read(GrowingFile("f", FileEnd("e", "")), data)
    start = data.index(b"\x1f\x43\xb6\x75")
    head = data[:start] + b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7 + b"\xe7\x81\x00"
    source, file = CountedBytes(head, element), GrowingFile("f", FileEnd("e", ""))
    file.read(source, 1 << 40)
    assert (file.next_number, file.is_behind, file.take(0)) == (0, False, [])
    assert source.bytes_read < 70_000_000
    assert whole.next_number > len(head)


def parts(file: GrowingFile, number: int = 0) -> list[tuple[int, int, int]]:
    """Return the part of the file, the begin and the end of each piece."""
    ranges = [(each.discontinuity, each.data.offset, each.data.length or 0) for each in segments(file, number)]
    return [(part, offset, offset + length) for part, offset, length in ranges]


@pytest.mark.parametrize("growing", ["ts"], indirect=True)
@pytest.mark.parametrize("cut_seconds", [0, 0.4])
def test_clock_that_jumps_begins_another_part(growing: tuple[str, bytes], cut_seconds: float) -> None:
    """The writer was started again, maybe after it was killed; the other clock is another engine's at some lengths."""
    _, data = growing
    first = data[: len(data) // 188 * 188 - round(cut_seconds * 100) * 188]
    both = first + data
    whole = read(GrowingFile("f", FileEnd("e", "")), both)
    assert not whole.jumps
    found = parts(whole)
    assert [part for part, _, _ in found] == sorted(part for part, _, _ in found)
    assert {part for part, _, _ in found} == {0, 1}
    assert [(begin, end) for _, begin, end in found] == [
        (begin, end) for begin, end in pairwise([0, *(end for _, _, end in found)])
    ]
    (border,) = {begin for part, begin, _ in found if part} & {end for part, _, end in found if not part}
    assert len(first) - 3 * 188 <= border <= len(first)  # tables before it are of either part
    for size in range(len(first) - 20_000, len(first) + 60_000, 4_000):
        taken = read(GrowingFile("f", FileEnd("e", "")), both[:size])
        assert taken.next_number <= border or len(first) + 4_000 < taken.next_number  # a second, at least
        other = GrowingFile("f", taken.end, offset=taken.next_number)
        read(other, both)
        assert other.end == whole.end
        seen = parts(taken) + parts(other, taken.next_number)
        assert {(part, begin < border) for part, begin, _ in seen} == {(0, True), (1, False)}
        assert border in {begin for _, begin, _ in seen}


@pytest.mark.parametrize("seconds_before", [0.9, 0.1, 0, -0.1])
def test_jump_of_the_clock_at_the_border_of_a_look_is_followed(seconds_before: float) -> None:
    first_look = 3600  # units
    jump = first_look - round(seconds_before * 10)
    size, source, file = (first_look + 100) * LargeFile.UNIT + 188, LargeFile(jump), GrowingFile("f", FileEnd("e", ""))
    file.read(source, size)
    assert (file.is_behind, file.end.part) == (True, 0)
    assert first_look - 10 <= file.next_number // LargeFile.UNIT < first_look
    found = parts(file)
    other = GrowingFile("f", file.end, offset=file.next_number)
    for each in (file, other):
        begin = each.next_number
        each.forget(begin)
        each.read(source, size)
        assert (each.is_behind, each.jumps, each.next_number, each.end.part) == (False, False, size, 1)
        again = found + parts(each, begin)
        assert [begin for _, begin, _ in again] == [0, *(end for _, _, end in again[:-1])]
        assert {(part, begin < jump * LargeFile.UNIT) for part, begin, _ in again} == {(0, True), (1, False)}


@pytest.mark.parametrize("growing", ["ts"], indirect=True)
@pytest.mark.parametrize("packets", [30, 100])
def test_look_may_end_anywhere_at_a_jump(
    growing: tuple[str, bytes], packets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends within the search for the first packet of the clock, too, and while units of the other part are held."""
    _, data = growing
    both = data[: len(data) // 188 * 188] + data
    whole = read(GrowingFile("f", FileEnd("e", "")), both)
    border = min(begin for part, begin, _ in parts(whole) if part)
    before = read(GrowingFile("f", FileEnd("e", "")), both[: border - 30_000])
    monkeypatch.setattr(ts_clock, "_BLOCK_BYTES", packets * 188)
    ends = set()
    for look in range(0, 600_000, 6_000):
        file = GrowingFile("f", before.end, offset=before.next_number)
        with monkeypatch.context() as limited:
            limited.setattr(growing_file, "_LOOK_BYTES", look)
            read(file, both)
        begin = file.next_number
        assert file.is_behind or begin in (before.next_number, whole.next_number)
        ends.add(begin)
        found = parts(file, before.next_number)
        file.forget(begin)
        for each in (file, GrowingFile("f", file.end, offset=begin)):
            read(each, both)
            assert each.end == whole.end
            again = found + parts(each, begin)
            assert [offset for _, offset, _ in again] == [before.next_number, *(end for _, _, end in again[:-1])]
            assert {(part, offset < border) for part, offset, _ in again} == {(0, True), (1, False)}
    assert border in ends
    assert min(ends) < border < max(ends)


@pytest.mark.parametrize(
    ("jump", "seconds"), [(45, [4.5]), (50, [5]), (51, [4, 1.1]), (85, [4, 4.5]), (95, [4, 4, 1.5])]
)
def test_last_piece_of_a_part_is_not_short(jump: int, seconds: list[float]) -> None:
    file, size = GrowingFile("f", FileEnd("e", "")), (jump + 30) * LargeFile.UNIT + 188
    file.read(LargeFile(jump), size)
    found = segments(file)
    assert [float(each.seconds) for each in found if each.discontinuity == 0] == seconds
    assert sum(float(each.seconds) for each in found if each.discontinuity == 1) == 3
    assert file.taken_seconds == sum((each.seconds for each in found), Fraction(0))
    check_contiguous(found, 0, size)


def test_parts_of_a_file_are_limited() -> None:
    def packet(seconds: int) -> bytes:
        return (b"\x47\x01\x00\x30\x07\x10" + (seconds * 90_000 << 7).to_bytes(5, "big")).ljust(188, b"\xff")

    file = read(GrowingFile("f", FileEnd("e", "")), (packet(0) + packet(2)) * (MAX_RUNS + 10))
    assert file.jumps
    assert file.next_number == MAX_RUNS * 2 * 188
    assert [part for part, _, _ in parts(file)] == [*range(MAX_RUNS)]


@pytest.mark.parametrize("growing", ["ts"], indirect=True)
@pytest.mark.parametrize("packets", [10_000, 60], ids=["for good", "in turns"])
def test_clock_that_is_not_that_of_the_streams_ends_what_can_be_read(growing: tuple[str, bytes], packets: int) -> None:
    """The clock references jump, and the timestamps of the packets do not."""
    _, data = growing
    changed = bytearray(data[: len(data) // 188 * 188])
    half = len(changed) // 376
    for number in range(half, len(changed) // 188):
        at = number * 188
        is_other = (number - half) // packets % 2 == 0
        if is_other and changed[at + 3] & 0x20 and changed[at + 4] >= 7 and changed[at + 5] & 0x10:
            changed[at + 6] = 0x40
    file = read(GrowingFile("f", FileEnd("e", "")), bytes(changed))
    assert file.jumps
    assert abs(half * 188 - file.next_number) < 20_000


def test_plain_mp4_is_refused(tmp_path: Path) -> None:
    written = writer("fmp4", tmp_path, video=VIDEO, audio=AUDIO, movflags="disable_chpl")
    written.write_until(0.5)
    with pytest.raises(RecordingNotReady):
        read(GrowingFile("f", FileEnd("e", "")), written.path.read_bytes())
    written.write_until(1)
    assert not read(GrowingFile("f", FileEnd("e", "")), written.path.read_bytes()).grows


@pytest.mark.parametrize("data", [b"", b"RIFF" + bytes(500), b"\x1a\x45\xdf\xa3" + bytes(500), bytes(5000)])
def test_other_files_do_not_grow(data: bytes) -> None:
    try:
        assert not read(GrowingFile("f", FileEnd("e", "")), data).grows
    except RecordingTruncated:
        assert len(data) < 1000
