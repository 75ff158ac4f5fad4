"""The seek index: which keyframe a cut starts reading at."""

from __future__ import annotations

from fractions import Fraction

import pytest
from pydantic import ValidationError

from clipengine.recordings.seek_index import KeyframeIndex

F = Fraction


def index(stamps: list[int], parts: list[int] | None = None, shifts: tuple[Fraction, ...] = (F(0),)) -> KeyframeIndex:
    """Return an index with a keyframe at each stamp, in milliseconds, a megabyte apart."""
    return KeyframeIndex(
        tick=F(1, 1000),
        shifts=shifts,
        head_bytes=100,
        exact=True,
        offsets=tuple(number * 1_000_000 for number in range(len(stamps))),
        stamps=tuple(stamps),
        parts=tuple(parts or [0] * len(stamps)),
    )


@pytest.mark.parametrize(("time", "offset"), [("0", 0), ("1.999", 0), ("2", 1_000_000), ("99", 2_000_000)])
def test_last_seek_point_before_a_time_is_found(time: str, offset: int) -> None:
    point = index([0, 2000, 4000]).before(F(time))
    assert point is not None
    assert point.offset == offset


def test_time_before_the_first_seek_point_has_none() -> None:
    assert index([500]).before(F("0.4")) is None


def test_time_of_a_seek_point_includes_the_shift_of_its_part() -> None:
    point = index([0, 0], parts=[0, 1], shifts=(F(0), F(10))).before(F(11))
    assert point is not None
    assert (point.time, point.offset, point.shift) == (F(10), 1_000_000, F(10))


def test_part_of_the_index_near_a_time_finds_the_same_seek_points() -> None:
    whole = index([number * 2000 for number in range(1000)])
    near = whole.near(F(1500))
    assert len(near.offsets) < 100
    for time in (F(1500), F(1450), F(1400)):
        assert near.before(time) == whole.before(time)


def test_columns_of_different_length_are_rejected() -> None:
    with pytest.raises(ValidationError, match="length"):
        KeyframeIndex(tick=F(1), shifts=(F(0),), head_bytes=0, exact=True, offsets=(1, 2), stamps=(1,), parts=(0,))


def test_seek_point_in_an_unknown_part_is_rejected() -> None:
    with pytest.raises(ValidationError, match="part"):
        index([0], parts=[1])
