"""Encryption of webhook secrets at rest, with a key in the file `secrets.key` beside the ledger.

A copy of the ledger alone reveals no secrets. AES-256-GCM authenticates each text together with its owner, so that a
ciphertext that was moved to another row does not decrypt. A missing or wrong key file is an error; it is never
recreated silently.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from functools import lru_cache
from pathlib import Path

from Crypto.Cipher import AES

from clipengine.basis.fsync import fsync
from clipengine.errors import Internal, SecretsKeyLost, StartupError

KEY_FILE = "secrets.key"
KEY_CHECK = "secrets_proof"
_PREFIX = "sealed1:"
_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16
_MODE = 0o600


class Vault:
    """Encrypts (`seal`) and decrypts (`open`) texts. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        # Every delivery needs its endpoint's secret, which hardly ever changes.
        self._opened = lru_cache(maxsize=256)(self._open)

    @classmethod
    def make(cls, path: Path) -> Vault:
        """Create the vault of a new ledger. An existing key is used: a first start may have been interrupted."""
        if not path.exists():
            _write(path)
        return cls(_read(path))

    @classmethod
    def of(cls, path: Path, key_check: str | None, *, ledger: str, hint: str | None = None) -> Vault:
        """Return the vault of a ledger. Raises SecretsKeyLost if the key is missing or does not match `key_check`."""
        try:
            vault = cls(_read(path))
            vault.open(key_check or "", KEY_CHECK)
        except SecretsKeyLost as error:
            raise SecretsKeyLost(error.message, hint=hint) from None
        except Internal:
            raise SecretsKeyLost(f"{path} is not the key of {ledger}", hint=hint) from None
        return vault

    @classmethod
    def renew(cls, path: Path) -> Vault:
        """Create a vault with a new key. Existing ciphertexts become unreadable; the old key file is kept."""
        if path.exists():
            path.rename(path.with_name(f"{KEY_FILE}.replaced-{secrets.token_hex(4)}"))
        return cls.make(path)

    def key_check(self) -> tuple[str, str]:
        """Return the row of `meta` by which later starts verify the key."""
        return KEY_CHECK, self.seal("the key fits", KEY_CHECK)

    def seal(self, text: str, owner: str) -> str:
        """Encrypt a text, so that it can be decrypted for `owner` only."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AES.new(self._key, AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
        cipher.update(owner.encode())
        sealed, tag = cipher.encrypt_and_digest(text.encode())
        return _PREFIX + base64.b64encode(nonce + sealed + tag).decode()

    def open(self, sealed: str, owner: str) -> str:
        """Decrypt a text. Raises Internal if it was changed, moved, or sealed with another key."""
        return self._opened(sealed, owner)

    def derive(self, purpose: str) -> bytes:
        """Return 256 bits that only the owner of the key can compute, and always the same for a purpose."""
        return hmac.new(self._key, f"derived {purpose}".encode(), hashlib.sha256).digest()

    def _open(self, sealed: str, owner: str) -> str:
        try:
            if not sealed.startswith(_PREFIX):
                raise ValueError("not sealed")
            raw = base64.b64decode(sealed.removeprefix(_PREFIX), validate=True)
            cipher = AES.new(self._key, AES.MODE_GCM, nonce=raw[:_NONCE_BYTES], mac_len=_TAG_BYTES)
            cipher.update(owner.encode())
            text: bytes = cipher.decrypt_and_verify(raw[_NONCE_BYTES:-_TAG_BYTES], raw[-_TAG_BYTES:])
            return text.decode()
        except (ValueError, binascii.Error):
            raise Internal(f"a secret of {owner} in the ledger cannot be decrypted") from None


def _write(path: Path) -> None:
    """Create a key file atomically. If another process is faster, its key is kept. Raises StartupError."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _MODE), "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    except OSError as error:
        raise StartupError(
            f"the key of the ledger's secrets cannot be created at {path}: {error.strerror}",
            hint="The first start creates it: let this user write to the folder, copy another host's key there, or "
            "create one with `openssl rand -base64 32`.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    fsync(path.parent)


def _read(path: Path) -> bytes:
    try:
        text = path.read_bytes()
        if stat.S_IMODE(path.stat().st_mode) != _MODE:
            # A secret that a container or a service manager mounts belongs to root or is read-only.
            with contextlib.suppress(OSError):
                path.chmod(_MODE)
    except FileNotFoundError:
        raise SecretsKeyLost(f"{path} is missing: it is the key of the webhook secrets in the ledger") from None
    except OSError as error:
        raise StartupError(
            f"{path} cannot be read: {error.strerror}", hint="Check that the data folder belongs to this user."
        ) from error
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != _KEY_BYTES:
        raise SecretsKeyLost(f"{path} is damaged: it does not contain a key")
    return key
