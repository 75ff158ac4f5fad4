"""Directions of the characters of a line, by the Unicode bidirectional algorithm (UAX #9). Pure.

A line that is painted in several runs, such as a line with a marked word, needs the places of these runs. Explicit
embeddings and isolates have no effect here: only the runs themselves are laid out with them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

_PAIRS = {"(": ")", "[": "]", "{": "}", "（": "）", "［": "］", "「": "」"}
_NEUTRAL = ("B", "S", "WS", "ON", "BN", "LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
_MAX_OPEN = 63  # brackets, as in the standard


class _Leveled(Protocol):
    @property
    def level(self) -> int: ...


T = TypeVar("T", bound=_Leveled)


def levels_of(line: str, *, right_to_left: bool) -> list[int]:
    """Return the embedding level of each character: even from left to right, odd from right to left."""
    base = int(right_to_left)
    kinds = [unicodedata.bidirectional(each) or "L" for each in line]
    if not (base or {"R", "AL", "AN"}.intersection(kinds)):
        return [0] * len(line)
    kinds = _weak(kinds, "R" if base else "L")
    _resolve_brackets(line, kinds, "R" if base else "L")
    _resolve_neutrals(kinds, "R" if base else "L")
    levels = [_level(kind, base) for kind in kinds]
    for at in range(len(line.rstrip()), len(line)):  # spaces at the end of a line
        levels[at] = base
    return levels


def in_visual_order(runs: Sequence[T]) -> list[T]:
    """Return the runs of a line from left to right: runs of each level and of higher levels are reversed."""
    ordered = list(runs)
    for level in range(max((run.level for run in runs), default=0), 0, -1):
        first = 0
        while first < len(ordered):
            last = first
            while last < len(ordered) and ordered[last].level >= level:
                last += 1
            ordered[first:last] = ordered[first:last][::-1]
            first = last + 1
    return ordered


def _level(kind: str, base: int) -> int:
    if kind in ("EN", "AN"):
        return 2
    return base if (kind == "R") == bool(base) else base + 1


def _weak(kinds: list[str], base: str) -> list[str]:
    """Return the classes after the rules W1 to W7: marks, numbers, and characters that join numbers."""
    kinds = _after_strong([*_marks(kinds, base)], "EN", "AL", "AN", base)
    kinds = ["R" if kind == "AL" else kind for kind in kinds]
    for at in range(1, len(kinds) - 1):
        joins = {"CS": ("EN", "AN"), "ES": ("EN",)}.get(kinds[at], ())
        if kinds[at - 1] == kinds[at + 1] in joins:
            kinds[at] = kinds[at - 1]
    for first, last in _stretches(kinds, ("ET",)):
        if "EN" in (kinds[first - 1] if first else "", kinds[last] if last < len(kinds) else ""):
            kinds[first:last] = ["EN"] * (last - first)
    kinds = ["ON" if kind in ("ES", "ET", "CS") else kind for kind in kinds]
    return _after_strong(kinds, "EN", "L", "L", base)


def _marks(kinds: Sequence[str], base: str) -> Iterator[str]:
    """Yield the classes. A mark gets the class of the character before it."""
    before = base
    for kind in kinds:
        before = before if kind == "NSM" else kind
        yield before


def _after_strong(kinds: Sequence[str], wanted: str, strong: str, given: str, base: str) -> list[str]:
    """Return the classes with `given` for those `wanted` if the last character with a direction is `strong`."""
    found, last = [], base
    for kind in kinds:
        last = kind if kind in ("L", "R", "AL") else last
        found.append(given if kind == wanted and last == strong else kind)
    return found


def _resolve_brackets(line: str, kinds: list[str], base: str) -> None:
    """Give pairs of brackets the direction of the text that they enclose or follow (N0)."""
    for opened, closed in _bracket_pairs(line, kinds):
        inside = {_strong(kind) for kind in kinds[opened + 1 : closed]} - {""}
        if not inside:
            continue
        found = base
        if base not in inside:
            before = next((each for each in map(_strong, reversed(kinds[:opened])) if each), base)
            found = base if before == base else before
        kinds[opened] = kinds[closed] = found


def _bracket_pairs(line: str, kinds: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of the brackets that are opened and closed, in the order of the first ones."""
    found: list[tuple[int, int]] = []
    opened: list[tuple[str, int]] = []
    for at, character in enumerate(line):
        if kinds[at] != "ON":
            continue
        if character in _PAIRS:
            if len(opened) == _MAX_OPEN:
                break
            opened.append((_PAIRS[character], at))
        else:
            number = next((n for n in range(len(opened) - 1, -1, -1) if opened[n][0] == character), None)
            if number is not None:
                found.append((opened[number][1], at))
                del opened[number:]
    return sorted(found)


def _resolve_neutrals(kinds: list[str], base: str) -> None:
    """Give spaces and punctuation the direction on both sides of them, or the paragraph's (N1, N2)."""
    for first, last in _stretches(kinds, _NEUTRAL):
        left = _strong(kinds[first - 1]) if first else base
        right = _strong(kinds[last]) if last < len(kinds) else base
        kinds[first:last] = [left if left == right else base] * (last - first)


def _strong(kind: str) -> str:
    """Return the direction that neutral neighbours of a character take: numbers count as from right to left."""
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind, "")


def _stretches(kinds: Sequence[str], wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield first and end of each longest stretch of these classes."""
    at = 0
    while at < len(kinds):
        first = at
        while at < len(kinds) and kinds[at] in wanted:
            at += 1
        if at > first:
            yield first, at
        at += 1
