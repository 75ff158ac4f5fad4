"""Budgets of text from outside: each limit ends the reading with the document's error and its number."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipengine.basis.budget import Allowance, LineReader, TextLimits, decimal_number, whole_number
from clipengine.errors import InvalidRequest, PlaylistInvalid, TooManyPieces

LIMITS = TextLimits("the list", InvalidRequest, max_bytes=1 << 20, max_lines=1000, max_line_characters=100)


def lines(data: bytes, limits: TextLimits = LIMITS) -> list[str]:
    return [line for block in LineReader(limits).blocks(data) for line in block]


def test_allowance_ends_with_the_error_and_the_limit() -> None:
    left = Allowance(3, "segments", of="the recording", refusal=TooManyPieces)
    left.spend(2)
    left.spend()
    with pytest.raises(TooManyPieces, match="the recording has more than 3 segments"):
        left.spend()
    with pytest.raises(TooManyPieces):
        left.spend(0)  # what was refused stays refused


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x\n" * (1 << 20), "the list has more than 1 MiB"),
        (b"\n" * 1000, None),
        (b"\n" * 1001, "the list has more than 1000 lines"),
        (b"a\n" + b"b" * 100, None),
        (b"a\n" + b"b" * 101, "line 2 of the list has more than 100 characters"),
        (b"a\n" + "\U0001f600".encode() * 100, None),
        (b"a\n" + "\U0001f600".encode() * 30_000, "line 2 of the list has more than 100 characters"),
        (b"a\nb\n\xff\n", "line 3 of the list is not UTF-8"),
    ],
)
def test_text_is_read_within_its_limits(data: bytes, message: str | None) -> None:
    if message is None:
        lines(data)
        return
    with pytest.raises(InvalidRequest) as caught:
        lines(data)
    assert caught.value.message == message


def test_size_is_named_in_the_unit_of_the_limit() -> None:
    reader = LineReader(TextLimits("the playlist", PlaylistInvalid, 1_000_000, 10, 10))
    with pytest.raises(PlaylistInvalid, match="more than 1000000 bytes"):
        reader.check_size(1_000_001)


def test_lines_are_spent_while_they_are_read() -> None:
    limits = TextLimits("the list", InvalidRequest, max_bytes=8 << 20, max_lines=100_000, max_line_characters=100)
    data = b"a\n" * (4 << 20)

    def read() -> Iterator[int]:
        for block in LineReader(limits).blocks(data):
            yield len(block)

    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest, match="more than 100000 lines"):
            list(read())
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@given(st.text(alphabet="ab\né\U0001f600", max_size=300), st.integers(1, 400))
def test_lines_do_not_depend_on_the_blocks(text: str, size: int) -> None:
    limits = TextLimits("the list", InvalidRequest, max_bytes=1 << 20, max_lines=1000, max_line_characters=300)
    data = text.encode()
    reader = LineReader(limits)
    reader._block = max(size, max(len(line) for line in data.split(b"\n")) + 1)
    found = [line for block in reader.blocks(data) for line in block]
    assert found == text.removesuffix("\n").split("\n") if text else found == []
    assert reader.line == len(found)


def test_byte_order_mark_is_skipped_at_the_start_only() -> None:
    assert lines(b"\xef\xbb\xbfa\n\xef\xbb\xbfb") == ["a", "\ufeffb"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("7", 7), ("007", 7), ("10", 10), ("11", None), ("0" * 9999 + "7", 7), ("9" * 9999, None)]
    + [(text, None) for text in ("", "-1", "+1", "1_0", " 1", "1.0", "٣", "²")],
)
def test_whole_number_is_within_its_range(text: str, number: int | None) -> None:
    assert whole_number(text, 10) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4", Fraction(4)),
        ("4.", Fraction(4)),
        ("4.004", Fraction("4.004")),
        ("2." + "3" * 9999, Fraction("2.333333333333")),
        ("10.0", Fraction(10)),
        ("10.000001", None),
    ]
    + [(text, None) for text in ("", ".5", "1e3", "nan", "-1", "1.-1", "1.5x", "1.٣")],
)
def test_decimal_number_has_any_number_of_decimals(text: str, number: Fraction | None) -> None:
    assert decimal_number(text, 10) == number
