"""Protection against server-side request forgery: which addresses a webhook may be sent to.

A URL is parsed once. The connection, the TLS server name and the request line all use the resulting `Target`, so a name
cannot be changed between the check and its use. Names are resolved again for each attempt. The rules:

- always denied: link-local and metadata addresses, "this network", multicast, reserved ranges, IPv6 outside 2000::/3,
  tunnels (NAT64, 6to4, Teredo) to an address that is not public, and the engine's own port on this machine;
- loopback and private ranges: allowed if the URL is `trusted` (from the settings) or `allow_cidrs` contains the
  address. Loopback must be listed explicitly: 0.0.0.0/0 does not allow it;
- all other addresses are public and allowed.
"""

from __future__ import annotations

import queue
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal
from urllib.parse import quote, urlsplit

import idna

from clipengine.errors import InvalidWebhookUrl

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Lookup = Callable[[str, int], Sequence[str]]  # name, port -> addresses; raises OSError

MAX_URL_CHARACTERS = 2048
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@%]+))(?::([0-9]{1,5}))?\Z", re.ASCII)
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\Z")
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Ports of protocols whose servers may interpret a POST request as commands.
_BLOCKED_PORTS = frozenset(
    {19, 20, 21, 22, 23, 25, 53, 69, 110, 111, 119, 135, 137, 139, 143, 161, 389, 445, 465, 512, 513, 514, 515, 587}
    | {636, 873, 993, 995, 1433, 2049, 3306, 3389, 5060, 5432, 5900, 6000, 6379, 6667, 11211, 27017}
)

Kind = Literal["never", "loopback", "private", "public"]
# The first match applies. Not taken from ipaddress: is_global and is_private differ between Python versions.
_TABLE: tuple[tuple[Kind, str, str], ...] = (
    ("never", "a metadata address", "169.254.169.254/32 169.254.170.2/32 100.100.100.200/32 168.63.129.16/32"),
    ("never", "a metadata address", "192.0.0.192/32 fd00:ec2::/32 fd20:ce::254/128 fd00:42::42/128"),
    ("never", "a link-local address", "169.254.0.0/16 fe80::/10"),
    ("never", "an unspecified address", "0.0.0.0/8 ::/128"),
    ("never", "a multicast address", "224.0.0.0/4 ff00::/8"),
    ("never", "a reserved address", "240.0.0.0/4 192.88.99.0/24 fec0::/10"),
    ("loopback", "a loopback address", "127.0.0.0/8 ::1/128"),
    ("private", "a private address", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7"),
    ("private", "a special-purpose address", "192.0.0.0/24 192.0.2.0/24 198.18.0.0/15 198.51.100.0/24"),
    ("private", "a special-purpose address", "203.0.113.0/24 2001:db8::/32 3fff::/20"),
    # Tunnels: `_tunnelled` is checked before this table.
    ("public", "a public address", "64:ff9b::/96 2002::/16 2001::/32"),
    ("never", "a reserved address", "2001::/23"),
    ("public", "a public address", "0.0.0.0/0 2000::/3"),
    ("never", "a reserved address", "::/0"),
)
_KINDS = tuple((ip_network(net), kind, text) for kind, text, nets in _TABLE for net in nets.split())
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


class NameUnresolved(Exception):
    """The name currently has no address."""


@dataclass(frozen=True)
class Url:
    """A parsed webhook URL. `host` is ASCII, lower-case, without brackets; `path` is the request target."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header, without the port if it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Target:
    """A URL with its checked addresses, the only ones to connect to."""

    url: Url
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """The operator's rules. `own_port` is the port that this engine listens on, or None.

    `setting` is the name of the setting with the allowed networks, for messages.
    """

    allow: tuple[Network, ...] = ()
    own_port: int | None = None
    setting: str = "webhooks.allow_cidrs"

    @classmethod
    def of(
        cls, allow_cidrs: Iterable[str], *, own_port: int | None = None, setting: str = "webhooks.allow_cidrs"
    ) -> Rules:
        """Create rules from the networks of a setting. Raises ValueError for an invalid network."""
        return cls(tuple(ip_network(text, strict=False) for text in allow_cidrs), own_port, setting)


def worded(error: InvalidWebhookUrl, *, name: str = "the URL", refused: str = "nothing is fetched from") -> str:
    """Return the message of an error of a URL that is not a webhook, such as the URL of a recording."""
    message = error.message.replace("webhooks cannot be sent to", refused)
    return message.replace("the webhook URL", name).replace("a webhook URL", name)


def parse(url: str, *, max_characters: int = MAX_URL_CHARACTERS) -> Url:
    """Parse a webhook URL. Raises InvalidWebhookUrl unless it is http or https with a valid host and port.

    Rejects forms that parsers interpret differently: user information, backslashes, 0x7f.1, white space.
    """
    if not url or len(url) > max_characters:
        raise InvalidWebhookUrl(f"a webhook URL must have 1 to {max_characters} characters")
    if any(c == "\\" or c.isspace() or not c.isprintable() for c in url):
        raise InvalidWebhookUrl("the webhook URL contains a backslash, white space or a control character")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidWebhookUrl("the webhook URL has an invalid host") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise InvalidWebhookUrl("the webhook URL must begin with http:// or https://")
    host, port = _parse_authority(parts.netloc, _DEFAULT_PORTS[parts.scheme])
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?[]")
    return Url(parts.scheme, host, port, path)


def _parse_authority(text: str, default_port: int) -> tuple[str, int]:
    if "@" in text:
        raise InvalidWebhookUrl("the webhook URL must not contain a user name or a password")
    authority = _AUTHORITY.match(text)
    if authority is None:
        raise InvalidWebhookUrl("the webhook URL has an invalid host or port")
    literal, name, port_text = authority.groups()
    port = int(port_text) if port_text else default_port
    if not 1 <= port <= 65535 or port in _BLOCKED_PORTS:
        raise InvalidWebhookUrl(f"webhooks cannot be sent to port {port}")
    return _literal(literal) if literal else _name(name), port


def resolve(
    url: str | Url, *, rules: Rules, trusted: bool = False, timeout: float = 10, lookup: Lookup | None = None
) -> Target:
    """Resolve a URL to its addresses. A single denied address denies the URL, except for `localhost`.

    For `localhost`, which is always this machine, the allowed addresses are returned. `timeout` limits the name lookup,
    in seconds. Raises InvalidWebhookUrl, NameUnresolved and TimeoutError.
    """
    parsed = parse(url) if isinstance(url, str) else url
    try:
        answers = [str(ip_address(parsed.host))]
    except ValueError:
        answers = _look_up(lookup or system_lookup, parsed.host, parsed.port, timeout)
    try:
        addresses = dict.fromkeys(_unmap_ipv4(ip_address(answer.partition("%")[0])) for answer in answers)
    except ValueError:
        raise InvalidWebhookUrl("the webhook URL's host resolves to an invalid address") from None
    reasons = {each: denial_reason(each, rules=rules, trusted=trusted, port=parsed.port) for each in addresses}
    allowed = tuple(str(address) for address, reason in reasons.items() if reason is None)
    denied = next(filter(None, reasons.values()), None)
    if denied is not None and not (allowed and _is_localhost(parsed.host)):
        raise InvalidWebhookUrl(f"the webhook URL resolves to {denied}")
    return Target(parsed, allowed)


def check(url: str | Url, *, rules: Rules, timeout: float = 5, lookup: Lookup | None = None) -> None:
    """Check the URL in a request. Raises InvalidWebhookUrl.

    A name without an address is accepted, because it may get one later; each attempt checks again.
    """
    try:
        resolve(url, rules=rules, timeout=timeout, lookup=lookup)
    except (NameUnresolved, TimeoutError):
        return


def denial_reason(address: Address, *, rules: Rules, trusted: bool = False, port: int | None = None) -> str | None:
    """Return why the address is denied ("a private address …"), or None if it is allowed."""
    address = _unmap_ipv4(address)
    for inner in _tunnelled(address):
        if _classify(inner)[0] != "public":
            return f"a tunnel to {_classify(inner)[1]}"
    kind, description = _classify(address)
    if kind == "never":
        return description
    if kind != "public" and not trusted and not _is_listed(address, kind, rules):
        return f"{description} outside {rules.setting}"
    if port is not None and port == rules.own_port and _is_this_machine(address):
        return "this engine itself"
    return None


def localhost_lookup(name: str, port: int) -> list[str]:
    """Resolve `localhost` (RFC 6761) and no other name, without a resolver."""
    return ["127.0.0.1", "::1"] if _is_localhost(name) else []


def system_lookup(name: str, port: int) -> list[str]:
    """Resolve a name with the system's resolver, which has no timeout."""
    return [str(answer[4][0]) for answer in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)]


