"""Policy: which pages may send writes with a cookie, and sign in. Requests with an API key are not concerned.

A browser states the page's origin in `Origin`, and how it relates to the server in `Sec-Fetch-Site`; no script can
change either. Behind a proxy, the server's address is `server.public_url`, or the `Host` that the proxy passes on. A
proxy that does neither changes nothing about `Sec-Fetch-Site`, which browsers omit over plain HTTP.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.requests import Request

from clipengine.errors import Forbidden

_ORIGIN = re.compile(r"(https?)://([^/?#@\s]{1,300})\Z", re.ASCII)
_PORTS = {"http": ":80", "https": ":443"}
_OWN_SITES = (None, "same-origin", "none")  # None: browsers omit the header over plain HTTP
_HINT = "Behind a proxy, set server.public_url to the address of the page, or let the proxy pass the Host header on."


class OwnOrigin:
    """The origin of the page, by the settings and by each request."""

    def __init__(self, public_url: str) -> None:
        url = urlsplit(public_url)
        self._public = _normal(url.scheme, url.netloc) if url.netloc else None

    def check_site(self, request: Request) -> None:
        """Raise Forbidden if another site made the request."""
        if request.headers.get("sec-fetch-site") not in _OWN_SITES:
            raise Forbidden("Another site made this request", hint="Use the page itself, or a key.")

    def check(self, request: Request) -> None:
        """Raise Forbidden if a page of another origin made the request, or one whose origin is unknown (`null`)."""
        self.check_site(request)
        origins = request.headers.getlist("origin")
        if not origins or request.headers.get("sec-fetch-site") == "same-origin":
            return
        found = _ORIGIN.match(origins[0].lower())
        host = request.headers.get("host", "").lower()
        if len(origins) == 1 and found is not None:
            origin = _normal(found[1], found[2])
            if origin in (self._public, _normal(found[1], host)):
                return
        raise Forbidden(f"The page of {origins[0][:100]!r} is not of this server, {host[:100]!r}", hint=_HINT)


def _normal(scheme: str, place: str) -> tuple[str, str]:
    """Return an origin without the port that its scheme implies."""
    return scheme.lower(), place.lower().removesuffix(_PORTS.get(scheme.lower(), ":"))
