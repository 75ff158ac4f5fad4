"""Statements: queries whose SQL is written once and run again with other values.

Peewee writes a query's SQL anew for every run, which costs several times what SQLite needs for the query itself. What
each request and each clip runs is therefore kept as a `Statement`; what is rare or has many shapes stays a query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import peewee

Row = dict[str, Any]

_DIALECT = peewee.SqliteDatabase(None)
# SQLite gives the values of these as Python has them; the others are made into what they mean.
_PLAIN = (peewee.TextField, peewee.IntegerField, peewee.BigIntegerField, peewee.DoubleField, peewee.AutoField)


@dataclass(frozen=True)
class _Placeholder:
    name: str
    db_value: Callable[[Any], Any]


def param(field: peewee.Field, name: str | None = None) -> peewee.SQL:
    """A value of this column that comes with each run, under the column's name or another one."""
    return peewee.SQL("?", [_Placeholder(name or field.name, field.db_value)])


class Statement:
    """One query with places for what is `given`. Safe to use from any thread; it knows no connection."""

    def __init__(self, query: peewee.Query) -> None:
        self.sql, self._params = query.bind(_DIALECT).sql()
        self._columns = [
            (column.name, None if type(column) in _PLAIN else getattr(column, "python_value", None))
            for column in getattr(query, "_returning", None) or ()
        ]

    def params(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values for one run, as the driver takes them. Raises KeyError where one is not given."""
        return tuple(
            param.db_value(values[param.name]) if isinstance(param, _Placeholder) else param for param in self._params
        )

    def row(self, stored: tuple[Any, ...]) -> Row:
        """A row as the driver gave it, by column and as Python has it."""
        return {
            name: value if convert is None else convert(value)
            for (name, convert), value in zip(self._columns, stored, strict=True)
        }


def insert_statement(model: type[peewee.Model], *, without: tuple[str, ...] = ()) -> Statement:
    """The INSERT of a whole row; `without` names columns that the database fills in itself."""
    fields = [field for field in model._meta.sorted_fields if field.name not in without]
    return Statement(model.insert({field: param(field) for field in fields}))
