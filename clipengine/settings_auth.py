"""Settings of the sign-in: the prefix of keys, and the headers of a trusted proxy."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from clipengine.settings_table import SettingsTable

# Headers that the server or a browser uses itself.
_TAKEN = {
    "authorization",
    "cookie",
    "host",
    "origin",
    "content-length",
    "content-type",
    "connection",
    "transfer-encoding",
}


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"{text[:100]!r} is no address and no network, such as 10.0.0.0/8") from None


def _header(name: str) -> str:
    if name.lower() in _TAKEN:
        raise ValueError(f"{name!r} has another meaning")
    return name.lower()


_Network = Annotated[str, AfterValidator(_network)]
_Header = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9-]+$"), AfterValidator(_header)]
_OptionalHeader = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9-]*$"), AfterValidator(_header)]
_Group = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^,\x00]+$")]
_Groups = Annotated[tuple[_Group, ...], Field(max_length=100)]


class ProxySignIn(SettingsTable):
    enabled: bool = False
    peers: Annotated[tuple[_Network, ...], Field(max_length=100)] = ()
    user_header: _Header = "remote-user"
    name_header: _OptionalHeader = "remote-name"
    groups_header: _OptionalHeader = "remote-groups"
    operators: _Groups = ()
    editors: _Groups = ()
    viewers: _Groups = ()
    default_role: Literal["none", "viewer", "editor"] = "none"

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(name for name in (self.user_header, self.name_header, self.groups_header) if name)

    @model_validator(mode="after")
    def _complete(self) -> ProxySignIn:
        if len(set(self.headers)) != len(self.headers):
            raise ValueError("auth.proxy names a header twice")
        if self.enabled and not self.peers:
            raise ValueError("auth.proxy is enabled, so set auth.proxy.peers to the addresses of the proxy")
        if (self.operators or self.editors or self.viewers) and not self.groups_header:
            raise ValueError("auth.proxy has groups, so set auth.proxy.groups_header")
        return self


class Auth(SettingsTable):
    key_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = "relay_live"
    proxy: ProxySignIn = ProxySignIn()
