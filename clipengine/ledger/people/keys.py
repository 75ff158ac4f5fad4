"""API keys: random, shown once, and stored only as SHA-256.

A key has the form `<prefix>_<key id>_<43 random characters>_<checksum>`. By the checksum, secret scanners recognise
leaked keys, and typing errors are rejected without a query. Only letters and digits follow the prefix, so that a key
can be parsed from the right with any prefix.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from clipengine.access.roles import Scope
from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import Conflict, KeyNotFound, StorageError
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import KeyRow

logger = logging.getLogger(__name__)

SCOPES: tuple[Scope, ...] = get_args(Scope)
MAX_KEY_NAME = 100  # characters

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_CHARACTERS = 43  # of 62: 256 bits
_CHECKSUM_CHARACTERS = 6  # of 62: more than the 32 bits of a CRC
_ID_PREFIX = "key_"
_TOUCH_MS = 60_000
_NO_DIGEST = "0" * 64


@dataclass(frozen=True)
class ApiKey:
    """An API key without its secret. Times are in ms since 1970, UTC."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None
    user_id: str | None = None  # of the user to whom it belongs; None: to the installation


class Keys:
    def __init__(self, database: Database, prefix: str) -> None:
        self._database = database
        self._prefix = prefix
        self._touched: dict[str, int] = {}

    def create(self, name: str, scopes: Sequence[Scope] = SCOPES, *, user_id: str | None = None) -> tuple[ApiKey, str]:
        """Create a key and return it with its text, which cannot be retrieved later."""
        key = ApiKey(new_id("key"), name, tuple(scopes), now_ms(), user_id=user_id)
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARACTERS))
        start = f"{self._prefix}_{key.key_id.removeprefix(_ID_PREFIX)}_{secret}"
        text = f"{start}_{_checksum(start)}"
        row = {**vars(key), "scopes": list(key.scopes), "sha256": _digest(text, user_id)}
        with self._database.transaction():
            self._database.insert(KeyRow.insert(row))
            self._database.concerns(key.key_id)
        return key, text

    def verify(self, text: str) -> ApiKey | None:
        """Return the key of this text, or None if it is unknown, revoked or malformed.

        Every call makes a query, a hash and a constant-time comparison. Reading an existing row takes some microseconds
        longer, which reveals at most that a key id exists; ids are not secret.

        `last_used_at` is updated at most once a minute; verification succeeds even if this write fails.
        """
        key_id = _parse(text)
        row = self._database.by_key(KeyRow, key_id or "")
        digest = _digest(text, row["user_id"] if row else None)
        same = hmac.compare_digest(digest, row["sha256"] if row else _NO_DIGEST)
        if row is None or not same or row["revoked_at"] is not None:
            return None
        self._touch(row)
        return _key(row)

    def _touch(self, row: Row) -> None:
        key_id, now = row["key_id"], now_ms()
        last = max(row["last_used_at"] or 0, self._touched.get(key_id, 0))
        if 0 <= now - last < _TOUCH_MS:
            return
        self._touched[key_id] = now
        try:
            with self._database.transaction(durable=False, ordered=False):
                self._database.change(KeyRow.update(last_used_at=now).where(KeyRow.key_id == key_id))
        except StorageError as error:
            logger.warning("the use of key %s was not recorded: %s", key_id, error.message)

    def find(self, key_id: str) -> ApiKey | None:
        """Return the key with this id, or None if it is unknown or revoked."""
        row = self._database.by_key(KeyRow, key_id)
        return None if row is None or row["revoked_at"] is not None else _key(row)

    def list(self) -> list[ApiKey]:
        """Return all keys, including revoked ones, oldest first."""
        return [_key(row) for row in self._database.rows(KeyRow.select().order_by(KeyRow.created_at, KeyRow.key_id))]

    def revoke(self, key_id: str) -> ApiKey:
        """Revoke the key with this id. It becomes invalid at once. Raises KeyNotFound."""
        with self._database.transaction():
            unrevoked = KeyRow.key_id == key_id, KeyRow.revoked_at.is_null()
            self._database.change(KeyRow.update(revoked_at=now_ms()).where(*unrevoked))
            row = self._database.by_key(KeyRow, key_id)
            self._database.concerns(key_id)
        if row is None:
            raise KeyNotFound.of(key_id)
        return _key(row)

    def revoke_named(self, id_or_name: str) -> ApiKey:
        """Revoke the key with this id or name. Raises KeyNotFound, and Conflict if several active keys have the name.

        The name of a key that is revoked already returns that key.
        """
        with self._database.transaction():
            if self._database.by_key(KeyRow, id_or_name) is not None:
                return self.revoke(id_or_name)
            named = self._database.rows(KeyRow.select().where(KeyRow.name == id_or_name))
            active = [found for found in named if found["revoked_at"] is None]
            if len(active) > 1:
                ids = ", ".join(found["key_id"] for found in active)
                raise Conflict(f"several keys are named {id_or_name}: {ids}", hint="Revoke by id.")
            if not named:
                raise KeyNotFound(f"no key has the id or the name {id_or_name}")
            return self.revoke((active or named)[0]["key_id"])


def _parse(text: str) -> str | None:
    """Return the key id in the text, or None if it does not have the form of a key."""
    start, _, checksum = text.rpartition("_")
    parts = start.rsplit("_", 2)
    if len(parts) != 3 or not text.isascii() or not hmac.compare_digest(_checksum(start), checksum):
        return None
    return _ID_PREFIX + parts[1]


def _checksum(text: str) -> str:
    number, characters = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        characters = _ALPHABET[digit] + characters
    return characters


def _digest(text: str, user_id: str | None) -> str:
    """Return the stored hash of a key. Engines of 0.2.0, which ignore roles, do not accept the key of a user."""
    bound = text if user_id is None else f"{user_id} {text}"
    return hashlib.sha256(bound.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Row) -> ApiKey:
    values = {name: row[name] for name in ApiKey.__dataclass_fields__}
    return ApiKey(**{**values, "scopes": tuple(row["scopes"])})
