"""State of one sign-in, which the browser keeps in a cookie until the provider sends it back. Pure.

The engine keeps nothing for a flow that is open, so any engine of a fleet completes it, and open flows cost nothing.
`state`, `nonce` and the verifier of PKCE are HMACs of the cookie with a key of the installation: a changed cookie, or
the cookie of another browser, does not have the `state` of the address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from clipengine.basis.timecode import now_ms
from clipengine.oidc.errors import FlowExpired

CALLBACK = "/session/oidc/callback"  # path of the redirect URI
FLOW_MS = 600_000
_COOKIE = re.compile(r"([0-9]{13})\.[A-Za-z0-9_-]{43}\.([A-Za-z0-9_-]{0,700})\Z")
# The fragment of an address of the page: nothing in it leads to another site.
_FRAGMENT = re.compile(r"#/[A-Za-z0-9_.~!$&'()*+,;=:@%/?-]{0,500}\Z")
HOME = "#/recordings"


@dataclass(frozen=True)
class Flow:
    """One sign-in, by its cookie. `return_to` is the fragment of the page that the user asked for."""

    cookie: str
    return_to: str
    expires_at: int  # ms since 1970, UTC
    key: bytes

    @property
    def state(self) -> str:
        return self._derived("state")

    @property
    def nonce(self) -> str:
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """The challenge of PKCE with the method S256."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def _derived(self, purpose: str) -> str:
        return _text(hmac.new(self.key, f"{purpose} {self.cookie}".encode(), hashlib.sha256).digest())


def begin_flow(key: bytes, return_to: str) -> Flow:
    """Start a flow. A `return_to` that is not a fragment of the page is replaced by the page's first view."""
    fragment = return_to if _FRAGMENT.match(return_to) else HOME
    expires_at = now_ms() + FLOW_MS
    return Flow(f"{expires_at}.{secrets.token_urlsafe(32)}.{_text(fragment.encode())}", fragment, expires_at, key)


def flow_of(key: bytes, cookie: str, state: str) -> Flow:
    """Return the flow of a cookie. Raises FlowExpired if it does not belong to the state, or has expired."""
    match = _COOKIE.match(cookie)
    if match is None:
        raise FlowExpired("the browser sent no cookie of a sign-in")
    flow = Flow(cookie, "", int(match[1]), key)
    if not hmac.compare_digest(flow.state.encode(), state.encode()):
        raise FlowExpired("the state belongs to another browser or another sign-in")
    if flow.expires_at <= now_ms():
        raise FlowExpired("the sign-in took too long")
    fragment = base64.urlsafe_b64decode(f"{match[2]}{'=' * (-len(match[2]) % 4)}").decode()
    return Flow(cookie, fragment, flow.expires_at, key)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
