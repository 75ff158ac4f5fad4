"""How much of a recording is read for a clip: the index, the packets that the clip needs, and little else."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.clips.cut_range import CutRange
from clipengine.errors import ObjectChanged
from clipengine.media.input.containers import kept_source
from clipengine.media.input.containers.cached_reader import BLOCK_BYTES, ByteSource, DescriptorSource, MediaReader
from clipengine.media.input.containers.kept_source import KeptBytes, KeptSource
from clipengine.media.input.seeking.seek import Seeker
from clipengine.media.probe import ProbeResult, probe
from tests.support.reading import FORMS, CountingSource, MemorySource, ideal, make
from tests.support.selection import cases

_SECONDS = 60
_START, _END = Fraction(281, 10), Fraction(431, 10)


# stream index, time, bytes
Read = list[tuple[int, Fraction, bytes]]


def _read_clip(
    source: ByteSource, probed: ProbeResult, start: Fraction = _START, end: Fraction = _END, *, seek_index: bool = True
) -> Read:
    """Read what a clip needs, without decoding it: from the keyframe on, in file order."""
    facts = probed.facts
    assert facts.video is not None
    cut = CutRange(start, end, frame_seconds=facts.video.frame_seconds, tick=facts.video.tick)
    with (
        MediaReader(source) as reader,
        Seeker(
            reader,
            facts,
            cut,
            video=True,
            audio=[track.index for track in facts.audio],
            seek_index=probed.seek_index if seek_index else None,
        ) as seeker,
    ):
        seeker.seek()
        return [(each.packet.stream_index, each.time, bytes(each.packet)) for each in seeker.packets()]


@pytest.mark.parametrize("form", cases(FORMS, ("mp4", "mp4_fragments_sidx", "mkv", "ts")))
@pytest.mark.typical(1)
def test_only_the_index_and_needed_packets_are_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"recording.{FORMS[form].extension}"
    make(path, form, _SECONDS)
    least = ideal(path, _START, _END).total
    with path.open("rb") as file:
        from_start = CountingSource(DescriptorSource(file.fileno()))
        probed = probe(from_start)
        assert from_start.bytes_read < from_start.size * (0.3 if FORMS[form].indexed else 1.05)
        source = CountingSource(DescriptorSource(file.fileno()))
        read = _read_clip(source, probed)
        plain = _read_clip(DescriptorSource(file.fileno()), probed, seek_index=False)
    assert read == plain
    assert least < source.bytes_read <= FORMS[form].bound * least, source.reads
    assert len(set(source.reads)) == len(source.reads) < 80


@pytest.mark.parametrize("form", ["mp4", "ts", "flv"])
@pytest.mark.exhaustive
def test_clip_from_a_keyframe_does_not_read_the_previous_gop(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"recording.{FORMS[form].extension}"
    make(path, form, 40)
    start, end = Fraction(2003, 100), Fraction(29)  # the keyframe is at 20.00 or 20.02
    least = ideal(path, start, end).total
    with path.open("rb") as file:
        probed = probe(DescriptorSource(file.fileno()))
        source = CountingSource(DescriptorSource(file.fileno()))
        read = _read_clip(source, probed, start, end)
    pictures, sound = ([time for stream, time, _ in read if stream == index] for index in (0, 1))
    assert 20 <= min(pictures) <= start
    assert Fraction(1, 4) < start - min(sound) < Fraction(7, 10)
    assert source.bytes_read < least + 1_900_000  # a head, and little before the keyframe; the group has 2 600 000


@pytest.mark.exhaustive
def test_seek_points_give_the_same_packets_as_reading_from_the_start(tmp_path: Path) -> None:
    """Of a stream whose clock jumps twice, so that nothing in it can be found by time."""
    path, part = tmp_path / "joined.ts", tmp_path / "part.ts"
    with path.open("wb") as joined:
        for offset in (0, 5000, 70):
            make(part, "ts", 20, offset=offset)
            joined.write(part.read_bytes())
    with path.open("rb") as file:
        probed = probe(DescriptorSource(file.fileno()))
        assert not probed.facts.seekable
        assert probed.seek_index is not None
        assert set(probed.seek_index.parts) == {0, 1, 2}
        for start in range(3, 58, 5):
            wanted = Fraction(start), Fraction(2 * start + 3, 2)
            source = CountingSource(DescriptorSource(file.fileno()))
            read = _read_clip(source, probed, *wanted)
            assert read == _read_clip(DescriptorSource(file.fileno()), probed, *wanted, seek_index=False)
        assert source.bytes_read < source.size / 3


def test_stale_seek_point_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "recording.mkv"
    make(path, "mkv_live", 20)
    with path.open("rb") as file:
        probed = probe(DescriptorSource(file.fileno()))
        assert probed.seek_index is not None
        wrong = probed.seek_index.model_copy(update={"stamps": tuple(stamp - 40 for stamp in probed.seek_index.stamps)})
        source = DescriptorSource(file.fileno())
        span = Fraction(12), Fraction(14)
        assert _read_clip(source, probed._replace(seek_index=wrong), *span) == _read_clip(source, probed, *span)


# ---- the reader by itself

_DATA = bytes(range(256)) * 64 * 1024


def test_announced_bytes_are_prefetched_up_to_one_request() -> None:
    source = CountingSource(MemorySource(_DATA))
    with MediaReader(source) as reader:
        reader.expect([(100_000, 6_000_000)])
        reader.seek(100_000)
        assert reader.read(10) == _DATA[100_000:100_010]
    assert len(source.reads) == 2  # the second began by itself
    asked = max(offset + length for offset, length in source.reads)
    assert 200_000 < asked < 6_000_000
    with MediaReader(source) as reader:
        reader.expect([(100_000, 6_000_000)])
        for offset in range(100_000, 6_000_000, 50_000):
            reader.seek(offset)
            assert reader.read(50_000) == _DATA[offset : offset + 50_000]
        assert 5_900_000 <= reader.bytes_read <= 5_900_000 + 2 * BLOCK_BYTES


def test_random_reads_fetch_single_blocks() -> None:
    source = CountingSource(MemorySource(_DATA))
    with MediaReader(source) as reader:
        for offset in range(0, len(_DATA), 1_000_000):
            reader.seek(offset)
            assert reader.read(100) == _DATA[offset : offset + 100]
    assert source.bytes_read == len(source.reads) * BLOCK_BYTES


def test_released_reader_stops_reading_ahead() -> None:
    others = set(threading.enumerate())
    source = CountingSource(MemorySource(_DATA))
    with MediaReader(source) as reader:
        reader.expect([(0, len(_DATA))])
        reader.read(10)
    assert set(threading.enumerate()) <= others
    assert len(source.reads) <= 2


def test_cache_is_bounded() -> None:
    with MediaReader(CountingSource(MemorySource(_DATA)), cached_bytes=1024 * 1024) as reader:
        reader.expect([(0, len(_DATA))])
        while reader.read(70_000):
            held = sum(map(len, reader._blocks.values()))
            assert held <= 1024 * 1024


def test_prefetch_error_is_raised_when_the_bytes_are_needed() -> None:
    class Changing(MemorySource):
        def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
            if offset >= 200_000:
                raise ObjectChanged("replaced")
            return super().read_at(offset, length)

    with MediaReader(Changing(_DATA)) as reader:
        reader.expect([(0, 1_000_000)])
        assert reader.read(100) == _DATA[:100]
        assert reader.read(100) == _DATA[100:200]
        assert reader.error is None
        reader.seek(400_000)
        with pytest.raises(ObjectChanged):
            reader.read(10)
        assert isinstance(reader.error, ObjectChanged)


def test_kept_bytes_are_read_once() -> None:
    counting, kept = CountingSource(MemorySource(_DATA)), KeptBytes()
    source = KeptSource(counting, kept)
    for offset, length in ((1000, 500), (3000, 10), (0, 4000), (0, 4000), (3990, 100)):
        assert source.read_at(offset, length) == _DATA[offset : offset + length]
    assert counting.bytes_read == source.bytes_read == 4090
    kept.close()
    for _ in range(2):
        assert source.read_at(4000, 200) == _DATA[4000:4200]
    assert source.bytes_read == 4090 + 2 * 110
    assert source.read_at(len(_DATA) - 5, 100) == _DATA[-5:]


def test_kept_bytes_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_source, "MAX_KEPT_BYTES", 1000)
    kept = KeptBytes()
    first, second = (KeptSource(MemorySource(_DATA), kept) for _ in range(2))
    for source in (first, second, first, second):
        source.read_at(0, 600)
    assert kept.is_spent
    assert (first.bytes_read, second.bytes_read) == (600, 1200)
