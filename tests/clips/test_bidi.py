"""Directions of characters in lines that mix scripts, compared with FriBidi."""

from __future__ import annotations

import ctypes
import random
from typing import NamedTuple

import pytest

from clipengine.clips.texts.bidi import in_visual_order, levels_of

_WORDS = ["שלום", "מחיר", "hello", "API", "12", "3.5", "٣٤", "مرحبا", "5%", "$9", "+1", "2026-11", "e\u0301"]
_PIECES = [*_WORDS, *'-()[]{,:?"’…「」', *[" "] * 8]
_TYPE_LTR, _TYPE_RTL = 0x110, 0x111


class _Run(NamedTuple):
    text: str
    level: int


def _shown(line: str, *, right_to_left: bool) -> str:
    """Return the words from left to right, each as it is read."""
    levels = levels_of(line, right_to_left=right_to_left)
    return "".join(run.text for run in in_visual_order([*map(_Run, line, levels)]))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("אב 12 34 גד", "דג 34 12 בא"),
        ("אב (one two) גד", "דג )one two( בא"),  # brackets are mirrored when they are painted
        ("אב John Smith: גד", "דג :John Smith בא"),
        ("מחיר 12.5%", "12.5% ריחמ"),
        ("one אב גד two", "one דג בא two"),
        ("one אב 12 גד two", "one דג 12 בא two"),
        ("one two", "one two"),
    ],
)
def test_words_of_two_directions_are_placed_as_they_are_read(line: str, shown: str) -> None:
    assert _shown(line, right_to_left=not line.startswith("one")) == shown


def _expected(line: str, *, right_to_left: bool) -> list[int]:
    """Return the levels that FriBidi finds."""
    library = _fribidi()
    count = len(line)
    text, types, brackets = ((ctypes.c_uint32 * count)() for _ in range(3))
    text[:] = [*map(ord, line)]
    levels = (ctypes.c_int8 * count)()
    direction = ctypes.c_uint32(_TYPE_RTL if right_to_left else _TYPE_LTR)
    library.fribidi_get_bidi_types(text, count, types)
    library.fribidi_get_bracket_types(text, count, types, brackets)
    library.fribidi_get_par_embedding_levels_ex(types, brackets, count, ctypes.byref(direction), levels)
    written = len(line.rstrip())
    return [*levels[:written], *[int(right_to_left)] * (count - written)]


def _fribidi() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libfribidi.so.0")
    except OSError:
        pytest.skip("FriBidi is not installed")


def test_levels_are_those_of_fribidi() -> None:
    chosen = random.Random(9)
    for _ in range(1000):
        line = "".join(chosen.choice(_PIECES) for _ in range(chosen.randint(1, 14)))
        for right_to_left in (False, True):
            assert levels_of(line, right_to_left=right_to_left) == _expected(line, right_to_left=right_to_left), line


def test_long_hostile_lines_take_linear_time() -> None:
    for piece in ("(", "[)", "א)", "(א 1"):
        assert len(levels_of(piece * 2000, right_to_left=True)) == 2000 * len(piece)
