"""The pieces of previews that are made ahead."""

from __future__ import annotations

from itertools import pairwise

import pytest

from clipengine.clips.plan.preview_pyramid import Piece, coarse_filmstrips, whole_waveform


@pytest.mark.parametrize(
    ("duration", "films", "waves"),
    [
        (6.0, [Piece(0, None, 6)], [Piece(0, None, 768)]),
        (128.0, [Piece(0, None, 8), Piece(0, 64, 8), Piece(64, None, 8)], [Piece(0, None, 1024)]),
        (129.0, [Piece(0, None, 5), Piece(0, 128, 8), Piece(128, None, 1)], [Piece(0, None, 516)]),
    ],
)
def test_short_recording_has_few_pieces(duration: float, films: list[Piece], waves: list[Piece]) -> None:
    assert list(coarse_filmstrips(duration))[: len(films)] == films
    assert list(whole_waveform(duration)) == waves


@pytest.mark.parametrize("duration", [0.04, 6.0, 1024.0, 1024.000001, 7200.033333, 86_400.5, 3e6])
def test_pieces_of_a_level_cover_the_recording(duration: float) -> None:
    films, waves = list(coarse_filmstrips(duration)), list(whole_waveform(duration))
    assert len(films) <= 31
    assert len(waves) <= 64
    for first, second in pairwise([*films, *waves]):
        assert (second.start == first.end) if first.end is not None else second.start == 0
    assert films[0].start == 0
    assert films[-1].end is None
    assert all(1 <= piece.parts <= 8 for piece in films)
    assert all(1 <= piece.parts <= 1024 for piece in waves)
