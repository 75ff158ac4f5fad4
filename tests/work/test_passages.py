"""Passages end where nobody speaks."""

from __future__ import annotations

import array

import pytest

from clipengine.errors import DecoderCrashed
from clipengine.work.transcribers.passages import MAX_SECONDS, _samples, is_silent, silent_end
from tests.support.speech import RATE


def sound(seconds: int, *quieter: tuple[float, float, int]) -> array.array[int]:
    """Return samples at half of the full level, and lower in these ranges of seconds."""
    samples = array.array("h", [16_000, -16_000]) * (seconds * RATE // 2)
    for start, end, level in quieter:
        for first in range(round(start * RATE), round(end * RATE)):
            samples[first] = level
    return samples


def test_passage_ends_in_the_middle_of_the_longest_silence_near_its_end() -> None:
    samples = sound(MAX_SECONDS, (20, 30, 0), (92, 94, 0), (100, 103, 0), (119, 119.4, 0))
    assert silent_end(samples) / RATE == pytest.approx(101.5, abs=0.05)


def test_a_killed_engine_loses_two_minutes_of_sound_at_most() -> None:
    assert MAX_SECONDS <= 120


def test_background_noise_is_silence() -> None:
    assert silent_end(sound(200, (180, 182, 400))) / RATE == pytest.approx(181, abs=0.05)


def test_passage_without_silence_ends_where_it_is_quietest() -> None:
    assert silent_end(sound(200, (180, 181, 4000), (190, 191, 9000))) / RATE == pytest.approx(180.5, abs=0.5)
    assert silent_end(sound(200)) / RATE == pytest.approx(200, abs=0.5)


def test_passage_without_any_sound_is_silent() -> None:
    assert is_silent(array.array("h"))
    assert is_silent(array.array("h", [50, -50] * RATE))
    assert not is_silent(array.array("h", [0, -400] * RATE))


def test_number_of_samples_is_that_of_the_range() -> None:
    assert list(_samples(b"\1\0\2\0", 3)) == [1, 2, 0]
    assert list(_samples(b"\1\0\2\0", 1)) == [1]
    for data in (b"\1", bytes(2 * RATE + 4)):
        with pytest.raises(DecoderCrashed):
            _samples(data, 1)
