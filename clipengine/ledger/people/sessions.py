"""Browser sessions, started with a key or with the link that `serve` prints. Users have `user_sessions`.

A session token has 256 random bits and is stored only as SHA-256. The session has the scopes of one key until it is
ended, a week has passed, or the key is revoked.
"""

from __future__ import annotations

import hashlib
import secrets

from clipengine.basis.timecode import now_ms
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import SessionRow
from clipengine.ledger.people.keys import ApiKey, Keys

LIFETIME_MS = 7 * 24 * 3600 * 1000
_PAGE_KEY = "page"  # the key of sessions that a link started; its text is discarded, and revoking it ends them


class Sessions:
    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys

    def begin(self, key: ApiKey) -> str:
        """Start a session with the scopes of `key` and return its token, which cannot be retrieved later."""
        token, now = secrets.token_urlsafe(32), now_ms()
        row = {"sha256": _digest(token), "key_id": key.key_id, "created_at": now, "expires_at": now + LIFETIME_MS}
        with self._database.transaction():
            self._database.change(SessionRow.delete().where(SessionRow.expires_at <= now))
            self._database.insert(SessionRow.insert(row))
        return token

    def key_of_link(self) -> ApiKey:
        """Return the key of sessions that a link starts, with all scopes. It is created on first use."""
        with self._database.transaction():
            for key in self._keys.list():
                if key.name == _PAGE_KEY and key.revoked_at is None and key.user_id is None:
                    return key
            return self._keys.create(_PAGE_KEY)[0]

    def verify(self, token: str) -> ApiKey | None:
        """Return the key of the session, or None if the session is unknown or has expired, or its key is revoked."""
        row = self._database.by_key(SessionRow, _digest(token))
        if row is None or row["expires_at"] <= now_ms():
            return None
        return self._keys.find(row["key_id"])

    def end(self, token: str) -> None:
        self._database.change(SessionRow.delete().where(SessionRow.sha256 == _digest(token)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
