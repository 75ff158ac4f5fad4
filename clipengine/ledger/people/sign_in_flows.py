"""Sign-ins with a provider that have ended with a session, so that each is used once."""

from __future__ import annotations

import hashlib

from clipengine.basis.timecode import now_ms
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import SpentFlowRow
from clipengine.ledger.database.vault import Vault


class SignInFlows:
    """`key` authenticates the cookies of flows; all engines of a ledger have the same one."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self.key = vault.derive("sign-in flows")

    def spend(self, cookie: str, *, until: int) -> bool:
        """Record that a flow is used, and return False if it was before. Call it in the session's transaction.

        The row is kept `until` the flow would have expired, in ms since 1970.
        """
        sha256 = hashlib.sha256(cookie.encode()).hexdigest()
        self._database.turn(f"flow {sha256}")
        self._database.change(SpentFlowRow.delete().where(SpentFlowRow.expires_at <= now_ms()))
        if self._database.by_key(SpentFlowRow, sha256) is not None:
            return False
        self._database.insert(SpentFlowRow.insert(sha256=sha256, expires_at=until))
        return True
