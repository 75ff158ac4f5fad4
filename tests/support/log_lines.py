"""Lines that clipengine logs inside a block, with the fields that are bound when they are logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clipengine.basis.tracing import Fields, bound


@dataclass(frozen=True)
class Line:
    message: str
    fields: Fields
    has_traceback: bool


class _Handler(logging.Handler):
    def __init__(self, lines: list[Line]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(Line(record.getMessage(), dict(bound()), record.exc_info is not None))


@contextmanager
def logged_lines() -> Iterator[list[Line]]:
    """Yield the list to which each line of level INFO and above is added."""
    lines: list[Line] = []
    logger, handler = logging.getLogger("clipengine"), _Handler(lines)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
