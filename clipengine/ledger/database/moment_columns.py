"""Columns of times in the ledger, and the number of rows whose times are before 1970 or after 2199."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from peewee import Model

from clipengine.basis.moments import END
from clipengine.ledger.database.database import DueField, MomentField
from clipengine.ledger.database.schema import TABLES

Run = Callable[[str], list[tuple[Any, ...]]]


def moment_columns() -> dict[str, list[str]]:
    """Return the columns of each table that has times, without those that may mean never."""
    found = {_name(table): [each.column_name for each in _fields(table) if _is_moment(each)] for table in TABLES}
    return {table: columns for table, columns in found.items() if columns}


def count_outside(run: Run, existing: Mapping[str, Collection[str]]) -> dict[str, int]:
    """Return the number of rows with a time out of bounds, by column, `clips.expires_at`. One pass over each table.

    `existing` are the columns of each table, of which an earlier version of the ledger may lack some.
    """
    counts: dict[str, int] = {}
    for table, columns in moment_columns().items():
        known = [each for each in columns if each in existing.get(table, ())]
        if not known:
            continue
        sums = ", ".join(f'COUNT(CASE WHEN NOT "{each}" BETWEEN 0 AND {END - 1} THEN 1 END)' for each in known)
        found = run(f"SELECT {sums} FROM {table}")[0]
        counts |= {f"{table}.{each}": count for each, count in zip(known, found, strict=True) if count}
    return counts


def _name(table: type[Model]) -> str:
    return str(table._meta.table_name)


def _fields(table: type[Model]) -> list[Any]:
    return list(table._meta.sorted_fields)


def _is_moment(field: Any) -> bool:
    return isinstance(field, MomentField) and not isinstance(field, DueField)
