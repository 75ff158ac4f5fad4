"""What a section of the benchmark is given and what it gives back.

A section is a module of `scripts.benchmarks` whose docstring's first line says what it measures, with a function

    def figures(bench: Bench) -> Iterator[Figure]: ...

It yields each figure as soon as it has it, makes what is costly to make in `bench.cache` under a name that says how it
was made, keeps the rest in a folder of its own that it removes, and leaves no process behind. What this machine
lacks (a command, a store) is said with `bench.say` and not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

_COLUMNS = ("section", "what", "measured", "beside it", "ratio", "aim", "")


@dataclass(frozen=True)
class Bench:
    """One run. `quick`: fewer and smaller runs, for a look; `media`: the folder of real recordings, if it is there."""

    cache: Path
    media: Path | None
    quick: bool
    say: Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was measured, beside what, and what is aimed at.

    `beside` is the same quantity of what it is compared with, in the same unit, and `ratio` the measured part of it:
    the median over the pairs where runs were paired, not the quotient of the two medians. The aim is a bound on the
    ratio where there is one and else on the value; without an aim the figure is for reading.
    """

    what: str
    value: float
    unit: str
    beside: float | None = None
    ratio: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        bounded = self.value if self.ratio is None else self.ratio
        if self.at_most is not None:
            return bounded <= self.at_most
        return None if self.at_least is None else bounded >= self.at_least

    def to_object(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def table(measured: Iterable[tuple[str, Figure]]) -> Iterator[str]:
    """The figures as the lines of one table."""
    rows = [_COLUMNS, *(_row(section, figure) for section, figure in measured)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        cells = [cell.ljust(width) if left else cell.rjust(width) for cell, width, left in _aligned(row, widths)]
        yield "  ".join(cells).rstrip()


def _aligned(row: tuple[str, ...], widths: list[int]) -> Iterator[tuple[str, int, bool]]:
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell, width, column < 2 or column == len(row) - 1


def _row(section: str, figure: Figure) -> tuple[str, ...]:
    bound: tuple[Literal["≤", "≥", ""], float | None] = ("", None)
    if figure.at_most is not None:
        bound = "≤", figure.at_most
    elif figure.at_least is not None:
        bound = "≥", figure.at_least
    return (
        section,
        figure.what,
        _quantity(figure.value, figure.unit),
        "" if figure.beside is None else _quantity(figure.beside, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.3f}",
        "" if bound[1] is None else f"{bound[0]} {bound[1]:g}",
        {True: "met", False: "MISSED", None: ""}[figure.met],
    )


def _quantity(value: float, unit: str) -> str:
    digits = 0 if unit in ("", "requests") else 1 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
