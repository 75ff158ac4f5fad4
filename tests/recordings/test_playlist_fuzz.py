"""Hostile playlists end in a code."""

from __future__ import annotations

from random import Random

import pytest

from scripts.fuzzing.playlists import mutants, outcome


@pytest.mark.parametrize("count", [300, pytest.param(5_000, marks=pytest.mark.exhaustive)])
def test_mutated_playlist_is_read_or_refused_with_a_code(count: int) -> None:
    outcomes = [outcome(data, Random(number)) for number, data in enumerate(mutants(count, seed=7))]
    assert {"read", "playlist_invalid", "playlist_outside"} <= set(outcomes)
