"""Engines that share a ledger: which of them live.

Each says so every few seconds, by the clock of the database. One that has been silent for `LEASE_MS` is taken for
dead, and what it holds is given to others; where it was only cut off, it finds that its attempts are no longer its own.
A ledger in a file has one engine, and the lock on its folder says so: there nobody else lives.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from clipengine.ledger.database import Database
from clipengine.ledger.schema import EngineRow

LEASE_MS = 12_000
BEAT_SECONDS = 3.0
_FORGOTTEN_MS = 24 * 3600 * 1000


class Holders:
    """Who works on rows that were read before this was made: `owner`, and the engines that are `living` beside it.

    Where `busy` is given, `owner` holds only what its threads are busy with: a thread has died, or could not write
    down how its work ended.
    """

    def __init__(
        self,
        owner: str,
        *,
        busy: Callable[[], Collection[str]] | None,
        living: Callable[[], Collection[str]],
    ) -> None:
        self._owner = owner
        self._busy = busy() if busy else None
        self._living = {owner, *living()}

    def lives(self, engine_id: str) -> bool:
        return engine_id in self._living

    def hold(self, ident: str, *, owner: str) -> bool:
        """Whether the `owner` that a row names still works on it."""
        lost = owner == self._owner and self._busy is not None and ident not in self._busy
        return self.lives(owner) and not lost


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
        """The engine lives. Raises StorageUnavailable."""
        began = time.monotonic()
        row = {"host": socket.gethostname(), "pid": os.getpid()}
        # It takes no turn: a long line of writers must not make a living engine look dead.
        with self._database.transaction(durable=False, ordered=False):
            now = self._database.clock_ms()
            known = EngineRow.update(beat_at=now).where(EngineRow.engine_id == engine_id)
            if not self._database.change(known):
                self._database.insert(EngineRow.insert(engine_id=engine_id, beat_at=now, **row))
                self._database.change(EngineRow.delete().where(EngineRow.beat_at < now - _FORGOTTEN_MS))
        ended = time.monotonic()
        if self._listening_since is None or began - self._last_beat > LEASE_MS / 1000:
            self._listening_since = ended
        self._last_beat = ended

    def at_work(self) -> list[str]:
        """Where engines have beaten lately, as host and pid."""
        if not self.shared:
            return []
        since = self._database.clock_ms() - LEASE_MS
        rows = self._database.rows(EngineRow.select().where(EngineRow.beat_at > since).order_by(EngineRow.host))
        return [f"{row['host']} pid {row['pid']}" for row in rows]

    def leave(self, engine_id: str) -> None:
        """The engine stops: what it still holds is anybody's at once."""
        self._database.change(EngineRow.delete().where(EngineRow.engine_id == engine_id))

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
