"""Input and output of a section of the benchmark.

A section is a module of `scripts.benchmarks` with a function

    def figures(bench: Bench) -> Iterator[Figure]: ...

and a docstring whose first line is its title. It yields each figure immediately, keeps costly files in `bench.cache`
under a name that identifies how they were made, uses a temporary folder for the rest, and leaves no process running.
If the machine lacks a command or a store, it reports this with `bench.say` and measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

Scale = Literal["full", "quick", "smallest"]
_Size = TypeVar("_Size")
_COLUMNS = ("section", "what", "measured", "beside it", "ratio", "aim", "")


@dataclass(frozen=True)
class Bench:
    """One run. `media` is the folder of real recordings, if it exists.

    `scale` is "full", "quick" (fewer and smaller runs, for orientation) or "smallest" (each line of code once, on tiny
    recordings: its figures mean nothing).
    """

    cache: Path
    media: Path | None
    scale: Scale
    say: Callable[[str], None]

    def sized(self, full: _Size, quick: _Size, smallest: _Size) -> _Size:
        """Return the size of this run's scale."""
        return {"full": full, "quick": quick, "smallest": smallest}[self.scale]


@dataclass(frozen=True)
class Figure:
    """One line of the table: a measurement, its comparison and its target.

    `beside` is the same quantity of the comparison, in the same unit, and `ratio` the measured value divided by it: the
    median over the pairs if runs were paired, not the quotient of the two medians. The target is a bound on the ratio
    if there is one, else on the value; a figure without a target is informative.
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
    """Format the figures as lines of one table."""
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
