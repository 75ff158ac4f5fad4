"""Engines at a ledger: which of them live, and which died.

Each has a row, and deletes it when it has stopped: the row of an engine that does not live is that of one that died,
unless it was about to stop. Engines that share a ledger update their row every few seconds, by the clock of the
database. One that has been silent for `LEASE_MS` counts as dead, and others take over what it holds; if it was only cut
off, it finds that it has lost its claims. A ledger in a file has one engine, which holds the lock on the data folder:
no other one lives.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import EngineRow

LEASE_MS = 12_000
BEAT_SECONDS = 3.0
_FORGOTTEN_MS = 24 * 3600 * 1000


class ClaimHolders:
    """Who works on rows that were read before this was made: `owner`, and the engines that are `living` beside it.

    If `in_flight` is given, `owner` holds only what its threads are busy with: a thread has died, or could not write
    down how its work ended.
    """

    def __init__(
        self,
        owner: str,
        *,
        in_flight: Callable[[], Collection[str]] | None,
        living: Callable[[], Collection[str]],
    ) -> None:
        self._owner = owner
        self._in_flight = in_flight() if in_flight else None
        self._living = {owner, *living()}

    def is_alive(self, engine_id: str) -> bool:
        return engine_id in self._living

    def is_held(self, ident: str, *, owner: str) -> bool:
        """Whether the `owner` that a row names still works on it."""
        lost = owner == self._owner and self._in_flight is not None and ident not in self._in_flight
        return self.is_alive(owner) and not lost


class Engines:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._listening_since: float | None = None
        self._last_beat = 0.0

    @property
    def shared(self) -> bool:
        """Whether other engines may be at work on this ledger."""
        return self._database.shared

    def session(self) -> AbstractContextManager[None]:
        """One connection for the beats of this thread inside the block."""
        return self._database.session()

    def beat(self, engine_id: str) -> None:
        """Record that the engine lives. Raises StorageUnavailable."""
        began = time.monotonic()
        row = {"host": socket.gethostname(), "pid": os.getpid()}
        # It takes no turn: a long line of writers must not make a living engine look dead.
        with self._database.transaction(durable=False, ordered=False):
            now = self._database.clock_ms()
            known = EngineRow.update(beat_at=now).where(EngineRow.engine_id == engine_id)
            if not self._database.change(known):
                self._database.insert(EngineRow.insert(engine_id=engine_id, beat_at=now, **row))
        ended = time.monotonic()
        if self._listening_since is None or began - self._last_beat > LEASE_MS / 1000:
            self._listening_since = ended
        self._last_beat = ended

    def running(self) -> list[str]:
        """Where engines have beaten lately, as host and pid."""
        if not self.shared:
            return []
        since = self._database.clock_ms() - LEASE_MS
        rows = self._database.rows(EngineRow.select().where(EngineRow.beat_at > since).order_by(EngineRow.host))
        return [f"{row['host']} pid {row['pid']}" for row in rows]

    def record_stopping(self, engine_id: str) -> None:
        """Record that the engine stops on purpose: however it ends now, nothing that it holds is to blame."""
        self._database.change(EngineRow.update(stopping=True).where(EngineRow.engine_id == engine_id))

    def remove(self, engine_id: str) -> None:
        """Delete the row of an engine that has stopped: others may take over at once what it still holds."""
        self._database.change(EngineRow.delete().where(EngineRow.engine_id == engine_id))

    def died(self) -> Collection[str]:
        """Return the engines that ended without having been stopped, and those that still live."""
        rows = self._database.rows(EngineRow.select(EngineRow.engine_id).where(~EngineRow.stopping))
        return {row["engine_id"] for row in rows}

    def forget(self, engine_id: str) -> None:
        """Delete the rows of engines that ended long ago, or, if `engine_id` is the only engine, of all others.

        Call it after their claims were released.
        """
        ended = EngineRow.engine_id.not_in([engine_id, *self.living()])
        if self.shared:
            ended &= EngineRow.beat_at < self._database.clock_ms() - _FORGOTTEN_MS
        self._database.change(EngineRow.delete().where(ended))

    def living(self) -> Collection[str]:
        """The engines that others must not take anything from.

        A database that was away has heard nobody: until this engine has itself beaten for a whole lease, silence proves
        nothing, and only those who have left count as dead.
        """
        if not self.shared:
            return ()
        rows = self._database.rows(EngineRow.select(EngineRow.engine_id, EngineRow.beat_at))
        if self._listening_since is None or time.monotonic() - self._listening_since < LEASE_MS / 1000:
            return {row["engine_id"] for row in rows}
        silent = self._database.clock_ms() - LEASE_MS
        return {row["engine_id"] for row in rows if row["beat_at"] > silent}
