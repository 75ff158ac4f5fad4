"""Authentication: a Bearer key or the session of the page. `access` decides what its principal may do.

A malformed, unknown or revoked key gets the same 401 as a missing one, with one hint for all of them, so that a
response reveals nothing about keys.

Browsers send cookies with requests that other sites make. A session is therefore accepted only if the browser reports
the request as coming from this origin and, for methods that change something, only with a header that another origin
could send only after a CORS preflight, which is never granted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request

from clipengine.api.http.access import Action, Object, require
from clipengine.errors import Forbidden, Unauthorized
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.principals import Principal

SESSION_COOKIE = "clipengine_session"
PAGE_HEADER = "X-Clipengine-Page"

# Not `request.cookies`: before Python 3.12.6 unquoting a value takes quadratic time, 6 s for a header of 60 kB.
_SESSION = re.compile(rf"(?:\A|;)[ \t]*{SESSION_COOKIE}=([A-Za-z0-9_-]{{1,300}})[ \t]*(?:;|\Z)")
_BEARER = re.compile(r"bearer +([\x21-\x7e]{1,300}) *\Z", re.IGNORECASE)
_WRONG_KEY = "Copy the whole key again, or create another: it is incomplete, unknown or revoked."
_ENDED_SESSION = "Sign in again: the session has ended."
_SAFE_METHODS = ("GET", "HEAD")
_OWN_SITES = (None, "same-origin", "none")  # None: browsers omit the header over plain HTTP


@dataclass(frozen=True)
class Credential:
    """An API key or a session token that has not been looked up yet."""

    text: str
    is_session: bool


def credential(request: Request) -> Credential:
    """Return the key of the Authorization header, or the session of the cookie if the header is missing.

    Raise Unauthorized without either, and Forbidden if another site made the request with the cookie.
    """
    header = request.headers.get("authorization")
    session = _SESSION.search(request.headers.get("cookie", "")) if header is None else None
    if session is not None:
        if request.headers.get("sec-fetch-site") not in _OWN_SITES:
            raise Forbidden("Another site made this request", hint="Use the page itself, or a key.")
        if request.method not in _SAFE_METHODS and PAGE_HEADER not in request.headers:
            raise Forbidden(f"The header {PAGE_HEADER} is missing", hint="Use the page itself, or a key.")
        return Credential(session[1], is_session=True)
    match = _BEARER.match(header or "")
    if match is None:
        raise Unauthorized(hint=_WRONG_KEY if (header or "").lower().startswith("bearer ") else None)
    return Credential(match[1], is_session=False)


def authorize(ledger: Ledger, given: Credential, action: Action, object: Object) -> Principal:
    """Return the caller. Raise Unauthorized, or Forbidden if the caller may not do this with the object."""
    principals = ledger.principals
    caller = (principals.of_session if given.is_session else principals.of_key)(given.text)
    if caller is None:
        raise Unauthorized(hint=_ENDED_SESSION if given.is_session else _WRONG_KEY)
    require(caller, action, object)
    return caller
