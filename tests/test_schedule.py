"""The simulation of encoders on many cores (`scripts.benchmarks.schedule`), against times computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.benchmarks.schedule import Costs, Way, rows_behind, wall_seconds

_FRAMES = 120
_CHAIN = [[], *([number - 1] for number in range(1, _FRAMES))]  # each frame refers to the one before
_COSTS = Costs(
    demuxer=1, decoder=8, main=1, audio=1, input=2, lookahead=0.5, lookahead_slices=4, encoder=17, verifier=2
)  # milliseconds
_NOTHING = Costs(demuxer=0, decoder=0, main=0, audio=0, input=0, lookahead=0, lookahead_slices=0, encoder=0, verifier=0)
_SEGMENTS = Way(threads=16, encoders=2, frames=20, verifiers=2)


def _wall(costs: Costs, way: Way = Way(threads=4), *, cores: int) -> float:
    return wall_seconds(costs, _CHAIN, way, height=1080, cores=cores)


@pytest.mark.parametrize("way", [Way(threads=4), _SEGMENTS])
def test_one_core_takes_the_sum_of_all_costs(way: Way) -> None:
    assert _wall(_COSTS, way, cores=1) == pytest.approx(_COSTS.total * _FRAMES)


@pytest.mark.parametrize("way", [Way(threads=4), _SEGMENTS])
def test_time_is_never_less_than_the_cores_and_the_busiest_thread_need(way: Way) -> None:
    for cores in (2, 4, 8, 64):
        wall = _wall(_COSTS, way, cores=cores)
        assert wall >= max(_COSTS.total / cores, _COSTS.busiest(way, 1080)[1]) * _FRAMES
    assert _wall(_COSTS, way, cores=2) < 1.1 * _COSTS.total / 2 * _FRAMES


def test_frame_threads_follow_their_reference_by_the_rows_that_x264_waits_for() -> None:
    encoder = replace(_NOTHING, encoder=68)
    assert rows_behind(32, 1080) == 3
    assert _wall(encoder, Way(threads=32), cores=64) == pytest.approx(3 * (_FRAMES - 1) + 68)  # a millisecond per row
    assert rows_behind(4, 1080) == 7


def test_encoders_side_by_side_divide_the_work_of_the_thread_that_calls_x264() -> None:
    called = replace(_NOTHING, main=1, input=9)
    alone = _wall(called, cores=8)
    assert alone == pytest.approx(10 * _FRAMES)
    beside = _wall(called, replace(_SEGMENTS, frames=10), cores=8)
    assert 9 * _FRAMES / 2 <= beside < 0.6 * alone


def test_threads_of_the_verifier_divide_its_work() -> None:
    verified = replace(_NOTHING, verifier=8)
    assert _wall(verified, cores=8) == pytest.approx(8 * _FRAMES)
    assert _wall(verified, Way(threads=8, verifiers=2), cores=8) == pytest.approx(4 * _FRAMES, rel=0.05)
