"""Cookies of the page's sessions and of a sign-in with a provider.

Over HTTPS, the names begin with `__Host-`, so that neither another host of the domain nor plain HTTP can set them. The
name of release 0.2.0, which knows no users, is accepted for sessions of keys as well.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from clipengine.ledger.people.user_sessions import is_user_token

SESSION_COOKIE = "clipengine_session"
HOST_COOKIE = f"__Host-{SESSION_COOKIE}"
FLOW_COOKIE = "clipengine_flow"


# Not `request.cookies`: before Python 3.12.6 unquoting a value takes quadratic time, 6 s for a header of 60 kB.
def _pattern(name: str, value: str) -> re.Pattern[str]:
    return re.compile(rf"(?:\A|;)[ \t]*{name}=({value})[ \t]*(?:;|\Z)")


_SESSIONS = {name: _pattern(name, "[A-Za-z0-9_-]{1,300}") for name in (HOST_COOKIE, SESSION_COOKIE)}
_FLOWS = {name: _pattern(name, "[A-Za-z0-9._-]{1,1000}") for name in (FLOW_COOKIE, f"__Host-{FLOW_COOKIE}")}


class Cookies:
    """Cookies of a server. They are `secure` if its public address is https."""

    def __init__(self, public_url: str) -> None:
        self._secure = public_url.startswith("https:")
        self._flow = f"__Host-{FLOW_COOKIE}" if self._secure else FLOW_COOKIE

    def session_of(self, request: Request) -> str | None:
        """Return the session token of a request, or None."""
        header = request.headers.get("cookie", "")
        for name, pattern in _SESSIONS.items():
            found = pattern.search(header)
            if found is not None and (name == HOST_COOKIE or not self._secure or not is_user_token(found[1])):
                return found[1]
        return None

    def set_session(self, response: Response, token: str, *, seconds: int, former: bool = False) -> None:
        """Set the session. `former` uses the name of 0.2.0, because one of its engines runs."""
        name = HOST_COOKIE if self._secure and not former else SESSION_COOKIE
        response.set_cookie(name, token, max_age=seconds, httponly=True, samesite="strict", secure=self._secure)
        self._delete_session(response, but=name)

    def delete_session(self, response: Response) -> None:
        self._delete_session(response)

    def _delete_session(self, response: Response, *, but: str = "") -> None:
        for name in (SESSION_COOKIE, *([HOST_COOKIE] if self._secure else [])):
            if name != but:
                response.delete_cookie(name, httponly=True, samesite="strict", secure=self._secure)

    def set_flow(self, response: Response, cookie: str, *, seconds: int) -> None:
        """Set the cookie of a sign-in. Browsers send it when the provider sends the user back."""
        response.set_cookie(self._flow, cookie, max_age=seconds, httponly=True, samesite="lax", secure=self._secure)

    def flow_of(self, request: Request) -> str:
        """Return the cookie of the sign-in, or an empty text."""
        found = _FLOWS[self._flow].search(request.headers.get("cookie", ""))
        return "" if found is None else found[1]

    def delete_flow(self, response: Response) -> None:
        response.delete_cookie(self._flow, httponly=True, samesite="lax", secure=self._secure)
