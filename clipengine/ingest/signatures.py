"""Checks that all schemes need: comparisons in constant time, and the age of a signed request."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from clipengine.errors import InvalidSignature
from clipengine.ingest.event import Request

WINDOW_SECONDS = 300  # between the signature and its arrival; also for clocks that are ahead
_MAX_HEADER = 4096
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?\Z", re.ASCII)


def header(request: Request, name: str) -> str:
    """Return a header of a signature. Raises InvalidSignature if it is missing or too long."""
    text = request.headers.get(name, "").strip()
    if not text or len(text) > _MAX_HEADER:
        raise InvalidSignature(f"The header {name} is missing or too long")
    return text


def same(given: str, wanted: str) -> bool:
    """Compare two texts in constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def check_age(seconds: str, now: float) -> None:
    """Raise InvalidSignature unless the time, in digits, is at most WINDOW_SECONDS before or after `now`."""
    if not _SECONDS.match(seconds) or abs(now - float(seconds)) > WINDOW_SECONDS:
        raise InvalidSignature(f"The request was not signed within {WINDOW_SECONDS} seconds of this machine's time")


def hex_digest(secret: str, text: bytes) -> str:
    """Return the HMAC-SHA256 of the text in lower-case hex."""
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def is_sent(request: Request, secret: str) -> bool:
    """Return True if the Authorization header has the secret: as a Bearer token, or as the password of Basic."""
    scheme, _, credentials = request.headers.get("authorization", "")[:_MAX_HEADER].partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer":
        return same(credentials, secret)
    if scheme.lower() != "basic":
        return False
    try:
        decoded = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return same(decoded.partition(":")[2], secret)
