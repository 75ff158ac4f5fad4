"""Updates of single rows, which are compiled once for each set of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import peewee

from clipengine.ledger.database.database import Bound, Statement, param

_ID, _HELD = "id_", "held_"  # prefixes of parameters, which no column has


class Updates:
    """The UPDATEs of one table, by its columns."""

    def __init__(self, model: type[peewee.Model], key: peewee.Field) -> None:
        self._model: Any = model
        self._key = key
        self._fields: dict[str, peewee.Field] = self._model._meta.fields
        self._compiled: dict[tuple[object, ...], Statement] = {}

    def of(
        self,
        ids: Sequence[Any],
        values: Mapping[str, Any],
        *,
        increments: Sequence[str] = (),
        held: Mapping[str, Any] = {},
        returns: bool = False,
    ) -> Bound:
        """Return the UPDATE of the rows with these ids, if their columns have the values of `held`.

        It adds 1 to the columns of `increments`, and `returns` the rows if it is to. The UPDATE of one row is compiled
        once, unless a value is an expression.
        """
        shape = ("set", *values, "add", *increments, "if", *held, returns)
        is_common = len(ids) == 1 and not any(isinstance(value, peewee.Node) for value in values.values())
        statement = self._compiled.get(shape) if is_common else None
        if statement is None:
            statement = self._compile(len(ids), values, increments, held, returns=returns)
            if is_common:
                self._compiled[shape] = statement
        numbered = {f"{_ID}{number}": id for number, id in enumerate(ids)}
        return statement.bind(**values, **numbered, **{f"{_HELD}{name}": value for name, value in held.items()})

    def _compile(
        self,
        count: int,
        values: Mapping[str, Any],
        increments: Sequence[str],
        held: Mapping[str, Any],
        *,
        returns: bool,
    ) -> Statement:
        fields = self._fields
        changes: dict[str, Any] = {name: fields[name] + 1 for name in increments}
        for name, value in values.items():
            changes[name] = value if isinstance(value, peewee.Node) else param(fields[name])
        condition: Any = self._key.in_([param(self._key, f"{_ID}{number}") for number in range(count)])
        for name in held:
            condition &= fields[name] == param(fields[name], f"{_HELD}{name}")
        update = self._model.update(changes).where(condition)
        return Statement(update.returning(*fields.values()) if returns else update)
