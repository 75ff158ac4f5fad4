"""Prepared statements: queries whose SQL is compiled once and run with different parameters.

Peewee compiles a query for every run, which takes several times as long as SQLite needs to execute it. The queries of
each request and each clip are therefore `Statement`s; rare queries, or those of many shapes, are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import peewee

Row = dict[str, Any]

_DIALECT = peewee.SqliteDatabase(None)
# Fields whose values need no conversion.
_PLAIN = (peewee.TextField, peewee.IntegerField, peewee.BigIntegerField, peewee.DoubleField, peewee.AutoField)


@dataclass(frozen=True)
class _Placeholder:
    name: str
    db_value: Callable[[Any], Any]


def param(field: peewee.Field, name: str | None = None) -> peewee.SQL:
    """Return a parameter with the type of this column, named after the column unless `name` is given."""
    return peewee.SQL("?", [_Placeholder(name or field.name, field.db_value)])


class Statement:
    """A compiled query with `param`s. Thread-safe, because it has no connection."""

    def __init__(self, query: peewee.Query) -> None:
        self.sql, self._params = query.bind(_DIALECT).sql()
        self._columns = [
            (column.name, None if type(column) in _PLAIN else getattr(column, "python_value", None))
            for column in getattr(query, "_returning", None) or ()
        ]

    def params(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the parameters for the driver. Raises KeyError if one is missing in `values`."""
        return tuple(
            param.db_value(values[param.name]) if isinstance(param, _Placeholder) else param for param in self._params
        )

    def row(self, stored: tuple[Any, ...]) -> Row:
        """Convert a row of the driver into Python values by column name."""
        return {
            name: value if convert is None else convert(value)
            for (name, convert), value in zip(self._columns, stored, strict=True)
        }


def insert_statement(model: type[peewee.Model], *, without: tuple[str, ...] = ()) -> Statement:
    """Return an INSERT of a whole row. The database fills in the columns of `without`."""
    fields = [field for field in model._meta.sorted_fields if field.name not in without]
    return Statement(model.insert({field: param(field) for field in fields}))
