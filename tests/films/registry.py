"""The registry of film makers: functions that write one file and return its declared content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.films.film import Film

Make = Callable[[Path], Film]


@dataclass(frozen=True)
class Maker:
    """`make(path)` writes the film to `path` (name and `extension` as registered) and returns its content."""

    name: str
    extension: str
    make: Make

    @property
    def about(self) -> str:
        """Return one line about the feature that the film covers."""
        return (self.make.__doc__ or "").strip().splitlines()[0]


MAKERS: dict[str, Maker] = {}


def makes(extension: str) -> Callable[[Make], Make]:
    """Register a maker under its function's name."""

    def register(make: Make) -> Make:
        MAKERS[make.__name__] = Maker(make.__name__, extension, make)
        return make

    return register
