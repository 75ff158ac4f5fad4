"""Signatures of a webhook: the hosted API's own header and Standard Webhooks' three.

`X-Relay-Signature` is a contract of the hosted API: the bare lower-case hex HMAC-SHA256 of the raw body, keyed with
the secret's text as the operator wrote it. Standard Webhooks (https://www.standardwebhooks.com) sign
`<id>.<timestamp>.<body>`, and a receiver accepts when one of the space-separated signatures fits: so two secrets may
be in force while one is rotated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as random
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from clipengine.errors import InvalidRequest

MIN_SECRET_CHARACTERS = 16
_PREFIX = "whsec_"
_MIN_KEY_BYTES = 12  # what 16 characters of base64 hold


def new_secret() -> str:
    """A new random secret, `whsec_` and 32 bytes in base64."""
    return _PREFIX + base64.b64encode(random.token_bytes(32)).decode()


def check_secret(secret: str) -> str:
    """The secret as it is. Raises InvalidRequest where receivers could not verify with it."""
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise InvalidRequest(f"a webhook secret has at least {MIN_SECRET_CHARACTERS} characters")
    if secret.startswith(_PREFIX) and not _decoded(secret.removeprefix(_PREFIX)):
        raise InvalidRequest("a webhook secret that begins with whsec_ goes on in base64, at least 12 bytes of it")
    return secret


def sign(body: bytes, *, event_id: str, secrets: Sequence[str], timestamp: int) -> dict[str, str]:
    """The four headers for one attempt. `timestamp` in seconds since 1970; `secrets` newest first, at least one.

    The id stays the same over attempts, the timestamp does not: receivers refuse what is older than five minutes.
    """
    moment = datetime.fromtimestamp(timestamp, UTC)
    text = body.decode()
    keys = dict.fromkeys(key for secret in secrets for key in _standard_keys(secret))  # each once, in order
    return {
        "X-Relay-Signature": hmac.new(secrets[0].encode(), body, hashlib.sha256).hexdigest(),
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(Webhook(key).sign(event_id, moment, text) for key in keys),
    }


def _standard_keys(secret: str) -> list[bytes]:
    """The keys under which a receiver may verify: the bytes after `whsec_`, or the text's UTF-8 bytes.

    Standard Webhooks' libraries read every text as base64, also one without the prefix. A receiver that gives such
    a secret to its library is served by a second signature, as long as the key read that way is no weaker than the
    shortest secret that is allowed.
    """
    if secret.startswith(_PREFIX):
        return [_decoded(secret.removeprefix(_PREFIX)) or secret.encode()]
    decoded = _decoded(secret)
    return [secret.encode(), decoded] if decoded else [secret.encode()]


def _decoded(text: str) -> bytes | None:
    """The text as the libraries read it: base64, unpadded or not, foreign characters skipped."""
    try:
        key = base64.b64decode(text + "==")
    except (binascii.Error, ValueError):  # an impossible length; characters outside ASCII
        return None
    return key if len(key) >= _MIN_KEY_BYTES else None
