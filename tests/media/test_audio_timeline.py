"""Audio on the clip's timeline: jitter is no gap, a gap is filled, drift is followed."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import pytest

from clipengine.media.audio.timeline import AudioTimeline

_RATE = 48_000
_FRAME = 960  # samples: 20 ms
_MS = _RATE // 1000


def _frame(number: int) -> av.AudioFrame:
    """Return a frame whose samples are their own places in the stream, counted from 1."""
    samples = np.arange(number * _FRAME + 1, (number + 1) * _FRAME + 1, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
    frame.sample_rate = _RATE
    return frame


def _laid(
    times: Iterable[int], seconds: Fraction = Fraction(2), origin: Fraction = Fraction(0)
) -> tuple[npt.NDArray[np.float32], AudioTimeline]:
    """Lay frames with timestamps in ms; return the samples of the clip, 0 where it is silent."""
    timeline = AudioTimeline(format="fltp", layout="mono", rate=_RATE, origin=origin, end=origin + seconds)
    pieces = []
    for number, time in enumerate(times):
        pieces += [each.to_ndarray()[0] for each in timeline.feed(_frame(number), Fraction(time, 1000))]
    pieces += [each.to_ndarray()[0] for each in timeline.finish(resumes=False)]
    return np.concatenate(pieces), timeline


def _continuous(count: int) -> npt.NDArray[np.float32]:
    return np.arange(1, count + 1, dtype=np.float32)


def test_late_blocks_are_not_a_gap() -> None:
    late = {30: 25, 31: 12, 50: 40, 77: 15}
    laid, timeline = _laid(20 * n + late.get(n, 0) for n in range(100))
    assert np.array_equal(laid, _continuous(2 * _RATE))
    assert timeline.filled_samples == 0


def test_early_blocks_are_not_an_overlap() -> None:
    laid, _ = _laid(20 * n - (23 if n in (40, 41) else 0) for n in range(100))
    assert np.array_equal(laid, _continuous(2 * _RATE))


def test_blocks_that_alternate_by_more_than_10_ms_are_not_a_gap() -> None:
    """They are moved once, to the middle."""
    laid, timeline = _laid((20 * n + (n // 9 % 2) * 21 for n in range(200)), Fraction(4))
    assert timeline.filled_samples <= 11 * _MS
    assert np.all(np.diff(laid[laid > 0]) == 1)


@pytest.mark.parametrize("direction", [1, -1], ids=["slow clock", "fast clock"])
def test_clock_that_drifts_is_followed(direction: int) -> None:
    """A clock that is 1 % off moves the timestamps by 100 ms in 10 s; the sound stays within 5 ms."""
    times = [20 * n + direction * (n // 5) for n in range(520)]
    laid, _ = _laid(times, Fraction(times[500], 1000))
    shown = {int(sample): place for place, sample in enumerate(laid) if sample}
    off = [shown[n * _FRAME + _FRAME // 2] / _MS - (times[n] + 10) for n in range(20, 499)]
    assert max(map(abs, off)) < 5


def test_gap_is_filled_with_silence_of_its_length() -> None:
    laid, timeline = _laid((20 * n + (n >= 30) * 500 for n in range(70)), Fraction(19, 10))
    gap = slice(30 * _FRAME, 30 * _FRAME + 500 * _MS)
    assert not laid[gap].any()
    assert np.array_equal(np.delete(laid, np.r_[gap]), _continuous(70 * _FRAME))
    assert timeline.filled_samples == 500 * _MS


def test_consecutive_gaps_are_each_filled() -> None:
    """One packet in ten is lost: each gap is confirmed although the next one moves the timestamps again."""
    heard = [n for n in range(100) if n % 10 != 9]
    laid, timeline = _laid((20 * n for n in heard), Fraction(197, 100))
    assert timeline.filled_samples == 9 * _FRAME
    for number, place in enumerate(heard[:-1]):
        assert laid[place * _FRAME] == number * _FRAME + 1


def test_gap_in_a_track_that_jitters_is_filled() -> None:
    jitter = [0, 15, -13, 5, 0, -6, 12, 0, 3, -4]
    laid, timeline = _laid((20 * n + jitter[n % 10] + (n >= 50) * 300 for n in range(100)), Fraction(21, 10))
    assert abs(timeline.filled_samples - 300 * _MS) <= 3 * _MS
    after = laid[50 * _FRAME + 600 * _MS]
    assert abs(after - (50 * _FRAME + 300 * _MS)) <= 3 * _MS


def test_late_block_shortly_before_a_gap_does_not_move_the_gap() -> None:
    laid, timeline = _laid((20 * n + (24 if n == 20 else 0) + (n >= 30) * 500 for n in range(70)), Fraction(19, 10))
    assert timeline.filled_samples == 500 * _MS
    assert laid[30 * _FRAME - 1] == 30 * _FRAME
    assert laid[30 * _FRAME + 500 * _MS] == 30 * _FRAME + 1


def test_gap_right_before_the_end_is_filled() -> None:
    laid, timeline = _laid((20 * n + (n >= 48) * 60 for n in range(50)), Fraction(106, 100))
    assert timeline.filled_samples == 60 * _MS
    assert laid[-1] == 50 * _FRAME


def test_late_last_block_of_a_jittering_track_is_not_a_gap() -> None:
    laid, timeline = _laid((20 * n + (25 if n in (20, 49) else 0) for n in range(50)), Fraction(1))
    assert np.array_equal(laid, _continuous(_RATE))
    assert timeline.filled_samples == 0


def test_clip_from_the_middle_has_the_same_samples_as_one_from_the_start() -> None:
    """The first packet that is decoded for it is one of those that are stamped late."""
    late = {40: 24, 41: 13, 60: 30, 75: 18}
    times = [20 * n + late.get(n, 0) for n in range(120)]
    laid, _ = _laid(times[:100])
    timeline = AudioTimeline(format="fltp", layout="mono", rate=_RATE, origin=Fraction(1), end=Fraction(2))
    pieces = [p for n in range(40, 110) for p in timeline.feed(_frame(n), Fraction(times[n], 1000))]
    pieces += timeline.finish(resumes=True)
    middle = np.concatenate([piece.to_ndarray()[0] for piece in pieces])
    assert np.array_equal(middle, laid[_RATE : 2 * _RATE])


def test_start_is_derived_from_later_frames() -> None:
    for late in (9, 30, 80):
        laid, timeline = _laid(20 * n + (n == 0) * late for n in range(100))
        assert laid[0] == 1
        assert timeline.filled_samples == 0


def test_timestamps_in_steps_of_a_video_frame_are_no_gap_and_stay_in_sync() -> None:
    """FLV from some encoders: audio is stamped with the time of the video frame before it."""
    times = [n * 20 // 33 * 33 for n in range(200)]
    laid, timeline = _laid(times, Fraction(4))
    assert timeline.filled_samples == 0
    for first in (0, 37, 61, 90):
        origin = Fraction(first * 20 + 500, 1000)
        part = AudioTimeline(format="fltp", layout="mono", rate=_RATE, origin=origin, end=origin + 1)
        pieces = [p for n in range(first, 190) for p in part.feed(_frame(n), Fraction(times[n], 1000))]
        pieces += part.finish(resumes=True)
        samples = np.concatenate([piece.to_ndarray()[0] for piece in pieces])
        off = samples[1000] - laid[round(origin * _RATE) + 1000]
        assert abs(off) < 3 * _MS
        assert np.array_equal(np.diff(samples[: _RATE - 1]), np.ones(_RATE - 2))


def test_number_of_pending_frames_is_limited() -> None:
    timeline = AudioTimeline(format="fltp", layout="mono", rate=_RATE, origin=Fraction(0), end=Fraction(60))
    samples = np.ones((1, 1), np.float32)
    for number in range(6000):
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = _RATE
        list(timeline.feed(frame, Fraction(number, _RATE) + (number >= 3000)))
    assert timeline.audio_end > 1
