"""Webhooks of LiveKit: `egress_ended`, signed by a JWT that contains the SHA-256 of the body.

https://docs.livekit.io/home/server/webhooks/. The token is HS256 with a secret that both sides have, which the standard
library can verify; other algorithms are rejected.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from clipengine.basis.json_budget import JsonLimits
from clipengine.errors import InvalidSignature
from clipengine.ingest.event import Arrival, CamelBody, Ignored, Place, Reading, Request, stated_start, validated
from clipengine.ingest.signatures import WINDOW_SECONDS, header, same

_WITH_FILES = ("EGRESS_COMPLETE", "EGRESS_LIMIT_REACHED")

_MAX_SECONDS = 1 << 40  # since 1970
_LIMITS = JsonLimits("the token", InvalidSignature, max_depth=8, max_tokens=1000, max_members=100)

_Text = Annotated[str, Field(max_length=4096)]
_Id = Annotated[str, Field(max_length=200)]


class _File(CamelBody):
    filename: _Text = ""
    location: _Text = ""
    started_at: int = 0  # nanoseconds, as a string of digits


class _Segments(CamelBody):
    playlist_name: _Text = ""
    playlist_location: _Text = ""
    started_at: int = 0

    @property
    def filename(self) -> str:
        """The playlist. LiveKit's live playlist is another object, which lists the latest segments only."""
        return self.playlist_name

    @property
    def location(self) -> str:
        return self.playlist_location


class _Egress(CamelBody):
    egress_id: _Id = ""
    room_id: _Id = ""
    room_name: _Text = ""
    status: _Text = ""
    file_results: list[_File] = Field(default=[], max_length=100)
    segment_results: list[_Segments] = Field(default=[], max_length=100)


class _Event(CamelBody):
    event: _Text
    egress_info: _Egress | None = None


class LiveKitEvents:
    max_bytes = 256 * 1024

    def __init__(self, api_key: str, secret: str, place: Place) -> None:
        self._api_key = api_key
        self._secret = secret
        self._place = place

    def check_headers(self, request: Request) -> None:
        self._verified_claims(request)

    def verify(self, request: Request) -> None:
        digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        if not same(_text(self._verified_claims(request), "sha256"), digest):
            raise InvalidSignature("The token is of another body")

    def _verified_claims(self, request: Request) -> dict[str, Any]:
        """Return the claims of the token. Raise InvalidSignature if it is not one of the server's, or has expired."""
        scheme, _, token = header(request, "authorization").rpartition(" ")
        if scheme.lower() not in ("", "bearer"):
            raise InvalidSignature("The Authorization header is not a token of LiveKit")
        claims = _claims(token, self._secret)
        if not same(_text(claims, "iss"), self._api_key):
            raise InvalidSignature("The token is of another API key", hint="Set `ingest.livekit.api_key`.")
        _check_times(claims, request.now)
        return claims

    def read(self, request: Request) -> Reading:
        event = validated(_Event, request.value)
        if event.event != "egress_ended" or event.egress_info is None:
            return Reading((Ignored(event.event, "other_event"),))
        return Reading(tuple(self._found(event.egress_info)))

    def _found(self, egress: _Egress) -> Iterator[Arrival | Ignored]:
        if egress.status not in _WITH_FILES:
            yield Ignored(egress.egress_id, "failed")
            return
        about = {"source": "livekit", "livekit_egress_id": egress.egress_id, "livekit_room_id": egress.room_id}
        files: list[_File | _Segments] = [*egress.file_results, *egress.segment_results]
        for file in files:
            key = self._place.key_at(file.location, file.filename)
            if not key:
                yield Ignored(file.filename, "other_bucket")
                continue
            started = stated_start("LiveKit", file.started_at // 1_000_000)
            yield Arrival((key,), egress.room_name or None, {**about, **started}, any_suffix=True, has_ended=True)


def _claims(token: str, secret: str) -> dict[str, Any]:
    """Return the claims of a JWT. Raises InvalidSignature unless it is signed with HS256 and the secret."""
    parts = token.split(".")
    if len(parts) != 3 or _decoded(parts[0]).get("alg") != "HS256":
        raise InvalidSignature("The token is not a JWT with HS256")
    wanted = hmac.new(secret.encode(), f"{parts[0]}.{parts[1]}".encode(), hashlib.sha256).digest()
    if not same(parts[2], base64.urlsafe_b64encode(wanted).decode().rstrip("=")):
        raise InvalidSignature("The token is signed with another secret")
    return _decoded(parts[1])


def _decoded(part: str) -> dict[str, Any]:
    try:
        value = _LIMITS.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode())
    except (binascii.Error, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidSignature("The token is not a JWT")
    return value


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _check_times(claims: dict[str, Any], now: float) -> None:
    """Raise InvalidSignature if the token has no expiry, has expired, or is not valid yet."""
    if not _seconds(claims.get("nbf", 0)) - WINDOW_SECONDS <= now < _seconds(claims.get("exp")):
        raise InvalidSignature("The token has expired, or is not valid yet")


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_SECONDS:
        raise InvalidSignature("The token has no valid times")
    return value
