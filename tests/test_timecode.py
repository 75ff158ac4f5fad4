"""Times as people write them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from clipengine.basis.timecode import parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(".8", "0.8"), ("90", "90"), ("90.25", "90.25"), ("1:02.5", "62.5"), ("1:02:03.5", "3723.5"), ("1:.5", "60.5")],
)
def test_time_is_parsed_exactly(text: str, seconds: str) -> None:
    assert parse_time(text) == Fraction(seconds)


@pytest.mark.parametrize("text", ["", ".", "1.", "1:", "-1", "1:60", "1:60:00", "8.8.8", "1e3"])
def test_other_text_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text)
