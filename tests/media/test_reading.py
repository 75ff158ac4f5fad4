"""How much of a recording is read for a clip: the index, the packets that the clip needs, and little else."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.clips.facts import SourceFacts
from clipengine.clips.plan import CutRange
from clipengine.errors import ObjectChanged
from clipengine.media.landing import Landing
from clipengine.media.probe import probe
from clipengine.media.source import BLOCK_BYTES, DescriptorSource, MediaReader
from tests.support.reading import FORMS, CountingSource, MemorySource, ideal, make

_THREADS = threading.active_count()
_SECONDS = 60
_START, _END = Fraction(281, 10), Fraction(431, 10)


def _read_clip(source: CountingSource, facts: SourceFacts, start: Fraction = _START, end: Fraction = _END) -> int:
    """Read what a clip needs, without decoding it; how many packets that were."""
    assert facts.video is not None
    cut = CutRange(start, end, frame_seconds=facts.video.frame_seconds, tick=facts.video.tick)
    with (
        MediaReader(source) as reader,
        Landing(reader, facts, cut, video=True, audio=[track.index for track in facts.audio]) as landing,
    ):
        landing.land()
        return sum(1 for _ in landing.packets())


@pytest.mark.parametrize("form", ["mp4", "mp4_index_first"])
def test_no_more_is_read_than_the_index_and_what_the_clip_needs(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"recording.{FORMS[form][0]}"
    make(path, form, _SECONDS)
    least = ideal(path, _START, _END).total
    with path.open("rb") as file:
        probed = CountingSource(DescriptorSource(file.fileno()))
        facts = probe(probed)[0]
        assert probed.bytes_read < probed.size / 4
        source = CountingSource(DescriptorSource(file.fileno()))
        assert _read_clip(source, facts) > (_END - _START) * 70
    assert least < source.bytes_read <= 1.05 * least, source.reads
    assert len(set(source.reads)) == len(source.reads) < 80


# ---- the reader by itself

_DATA = bytes(range(256)) * 64 * 1024


def test_expected_bytes_come_before_they_are_asked_for_and_no_farther_than_needed() -> None:
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


def test_unexpected_places_cost_what_was_asked_for() -> None:
    source = CountingSource(MemorySource(_DATA))
    with MediaReader(source) as reader:
        for offset in range(0, len(_DATA), 1_000_000):
            reader.seek(offset)
            assert reader.read(100) == _DATA[offset : offset + 100]
    assert source.bytes_read == len(source.reads) * BLOCK_BYTES


def test_a_reader_that_is_released_reads_no_more() -> None:
    source = CountingSource(MemorySource(_DATA))
    with MediaReader(source) as reader:
        reader.expect([(0, len(_DATA))])
        reader.read(10)
    assert threading.active_count() == _THREADS
    assert len(source.reads) <= 2


def test_memory_is_bounded() -> None:
    with MediaReader(CountingSource(MemorySource(_DATA)), cached_bytes=1024 * 1024) as reader:
        reader.expect([(0, len(_DATA))])
        while reader.read(70_000):
            held = sum(map(len, reader._blocks.values()))
            assert held <= 1024 * 1024


def test_an_error_of_what_was_read_ahead_is_raised_where_it_is_needed() -> None:
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