def _is_listed(address: Address, kind: Kind, rules: Rules) -> bool:
    nets = [net for net in rules.allow if net.version == address.version and address in net]
    if kind == "loopback":
        nets = [net for net in nets if any(_within(net, loopback) for loopback in _LOOPBACK)]
    return bool(nets)


def _is_localhost(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _literal(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise InvalidWebhookUrl("the webhook URL's host is not an IPv6 address") from None


def _name(text: str) -> str:
    """Return a host name in ASCII without its trailing dot, or an IPv4 address in canonical form."""
    name = text.lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise InvalidWebhookUrl("the webhook URL's host is not a valid name") from None
    name = name.removesuffix(".")
    if not _NAME.match(name):
        raise InvalidWebhookUrl("the webhook URL's host is not a valid name")
    if _NUMERIC.match(name):  # 127.1, 0x7f000001, 2130706433: parsers interpret these differently
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise InvalidWebhookUrl("the webhook URL's IPv4 address must be four decimal numbers") from None
    return name


def _look_up(lookup: Lookup, name: str, port: int, timeout: float) -> list[str]:
    # getaddrinfo cannot be interrupted, so it runs in a thread that is abandoned on a timeout.
    answer: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put(list(lookup(name, port)))
        except OSError as error:
            answer.put(error)
        except UnicodeError as error:
            answer.put(OSError(str(error)))

    threading.Thread(target=run, name="webhook-lookup", daemon=True).start()
    try:
        found = answer.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError("the name lookup took too long") from None
    if isinstance(found, OSError) or not found:
        raise NameUnresolved("the name does not resolve")
    return found


def _unmap_ipv4(address: Address) -> Address:
    """Return the IPv4 address that the kernel connects to for an IPv4-mapped IPv6 address."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _tunnelled(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses embedded in the IPv6 address of a tunnel."""
    if isinstance(address, IPv4Address):
        return
    if address in IPv6Network("64:ff9b::/96"):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE:  # ISATAP
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _classify(address: Address) -> tuple[Kind, str]:
    return next((kind, text) for net, kind, text in _KINDS if net.version == address.version and address in net)


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.network_address in outer and inner.prefixlen >= outer.prefixlen


def _is_this_machine(address: Address) -> bool:
    """Return True if a local interface has the address, so that a socket can be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
