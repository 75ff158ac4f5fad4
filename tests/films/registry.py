"""The registry of film makers: each is a function that writes one file and returns the truth about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.films.film import Film

Make = Callable[[Path], Film]


@dataclass(frozen=True)
class Maker:
    """`make(path)` writes the film to `path` (name and `extension` as registered) and returns its truth."""

    name: str
    extension: str
    make: Make

    @property
    def about(self) -> str:
        """One line: what is special about the film."""
        return (self.make.__doc__ or "").strip().splitlines()[0]


MAKERS: dict[str, Maker] = {}


def makes(extension: str) -> Callable[[Make], Make]:
    """Register a maker under its function's name."""

    def register(make: Make) -> Make:
        MAKERS[make.__name__] = Maker(make.__name__, extension, make)
        return make

    return register
