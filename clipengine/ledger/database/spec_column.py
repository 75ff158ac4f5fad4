"""The JSON column `spec` of a table: the fields of a spec that no query needs, so that they take no migration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from peewee import Model

from clipengine.ledger.database.database import Row


class SpecColumn:
    """Stores the fields with these names that have no column in the table."""

    def __init__(self, table: type[Model], names: Iterable[str]) -> None:
        self._names = tuple(name for name in names if name not in table._meta.fields)

    def columns(
        self, values: Mapping[str, Any], stored: Mapping[str, Any] | None = None, *, hidden: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Return the values of columns, with `spec`.

        Other fields of the `stored` spec are kept, also fields that only another version knows. `hidden` fields are in
        `spec` too, and their columns are null.
        """
        given = {name: values[name] for name in (*self._names, *hidden) if name in values}
        spec = {name: value for name, value in {**(stored or {}), **given}.items() if value is not None}
        columns = {name: value for name, value in values.items() if name not in given}
        return columns | dict.fromkeys(hidden) | {"spec": spec or None}

    @staticmethod
    def fields(row: Row) -> Row:
        """Return the values of a row, with the fields in `spec`."""
        return {**row, **(row["spec"] or {})}
