"""Identities that a trusted proxy states in headers.

The peer is the address of the connection; `X-Forwarded-For` and similar headers do not count. A request with one of the
headers from another peer, or with one twice, is refused, because it may be an attempt to pass for another user.
"""

from __future__ import annotations

import logging
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import Request

from clipengine.access.roles import role_of
from clipengine.api.http.source_acts import MakeAct, acts_of_source
from clipengine.api.http.user_sign_in import Identity
from clipengine.basis.user_names import MAX_GROUPS, MAX_NAME, has_hidden
from clipengine.errors import Forbidden
from clipengine.settings.auth import ProxySignIn

log = logging.getLogger(__name__)


class ProxyIdentities:
    def __init__(self, settings: ProxySignIn) -> None:
        self._settings = settings
        self._networks = [ip_network(each) for each in settings.peers]

    def of(self, request: Request) -> Identity | None:
        """Return the identity of a request, or None without one. Raises Forbidden."""
        if not self._settings.enabled:
            return None
        given = {name: values for name in self._settings.headers if (values := request.headers.getlist(name))}
        if not given:
            return None
        host = request.client.host if request.client is not None else ""
        if not self._is_trusted(host):
            raise _refused(host, "comes from another address than the proxy", next(iter(given)))
        for name, values in given.items():
            if len(values) > 1:
                raise _refused(host, "comes twice", name)
        texts = {name: _text(host, name, values[0]) for name, values in given.items()}
        subject = texts.get(self._settings.user_header, "")
        if not subject:
            return None
        if len(subject) > MAX_NAME:
            raise _refused(host, "is too long", self._settings.user_header)
        name = texts.get(self._settings.name_header, "")[:MAX_NAME] or subject
        make_act = acts_of_source("proxy", "proxy", request)
        return self._identity(host, subject, name, texts.get(self._settings.groups_header, ""), make_act)

    def _is_trusted(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def _identity(self, host: str, subject: str, name: str, groups: str, make_act: MakeAct) -> Identity:
        settings = self._settings
        if not settings.groups_header:
            return Identity("proxy", subject, name, role_of((), settings), by_groups=False, make_act=make_act)
        if groups.count(",") >= MAX_GROUPS:
            raise _refused(host, f"has more than {MAX_GROUPS} groups", settings.groups_header)
        role = role_of({each.strip(" \t") for each in groups.split(",")}, settings)
        return Identity("proxy", subject, name, role, by_groups=True, make_act=make_act)


def _text(host: str, name: str, value: str) -> str:
    """Return the text of a header in UTF-8. Raises Forbidden."""
    try:
        text = value.encode("latin-1").decode("utf-8").strip(" \t")
    except UnicodeError:
        raise _refused(host, "is not UTF-8", name) from None
    if has_hidden(text):
        raise _refused(host, "has control characters", name)
    if text != text.strip():  # another user than the same name without them
        raise _refused(host, "begins or ends with spaces that are not ASCII", name)
    return text


def _refused(host: str, fault: str, header: str) -> Forbidden:
    log.warning("a request of %s is refused: the header %s %s", host or "an unknown peer", header, fault)
    return Forbidden(f"The header {header} {fault}", hint="Only the proxy that signs users in may send it, once.")
