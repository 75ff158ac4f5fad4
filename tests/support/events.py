"""Events of other systems as they send them: recorded bodies, with the signature of each service."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

from clipengine.webhooks.sign import sign

EVENTS = Path(__file__).parent.parent / "ingest" / "events"
S3_SECRET = "secret-of-the-s3-source"
LIVEKIT_KEY, LIVEKIT_SECRET = "APIboard", "secret-of-the-livekit-source"
DAILY_SECRET = base64.b64encode(b"secret of the daily source").decode()
ZOOM_SECRET = "secret-of-the-zoom-source"
GENERIC_SECRET = "secret-of-the-generic-source"
SETTINGS: dict[str, Any] = {
    "s3": {"secret": S3_SECRET, "bucket": "recordings"},
    "livekit": {"api_key": LIVEKIT_KEY, "secret": LIVEKIT_SECRET, "bucket": "recordings"},
    "daily": {"secret": DAILY_SECRET},
    "zoom": {"secret": ZOOM_SECRET},
    "generic": {"secret": GENERIC_SECRET},
}


def recorded(name: str) -> bytes:
    return (EVENTS / f"{name}.json").read_bytes()


def changed(name: str, **values: object) -> bytes:
    """Return a recorded body with other values at its top level."""
    return json.dumps({**json.loads(recorded(name)), **values}).encode()


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def jwt(claims: dict[str, Any], secret: str, algorithm: str = "HS256") -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    signed = f"{part(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def livekit_claims(body: bytes, now: float | None = None) -> dict[str, Any]:
    at = round(time.time() if now is None else now)
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return {"iss": LIVEKIT_KEY, "nbf": at, "exp": at + 300, "sha256": digest}


def livekit(body: bytes, now: float | None = None, secret: str = LIVEKIT_SECRET) -> dict[str, str]:
    return {"authorization": jwt(livekit_claims(body, now), secret), "content-type": "application/webhook+json"}


def daily(body: bytes, now: float | None = None, secret: str = DAILY_SECRET) -> dict[str, str]:
    timestamp = str(round(time.time() if now is None else now))
    signed = hmac.new(base64.b64decode(secret), f"{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {"x-webhook-timestamp": timestamp, "x-webhook-signature": base64.b64encode(signed).decode()}


def zoom(body: bytes, now: float | None = None, secret: str = ZOOM_SECRET) -> dict[str, str]:
    timestamp = str(round(time.time() if now is None else now))
    signed = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-zm-request-timestamp": timestamp, "x-zm-signature": f"v0={signed}"}


def standard(body: bytes, now: float | None = None, secret: str = GENERIC_SECRET) -> dict[str, str]:
    at = round(time.time() if now is None else now)
    headers = sign(body, event_id="msg_1", secrets=[secret], timestamp=at)
    return {name.lower(): value for name, value in headers.items() if name.startswith("webhook-")}
