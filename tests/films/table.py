"""The table of films and cuts: each cell tells if the clip is exact, or its faults.

`python -m tests.films.table OUT.md` writes it for the cutter of this project.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import av

from clipengine.errors import ClipEngineError
from tests.films.catalogue import FILMS, Shelf
from tests.films.cuts import Cut, cuts_of
from tests.films.cutting import cut
from tests.films.film import Film
from tests.films.judge import judge
from tests.films.reader import read_clip

# Cuts a range of a film into a file and returns its faults.
Cutter = Callable[[Film, Cut, Path], list[str]]

COLUMNS = (
    *("at_0", "off_grid", "one_frame", "over_end", "last_100ms", "whole"),
    *(
        "across_gap",
        "from_gap",
        "in_gap",
        "across_silence",
        "from_silence",
        "before_break",
        "across_break",
        "after_break",
    ),
)
# Text of a cell by words of the fault; the first match applies.
_KINDS = (
    ("error", ("error:",)),
    ("frames", ("missing", "twice", "not of the range", "out of order", "no number")),
    ("times", ("off their time", "actual_")),
    ("sound", ("sound", "silence", "audio tracks", "language")),
    ("length", ("length", "picture ends")),
    ("upright", ("upright", "display matrix")),
    ("picture", ("",)),
)


@dataclass
class Row:
    """One film: the faults of each cut."""

    film: str
    about: str
    cells: dict[str, list[str]] = field(default_factory=dict)

    @property
    def exact(self) -> int:
        return sum(not faults for faults in self.cells.values())


def own_cutter(film: Film, wanted: Cut, output: Path) -> list[str]:
    """Cut with the cutter of this project."""
    try:
        made = cut(film, wanted.start, wanted.end, output).made
    except ClipEngineError as error:
        return [f"error: {error.code}: {error.message}"]
    return judge(film, read_clip(output), wanted.start, wanted.end, float(made.actual_start), float(made.actual_end))


def row_of(name: str, *, cutter: Cutter, shelf: Path) -> Row:
    """Make and check all cuts of one film."""
    film, row = Shelf(shelf).get(name), Row(name, FILMS[name].about)
    with tempfile.TemporaryDirectory() as folder:
        for wanted in cuts_of(film):
            row.cells[wanted.name] = cutter(film, wanted, Path(folder) / "clip.mp4")
    return row


def rows_of(cutter: Cutter, names: Sequence[str], *, shelf: Path, jobs: int) -> list[Row]:
    """Make and check all cuts of these films with `jobs` processes. `cutter` is a function of a module."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(row_of, cutter=cutter, shelf=shelf), names))


def kinds(faults: list[str]) -> str:
    """Return the text of a cell: `ok`, or the faults in a word or two."""
    found = [next(kind for kind, words in _KINDS if any(word in fault for word in words)) for fault in faults]
    return ", ".join(dict.fromkeys(found)) or "ok"


def summary(rows: Sequence[Row]) -> str:
    """Return a line such as `601 of 602 cuts are exact`."""
    return f"{sum(row.exact for row in rows)} of {sum(len(row.cells) for row in rows)} cuts are exact"


def render(rows: Sequence[Row], title: str) -> str:
    """Format the table in Markdown, followed by every fault in full."""
    lines = [f"# {title}", "", f"{summary(rows)} ({len(rows)} films). {_versions()}", ""]
    lines += [f"| film | {' | '.join(COLUMNS)} | feature |", "|---" * (len(COLUMNS) + 2) + "|"]
    for row in rows:
        cells = [kinds(row.cells[name]) if name in row.cells else "" for name in COLUMNS]
        lines.append(f"| `{row.film}` | {' | '.join(cells)} | {row.about} |")
    lines += ["", "## Faults", ""]
    faults = [
        f"- `{row.film}` {name}: {'; '.join(faults)}" for row in rows for name, faults in row.cells.items() if faults
    ]
    return "\n".join([*lines, *(faults or ["None."]), ""])


def _versions() -> str:
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"Python {platform.python_version()}, PyAV {av.__version__}, libavcodec {codec}."


def options(about: str) -> argparse.ArgumentParser:
    """Add the options that every table has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("output", type=Path, help="the Markdown file to write")
    parser.add_argument("--films", help="only films whose name contains one of these words, comma-separated")
    parser.add_argument("--shelf", type=Path, help="a folder that keeps the films for the next run")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    return parser


def chosen(words: str | None) -> list[str]:
    """Return the names of the films selected by the option `--films`."""
    return [name for name in FILMS if not words or any(word in name for word in words.split(","))]


def main() -> None:
    arguments = options("Cut every film in every way and write the table.").parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(own_cutter, chosen(arguments.films), shelf=arguments.shelf or Path(folder), jobs=arguments.jobs)
    arguments.output.write_text(render(rows, "Film by cut"), encoding="utf-8")
    print(f"{arguments.output}: {summary(rows)}")


if __name__ == "__main__":
    main()
