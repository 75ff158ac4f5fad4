"""Idempotency keys: a request's response is stored in its transaction, and returned again for the same key."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import peewee

from clipengine.basis.timecode import now_ms
from clipengine.errors import IdempotencyKeyReused
from clipengine.ledger.database.database import Database, Statement, compact_json, insert_statement, param
from clipengine.ledger.database.group_commit import GroupCommit
from clipengine.ledger.database.schema import IdempotencyRow
from clipengine.ledger.database.vault import Vault

_SEALED_FOR = "answer"  # the owner of sealed responses in the vault
KEPT_MS = 7 * 24 * 3600 * 1000

_THIS = (IdempotencyRow.scope == param(IdempotencyRow.scope)) & (IdempotencyRow.key == param(IdempotencyRow.key))
_FIND = Statement(IdempotencyRow.select().where(_THIS))
_FORGET = Statement(IdempotencyRow.delete().where(_THIS))
_INSERT = insert_statement(IdempotencyRow)
_PURGED_AT_ONCE = 500
_KEY = (IdempotencyRow.scope, IdempotencyRow.key)
_PURGE = Statement(
    IdempotencyRow.delete().where(
        peewee.Tuple(*_KEY).in_(
            IdempotencyRow.select(*_KEY)
            .where(IdempotencyRow.created_at < param(IdempotencyRow.created_at))
            .limit(_PURGED_AT_ONCE)
        )
    )
)


@dataclass(frozen=True)
class Answer:
    """A response. One that is `private` contains a secret and is stored encrypted."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    private: bool = False


class Idempotency:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._group_commit = GroupCommit(database)

    def once(self, key: str | None, *, scope: str, fingerprint: str, work: Callable[[], Answer]) -> tuple[Answer, bool]:
        """Run `work` and store its response under the key, in one transaction, or return the stored response and True.

        `scope` separates callers and routes, `fingerprint` identifies the request. Raises IdempotencyKeyReused if the
        key was used for a different request. If `work` raises an exception, nothing is stored. Concurrent requests with
        the same key wait for the first. Without a key, `work` always runs. On SQLite it may run on another
        thread, in one transaction with other requests (see `group_commit`).
        """

        def keep() -> tuple[Answer, bool]:
            if key is None:
                return work(), False
            kept = self._kept(key, scope, fingerprint)
            if kept is not None:
                return kept, True
            answer = work()
            self._database.change(_FORGET, scope=scope, key=key)
            row = {"scope": scope, "key": key, "fingerprint": fingerprint, "created_at": now_ms()}
            body = self._vault.seal(compact_json(answer.body), _SEALED_FOR) if answer.private else answer.body
            self._database.insert(_INSERT, **row, status=answer.status, body=body, headers=answer.headers)
            return answer, False

        if key is not None and (kept := self._kept(key, scope, fingerprint)) is not None:
            return kept, True
        if not self._database.shared:
            return self._group_commit.run(keep)
        with self._database.transaction(ordered=False):
            if key is not None:
                self._database.turn(f"key {scope} {key}")
            return keep()

    def purge(self, older_than_ms: int = KEPT_MS) -> int:
        """Delete older keys and return their number. Works in small transactions, to let requests run in between."""
        before, purged = now_ms() - older_than_ms, 0
        while True:
            with self._database.transaction():
                count = self._database.change(_PURGE, created_at=before)
            purged += count
            if count < _PURGED_AT_ONCE:
                return purged

    def _kept(self, key: str, scope: str, fingerprint: str) -> Answer | None:
        row = self._database.row(_FIND, scope=scope, key=key)
        if row is None or row["created_at"] < now_ms() - KEPT_MS:
            return None
        if row["fingerprint"] != fingerprint:
            raise IdempotencyKeyReused("this Idempotency-Key was used for a different request")
        body, private = row["body"], isinstance(row["body"], str)
        if private:
            body = json.loads(self._vault.open(body, _SEALED_FOR))
        return Answer(row["status"], body, row["headers"], private)
