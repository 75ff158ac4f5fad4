"""Settings of the sign-in: the prefix of keys, the headers of a trusted proxy, and an OpenID provider."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from clipengine.basis.settings_table import SettingsTable
from clipengine.basis.user_names import MAX_GROUP

_ISSUER = re.compile(
    r"(?:https://[^\s/?#@\\\x00]+|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?)(?:/[^\s?#\\\x00]*)?"
)
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


def _issuer(url: str) -> str:
    if url and not _ISSUER.fullmatch(url):
        raise ValueError(
            f"{url[:100]!r} is not an issuer such as https://auth.example.org, without a query; http is possible for "
            "this machine only"
        )
    return url


_Network = Annotated[str, AfterValidator(_network)]
_Header = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9-]+$"), AfterValidator(_header)]
_OptionalHeader = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9-]*$"), AfterValidator(_header)]
_Group = Annotated[str, Field(min_length=1, max_length=MAX_GROUP, pattern=r"^[^,\x00]+$")]
_Scope = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]
_Groups = Annotated[tuple[_Group, ...], Field(max_length=100)]


class GroupRoles(SettingsTable):
    """Groups of users by their roles, see `clipengine.access.roles`."""

    operators: _Groups = ()
    editors: _Groups = ()
    viewers: _Groups = ()
    default_role: Literal["none", "viewer", "editor"] = "none"


class ProxySignIn(GroupRoles):
    enabled: bool = False
    peers: Annotated[tuple[_Network, ...], Field(max_length=100)] = ()
    user_header: _Header = "remote-user"
    name_header: _OptionalHeader = "remote-name"
    groups_header: _OptionalHeader = "remote-groups"

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


class OidcSignIn(GroupRoles):
    enabled: bool = False
    issuer: Annotated[str, Field(max_length=500), AfterValidator(_issuer)] = ""
    client_id: Annotated[str, Field(max_length=500, pattern=r"^[\x20-\x7e]*$")] = ""
    client_secret: SecretStr = SecretStr("")  # empty: a public client
    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")] = "OpenID Connect"
    scopes: Annotated[tuple[_Scope, ...], Field(max_length=20)] = ("openid", "profile")
    groups_claim: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] = "groups"
    session_hours: Annotated[float, Field(ge=0.05, le=8760)] = 12
    allow_cidrs: Annotated[tuple[_Network, ...], Field(max_length=100)] = ()

    @property
    def active_issuer(self) -> str:
        """The issuer whose users may sign in, or an empty text."""
        return self.issuer if self.enabled else ""

    @model_validator(mode="after")
    def _complete(self) -> OidcSignIn:
        missing = [name for name in ("issuer", "client_id") if self.enabled and not getattr(self, name)]
        if missing:
            raise ValueError(f"auth.oidc is enabled, so set {', '.join(f'auth.oidc.{each}' for each in missing)}")
        if "openid" not in self.scopes:
            raise ValueError('auth.oidc.scopes must have "openid"')
        if (self.operators or self.editors or self.viewers) and not self.groups_claim:
            raise ValueError("auth.oidc has groups, so set auth.oidc.groups_claim")
        return self


class Auth(SettingsTable):
    key_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = "relay_live"
    proxy: ProxySignIn = ProxySignIn()
    oidc: OidcSignIn = OidcSignIn()
