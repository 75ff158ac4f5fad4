"""Webhook signatures: the header of the hosted Relay API and the three headers of Standard Webhooks.

`X-Relay-Signature` is the lower-case hex HMAC-SHA256 of the raw body, keyed with the secret's text. Standard Webhooks
(https://www.standardwebhooks.com) sign `<id>.<timestamp>.<body>`. A receiver accepts the request if one of the
space-separated signatures is valid, so two secrets can be valid while one is rotated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as random
from collections.abc import Sequence

from standardwebhooks import Webhook

from clipengine.basis.moments import utc
from clipengine.errors import InvalidRequest

MIN_SECRET_CHARACTERS = 16
_PREFIX = "whsec_"
_MIN_KEY_BYTES = 12  # 16 characters of base64


def new_secret() -> str:
    """Return a new random secret: `whsec_` and 32 bytes in base64."""
    return _PREFIX + base64.b64encode(random.token_bytes(32)).decode()


def check_secret(secret: str) -> str:
    """Return the secret. Raises InvalidRequest if receivers could not verify signatures with it."""
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise InvalidRequest(f"a webhook secret must have at least {MIN_SECRET_CHARACTERS} characters")
    if secret.startswith(_PREFIX) and not _decoded(secret.removeprefix(_PREFIX)):
        raise InvalidRequest("after whsec_, a webhook secret must be at least 12 bytes in base64")
    return secret


def sign(body: bytes, *, event_id: str, secrets: Sequence[str], timestamp: int) -> dict[str, str]:
    """Return the four signature headers. `timestamp` is in seconds since 1970; `secrets` has the newest first.

    Retries use the same id with a new timestamp, because receivers reject timestamps older than five minutes.
    """
    moment = utc(timestamp * 1000)
    text = body.decode()
    keys = dict.fromkeys(key for secret in secrets for key in _standard_keys(secret))  # each once, in order
    return {
        "X-Relay-Signature": hmac.new(secrets[0].encode(), body, hashlib.sha256).hexdigest(),
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(Webhook(key).sign(event_id, moment, text) for key in keys),
    }


def _standard_keys(secret: str) -> list[bytes]:
    """Return the keys to sign with: the bytes after `whsec_`, or the UTF-8 bytes of the text.

    The Standard Webhooks libraries decode every secret as base64, even without the prefix. For such secrets a second
    signature uses the decoded key, if it is as strong as the shortest secret allowed.
    """
    if secret.startswith(_PREFIX):
        return [_decoded(secret.removeprefix(_PREFIX)) or secret.encode()]
    decoded = _decoded(secret)
    return [secret.encode(), decoded] if decoded else [secret.encode()]


def _decoded(text: str) -> bytes | None:
    """Decode base64 as the libraries do: padding is optional and invalid characters are skipped."""
    try:
        key = base64.b64decode(text + "==")
    except (binascii.Error, ValueError):  # invalid length; characters outside ASCII
        return None
    return key if len(key) >= _MIN_KEY_BYTES else None
