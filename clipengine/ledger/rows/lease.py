"""Leases: the claims of engines on clips, probes, deliveries and removals.

A claim sets the owner of a row and increments its fence: `attempt` of a clip, `lease` of the others. Every change by
the owner is conditional on id, state, owner and fence, so that a stale owner changes no row. Engines renew all their
leases at once, with their heartbeat (see `engines`).

A claim does not wait for the disk. If PostgreSQL crashes right after it, two engines may therefore hold the same fence:
one whose claim was undone, and the next. The owner tells them apart. The changes of a clip are not conditional on the
owner: there, the first that leaves `cutting` ends the attempt of both. That commit is durable (`uploads.add`), and
nothing is uploaded before it, so that two engines never write to the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import peewee

from clipengine.ledger.database.database import Database, Kind, Row, Statement
from clipengine.ledger.database.updates import Updates

_IDS_PER_STATEMENT = 500

InFlight = Callable[[], Collection[str]]
Living = Callable[[], Collection[str]]


class Leases:
    """The leases on the rows of one table, with the columns `key`, `fence`, `owner` and, if it has one, `state`."""

    def __init__(
        self,
        database: Database,
        key: peewee.Field,
        fence: peewee.Field,
        state: peewee.Field | None = None,
        *,
        kind: Kind | None = None,
        revision: peewee.Field | None = None,
    ) -> None:
        """Notify listeners of changes of this `kind`, if it is given, and increment `revision` with each of them."""
        self._database = database
        self._kind: Kind | None = kind
        self._key = key
        self._fence = fence
        self._state = state
        self._model: Any = key.model
        self._owner: peewee.Field = self._model.owner
        self._updates = Updates(self._model, key)
        self._counted = [] if revision is None else [revision.name]

    def claim(
        self,
        due: Callable[[], Any],
        owner: str,
        *,
        values: Mapping[str, Any] | None = None,
        new_fence: bool = True,
        accept: Callable[[Row], bool] = lambda row: True,
        notify: bool = False,
    ) -> list[Row]:
        """Claim the rows that the query of `due` selects and `accept` takes, and return them in its order.

        A row that another engine is claiming at this moment is skipped. Without `new_fence` the fence stays. With
        `notify`, listeners of this process learn of the claim. Not durable: a power cut that undoes the claim leaves
        the row to be claimed again, as after any crash.
        """
        with self._database.session():
            query = due()
            if query is None or self._database.row(query) is None:  # without a transaction: most calls find nothing
                return []
            with self._database.transaction(durable=False, ordered=False):
                rows = [] if (query := due()) is None else self._database.rows(self._database.unlocked(query))
                ids = [row[self._key.name] for row in rows if accept(row)]
                claimed: dict[Any, Row] = {}
                changes = {"owner": owner, **(values or {})}
                increments = [*self._counted, self._fence.name] if new_fence else self._counted
                for chunk in _chunks(ids):
                    update = self._updates.of(chunk, changes, increments=increments, returns=True)
                    for row in self._database.rows(update):
                        claimed[row[self._key.name]] = row
                        if notify and self._kind is not None:
                            self._database.record_progress(self._kind, str(row[self._key.name]))
                return [claimed[each] for each in ids]

    def held(self, ids: Collection[Any], *, fence: int, owner: str | None = None, state: str | None = None) -> Any:
        """Return the condition that these rows still have this fence, and this owner and state if they are given."""
        condition: Any = self._key.in_(list(ids)) if len(ids) > 1 else self._key == next(iter(ids))
        condition &= self._fence == fence
        if owner is not None:
            condition &= self._owner == owner
        if state is not None:
            condition &= self._state == state
        return condition

    def transition(
        self,
        id: str,
        values: Mapping[str, Any],
        *,
        fence: int,
        owner: str | None = None,
        state: str | None = None,
        unchanged: Mapping[str, Any] = {},
        notify: bool = True,
    ) -> bool:
        """Change a row that is still held and has the `unchanged` values. Return False if it is or has not.

        Only local listeners learn it if not `notify`.
        """
        held = {self._fence.name: fence, self._owner.name: owner, **unchanged}
        if self._state is not None:
            held[self._state.name] = state
        known = {name: value for name, value in held.items() if value is not None}
        if not self._database.change(self._updates.of([id], values, increments=self._counted, held=known)):
            return False
        if self._kind is not None:
            (self._database.record_change if notify else self._database.record_progress)(self._kind, id)
        return True

    def release_all(self, claims: Iterable[tuple[Any, str, int]], values: Mapping[str, Any]) -> int:
        """Release claims, each an id, an owner and a fence, with `values`, and return how many were still held."""
        update = self._model.update({"owner": None, **values})
        return sum(self._database.change(update.where(held)) for held in self.each_held(claims))

    def release_orphans(
        self, owned: Statement, owner: str, values: Mapping[str, Any], *, in_flight: InFlight | None, living: Living
    ) -> int:
        """Release abandoned claims with `values` and return their number, see `orphans`."""
        rows = self.orphans(owned, owner, in_flight=in_flight, living=living)
        if not rows:
            return 0
        claims = [(row[self._key.name], row["owner"], row[self._fence.name]) for row in rows]
        with self._database.transaction(ordered=False):
            return self.release_all(claims, values)

    def each_held(self, claims: Iterable[tuple[Any, str, int]]) -> Iterator[Any]:
        """Yield conditions that match the rows of these claims while they are held, some hundred rows each."""
        groups: dict[tuple[str, int], list[Any]] = {}
        for id, owner, fence in claims:
            groups.setdefault((owner, fence), []).append(id)
        for (owner, fence), ids in groups.items():
            for chunk in _chunks(ids):
                yield self.held(chunk, fence=fence, owner=owner)

    def orphans(self, owned: Statement, owner: str, *, in_flight: InFlight | None, living: Living) -> list[Row]:
        """Return the rows of `owned`, see `owned_rows`, that are not held any more.

        These are the rows of owners that are not `living` and, if `in_flight` is given, the rows of `owner` that it
        does not list: their thread died, or could not record how the work ended. Both are called after the rows were
        read.
        """
        rows = self._database.rows(owned)
        if not rows:
            return []
        working = None if in_flight is None else in_flight()
        alive = {owner, *living()}
        return [
            row
            for row in rows
            if row["owner"] not in alive
            or (row["owner"] == owner and working is not None and str(row[self._key.name]) not in working)
        ]


def owned_rows(model: Any, *where: Any) -> Statement:
    """Return the query of the rows that an engine owns. Compiled once, because each engine runs it every second."""
    return Statement(model.select().where(*where, model.owner.is_null(False)))


def _chunks(ids: list[Any]) -> Iterator[list[Any]]:
    for first in range(0, len(ids), _IDS_PER_STATEMENT):
        yield ids[first : first + _IDS_PER_STATEMENT]
