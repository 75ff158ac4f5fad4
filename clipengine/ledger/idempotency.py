"""Idempotency keys: the answer that a request got is kept with the row that it made, and given again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clipengine.errors import IdempotencyKeyReused
from clipengine.ledger.database import Database
from clipengine.ledger.schema import IdempotencyRow
from clipengine.timecode import now_ms

KEPT_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


class Idempotency:
    def __init__(self, database: Database) -> None:
        self._database = database

    def once(self, key: str | None, *, scope: str, fingerprint: str, work: Callable[[], Answer]) -> tuple[Answer, bool]:
        """Do `work` in a transaction with the key's row, or give the answer it gave before; True: it was replayed.

        `scope` keeps the keys of different callers and routes apart, `fingerprint` says what was asked. Raises
        IdempotencyKeyReused where the key came with another request. Work that raises leaves nothing behind, its key
        neither. Requests that come at the same time wait for the first. Without a key the work is done every time.
        """
        if key is None:
            with self._database.transaction():
                return work(), False
        kept = self._kept(key, scope, fingerprint)
        if kept is not None:
            return kept, True
        with self._database.transaction():
            kept = self._kept(key, scope, fingerprint)
            if kept is not None:
                return kept, True
            answer = work()
            self._database.change(IdempotencyRow.delete().where(*self._of(key, scope)))
            row = {"scope": scope, "key": key, "fingerprint": fingerprint, "created_at": now_ms(), **vars(answer)}
            self._database.insert(IdempotencyRow.insert(row))
            return answer, False

    def purge(self, older_than_ms: int = KEPT_MS) -> int:
        """Forget the keys that are older; how many those were."""
        expired = IdempotencyRow.delete().where(IdempotencyRow.created_at < now_ms() - older_than_ms)
        with self._database.transaction():
            return self._database.change(expired)

    def _kept(self, key: str, scope: str, fingerprint: str) -> Answer | None:
        row = self._database.row(IdempotencyRow.select().where(*self._of(key, scope)))
        if row is None or row["created_at"] < now_ms() - KEPT_MS:
            return None
        if row["fingerprint"] != fingerprint:
            raise IdempotencyKeyReused("this Idempotency-Key was used for a different request")
        return Answer(row["status"], row["body"], row["headers"])

    def _of(self, key: str, scope: str) -> tuple[Any, Any]:
        return IdempotencyRow.scope == scope, IdempotencyRow.key == key
