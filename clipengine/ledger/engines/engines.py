"""Engines of a ledger: their liveness, leases and deaths.

Each engine has a row, which it deletes when it stops. A row without a living engine therefore means that the engine
died, unless it was stopping. Engines that share a ledger update their rows every few seconds, by the clock of the
database. An engine without an update for `LEASE_MS` counts as dead, and others take over its claims; if it was only
disconnected, its writes fail because it no longer owns the rows. A ledger in a file has one engine, which holds the
lock on the data folder.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import peewee

from clipengine import __version__
from clipengine.basis.row_format import FIRST_FORMAT, ROW_FORMAT
from clipengine.errors import Conflict
from clipengine.ledger.database.compatibility import LEASE_MS, check_supported
from clipengine.ledger.database.database import Database, Row, Statement
from clipengine.ledger.database.schema import EngineRow

BEAT_SECONDS = 3.0
_KEPT_MS = 24 * 3600 * 1000
_BEATS = Statement(EngineRow.select(EngineRow.engine_id, EngineRow.beat_at))


@dataclass(frozen=True)
class RunningEngine:
    """An engine with a recent heartbeat. It takes rows up to its `row_format`."""

    engine_id: str
    host: str
    pid: int
    version: str | None
    encoders: int | None
    stopping: bool
    row_format: int


class Engines:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._listening_since: float | None = None
        self._last_beat = 0.0

    @property
    def shared(self) -> bool:
        """True if other engines may use this ledger."""
        return self._database.shared

    def session(self) -> AbstractContextManager[None]:
        """Hold one connection for the heartbeats of this thread."""
        return self._database.session()

    def beat(self, engine_id: str, *, encoders: int = 0) -> None:
        """Record that the engine lives, and at first its number of `encoders`.

        Raises StorageUnavailable, and SchemaTooNew if it cannot use the schema.
        """
        began, supported = time.monotonic(), self._database.supported_schema
        row = {"host": socket.gethostname(), "pid": os.getpid(), "schema_version": supported}
        row |= {"version": __version__, "encoders": encoders, "row_format": ROW_FORMAT}
        # Not ordered: a long queue of writers must not make a living engine look dead.
        with self._database.transaction(durable=False, ordered=False):
            now = self._database.clock_ms()
            known = EngineRow.update(beat_at=now).where(EngineRow.engine_id == engine_id)
            if not self._database.change(known):
                self._database.insert(EngineRow.insert(engine_id=engine_id, beat_at=now, **row))
            # After the write, which waits for a migration that this engine cannot live with.
            check_supported(self._database, supported)
        ended = time.monotonic()
        if self._listening_since is None or began - self._last_beat > LEASE_MS / 1000:
            self._listening_since = ended
        self._last_beat = ended

    def check_schema(self) -> str:
        """Describe the schema version. Raises SchemaTooNew if a newer engine has made it unusable for this one."""
        supported = self._database.supported_schema
        if not self.shared:
            return f"version {supported}"
        with self._database.session():
            version = check_supported(self._database, supported)
        if version <= supported:
            return f"version {version}"
        return f"version {version} of a newer engine; this one supports up to {supported} and continues: upgrade it"

    def running(self) -> list[str]:
        """Return host and pid of the engines with a recent heartbeat, of a ledger with any schema."""
        if not self.shared:
            return []
        return [f"{row['host']} pid {row['pid']}" for row in self._alive_rows(EngineRow.host, EngineRow.pid)]

    def alive(self) -> list[RunningEngine]:
        """Return the engines that are alive, by host. A ledger that is not shared has one."""
        names = RunningEngine.__dataclass_fields__
        return [RunningEngine(**row) for row in self._alive_rows(*(getattr(EngineRow, name) for name in names))]

    def of_release_0_2(self) -> list[str]:
        """Return host and pid of the living engines of 0.2.0, which know neither users nor what a webhook wants."""
        rows = [each for each in self.alive() if each.row_format == FIRST_FORMAT] if self.shared else []
        return [f"{each.host} pid {each.pid}" for each in rows]

    def require_newer(self, lacks: str, *, hint: str) -> None:
        """Raise Conflict while engines of 0.2.0 run. `lacks` says what they do not know."""
        if older := self.of_release_0_2():
            raise Conflict(f"Engines of release 0.2.0 run, which {lacks}: {', '.join(older)}", hint=hint)

    def _alive_rows(self, *columns: peewee.Field) -> list[Row]:
        found = EngineRow.select(*columns).order_by(EngineRow.host, EngineRow.pid)
        if self.shared:
            found = found.where(self._is_alive())
        return self._database.rows(found)

    def _is_alive(self) -> Any:
        return EngineRow.beat_at > self._database.clock_ms() - LEASE_MS

    def count(self) -> int:
        """Return the number of engines that are alive."""
        return len(self.running()) if self.shared else 1

    def record_stopping(self, engine_id: str) -> None:
        """Record that the engine stops on purpose: even if it is killed now, its claims are not to blame."""
        self._database.change(EngineRow.update(stopping=True).where(EngineRow.engine_id == engine_id))

    def remove(self, engine_id: str) -> None:
        """Delete the row of an engine that has stopped: others may take over its claims at once."""
        self._database.change(EngineRow.delete().where(EngineRow.engine_id == engine_id))

    def died(self) -> Collection[str]:
        """Return the engines that are not stopping: engines that are alive, and engines that died."""
        rows = self._database.rows(EngineRow.select(EngineRow.engine_id).where(~EngineRow.stopping))
        return {row["engine_id"] for row in rows}

    def forget(self, engine_id: str) -> None:
        """Delete the rows of engines that ended long ago, or, if `engine_id` is the only engine, of all others.

        Call it after their claims were released.
        """
        ended = EngineRow.engine_id.not_in([engine_id, *self.living()])
        if self.shared:
            ended &= EngineRow.beat_at < self._database.clock_ms() - _KEPT_MS
        self._database.change(EngineRow.delete().where(ended))

    def living(self) -> Collection[str]:
        """Return the other engines that count as alive, whose claims must not be taken over.

        After an outage of the database all heartbeats are old. Until this engine has sent its own for a whole lease,
        every engine that has a row therefore counts as alive.
        """
        if not self.shared:
            return ()
        rows = self._database.rows(_BEATS)
        if self._listening_since is None or time.monotonic() - self._listening_since < LEASE_MS / 1000:
            return {row["engine_id"] for row in rows}
        silent = self._database.clock_ms() - LEASE_MS
        return {row["engine_id"] for row in rows if row["beat_at"] > silent}
