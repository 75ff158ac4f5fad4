"""The simulation of encoders on many cores (`scripts.benchmarks.schedule`), against times computed by hand."""

from __future__ import annotations

import pytest

from scripts.benchmarks.schedule import Costs, rows_behind, wall_seconds

_FRAMES = 120
_CHAIN = [[], *([number - 1] for number in range(1, _FRAMES))]  # each frame refers to the one before
_COSTS = Costs(
    threads=4, demuxer=1, decoder=8, main=3, lookahead=0.5, lookahead_slices=4, encoder=17, verifier=2
)  # milliseconds


def _wall(costs: Costs, *, cores: int, segments: int = 1, preroll: int = 0) -> float:
    return wall_seconds(costs, _CHAIN, height=1080, cores=cores, segments=segments, preroll=preroll)


def test_one_core_takes_the_sum_of_all_costs() -> None:
    assert _wall(_COSTS, cores=1, preroll=10) == pytest.approx(_COSTS.total * _FRAMES + 90)


def test_time_is_never_less_than_the_cores_and_the_busiest_thread_need() -> None:
    for cores in (2, 4, 8, 64):
        wall = _wall(_COSTS, cores=cores)
        assert wall >= max(_COSTS.total / cores, _COSTS.busiest(1080)[1]) * _FRAMES
    assert _wall(_COSTS, cores=2) < 1.1 * _COSTS.total / 2 * _FRAMES


def test_frame_threads_follow_their_reference_by_the_rows_that_x264_waits_for() -> None:
    encoder = Costs(threads=32, demuxer=0, decoder=0, main=0, lookahead=0, lookahead_slices=0, encoder=68, verifier=0)
    assert rows_behind(32, 1080) == 3
    assert _wall(encoder, cores=64) == pytest.approx(3 * (_FRAMES - 1) + 68)  # a millisecond per row
    assert rows_behind(4, 1080) == 7


def test_segments_side_by_side_divide_the_time_of_the_serial_threads() -> None:
    serial = Costs(threads=2, demuxer=0, decoder=0, main=10, lookahead=0, lookahead_slices=0, encoder=0, verifier=0)
    assert _wall(serial, cores=8) == pytest.approx(10 * _FRAMES)
    assert _wall(serial, cores=8, segments=4) == pytest.approx(10 * _FRAMES / 4)
