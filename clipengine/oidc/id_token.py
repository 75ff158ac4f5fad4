"""Check of ID tokens. The only importer of joserfc, which the extra `oidc` installs.

Only asymmetric algorithms are accepted, and only keys of the provider's own document.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from joserfc import jwk, jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from clipengine.basis.json_budget import JsonLimits
from clipengine.basis.user_names import MAX_GROUP, MAX_GROUPS, MAX_NAME, has_hidden
from clipengine.oidc.errors import TokenInvalid

SKEW_SECONDS = 60
_MAX_TIME = 1 << 40  # of a claim, in seconds since 1970
_TIMES = ("exp", "iat", "nbf", "auth_time", "updated_at")
MAX_TOKEN_CHARACTERS = 131_072
MAX_KEYS = 100
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
_KEY_TYPES = {"RSA": 1400, "EC": 100, "OKP": 100}  # characters of the longest member: RSA keys have up to 8,192 bits
_MEMBERS = ("kty", "n", "e", "crv", "x", "y", "kid", "alg", "use")  # of public keys
_MAX_SUBJECT, _MAX_HEADER, _MAX_KID = 255, 4096, 500
_LIMITS = JsonLimits("the ID token", TokenInvalid, max_depth=8, max_tokens=10_000, max_members=MAX_GROUPS)


class UnknownKey(TokenInvalid):
    """The token names a key that the provider's document does not have."""


@dataclass(frozen=True)
class Claims:
    """Claims of a user by a checked token."""

    subject: str
    name: str
    groups: frozenset[str]


@dataclass(frozen=True)
class Expected:
    """Values that a token must have, and the claim with the groups, or an empty text."""

    issuer: str
    client_id: str
    nonce: str
    groups_claim: str


class _Registry(JWSRegistry):
    max_header_length = _MAX_HEADER
    max_payload_length = MAX_TOKEN_CHARACTERS


class Keys:
    """Public keys of a provider by their ids."""

    def __init__(self, document: Any) -> None:
        """Read a JWKS. Keys of other kinds are left out. Raises TokenInvalid."""
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list) or len(listed) > MAX_KEYS:
            raise TokenInvalid(f"the provider's keys are not a list of at most {MAX_KEYS} keys")
        self._keys = [each for each in listed if _is_usable(each)]

    def find(self, header: dict[str, Any]) -> jwk.Key:
        """Return the key that the header of a token names. Raises UnknownKey."""
        kid, alg = header.get("kid"), header.get("alg")
        found = [each for each in self._keys if each.get("kid") == kid and each.get("alg", alg) == alg]
        if kid is None:  # allowed if only one key is possible
            found = [each for each in self._keys if each.get("alg", alg) == alg]
        if len(found) != 1:
            raise UnknownKey("the ID token is signed with a key that the provider does not publish")
        try:
            return jwk.import_key({name: found[0][name] for name in _MEMBERS if isinstance(found[0].get(name), str)})
        except (JoseError, ValueError, TypeError) as error:
            raise TokenInvalid(f"a key of the provider cannot be used: {type(error).__name__}") from None


def check(token: str, keys: Keys, expected: Expected) -> Claims:
    """Return the claims of an ID token. Raises TokenInvalid, and UnknownKey if other keys may fit."""
    header = _header(token)
    try:
        decoded = jwt.decode(token, keys.find(header), algorithms=ALGORITHMS, registry=_registry())
        _claims_of(expected).validate(decoded.claims)
    except JoseError as error:
        raise TokenInvalid(f"the ID token is not valid: {type(error).__name__}: {str(error)[:200]}") from None
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise TokenInvalid(f"the ID token is damaged: {type(error).__name__}") from None
    _check_times(decoded.claims)
    _check_audience(decoded.claims, expected)
    return _user_of(decoded.claims, expected)


def _registry() -> JWSRegistry:
    return _Registry(algorithms=ALGORITHMS, strict_check_header=False)


def _claims_of(expected: Expected) -> jwt.JWTClaimsRegistry:
    return jwt.JWTClaimsRegistry(
        leeway=SKEW_SECONDS,
        iss={"essential": True, "value": expected.issuer},
        sub={"essential": True},
        aud={"essential": True, "value": expected.client_id},
        nonce={"essential": True, "value": expected.nonce},
        exp={"essential": True},
        iat={"essential": True},
    )


def _header(token: str) -> dict[str, Any]:
    """Return the header of a signed token whose parts are within their budgets. Raises TokenInvalid."""
    if len(token) > MAX_TOKEN_CHARACTERS or token.count(".") != 2:
        raise TokenInvalid("the ID token is too long, or is not a signed token")
    header, payload, _ = token.split(".")
    if len(header) > _MAX_HEADER:
        raise TokenInvalid("the header of the ID token is too long")
    _read(payload)
    found = _read(header)
    if found.get("alg") not in ALGORITHMS:
        raise TokenInvalid(f"the ID token has the algorithm {str(found.get('alg'))[:20]!r}")
    kid = found.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= _MAX_KID):
        raise TokenInvalid("the ID token names no valid key")
    return found


def _read(part: str) -> dict[str, Any]:
    """Return the JSON object of a part of a token. Raises TokenInvalid."""
    try:
        text = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True).decode()
        found = _LIMITS.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        raise TokenInvalid("the ID token is not JSON in base64") from None
    if not isinstance(found, dict):
        raise TokenInvalid("a part of the ID token is not an object")
    return found


def _check_times(claims: dict[str, Any]) -> None:
    for name in _TIMES:
        value = claims.get(name)
        if isinstance(value, int | float) and not 0 <= value < _MAX_TIME:
            raise TokenInvalid(f"the claim {name!r} of the ID token is no time")


def _check_audience(claims: dict[str, Any], expected: Expected) -> None:
    """Check `azp`, which must name this client if the token has several audiences."""
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else expected.client_id) != expected.client_id:
        raise TokenInvalid("the ID token was issued for another client (azp)")
    if not isinstance(claims["nonce"], str):
        raise TokenInvalid("the nonce of the ID token is not a text")


def _user_of(claims: dict[str, Any], expected: Expected) -> Claims:
    subject = claims["sub"]
    if not _is_clean(subject, _MAX_SUBJECT):
        raise TokenInvalid("the subject of the ID token is empty, too long or has control characters")
    names = [claims.get(name) for name in ("name", "preferred_username", "email")]
    name = next((each.strip() for each in names if isinstance(each, str) and _is_clean(each.strip(), MAX_NAME)), None)
    return Claims(subject, name or subject[:MAX_NAME], _groups(claims, expected.groups_claim))


def _groups(claims: dict[str, Any], name: str) -> frozenset[str]:
    """Return the groups of a claim with a list of texts or one text. Raises TokenInvalid."""
    found = claims.get(name) if name else None
    listed: Collection[Any] = [found] if isinstance(found, str) else [] if found is None else found
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise TokenInvalid(f"the claim {name!r} of the ID token is not a list of groups")
    return frozenset(each for each in listed if len(each) <= MAX_GROUP)


def _is_usable(key: Any) -> bool:
    """Return True for a public key that may sign, within the limits of its kind."""
    if not isinstance(key, dict) or key.get("use", "sig") != "sig":
        return False
    longest = _KEY_TYPES.get(str(key.get("kty")))
    return longest is not None and all(len(str(key.get(name, ""))) <= longest for name in ("n", "e", "x", "y"))


def _is_clean(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and not has_hidden(text)
