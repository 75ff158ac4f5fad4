"""API keys: random, shown once, kept only as their SHA-256.

A key reads `<prefix>_<key id>_<43 random characters>_<checksum>`; the checksum lets scanners of leaked secrets
recognise one, and lets a typing error be refused without a look into the database. Only letters and digits follow the
prefix, so that a key is parsed from the right whatever the prefix holds.
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

from clipengine.errors import Conflict, NotFound, StorageError
from clipengine.ids import new_id
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import KeyRow
from clipengine.timecode import now_ms

logger = logging.getLogger(__name__)

SCOPES = ("read", "write", "admin")

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_CHARACTERS = 43  # of 62: 256 bits
_CHECKSUM_CHARACTERS = 6  # of 62: more than the 32 bits of a CRC
_ID_PREFIX = "key_"
_TOUCH_MS = 60_000
_NO_DIGEST = "0" * 64


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key; never the key itself. Times in ms since 1970, UTC."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None


class Keys:
    def __init__(self, database: Database, prefix: str) -> None:
        self._database = database
        self._prefix = prefix
        self._touched: dict[str, int] = {}

    def create(self, name: str, scopes: Sequence[str] = SCOPES) -> tuple[ApiKey, str]:
        """A new key and its text, which cannot be had again."""
        key = ApiKey(new_id("key"), name, tuple(scopes), now_ms())
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARACTERS))
        start = f"{self._prefix}_{key.key_id.removeprefix(_ID_PREFIX)}_{secret}"
        text = f"{start}_{_checksum(start)}"
        row = {**vars(key), "scopes": list(key.scopes), "sha256": _digest(text)}
        with self._database.transaction():
            self._database.insert(KeyRow.insert(row))
        return key, text

    def verify(self, text: str) -> ApiKey | None:
        """The key of this text, None where it is unknown, revoked or malformed.

        Each costs a look into the ledger, a hash and a comparison in constant time. A row that is found costs some
        microseconds more to read than none: that shows at most that a key's id exists, which is no secret.

        `last_used_at` follows at most once a minute and is not waited for: reading goes on while writing cannot.
        """
        key_id = _parse(text)
        row = self._database.by_key(KeyRow, key_id or "")
        same = hmac.compare_digest(_digest(text), row["sha256"] if row else _NO_DIGEST)
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
            with self._database.transaction(durable=False):
                self._database.change(KeyRow.update(last_used_at=now).where(KeyRow.key_id == key_id))
        except StorageError as error:
            logger.warning("the use of key %s was not noted: %s", key_id, error.message)

    def find(self, key_id: str) -> ApiKey | None:
        """The key with this id, None where it is unknown or revoked."""
        row = self._database.by_key(KeyRow, key_id)
        return None if row is None or row["revoked_at"] is not None else _key(row)

    def list(self) -> list[ApiKey]:
        """All keys, revoked ones too, oldest first."""
        return [_key(row) for row in self._database.rows(KeyRow.select().order_by(KeyRow.created_at, KeyRow.key_id))]

    def revoke(self, id_or_name: str) -> ApiKey:
        """Refuse the key from now on. Raises NotFound, and Conflict where several active keys have the name."""
        with self._database.transaction():
            row = self._database.row(KeyRow.select().where(KeyRow.key_id == id_or_name))
            if row is None:
                named = self._database.rows(KeyRow.select().where(KeyRow.name == id_or_name))
                active = [found for found in named if found["revoked_at"] is None]
                if len(active) > 1:
                    ids = ", ".join(found["key_id"] for found in active)
                    raise Conflict(f"several keys are named {id_or_name}: {ids}", hint="Revoke by id.")
                row = next(iter(active or named), None)
            if row is None:
                raise NotFound(f"no key has the id or the name {id_or_name}")
            self._database.change(
                KeyRow.update(revoked_at=now_ms()).where(KeyRow.key_id == row["key_id"], KeyRow.revoked_at.is_null())
            )
            revoked = self._database.row(KeyRow.select().where(KeyRow.key_id == row["key_id"]))
        return _key(revoked or row)


def _parse(text: str) -> str | None:
    """The id of the key that the text claims to be, None where it is no key at all."""
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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Row) -> ApiKey:
    values = {name: row[name] for name in ApiKey.__dataclass_fields__}
    return ApiKey(**{**values, "scopes": tuple(row["scopes"])})
