"""Fences that keep engines of an older release from rows that they do not know, see `row_format`.

Engines from the format 2 on compare the column `needs` of a row. Engines of 0.2.0 ignore it. In PostgreSQL, where they
may share the ledger, triggers therefore move the time at which such a row is due by `FENCE_MS` whenever any engine
sets it (`migration_55`). To 0.2.0 the row is never due.
"""

from __future__ import annotations

import logging
from typing import Any

import peewee

from clipengine.basis.row_format import ROW_FORMAT

log = logging.getLogger(__name__)

FENCE_MS = 1 << 61  # in the far future; no time of a row without a fence comes near it
FENCED_TABLES = ("clips", "recordings", "live_recordings")


def is_due(model: Any, now: Any, fenced_now: Any | None = None) -> Any:
    """Return the condition that a row of the model is due and that this version knows its format.

    `fenced_now` is `now` beyond the fence, if `now` is a parameter.
    """
    fenced = now + FENCE_MS if fenced_now is None else fenced_now
    at: peewee.Field = model.next_at
    return ((at <= now) | at.between(FENCE_MS, fenced)) & (model.needs <= ROW_FORMAT)


def is_far(at: peewee.Field, limit: int) -> Any:
    """Return the condition that a row is due after `limit`, a time without a fence."""
    return (at > limit) & ~at.between(FENCE_MS, FENCE_MS + limit)


DUE_SQL = f"(next_at <= ? OR next_at BETWEEN {FENCE_MS} AND {FENCE_MS} + ?) AND needs <= {ROW_FORMAT}"


def set_aside(kind: str, id: str, problem: str) -> dict[str, int]:
    """Return the change of a row that this version cannot read: it is left to newer engines. Log it."""
    log.error("%s %s is set aside until a newer version of the engine runs: %s", kind, id, problem)
    return {"needs": ROW_FORMAT + 1}
